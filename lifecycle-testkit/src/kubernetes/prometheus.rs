//! A real Prometheus that scrapes the pods of a control plane.
//!
//! Pods are found by a watch and told to Prometheus in a file, because not every build of it knows Kubernetes (Debian's
//! does not). They are dialled on loopback, as whatever meets pods of the testkit's [node](super::node) does. Every port that a
//! running pod declares is a target; its series carry `agent` and `revision`, from the pod's labels, and `pod` and
//! `namespace`.

mod targets;

use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Supervised;
use super::supervise::{Sweeper, free_port};

/// How long it may take to get ready; it takes under a second on a machine that has nothing else to do.
const READY: Duration = Duration::from_secs(60);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// How a Prometheus is to be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PrometheusOptions {
    scrape_interval: Duration,
    namespaces: Vec<String>,
}

impl PrometheusOptions {
    /// A scrape every second, in all namespaces.
    pub fn new() -> Self {
        Self { scrape_interval: Duration::from_secs(1), namespaces: Vec::new() }
    }

    /// The time between two scrapes of a pod; 1 s.
    #[must_use]
    pub fn scrape_interval(mut self, interval: Duration) -> Self {
        self.scrape_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Looks for pods in this namespace, and in others only when they are named too.
    #[must_use]
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespaces.push(name.into());
        self
    }
}

impl Default for PrometheusOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.discovery.abort();
    }
}

/// Why there is no Prometheus, or no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PrometheusError {
    /// The program is not installed.
    #[error("prometheus is missing in PATH: apt-get install prometheus")]
    Missing,
    /// A file or a process could not be made.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It ended, or did not get ready in time.
    #[error("prometheus did not start: {problem}; the end of its log:\n{log}")]
    Failed {
        /// What was seen.
        problem: String,
        /// Its last lines.
        log: String,
    },
    /// A query has no answer.
    #[error("prometheus has no answer to {query}: {problem}")]
    Query {
        /// What was asked.
        query: String,
        /// What it said instead.
        problem: String,
    },
}

fn doing(doing: &'static str) -> impl FnOnce(io::Error) -> PrometheusError {
    move |source| PrometheusError::Io { doing, source }
}

/// A running Prometheus. It is killed, and its data removed, when this value is dropped and when the test's process ends.
#[derive(Debug)]
pub struct Prometheus {
    process: Option<Supervised>,
    discovery: JoinHandle<()>,
    program: PathBuf,
    address: SocketAddr,
    folder: TempDir,
    _sweeper: Sweeper,
}

impl Prometheus {
    /// Starts it, with pods as this client may list and watch them, and returns when it answers queries. Pods are found a
    /// moment later.
    ///
    /// # Errors
    /// When the program is missing, ends, or does not get ready.
    pub async fn start(client: Client, options: PrometheusOptions) -> Result<Self, PrometheusError> {
        let program = program()?;
        let folder = tempfile::Builder::new().prefix("prometheus-").tempdir();
        let folder = folder.map_err(doing("make a temporary folder"))?;
        let sweeper = Sweeper::start(folder.path()).map_err(doing("start /bin/sh"))?;
        let (targets, file) = (folder.path().join("targets.json"), folder.path().join("prometheus.yml"));
        std::fs::write(&targets, "[]").map_err(doing("write the targets"))?;
        // JSON is YAML.
        let configuration = configuration(&options, &targets).to_string();
        std::fs::write(file, configuration).map_err(doing("write the configuration"))?;
        let discovery = tokio::spawn(targets::follow(client, options.namespaces, targets));
        let port = free_port().map_err(doing("find a free port"))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut prometheus = Self { process: None, discovery, program, address, folder, _sweeper: sweeper };
        prometheus.start_again().await?;
        Ok(prometheus)
    }

