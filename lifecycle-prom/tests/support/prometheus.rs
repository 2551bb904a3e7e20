//! A real Prometheus that scrapes the servers of a test once a second.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::protobuf;
use super::server::{Reply, Server};

/// How long anything may take that takes a second or two.
const PATIENCE: Duration = Duration::from_secs(60);

/// The path of a program of Debian's package `prometheus`.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is missing: apt-get update && apt-get install -y --no-install-recommends prometheus")
    })
}

/// One replica's metrics, served as text.
pub struct Target {
    server: Server,
    agent: &'static str,
    revision: &'static str,
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
        Self { server, agent, revision, state }
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
    pub addr: SocketAddr,
    process: Child,
    _dir: TempDir,
}

impl Prometheus {
    /// One that scrapes these targets, which are in the namespace `default`, and is ready. An alert fires
    /// for each series of the metric `trouble`, with its labels.
    pub async fn start(targets: &[&Target]) -> Self {
        for _ in 0..5 {
            if let Some(prometheus) = Self::try_start(targets).await {
                return prometheus;
            }
        }
        panic!("Prometheus found no free port in five tries");
    }

    /// `None` when somebody else has taken the port in the meantime.
    async fn try_start(targets: &[&Target]) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("prometheus.yml");
        std::fs::write(dir.path().join("rules.yml"), RULES).unwrap();
        std::fs::write(&config, configuration(targets)).unwrap();
        let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = dir.path().join("log");
        let mut process = Command::new(program("prometheus"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address={addr}"))
            .arg("--enable-feature=native-histograms")
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !said(&log, "Server is ready to receive web requests") {
            let ended = process.try_wait().unwrap();
            if ended.is_some() && said(&log, "address already in use") {
                return None;
            }
            let log = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "Prometheus does not start:\n{}", log());
            sleep(Duration::from_millis(20)).await;
        }
        Some(Self { addr, process, _dir: dir })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Ends it at once.
    pub async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }
}

fn said(log: &Path, what: &str) -> bool {
    std::fs::read_to_string(log).is_ok_and(|log| log.contains(what))
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
  - job_name: test
    static_configs:
"
    .to_owned();
    for Target { server, agent, revision, .. } in targets {
        let labels = format!("{{namespace: default, agent: {agent}, revision: {revision}}}");
        writeln!(text, "      - {{targets: [\"{}\"], labels: {labels}}}", server.addr).unwrap();
    }
    text
}
