//! What is measured of pods, by series as kube-state-metrics and the kubelets have them.

use std::fmt::Write as _;
use std::time::SystemTime;

use lifecycle_core::backend::{Mark, Reading, Signal};
use lifecycle_core::time::Millis;
use lifecycle_prom::query::{Clock, Questions};
use lifecycle_prom::{Metrics, PodMetrics, PrometheusConfig, PrometheusSource, Target as Agent};
use tokio::time::{Duration, Instant, sleep};

use super::promtool::{Document, count};
use super::support::prometheus::{Prometheus, Target};
use super::support::query;
use super::{PATIENCE, becomes, one};

const WINDOW: Millis = Millis::from_secs(60);
const ARM: &str =
    r#"namespace="default",label_enis_andaon_com_agent="edge",label_enis_andaon_com_revision="aaa""#;

fn metrics() -> Metrics {
    Metrics::default().pods(PodMetrics::default())
}

/// The values of the series of one pod, one every 15 s for 15 min; empty for none. The window is the last 5 min: it begins with
/// scrape 40 and ends with scrape 60.
#[derive(Clone, Copy)]
struct Series {
    labels: &'static str,
    created: &'static str,
    phase: &'static str,
    restarts: &'static str,
    cpu: &'static str,
    limit: &'static str,
}

/// Half of a processor, of one.
const OLD: Series = Series {
    labels: "1x60",
    created: "-9x60",
    phase: "Running",
    restarts: "3x60",
    cpu: "0+7.5x60",
    limit: "1x60",
};
/// Created 650 s after the beginning.
const NEW: Series = Series { labels: "_x45 1x15", created: "_x45 650x15", ..OLD };