    /// Where it answers: `http://127.0.0.1:20090`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills it. What it has scraped stays.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it after [`Prometheus::stop`], on the same port and data. Does nothing while it runs.
    ///
    /// # Errors
    /// When it ends or does not get ready.
    pub async fn start_again(&mut self) -> Result<(), PrometheusError> {
        if self.process.is_some() {
            return Ok(());
        }
        let file = |name| self.folder.path().join(name);
        let mut command = Command::new(&self.program);
        command.args([
            format!("--config.file={}", file("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", file("data").display()),
            format!("--web.listen-address={}", self.address),
            "--log.level=warn".to_owned(),
        ]);
        let process = Supervised::start("prometheus", &command, &file("prometheus.log"));
        self.process = Some(self.ready(process.map_err(doing("start prometheus"))?).await?);
        Ok(())
    }

    async fn ready(&self, mut process: Supervised) -> Result<Supervised, PrometheusError> {
        let deadline = Instant::now() + READY;
        loop {
            let problem = match self.is_this_one_ready().await {
                Ok(()) => return Ok(process),
                Err(problem) => problem,
            };
            let exited = process.exited().map_err(doing("look after prometheus"))?;
            if let Some(status) = exited {
                return Err(PrometheusError::Failed { problem: status.to_string(), log: process.log_tail() });
            }
            if Instant::now() >= deadline {
                return Err(PrometheusError::Failed { problem, log: process.log_tail() });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// By its data's folder, because another one may have been faster to take the port.
    async fn is_this_one_ready(&self) -> Result<(), String> {
        get(self.address, "/-/ready").await?;
        let flags = get(self.address, "/api/v1/status/flags").await?;
        let data = self.folder.path().join("data");
        if flags["data"]["storage.tsdb.path"] == data.display().to_string() {
            return Ok(());
        }
        Err(format!("another Prometheus listens on {}", self.address))
    }

    /// Asks for the value of a PromQL expression at this moment: `data.result` of the answer, `[]` where nothing matches.
    ///
    /// # Errors
    /// When Prometheus does not answer or does not understand.
    pub async fn query(&self, promql: &str) -> Result<Value, PrometheusError> {
        let failed = |problem| PrometheusError::Query { query: promql.to_owned(), problem };
        let encoded: String = promql.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let mut answer =
            get(self.address, &format!("/api/v1/query?query={encoded}")).await.map_err(failed)?;
        Ok(answer["data"]["result"].take())
    }

    /// Asks for the one number that a PromQL expression gives at this moment, `None` where nothing matches.
    ///
    /// # Errors
    /// When Prometheus does not answer, or there is more than one series.
    pub async fn number(&self, promql: &str) -> Result<Option<f64>, PrometheusError> {
        let failed = |problem| PrometheusError::Query { query: promql.to_owned(), problem };
        let result = self.query(promql).await?;
        match result.as_array().map(Vec::as_slice) {
            Some([]) => Ok(None),
            Some([series]) => {
                let number = series["value"][1].as_str().and_then(|text| text.parse().ok());
                number.map(Some).ok_or_else(|| failed(format!("{series} has no number")))
            }
            _ => Err(failed(format!("not one series: {result}"))),
        }
    }

    /// Asks again and again until the number satisfies the condition.
    ///
    /// # Errors
    /// When it does not within this time, with the last number, or the query fails.
    pub async fn until(
        &self,
        promql: &str,
        within: Duration,
        condition: impl Fn(f64) -> bool,
    ) -> Result<f64, PrometheusError> {
        let deadline = Instant::now() + within;
        loop {
            let number = self.number(promql).await?;
            match number {
                Some(number) if condition(number) => return Ok(number),
                _ if Instant::now() >= deadline => {
                    let problem = format!("{number:?} after {within:?}");
                    return Err(PrometheusError::Query { query: promql.to_owned(), problem });
                }
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

fn program() -> Result<PathBuf, PrometheusError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join("prometheus")).find(|file| file.is_file());
    found.ok_or(PrometheusError::Missing)
}

fn configuration(options: &PrometheusOptions, targets: &Path) -> Value {
    let interval = format!("{}ms", options.scrape_interval.as_millis());
    json!({
        "global": { "scrape_interval": interval, "scrape_timeout": interval },
        "scrape_configs": [{ "job_name": "pods", "file_sd_configs": [{ "files": [targets] }] }],
    })
}

/// One GET: the answer as JSON, `null` where it is none, with a status below 300.
async fn get(address: SocketAddr, path: &str) -> Result<Value, String> {
    let asked = async {
        let stream = tokio::net::TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let request = Request::get(path).header("host", address.to_string()).body(Empty::<Bytes>::new());
        let request = request.map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        if status.is_success() {
            return Ok(serde_json::from_slice(&body).unwrap_or_default());
        }
        Err(format!("{status}: {}", String::from_utf8_lossy(&body).trim()))
    };
    tokio::time::timeout(ANSWER, asked).await.unwrap_or_else(|_| Err(format!("no answer in {ANSWER:?}")))
}
