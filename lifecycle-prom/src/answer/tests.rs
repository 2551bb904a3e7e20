use lifecycle_core::backend::{BackendError, ErrorKind, Reading};

use super::*;

fn vector(elements: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{elements}]}}}}"#)
}

#[test]
fn results_are_read_by_their_type() {
    let one = vector(r#"{"metric":{"revision":"a"},"value":[1.25,"0.5"]}"#);
    assert_eq!(
        read(200, None, one.as_bytes()),
        Ok(Answer::Vector(vec![Series::new([("revision", "a")], 0.5)]))
    );
    assert_eq!(read(200, None, vector("").as_bytes()), Ok(Answer::Vector(vec![])));
    for (kind, result, expected) in [
        ("scalar", r#"[1,"2.5e3"]"#, Answer::Scalar(2500.0)),
        ("scalar", r#"[1,"-Inf"]"#, Answer::Scalar(f64::NEG_INFINITY)),
        ("string", r#"[1,"text"]"#, Answer::Text),
        ("matrix", r#"[{"metric":{},"values":[[1,"2"]]}]"#, Answer::Matrix),
    ] {
        let body = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#);
        assert_eq!(read(200, None, body.as_bytes()), Ok(expected), "{body}");
    }
    let nan = read(200, None, vector(r#"{"metric":{},"value":[1,"NaN"]}"#).as_bytes()).unwrap();
    let native = vector(r#"{"metric":{},"histogram":[1,{"count":"1","sum":"2","buckets":[]}]}"#);
    let native = read(200, None, native.as_bytes()).unwrap();
    match (scalar::read(&nan), scalar::read(&native)) {
        (Ok(Reading::Scalar(nan)), Err(AnswerError::NativeHistogram)) => assert!(nan.is_nan()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_answer_says_what_it_is() {
    use ErrorKind::{Invalid, NotFound, Transient, Unauthorized, Unsupported};
    let with = |extra: &str| {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[]}}{extra}}}"#)
    };
    let refused = |kind: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"because"}}"#);
    let html = "<!doctype html><html>\n<title>Sign in</title>".to_owned();
    for (status, body, kind, said) in [
        (400, refused("bad_data"), Invalid, "Prometheus says bad_data: because"),
        (422, refused("execution"), Invalid, "Prometheus says execution: because"),
        (503, refused("timeout"), Transient, "Prometheus says timeout: because"),
        (503, refused("unavailable"), Transient, "unavailable"),
        (500, refused("internal"), Transient, "internal"),
        (404, refused("not_found"), NotFound, "not_found"),
        (200, refused("bad_data"), Invalid, "Prometheus says bad_data: because"),
        (401, "who are you".to_owned(), Unauthorized, "HTTP status 401: \"who are you\""),
        (403, String::new(), Unauthorized, "HTTP status 403"),
        (404, "404 page not found".to_owned(), NotFound, "HTTP status 404"),
        (405, String::new(), Unsupported, "HTTP status 405"),
        (429, String::new(), Transient, "HTTP status 429"),
        (500, with(""), Transient, "HTTP status 500"),
        (502, html.clone(), Transient, "HTTP status 502"),
        (418, String::new(), Invalid, "HTTP status 418"),
        (204, String::new(), Invalid, "HTTP status 204"),
        (302, html.clone(), Invalid, "HTTP status 302 sends to \"https://login\", which is not followed"),
        (
            200,
            html,
            Invalid,
            "HTML came back in the place of JSON, from a proxy or a login page: \"<!doctype html>",
        ),
        (200, String::new(), Invalid, "no answer of Prometheus' API: EOF"),
        (200, "hello".to_owned(), Invalid, "\"hello\""),
        (200, "{}".to_owned(), Invalid, "missing field `status`"),
        (200, r#"{"status":"success"}"#.to_owned(), Invalid, "neither success with data nor an error"),
        (200, r#"{"status":"error"}"#.to_owned(), Invalid, "neither success with data nor an error"),
        (
            200,
            with(r#","warnings":["a store is down"]"#),
            Transient,
            "the answer is incomplete: a store is down",
        ),
        (200, vector(r#"{"metric":{},"value":[1,"ten"]}"#), Invalid, "a value is no number"),
        (200, vector(r#"{"metric":{}}"#), Invalid, "a series has no value"),
        (200, vector(r#"{"metric":{},"value":[1]}"#), Invalid, "no answer of Prometheus' API"),
        (200, vector(r#"{"metric":{},"value":[1,"1"]},"#), Invalid, "no answer of Prometheus' API"),
        (200, format!("{{\"x\":{}", "[".repeat(100_000)), Invalid, "no answer of Prometheus' API"),
    ] {
        let error = read(status, Some("https://login"), body.as_bytes()).unwrap_err();
        let error = BackendError::from(error);
        assert_eq!(error.kind, kind, "{status} {body:.100}: {error}");
        assert!(error.message.contains(said), "{status} {body:.100}: {error}");
        assert!(!error.message.contains('\n') && error.message.len() < 500, "{error}");
    }
    assert_eq!(
        read(200, None, with(r#","warnings":[],"infos":["x"]"#).as_bytes()),
        Ok(Answer::Vector(vec![]))
    );
    let bytes = read(200, None, &[0xff, 0xfe, 0, 1]).unwrap_err();
    assert_eq!(bytes.kind(), Invalid);
}

#[test]
fn counts_are_those_of_the_revision() {
    let series =
        |hash: &str, which: &str, value| Series::new([("revision", hash), (counts::COUNT, which)], value);
    let check = |vector: Vec<Series>| counts::read(&Answer::Vector(vector), "revision", "a");
    let counted = |requests, failed| Ok(Reading::Counts { requests, failed });
    assert_eq!(check(vec![]), Ok(Reading::NoData));
    assert_eq!(check(vec![series("b", counts::ALL, 5.0)]), Ok(Reading::NoData));
    assert_eq!(check(vec![series("a", counts::ALL, 0.0)]), counted(0, 0));
    let both = vec![
        series("a", counts::ALL, 1000.4),
        series("a", counts::FAILED, 5.2),
        series("b", counts::ALL, 9.0),
    ];
    assert_eq!(check(both), counted(1000, 5));
    assert_eq!(check(vec![series("a", counts::ALL, 1.4), series("a", counts::FAILED, 1.5)]), counted(1, 1));
    for (vector, said) in [
        (vec![series("a", counts::FAILED, 5.0)], "failed requests alone"),
        (vec![series("a", counts::ALL, f64::NAN)], "NaN is no number of requests"),
        (vec![series("a", counts::ALL, f64::INFINITY)], "inf is no number of requests"),
        (vec![series("a", counts::ALL, -7.0)], "-7 is no number of requests"),
        (vec![series("a", counts::ALL, 1e17)], "100000000000000000 is no number of requests"),
        (
            vec![series("a", counts::ALL, 1.0), series("a", counts::ALL, 1.0)],
            "2 series where one is expected",
        ),
    ] {
        let error = check(vector).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn alerts_without_a_revision_are_everyones() {
    let firing = |hash: Option<&str>, value| Series::new(hash.map(|hash| ("revision", hash)), value);
    let check = |vector: Vec<Series>| scalar::alerts(&Answer::Vector(vector), "revision", "a");
    assert_eq!(check(vec![]), Ok(Reading::Scalar(0.0)));
    let alerts =
        vec![firing(Some("a"), 2.0), firing(Some("b"), 7.0), firing(None, 1.0), firing(Some(""), 1.0)];
    assert_eq!(check(alerts), Ok(Reading::Scalar(4.0)));
    assert!(check(vec![firing(None, f64::NAN)]).is_err());
    assert!(scalar::alerts(&Answer::Scalar(0.0), "revision", "a").is_err());
}

#[test]
fn a_named_query_gives_one_number() {
    let one = |value| Series::new([("pod", "x")], value);
    assert_eq!(scalar::read(&Answer::Scalar(3.0)), Ok(Reading::Scalar(3.0)));
    assert_eq!(scalar::read(&Answer::Vector(vec![])), Ok(Reading::NoData));
    assert_eq!(scalar::read(&Answer::Vector(vec![one(-1.5)])), Ok(Reading::Scalar(-1.5)));
    for (answer, said) in [
        (
            Answer::Vector(vec![one(1.0), one(1.0), one(2.0)]),
            "3 series where one is expected, {pod=\"x\"} among them",
        ),
        (Answer::Text, "the query gives a string where one number is expected"),
        (Answer::Matrix, "the query gives a range of values where one number is expected"),
    ] {
        let error = scalar::read(&answer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(said), "{error}");
    }
}
