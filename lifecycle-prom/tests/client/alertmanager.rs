//! Critical alerts of Alertmanager.

use lifecycle_core::backend::{ErrorKind, Reading, Signal};
use lifecycle_prom::{Connection, Metrics, PrometheusConfig, PrometheusSource, Target};

use super::support::query;
use super::support::server::{Reply, Server};
use super::{WINDOW, config, success};

fn alert(labels: &str, state: &str) -> String {
    let by = if state == "suppressed" { "\"x\"" } else { "" };
    let status = format!(r#"{{"state":"{state}","silencedBy":[{by}],"inhibitedBy":[]}}"#);
    format!(r#"{{"labels":{{"severity":"critical",{labels}}},"status":{status}}}"#)
}

const EDGE: &str = r#""namespace":"default","agent":"edge""#;

async fn alertmanager() -> Server {
    let alerts = [
        alert(&format!("{EDGE},\"revision\":\"aaa\""), "active"),
        alert(&format!("{EDGE},\"revision\":\"bbb\",\"alertname\":\"x\""), "active"),
        alert(&format!("{EDGE},\"revision\":\"bbb\",\"alertname\":\"y\""), "active"),
        alert(&format!("{EDGE},\"revision\":\"aaa\",\"alertname\":\"z\""), "suppressed"),
        alert(EDGE, "active"),
        alert(r#""namespace":"default","agent":"other""#, "active"),
        alert(r#""alertname":"of nobody""#, "active"),
    ];
    let body = format!("[{}]", alerts.join(","));
    Server::start(move |_| Reply::new(200, &body)).await
}

fn with(config: PrometheusConfig, alertmanager: &Server) -> PrometheusSource {
    let connection = Connection::new(&format!("{}/am", alertmanager.url())).unwrap();
    PrometheusSource::new(config.alertmanager(connection.bearer_token("abc").unwrap())).unwrap()
}

#[tokio::test]
async fn alerts_are_counted_for_their_revision_and_for_the_deployment() {
    let prometheus = Server::prometheus(|_| Reply::new(200, &success(""))).await;
    let alertmanager = alertmanager().await;
    let source = with(config(&prometheus), &alertmanager);
    let both = ["aaa", "bbb", "ccc"].map(|hash| query(Signal::CriticalAlerts, hash, WINDOW));
    let health = source.for_target(Target::new("default", "edge"));
    let firing: Vec<Reading> = health.measure(&both).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(firing, [2.0, 3.0, 1.0].map(Reading::Scalar));
    let [request] = &alertmanager.requests()[..] else { panic!("{:?}", alertmanager.requests()) };
    let wanted = "GET /am/api/v2/alerts?active=true&silenced=false&inhibited=false&unprocessed=false\
                  &filter=severity%3D%22critical%22 HTTP/1.1\r\n";
    assert!(request.starts_with(wanted) && request.contains("authorization: Bearer abc\r\n"), "{request}");
    assert_eq!(prometheus.questions(), [""; 0]);
}

/// The labels of alerts may be others than those of a proxy's series.
#[tokio::test]
async fn alerts_have_labels_of_their_own() {
    let prometheus = Server::prometheus(|_| Reply::new(200, &success(""))).await;
    let alertmanager = alertmanager().await;
    let query = [query(Signal::CriticalAlerts, "aaa", WINDOW)];
    for (metrics, firing) in [
        (Metrics::istio(), 2.0),
        (Metrics::plain().alert_labels(None, Some("agent"), "revision").unwrap(), 2.0),
        (Metrics::plain().alert_labels(None, None, "revision").unwrap(), 4.0),
        (Metrics::plain().agent_label(Some("app")).unwrap(), 0.0),
    ] {
        let source = with(config(&prometheus).metrics(metrics), &alertmanager);
        let health = source.for_target(Target::new("default", "edge"));
        assert_eq!(*health.measure(&query).await[0].as_ref().unwrap(), Reading::Scalar(firing));
    }
}

#[tokio::test]
async fn prometheus_and_alertmanager_are_down_by_themselves() {
    let queries = [Signal::CriticalAlerts, Signal::Requests].map(|signal| query(signal, "aaa", WINDOW));
    let (prometheus, alertmanager) =
        (Server::prometheus(|_| Reply::new(200, &success(""))).await, alertmanager().await);
    let down = Server::start(|_| Reply::new(503, "no")).await;
    let target = || Target::new("default", "edge");
    let answers = with(config(&down), &alertmanager).for_target(target()).measure(&queries).await;
    assert_eq!(*answers[0].as_ref().unwrap(), Reading::Scalar(2.0));
    assert_eq!(answers[1].as_ref().unwrap_err().backend, "prometheus");
    let answers = with(config(&prometheus), &down).for_target(target()).measure(&queries).await;
    let error = answers[0].as_ref().unwrap_err();
    assert_eq!((error.backend, error.kind), ("alertmanager", ErrorKind::Transient), "{error}");
    assert!(error.message.starts_with(&format!("{}/am/: HTTP status 503", down.url())), "{error}");
    assert_eq!(*answers[1].as_ref().unwrap(), Reading::NoData);
}
