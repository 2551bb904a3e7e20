use lifecycle_core::backend::{BackendError, ErrorKind, Reading};

use super::*;
use crate::target::Target;

fn vector(elements: &str) -> String {
    format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{elements}]}}}}"#)
}

#[test]
fn results_are_read_by_their_type() {
    let one = vector(r#"{"metric":{"revision":"a"},"value":[1.25,"0.5"]}"#);
    assert_eq!(
        read(200, None, one.as_bytes()),
        Ok(Answer::Vector(vec![Series::new([("revision", "a")], 0.5).of(1.25)]))
    );
    assert_eq!(read(200, None, vector("").as_bytes()), Ok(Answer::Vector(vec![])));
    for (kind, result, expected) in [
        ("scalar", r#"[1,"2.5e3"]"#, Answer::Scalar(2500.0)),
        ("scalar", r#"[1,"-Inf"]"#, Answer::Scalar(f64::NEG_INFINITY)),
        ("string", r#"[1,"text"]"#, Answer::Text),
        (
            "matrix",
            r#"[{"metric":{},"values":[[1,"2"]]}]"#,
            Answer::Matrix(vec![Line::new([], vec![(1.0, 2.0)])]),
        ),
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
    let remark = r#","warnings":["PromQL info: metric might not be a counter, name does not end in _total: \"x\" (1:2)"]"#;
    for remarks in [r#","warnings":[],"infos":["x"]"#, remark] {
        assert_eq!(read(200, None, with(remarks).as_bytes()), Ok(Answer::Vector(vec![])), "{remarks}");
    }
    let bytes = read(200, None, &[0xff, 0xfe, 0, 1]).unwrap_err();
    assert_eq!(bytes.kind(), Invalid);
}

fn arm() -> Arm {
    Arm::new(&Metrics::default().series, &Target::new("n", "e"), "a")
}

/// A series of this revision.
fn of(hash: &str, which: &str, value: f64) -> Series {
    Series::new([("namespace", "n"), ("agent", "e"), ("revision", hash), (COUNT, which)], value)
}

#[test]
fn counts_are_those_of_the_arm() {
    let check = |mut vector: Vec<Series>| {
        vector.push(of("a", SCRAPED, 0.0));
        counts::read(&Answer::Vector(vector), &Metrics::default(), &arm())
    };
    let counted = |requests, failed| Ok(Reading::Counts { requests, failed });
    assert_eq!(check(vec![]), Ok(Reading::NoData));
    assert_eq!(check(vec![of("b", "", 5.0)]), Ok(Reading::NoData));
    assert_eq!(check(vec![of("a", "", 0.0)]), counted(0, 0));
    assert_eq!(check(vec![of("a", "", 994.4), of("a", FAILED, 5.6), of("b", "", 9.0)]), counted(1000, 6));
    assert_eq!(check(vec![of("a", FAILED, 5.0)]), counted(5, 5));
    let of_others = [("namespace", "other"), ("agent", "other")]
        .map(|other| Series::new([("namespace", "n"), ("agent", "e"), ("revision", "a"), other], 7.0));
    assert_eq!(check(of_others.to_vec()), Ok(Reading::NoData));
    for (vector, said) in [
        (vec![of("a", "", f64::NAN)], "NaN is no number of requests"),
        (vec![of("a", FAILED, f64::INFINITY)], "inf is no number of failed requests"),
        (vec![of("a", "", -7.0)], "-7 is no number of requests"),
        (vec![of("a", "", 1e17)], "100000000000000000 is no number of requests"),
        (vec![of("a", "", 1.0), of("a", "", 1.0)], "2 series where one is expected"),
    ] {
        let error = check(vector).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn what_was_scraped_long_ago_says_nothing_about_now() {
    let check = |scraped: f64| {
        let vector = [of("a", "", 5.0), of("a", SCRAPED, scraped), of("b", SCRAPED, 0.0)];
        let vector = vector.map(|series| series.of(1000.0));
        counts::read(&Answer::Vector(vector.to_vec()), &Metrics::default(), &arm())
    };
    for scraped in [850.0, 999.0, 1000.0, 2000.0] {
        assert_eq!(check(scraped), Ok(Reading::Counts { requests: 5, failed: 0 }), "{scraped}");
    }
    let error = check(849.0).unwrap_err();
    let limit = Millis::from_secs(150);
    assert_eq!(
        (&error, error.kind()),
        (&AnswerError::Stale { age: Millis(151_000), limit }, ErrorKind::Transient)
    );
}

#[test]
fn what_is_not_scraped_any_more_says_nothing_about_now() {
    let native = || {
        let wire = r#"{"count":"5","sum":"5","buckets":[[0,"1","2","5"]]}"#;
        let one = r#"{"namespace":"n","agent":"e","revision":"a"}"#;
        let body = vector(&format!(r#"{{"metric":{one},"histogram":[0,{wire}]}}"#));
        match read(200, None, body.as_bytes()) {
            Ok(Answer::Vector(series)) => series,
            other => panic!("{other:?}"),
        }
    };
    let bucket = |le: &str| {
        let mut bucket = of("a", "", 5.0);
        bucket.labels.insert("le".to_owned(), le.to_owned());
        bucket
    };
    type Read = fn(&Answer, &Metrics, &Arm) -> Result<Reading, AnswerError>;
    let cases: [(Read, Vec<Series>); 3] = [
        (counts::read, vec![of("a", "", 5.0), of("a", FAILED, 5.0)]),
        (histogram::read, vec![bucket("0.1"), bucket("+Inf")]),
        (native::read, native()),
    ];
    for (read, counted) in cases {
        let check = |scraped: &str| {
            let vector = [counted.clone(), vec![of(scraped, SCRAPED, 0.0)]].concat();
            read(&Answer::Vector(vector), &Metrics::default(), &arm())
        };
        let live = check("a");
        assert!(matches!(live, Ok(Reading::Counts { .. } | Reading::Histogram(_))), "{live:?}");
        assert_eq!(check("b"), Ok(Reading::NoData), "the other arm is scraped");
    }
}

#[test]
fn alerts_without_a_revision_are_everyones() {
    let check = |vector: Vec<Series>| scalar::alerts(&Answer::Vector(vector), &arm());
    assert_eq!(check(vec![]), Ok(Reading::Scalar(0.0)));
    let of_all = Series::new([("namespace", "n"), ("agent", "e")], 1.0);
    let of_another = Series::new([("namespace", "n"), ("agent", "x")], 1.0);
    let alerts = vec![of("a", "", 2.0), of("b", "", 7.0), of_all, of("", "", 1.0), of_another];
    assert_eq!(check(alerts), Ok(Reading::Scalar(4.0)));
    assert!(check(vec![of("a", "", f64::NAN)]).is_err());
    assert!(scalar::alerts(&Answer::Scalar(0.0), &arm()).is_err());
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
        (Answer::Matrix(vec![]), "the query gives a range of values where one number is expected"),
    ] {
        let error = scalar::read(&answer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(said), "{error}");
    }
}