impl Series {
    /// Writes them down under this name.
    fn of(self, document: &mut Document, pod: &str) {
        let of = format!(r#"namespace="default",pod="{pod}""#);
        let state = format!(r#"{of},job="state",instance="s""#);
        let container = format!(r#"{state},container="app""#);
        let labels = format!(r#"{state},{}"#, ARM.split_once(',').unwrap().1);
        let phase = format!(r#"{state},phase="{}""#, self.phase);
        let limit = format!(r#"{container},resource="cpu""#);
        let cpu = format!(r#"{of},job="kubelet",instance="k",container="app",cpu="total""#);
        for (name, labels, values) in [
            ("kube_pod_labels", labels, self.labels),
            ("kube_pod_created", state, self.created),
            ("kube_pod_status_phase", phase, if self.phase.is_empty() { "" } else { "1x60" }),
            ("kube_pod_container_status_restarts_total", container, self.restarts),
            ("kube_pod_container_resource_limits", limit, self.limit),
            ("container_cpu_usage_seconds_total", cpu, self.cpu),
        ] {
            if !values.is_empty() {
                document.line(&format!("{name}{{{labels}}}"), values);
            }
        }
    }
}

/// What it is called, the pods, and what Prometheus must say of them: the sum, that of the limits, how many were not measured, and how
/// many of those that are new.
type Case<'c> = (&'c str, &'c [Series], [Option<f64>; 4]);

/// Asks Prometheus about a signal of such pods.
fn check(signal: &Signal, cases: &[Case<'_>]) {
    let queries = [query(signal.clone(), "aaa", Millis::from_secs(300))];
    let clock = Clock::new(Mark(901_000), Millis::from_secs(1));
    let questions = Questions::new(metrics(), &Agent::new("default", "edge"), &queries, clock);
    let promql = questions.questions()[0].promql();
    for (name, pods, expected) in cases {
        let mut document = Document::default();
        for (at, pod) in pods.iter().enumerate() {
            pod.of(&mut document, &format!("edge-aaa-{at}"));
        }
        let names = ["", "limit", "unknown", "young"];
        let parts = names.iter().zip(expected).filter_map(|(name, value)| {
            let part = if name.is_empty() { String::new() } else { count(name) };
            Some((format!("{ARM}{part}"), (*value)?))
        });
        let mut parts: Vec<_> = parts.collect();
        if pods.iter().any(|pod| !pod.labels.ends_with("stale")) {
            parts.push((format!("{ARM}{}", count("scraped")), 900.0));
        }
        document.expects_series(900, &promql, &parts);
        assert_eq!(document.checked(), "", "{name}");
    }
}

#[test]
fn restarts_are_those_since_the_window_or_the_pod_began() {
    let only = |restarts: f64| [Some(restarts), None, None, None];
    check(
        &Signal::Restarts,
        &[
            ("none", &[OLD], only(0.0)),
            ("of a pod that is known", &[Series { restarts: "3x40 5x19", ..OLD }, OLD], only(2.0)),
            (
                "of a new pod, before anybody looked",
                &[Series { restarts: "_x45 2x15", ..NEW }, OLD],
                only(2.0),
            ),
            ("of a pod that was not seen before", &[Series { restarts: "_x45 2x12 3x2", ..OLD }], only(1.0)),
            (
                "when a pod was created nobody says",
                &[Series { restarts: "_x45 2x12 3x2", created: "", ..NEW }],
                only(1.0),
            ),
            ("of one that began anew under its name", &[Series { restarts: "5x49 0x10", ..OLD }], only(0.0)),
            (
                "of a pod that is gone",
                &[Series { labels: "1x58 stale", restarts: "3x40 9x17 stale", ..OLD }],
                [None; 4],
            ),
            ("nothing has begun", &[OLD, Series { phase: "Pending", restarts: "", ..NEW }], only(0.0)),
            ("one was evicted", &[OLD, Series { phase: "Failed", restarts: "", ..OLD }], only(0.0)),
            ("one is not told", &[OLD, Series { restarts: "", ..OLD }], [Some(0.0), None, Some(1.0), None]),
            (
                "one is new, and not told",
                &[OLD, Series { restarts: "", ..NEW }],
                [Some(0.0), None, None, Some(1.0)],
            ),
            (
                "of a phase nobody says",
                &[Series { phase: "", restarts: "", ..OLD }],
                [None, None, Some(1.0), None],
            ),
        ],
    );
}

#[test]
fn saturation_has_what_was_measured_and_how_much_was_not() {
    let sums = |used: f64, limit: f64| [Some(used), Some(limit), None, None];
    check(
        &Signal::Saturation,
        &[
            ("one", &[OLD], sums(0.5, 1.0)),
            ("two", &[OLD, Series { cpu: "0+15x60", limit: "2x60", ..OLD }], sums(1.5, 3.0)),
            ("one without a limit", &[OLD, Series { limit: "", ..OLD }], sums(0.5, 1.0)),
            ("none with one", &[Series { limit: "", ..OLD }], [None; 4]),
            ("a limit of nothing is none", &[OLD, Series { limit: "0x60", ..OLD }], sums(0.5, 1.0)),
            (
                "one that nobody measures",
                &[OLD, Series { cpu: "", ..OLD }],
                [Some(0.5), Some(1.0), Some(1.0), None],
            ),
            (
                "one that nobody measures any more",
                &[OLD, Series { cpu: "0+7.5x55 stale", ..OLD }],
                [Some(0.5), Some(1.0), Some(1.0), None],
            ),
            (
                "one that is new",
                &[OLD, Series { cpu: "_x60 7", ..NEW }],
                [Some(0.5), Some(1.0), None, Some(1.0)],
            ),
            (
                "one that does not run yet",
                &[OLD, Series { phase: "Pending", cpu: "", ..OLD }],
                sums(0.5, 1.0),
            ),
            ("one that was evicted", &[OLD, Series { phase: "Failed", cpu: "", ..OLD }], sums(0.5, 1.0)),
        ],
    );
}

fn source(prometheus: &Prometheus) -> PrometheusSource {
    let config = PrometheusConfig::new(&prometheus.url()).unwrap().metrics(metrics());
    PrometheusSource::new(config).unwrap()
}

/// A pod: its namespace and name, whose it is, and how often its two containers were started again.
type Pod = (&'static str, &'static str, &'static str, &'static str, [u64; 2]);

/// They were created at this time, in seconds since 1970.
fn cluster(pods: &[Pod], created: u64) -> String {
    pods.iter().fold(String::new(), |mut text, (namespace, pod, agent, revision, restarts)| {
        let of = format!("namespace=\"{namespace}\",pod=\"{pod}\",uid=\"{pod}-1\"");
        writeln!(
            text,
            "kube_pod_labels{{{of},label_enis_andaon_com_agent=\"{agent}\",\
             label_enis_andaon_com_revision=\"{revision}\"}} 1"
        )
        .unwrap();
        writeln!(text, "kube_pod_created{{{of}}} {created}").unwrap();
        for (container, restarts) in ["app", "proxy"].iter().zip(restarts) {
            let name = "kube_pod_container_status_restarts_total";
            writeln!(text, "{name}{{{of},container=\"{container}\"}} {restarts}").unwrap();
        }
        text
    })
}

#[tokio::test]
async fn restarts_are_those_of_the_revision_s_pods_in_the_window() {
    let state = Target::about_others().await;
    let others = [
        ("default", "other-aaa-1", "other", "aaa", [0, 0]),
        ("elsewhere", "edge-aaa-1", "edge", "aaa", [0, 0]),
        ("default", "edge-bbb-1", "edge", "bbb", [3, 0]),
    ];
    let shows = |ours: &[Pod], others: &[Pod]| state.shows(cluster(ours, 1) + &cluster(others, 1));
    shows(&[("default", "edge-aaa-1", "edge", "aaa", [5, 1])], &others);
    let prometheus = Prometheus::start(&[&state]).await;
    let source = source(&prometheus);
    let of = |namespace, agent| source.for_target(Agent::new(namespace, agent));
    let health = of("default", "edge");
    let restarts = |hash| query(Signal::Restarts, hash, WINDOW);
    // what came before anybody looked is not of the window
    becomes(&health, &restarts("aaa"), &Reading::Scalar(0.0)).await;
    assert_eq!(one(&health, &restarts("ccc")).await.unwrap(), Reading::NoData);

    let busy = [
        ("default", "other-aaa-1", "other", "aaa", [9, 9]),
        ("elsewhere", "edge-aaa-1", "edge", "aaa", [9, 9]),
        ("default", "edge-bbb-1", "edge", "bbb", [3, 0]),
    ];
    let two = |second| {
        [("default", "edge-aaa-1", "edge", "aaa", [7, 2]), ("default", "edge-aaa-2", "edge", "aaa", second)]
    };
    shows(&two([0, 0]), &busy);
    becomes(&health, &restarts("aaa"), &Reading::Scalar(3.0)).await;
    // who looks at the same time shares the question
    let [other, elsewhere] = [of("default", "other"), of("elsewhere", "edge")];
    let asked = restarts("aaa");
    let shared = tokio::join!(one(&health, &asked), one(&other, &asked), one(&elsewhere, &asked));
    let shared = [shared.0, shared.1, shared.2].map(Result::unwrap);
    assert_eq!(shared, [3.0, 18.0, 18.0].map(Reading::Scalar));
    shows(&two([1, 0]), &busy);
    becomes(&health, &restarts("aaa"), &Reading::Scalar(4.0)).await;
    assert_eq!(one(&health, &restarts("bbb")).await.unwrap(), Reading::Scalar(0.0));
    // a pod that is gone takes its restarts along
    shows(&two([1, 0])[1..], &busy);
    becomes(&health, &restarts("aaa"), &Reading::Scalar(1.0)).await;
}

#[tokio::test]
async fn saturation_is_the_share_of_the_limits_that_is_used() {
    let state = Target::about_others().await;
    let pods =
        [("default", "edge-aaa-1", "edge", "aaa", [0, 0]), ("default", "edge-bbb-1", "edge", "bbb", [0, 0])];
    let begun = Instant::now();
    let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let shows = || {
        let mut text = cluster(&pods, created);
        let seconds = begun.elapsed().as_secs_f64();
        for (pod, used) in [("edge-aaa-1", 0.3), ("edge-bbb-1", 0.05)] {
            let of = format!("namespace=\"default\",pod=\"{pod}\"");
            for (resource, limit) in [("cpu", 0.4), ("memory", 1e9)] {
                let name = "kube_pod_container_resource_limits";
                writeln!(text, "{name}{{{of},container=\"app\",resource=\"{resource}\"}} {limit}").unwrap();
            }
            // the second container has no limit, and the pod as a whole is a series of its own
            for (container, share) in [("app", 1.0), ("proxy", 5.0), ("", 6.0)] {
                let name = "container_cpu_usage_seconds_total";
                let value = seconds * used * share;
                writeln!(text, "{name}{{{of},container=\"{container}\",cpu=\"total\"}} {value}").unwrap();
            }
        }
        state.shows(text);
    };
    shows();
    let prometheus = Prometheus::start(&[&state]).await;
    let health = source(&prometheus).for_target(Agent::new("default", "edge"));
    let deadline = Instant::now() + PATIENCE;
    for (hash, expected) in [("aaa", 0.75), ("bbb", 0.125)] {
        loop {
            shows();
            let seen = one(&health, &query(Signal::Saturation, hash, Millis::from_secs(8))).await;
            match seen {
                Ok(Reading::Scalar(share)) if (share - expected).abs() < 0.1 * expected => break,
                _ if Instant::now() < deadline => {}
                other => panic!("{hash}: {other:?}, not {expected}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
    let none = one(&health, &query(Signal::Saturation, "ccc", WINDOW)).await.unwrap();
    assert_eq!(none, Reading::NoData);
}
