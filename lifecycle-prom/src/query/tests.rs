use lifecycle_core::backend::ErrorKind;
use lifecycle_core::version::{Revision, RevisionNumber, parse_version};

use lifecycle_core::time::Millis;

use super::*;
use crate::answer::Series;

fn query(signal: Signal, hash: &str, seconds: u64) -> HealthQuery {
    let revision = Revision::new(RevisionNumber(1), hash, parse_version("1.5.0").unwrap());
    HealthQuery::new(signal, revision, Millis::from_secs(seconds))
}

fn target() -> Target {
    let queries = [("depth", "sum(depth)"), ("age", r#"max(age{revision="{{revision}}"})"#)];
    let queries = queries.map(|(name, text)| (name.into(), text.into()));
    Target::new("default", "edge").with_queries(&queries).unwrap()
}

fn asked(queries: &[HealthQuery]) -> Questions {
    Questions::new(&Metrics::default(), &target(), queries)
}

#[test]
fn both_arms_share_a_question_and_windows_do_not() {
    let named = |name: &str| Signal::Named(name.into());
    let both = |signal: &Signal, a, b| [query(signal.clone(), "aaa", a), query(signal.clone(), "bbb", b)];
    for (signal, windows, questions) in [
        (Signal::Requests, (60, 60), 1),
        (Signal::Requests, (60, 300), 2),
        (Signal::Latency, (60, 60), 1),
        (Signal::CriticalAlerts, (60, 300), 1),
        (named("depth"), (60, 60), 1),
        (named("age"), (60, 60), 2),
    ] {
        let asked = asked(&both(&signal, windows.0, windows.1));
        assert_eq!(asked.promql().len(), questions, "{signal:?} {windows:?}: {:#?}", asked.promql());
    }
    let all = [Signal::Requests, Signal::Latency, Signal::CriticalAlerts].map(|signal| both(&signal, 60, 60));
    assert_eq!(asked(all.as_flattened()).promql().len(), 3);
    assert!(asked(&[]).promql().is_empty());
}

#[test]
fn the_scope_is_the_deployment_and_the_revision() {
    let promql = |signal| asked(&[query(signal, "aaa", 60)]).promql()[0].clone();
    let scope = r#"{namespace="default",agent="edge",revision="aaa"}[60s]"#;
    let requests = promql(Signal::Requests);
    assert!(requests.contains(&format!("http_requests_total{scope}")), "{requests}");
    assert!(requests.contains(r#"agent="edge",revision="aaa",code=~"5.."}[60s]"#), "{requests}");
    assert!(promql(Signal::Latency).contains(&format!("http_request_duration_seconds_bucket{scope}")));
    assert_eq!(
        promql(Signal::CriticalAlerts),
        r#"count by (revision) (ALERTS{namespace="default",agent="edge",alertstate="firing",severity="critical",revision=~"|aaa"})"#
    );
}

#[test]
fn every_name_can_be_another_one() {
    let metrics = || -> Result<Metrics, crate::NameError> {
        Metrics::default()
            .requests("istio_requests_total")?
            .durations("istio_request_duration_milliseconds", crate::DurationUnit::Milliseconds)?
            .code_label("response_code")?
            .failed_codes("5..|0")
            .namespace_label(Some("destination_workload_namespace"))?
            .agent_label(None)?
            .revision_label("destination_version")?
            .critical_alerts("priority", "P1")?
            .with_label("cluster", "a\"b")
    };
    let signals = [Signal::Requests, Signal::Latency, Signal::CriticalAlerts];
    let queries = signals.map(|signal| query(signal, "aaa", 60));
    let questions = Questions::new(&metrics().unwrap(), &target(), &queries);
    let scope = r#"cluster="a\x22b",destination_workload_namespace="default""#;
    let [requests, latency, alerts] = questions.promql() else { panic!("{:?}", questions.promql()) };
    let series =
        format!(r#"istio_requests_total{{{scope},destination_version="aaa",response_code=~"5..|0"}}[60s]"#);
    assert!(requests.contains(&series), "{requests}");
    assert!(requests.contains("sum by (destination_version)"), "{requests}");
    assert!(latency.contains("istio_request_duration_milliseconds_bucket{"), "{latency}");
    assert!(alerts.contains(&format!(
        r#"ALERTS{{{scope},alertstate="firing",priority="P1",destination_version=~"|aaa"}}"#
    )));
}

#[test]
fn readings_come_in_the_order_of_the_queries() {
    let queries = [
        query(Signal::Named("nothing".into()), "aaa", 60),
        query(Signal::Requests, "bbb", 60),
        query(Signal::CriticalAlerts, "aaa", 60),
        query(Signal::Requests, "aaa", 60),
        query(Signal::Named("depth".into()), "aaa", 60),
    ];
    let questions = asked(&queries);
    assert_eq!(questions.promql().len(), 3);
    let counted = |hash, value| Series::new([("revision", hash), (counts::COUNT, counts::ALL)], value);
    let answers = [
        Ok(Answer::Vector(vec![counted("aaa", 1.0), counted("bbb", 2.0)])),
        Err(BackendError::new("prometheus", "measure", ErrorKind::Transient, "slow")),
    ];
    let kinds: Vec<Result<Reading, ErrorKind>> =
        questions.readings(&answers).into_iter().map(|reading| reading.map_err(|error| error.kind)).collect();
    let counts = |requests| Ok(Reading::Counts { requests, failed: 0 });
    let expected = [
        Err(ErrorKind::NotFound),
        counts(2),
        Err(ErrorKind::Transient),
        counts(1),
        // one answer too few
        Err(ErrorKind::Transient),
    ];
    assert_eq!(kinds, expected);
}
