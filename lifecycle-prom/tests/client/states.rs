//! Every state that the documentation of the crate names, as whoever asks sees it.

use std::error::Error as _;

use lifecycle_core::backend::{BackendError, ErrorKind, HealthQuery, Mark, Reading, Signal, Span};
use lifecycle_core::time::Millis;
use lifecycle_prom::answer::AnswerError;
use lifecycle_prom::{
    CallError, Connection, Metrics, PodMetrics, PrometheusConfig, PrometheusSource, Target,
};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::support::server::{Reply, Server};
use super::support::{query, revision};
use super::{SHORT, WINDOW, config, health, named, over, success};

/// The name of the state: that of the variant.
fn state(error: &BackendError) -> String {
    let source = error.source().unwrap();
    let shown = match source.downcast_ref::<CallError>() {
        Some(CallError::Answer(error)) => format!("{error:?}"),
        Some(error) => format!("{error:?}"),
        None => format!("{:?}", source.downcast_ref::<AnswerError>().unwrap()),
    };
    shown.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()
}

fn vector(labels: &str, value: &str) -> Reply {
    let labels = format!(r#"{{"namespace":"default","agent":"edge","revision":"aaa"{labels}}}"#);
    Reply::new(200, &success(&format!(r#"{{"metric":{labels},"value":[999,"{value}"]}}"#)))
}

fn data(result_type: &str, result: &str) -> Reply {
    let data = format!(r#"{{"resultType":"{result_type}","result":{result}}}"#);
    Reply::new(200, &format!(r#"{{"status":"success","data":{data}}}"#))
}

fn refused(kind: &str) -> Reply {
    Reply::new(503, &format!(r#"{{"status":"error","errorType":"{kind}","error":"because"}}"#))
}

#[tokio::test]
async fn every_state_has_its_name() {
    use ErrorKind::{Invalid, NotFound, Transient, Unauthorized, Unsupported};
    let requests = || query(Signal::Requests, "aaa", WINDOW);
    let depth = || query(named("depth"), "aaa", WINDOW);
    let since = |mark| HealthQuery::over(Signal::Requests, revision("aaa"), Span::Since(Some(Mark(mark))));
    let two = r#"{"metric":{"a":"1"},"value":[999,"1"]},{"metric":{"a":"2"},"value":[999,"1"]}"#;
    let warned =
        r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["a store is down"]}"#;
    let native = r#"[{"metric":{},"histogram":[999,{"count":"1","sum":"1","buckets":[[0,"1","2","1"]]}]}]"#;
    let cases = [
        (Reply::Bytes(vec![]), requests(), "Unreachable", Transient),
        (Reply::Hang(vec![]), requests(), "Late", Transient),
        (refused("timeout"), requests(), "Refused", Transient),
        (refused("execution"), requests(), "Refused", Invalid),
        (Reply::new(401, ""), requests(), "Status", Unauthorized),
        (Reply::new(429, ""), requests(), "Status", Transient),
        (Reply::with(302, "Location: /login\r\n", ""), requests(), "Redirect", Invalid),
        (Reply::new(200, "<html>"), requests(), "Html", Invalid),
        (Reply::new(200, "{}"), requests(), "NotTheApi", Invalid),
        (Reply::new(200, &" ".repeat(2000)), requests(), "TooLarge", Invalid),
        (Reply::new(200, warned), requests(), "Incomplete", Transient),
        (data("string", r#"[999,"text"]"#), depth(), "WrongType", Invalid),
        (data("matrix", "[]"), depth(), "WrongType", Invalid),
        (data("vector", native), depth(), "NativeHistogram", Invalid),
        (Reply::new(200, &success(two)), depth(), "ManySeries", Invalid),
        (vector("", "NaN"), requests(), "NotACount", Invalid),
        (vector("", "-7"), requests(), "NotACount", Invalid),
        (vector(r#","le":"0.1""#, "7"), query(Signal::Latency, "aaa", WINDOW), "Buckets", Invalid),
        (vector(r#","lifecycle_count":"scraped""#, "100"), since(998_000), "Stale", Transient),
        (vector("", "7"), since(5_000_000), "Clock", Transient),
        // (the answer is about 999 s)
        (vector("", "7"), since(999_500), "AnotherMoment", Invalid),
        (vector("", "7"), query(named("none"), "aaa", WINDOW), "UnknownQuery", NotFound),
        (vector("", "7"), query(Signal::Restarts, "aaa", WINDOW), "NotMeasured", Unsupported),
        (
            vector("", "7"),
            HealthQuery::over(named("depth"), revision("aaa"), Span::Since(None)),
            "NotMeasured",
            Unsupported,
        ),
        (
            vector("", "7"),
            HealthQuery::over(
                Signal::Requests,
                revision("aaa"),
                Span::Replicas { width: Millis(1), bins: 5 },
            ),
            "Bins",
            Invalid,
        ),
    ];
    for (reply, query, name, kind) in cases {
        let sent = reply.clone();
        let server = Server::prometheus(move |_| sent.clone()).await;
        let config = config(&server).deadline(SHORT).max_answer_bytes(1000);
        let error = health(config).measure(std::slice::from_ref(&query)).await.remove(0).unwrap_err();
        assert_eq!((&*state(&error), error.kind), (name, kind), "{error}");
    }
}

fn with_pods(server: &Server) -> PrometheusConfig {
    let pods = PodMetrics::default().labels("pods", "agent", "revision").unwrap();
    config(server).metrics(Metrics::default().pods(pods))
}

#[tokio::test]
async fn a_part_of_the_pods_is_a_state_of_its_own() {
    let answers = [("unknown", Err(("Partial", ErrorKind::Transient))), ("young", Ok(Reading::NoData))];
    for (count, expected) in answers {
        let server =
            Server::prometheus(move |_| vector(&format!(r#","lifecycle_count":"{count}""#), "1")).await;
        for signal in [Signal::Restarts, Signal::Saturation] {
            let answer = health(with_pods(&server)).measure(&[query(signal, "aaa", WINDOW)]).await.remove(0);
            let answer = answer.map_err(|error| (state(&error), error.kind));
            assert_eq!(answer, expected.clone().map_err(|(name, kind)| (name.to_owned(), kind)));
        }
    }
}

#[tokio::test]
async fn what_is_no_error_is_no_error() {
    let counts = Reading::Counts { requests: 0, failed: 0 };
    let of = |count: &str, value: u32| {
        let labels = r#""namespace":"default","agent":"edge","revision":"aaa""#;
        format!(r#"{{"metric":{{{labels},"lifecycle_count":"{count}"}},"value":[999,"{value}"]}}"#)
    };
    let live = [of("", 0), of("scraped", 999)].join(",");
    for (reply, query, expected) in [
        (Reply::new(200, &success("")), query(Signal::Requests, "aaa", WINDOW), Reading::NoData),
        (Reply::new(200, &success("")), query(named("depth"), "aaa", WINDOW), Reading::NoData),
        (Reply::new(200, &success(&live)), query(Signal::Requests, "aaa", WINDOW), counts),
        // it is not scraped any more
        (vector("", "7"), query(Signal::Requests, "aaa", WINDOW), Reading::NoData),
        (vector("", "+Inf"), query(named("depth"), "aaa", WINDOW), Reading::Scalar(f64::INFINITY)),
    ] {
        let server = Server::prometheus(move |_| reply.clone()).await;
        assert_eq!(health(config(&server)).measure(&[query]).await.remove(0).unwrap(), expected);
    }
    let server = Server::prometheus(|_| vector("", "NaN")).await;
    let nan = health(config(&server)).measure(&[query(named("depth"), "aaa", WINDOW)]).await.remove(0);
    assert!(matches!(nan, Ok(Reading::Scalar(value)) if value.is_nan()));
}

#[tokio::test]
async fn the_ways_to_prometheus_that_fail_have_names_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "token").unwrap();
    let to = |url: &str| Connection::new(url).unwrap();
    let ask = async |connection: Connection, before: &dyn Fn()| {
        let source = PrometheusSource::new(over(connection)).unwrap();
        before();
        let health = source.for_target(Target::new("default", "edge"));
        let mut states = Vec::new();
        for _ in 0..3 {
            let query = query(Signal::Requests, "aaa", WINDOW);
            states.push(state(&health.measure(&[query]).await.remove(0).unwrap_err()));
        }
        states
    };
    let addr = Server::start(|_| Reply::new(200, "")).await.stop().await;
    let nothing = ask(to(&format!("http://{addr}")), &|| {}).await;
    assert_eq!(nothing, ["Unreachable", "Unreachable", "Dead"]);
    let plain = Server::start(|_| Reply::new(200, "")).await;
    // it speaks before it is asked, and no TLS
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let talks = listener.local_addr().unwrap();
    let talking = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
            // what was sent and not read would reset the connection
            while stream.read(&mut [0; 512]).await.is_ok_and(|read| read > 0) {}
        }
    });
    let tls = ask(to(&format!("https://{talks}")), &|| {}).await;
    talking.abort();
    assert_eq!(tls, ["Tls", "Tls", "Dead"]);
    let token =
        ask(to(&plain.url()).bearer_token_file(&file), &|| std::fs::remove_file(&file).unwrap()).await;
    assert_eq!(token, ["Token", "Token", "Dead"]);
}
