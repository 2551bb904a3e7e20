//! A real Prometheus that scrapes the servers of a test once a second.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::program::{PATIENCE, Running, program};
use super::protobuf;
use super::server::{Reply, Server};

/// One replica's metrics, served as text.
pub struct Target {
    server: Server,
    agent: &'static str,
    revision: &'static str,
    about_others: bool,
    state: Arc<Mutex<Exposed>>,
}

#[derive(Default)]
struct Exposed {
    text: String,
    /// In the place of text.
    protobuf: Option<Vec<u8>>,
    broken: bool,
    slow: Duration,
}

impl Target {
    pub async fn start(agent: &'static str, revision: &'static str) -> Self {
        let state = Arc::new(Mutex::new(Exposed::default()));
        let shown = Arc::clone(&state);
        let server = Server::start(move |_| {
            let Exposed { text, protobuf, broken, slow } = &*shown.lock().unwrap();
            match broken {
                true => Reply::new(500, "cannot be scraped"),
                false if !slow.is_zero() => Reply::Late(*slow, 200, text.clone()),
                false => match protobuf {
                    None => Reply::with(200, "Content-Type: text/plain; version=0.0.4\r\n", text),
                    Some(bytes) => {
                        let headers = format!("Content-Type: {}\r\n", protobuf::CONTENT_TYPE);
                        Reply::with_bytes(200, &headers, bytes)
                    }
                },
            }
        })
        .await;
        Self { server, agent, revision, about_others: false, state }
    }

    /// One that knows others, as kube-state-metrics does: its metrics have the labels of those that they are about.
    pub async fn about_others() -> Self {
        Self { about_others: true, ..Self::start("none", "none").await }
    }

    /// Shows these metrics from now on, in the text format.
    pub fn shows(&self, text: impl Into<String>) {
        self.state.lock().unwrap().text = text.into();
    }

    /// Shows this from now on, in protobuf.
    pub fn shows_protobuf(&self, bytes: Vec<u8>) {
        self.state.lock().unwrap().protobuf = Some(bytes);
    }

    /// Shows so many requests by status code from now on.
    pub fn counts(&self, codes: &[(u16, u64)]) {
        let text = codes.iter().fold(String::new(), |mut text, (code, count)| {
            writeln!(text, "http_requests_total{{code=\"{code}\"}} {count}").unwrap();
            text
        });
        self.shows(text);
    }

    /// Answers scrapes with an error from now on, or no longer.
    pub fn breaks(&self, broken: bool) {
        self.state.lock().unwrap().broken = broken;
    }

    /// Takes this long to show its metrics from now on. They are those of when it is asked.
    pub fn slows_down(&self, by: Duration) {
        self.state.lock().unwrap().slow = by;
    }

    /// Until there were so many more scrapes from now on.
    pub async fn scraped(&self, times: usize) {
        let wanted = self.server.requests().len() + times;
        let deadline = Instant::now() + PATIENCE;
        while self.server.requests().len() < wanted {
            assert!(Instant::now() < deadline, "{} was not scraped", self.agent);
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A running Prometheus, killed when it is dropped.
pub struct Prometheus {
    running: Running,
}

impl Prometheus {
    /// One that scrapes these targets, which are in the namespace `default`, and is ready. An alert fires
    /// for each series of the metric `trouble`, with its labels.
    pub async fn start(targets: &[&Target]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("rules.yml"), RULES).unwrap();
        std::fs::write(dir.path().join("prometheus.yml"), configuration(targets)).unwrap();
        let args = |dir: &std::path::Path, addr| {
            vec![
                format!("--config.file={}", dir.join("prometheus.yml").display()),
                format!("--storage.tsdb.path={}", dir.join("data").display()),
                format!("--web.listen-address={addr}"),
                "--enable-feature=native-histograms".to_owned(),
            ]
        };
        let program = program("prometheus", "prometheus");
        let ready = "Server is ready to receive web requests";
        Self { running: Running::start(&program, dir, args, ready).await }
    }

    pub fn url(&self) -> String {
        self.running.url()
    }

    /// Ends it at once.
    pub async fn kill(&mut self) {
        self.running.kill().await;
    }
}

/// The labels with which an alert comes are those of its series, and `severity`.
const RULES: &str = r#"
groups:
  - name: test
    interval: 1s
    rules:
      - {alert: Trouble, expr: "trouble == 1", labels: {severity: critical}}
      - {alert: Doubt, expr: "trouble == 2", labels: {severity: warning}}
      - {alert: TroubleOfAll, expr: "sum by (namespace, agent) (trouble) == 3", labels: {severity: critical}}
"#;

fn configuration(targets: &[&Target]) -> String {
    let mut text = "
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [rules.yml]
scrape_configs:
"
    .to_owned();
    for honor in [false, true] {
        writeln!(text, "  - job_name: test-{honor}\n    honor_labels: {honor}\n    static_configs:").unwrap();
        for Target { server, agent, revision, .. } in targets.iter().filter(|it| it.about_others == honor) {
            let labels = format!("{{namespace: default, agent: {agent}, revision: {revision}}}");
            writeln!(text, "      - {{targets: [\"{}\"], labels: {labels}}}", server.addr).unwrap();
        }
    }
    text
}
