//! The questions of every ready-made set of names, compared with the files in `tests/queries` as a whole. `UPDATE=1 cargo test` writes
//! them anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

use std::path::PathBuf;

use lifecycle_core::backend::{HealthQuery, Mark, Signal, Span};
use lifecycle_core::time::Millis;
use lifecycle_core::version::{Revision, RevisionNumber, parse_version};
use lifecycle_prom::answer::{Answer, Series};
use lifecycle_prom::query::{Clock, Questions};
use lifecycle_prom::{DurationUnit, Metrics, Target};

/// An answer with which there is more to be asked, of whatever arm.
fn changed() -> Answer {
    let of = |labels: &[(&'static str, &'static str)]| {
        let labels = labels.iter().copied().chain([("lifecycle_count", "changed")]);
        Series::new(labels, 1.0)
    };
    Answer::Vector(vec![
        of(&[("namespace", "shop"), ("agent", "edge"), ("revision", "aaa")]),
        of(&[("destination_workload_namespace", "shop"), ("destination_workload", "edge-aaa")]),
        of(&[("namespace", "shop"), ("deployment", "edge-aaa"), ("service", "edge-aaa")]),
        of(&[("envoy_cluster_name", "shop/edge-aaa")]),
    ])
}

/// Everything that is asked of both arms, in a form that people can read.
fn asked(metrics: &Metrics) -> String {
    let mut text = String::new();
    let since = Span::Since(Some(Mark(1_700_000_000_000)));
    let bins = Span::Replicas { width: Millis::from_secs(60), bins: 5 };
    for (name, span) in [
        ("window", Span::Window(Millis::from_secs(300))),
        ("begin", Span::Since(None)),
        ("since", since),
        ("replicas", bins),
    ] {
        for signal in [Signal::Requests, Signal::Latency, Signal::CriticalAlerts] {
            if signal == Signal::CriticalAlerts && name != "window" {
                continue;
            }
            let revision = |hash| Revision::new(RevisionNumber(1), hash, parse_version("1.5.0").unwrap());
            let queries = ["aaa", "bbb"].map(|hash| HealthQuery::over(signal.clone(), revision(hash), span));
            let clock = Clock::new(Mark(1_700_000_011_500), Millis::from_secs(1));
            let target = Target::new("shop", "edge");
            let mut questions = Questions::new(metrics.clone(), &target, &queries, clock);
            let changed: Vec<_> = questions.questions().iter().map(|_| Ok(changed())).collect();
            // it becomes one of the questions
            let _ = questions.more(&changed);
            for question in questions.questions() {
                text.push_str(&format!("# {name} {signal:?}: {}\n", question.path()));
                for (key, value) in question.parameters() {
                    // a part a line
                    text.push_str(&format!("{key}: {}\n", value.replace(" or ", "\n    or ")));
                }
                text.push('\n');
            }
        }
    }
    text
}

#[test]
fn what_is_asked_is_what_was_asked_before() {
    let native = Metrics::plain().native_durations("http_request_duration_seconds", DurationUnit::Seconds);
    for (name, metrics) in [
        ("plain", Metrics::plain()),
        ("istio", Metrics::istio()),
        ("linkerd", Metrics::linkerd()),
        ("nginx_ingress", Metrics::nginx_ingress()),
        ("envoy", Metrics::envoy()),
        ("native", native.unwrap()),
    ] {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/queries/{name}.txt"));
        let asked = asked(&metrics);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &asked).unwrap();
        }
        let before = std::fs::read_to_string(&file).unwrap();
        let first = before.lines().zip(asked.lines()).find(|(before, now)| before != now);
        assert!(before == asked, "{}: {first:#?}", file.display());
    }
}
