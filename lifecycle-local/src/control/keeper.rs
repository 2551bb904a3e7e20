//! Keeps the proxy running. It is recorded and found again like a replica.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::client::Client;
use super::writer::TableWriter;
use crate::config::{Backoff, LocalConfig, ProxyCommand};
use crate::error::LocalError;
use crate::files::{Durable, create_private_dir, read_json, replace_json};
use crate::process::TOKEN_VARIABLE;
use crate::process::logs::turn_over;
use crate::process::procfs::{Exit, ProcessId, boot_id, find_by_variable};
use crate::process::spawn::Launch;
use crate::proxy::{Effective, ProxyConfig, TableDocument};

/// How long the proxy may take to start.
const START: Duration = Duration::from_secs(10);
/// How often it is asked whether it still answers, and how often it may not before it is killed.
const ASK_EVERY: Duration = Duration::from_secs(5);
const SILENT: u32 = 3;

/// What is recorded of the proxy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    boot: String,
    token: String,
    /// Where it listens: a free port that was taken once is kept.
    listen: SocketAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<ProcessId>,
}

fn record_file(dir: &Path) -> PathBuf {
    dir.join("process.json")
}

/// What is recorded of a proxy in its directory: its process, when it runs, and where it listens.
pub(crate) fn recorded(dir: &Path) -> Option<(Option<ProcessId>, SocketAddr)> {
    let recorded = read_json::<Recorded>(&record_file(dir)).ok()??;
    let process = recorded.process.filter(|process| recorded.boot == boot_id() && process.is_alive());
    Some((process, recorded.listen))
}

/// Keeps the proxy running.
#[derive(Debug)]
pub(crate) struct ProxyHandle {
    dir: PathBuf,
    command: ProxyCommand,
    config: ProxyConfig,
    /// Begins the token of every process of the state directory.
    name: String,
    backoff: Backoff,
    log_limit: u64,
    client: Client,
    one_at_a_time: Mutex<()>,
}

impl ProxyHandle {
    pub(crate) fn new(config: &LocalConfig, dir: &Path, name: &str) -> Self {
        let proxy = ProxyConfig::new(dir, config.listen).metrics(config.metrics).limits(config.limits);
        Self {
            dir: dir.to_owned(),
            command: config.proxy.clone(),
            config: proxy,
            name: name.to_owned(),
            backoff: config.backoff,
            log_limit: config.log_limit,
            client: Client::new(dir),
            one_at_a_time: Mutex::new(()),
        }
    }

    fn record_file(&self) -> PathBuf {
        record_file(&self.dir)
    }

    /// The process of the proxy, when it runs.
    pub(crate) fn process(&self) -> Option<ProcessId> {
        recorded(&self.dir)?.0
    }

    /// Finds the proxy, or starts it; answers once it takes requests.
    ///
    /// # Errors
    /// [`LocalError::Proxy`] with the last line that it wrote, when it ended instead.
    pub(crate) async fn ensure_running(&self) -> Result<Effective, LocalError> {
        let _one = self.one_at_a_time.lock().await;
        create_private_dir(&self.dir)?;
        let recorded = read_json::<Recorded>(&self.record_file())?;
        if let Some(process) = recorded.as_ref().and_then(|recorded| self.find(recorded)) {
            self.check_address(recorded.as_ref())?;
            return match self.wait_for_answer(process, self.logged()).await {
                Ok(effective) => Ok(effective),
                Err(_) if !process.is_alive() => self.start(recorded.as_ref()).await,
                Err(error) => Err(error),
            };
        }
        self.start(recorded.as_ref()).await
    }

    /// A proxy that runs stays where it is.
    fn check_address(&self, recorded: Option<&Recorded>) -> Result<(), LocalError> {
        match recorded.map(|recorded| recorded.listen) {
            Some(now) if self.config.listen.port() != 0 && now != self.config.listen => {
                let problem =
                    format!("the proxy of this state directory listens on {now}; stop everything to move it");
                Err(LocalError::invalid("listen", problem))
            }
            _ => Ok(()),
        }
    }

    /// The recorded process, or one that was started but not recorded any more.
    fn find(&self, recorded: &Recorded) -> Option<ProcessId> {
        if recorded.boot != boot_id() {
            return None;
        }
        if let Some(process) = recorded.process {
            if process.is_alive() {
                return Some(process);
            }
            // It ended while nobody watched.
            process.reap();
            return None;
        }
        let found = find_by_variable(TOKEN_VARIABLE, &recorded.token).ok()?;
        let process = found.first().map(|(process, _)| *process)?;
        // not being able to record it now is no reason not to use it
        let _ = replace_json(
            &self.record_file(),
            &Recorded { process: Some(process), ..recorded.clone() },
            Durable::Process,
        );
        Some(process)
    }

    async fn start(&self, before: Option<&Recorded>) -> Result<Effective, LocalError> {
        let mut config = self.config.clone();
        if let (0, Some(before)) = (config.listen.port(), before)
            && before.listen.ip() == config.listen.ip()
        {
            config.listen = before.listen;
        }
        if before.is_some_and(|before| before.boot != boot_id()) {
            self.forget_endpoints()?;
        }
        let config_file = self.dir.join("config.json");
        replace_json(&config_file, &config, Durable::Process)?;
        let token = format!("{}-proxy.{:08x}", self.name, fastrand::u32(..));
        let mut record =
            Recorded { boot: boot_id(), token: token.clone(), listen: config.listen, process: None };
        replace_json(&self.record_file(), &record, Durable::Process)?;
        let logged = self.logged();
        let mut args = self.command.args.clone();
        args.push(config_file.to_string_lossy().into_owned());
        let program = self.command.program.clone().into_os_string();
        let launch = Launch::new(program, token, self.log()).args(args);
        let process = launch.start().map_err(|error| LocalError::Proxy(error.to_string()))?;
        record.process = Some(process);
        replace_json(&self.record_file(), &record, Durable::Process)?;
        let effective = self.wait_for_answer(process, logged).await?;
        tracing::info!(pid = process.pid, listen = %effective.listen, "the proxy was started");
        record.listen = effective.listen;
        replace_json(&self.record_file(), &record, Durable::Process)?;
        Ok(effective)
    }

    async fn wait_for_answer(&self, process: ProcessId, logged: u64) -> Result<Effective, LocalError> {
        let deadline = Instant::now() + START;
        loop {
            let problem = match self.client.table().await {
                Ok(effective) => return Ok(effective),
                Err(error) => error.to_string(),
            };
            if !process.is_alive() {
                let how = match process.reap() {
                    Exit::Status(code) => format!("it ended with status {code}"),
                    Exit::Signal(signal) => format!("it was killed by signal {signal}"),
                    Exit::Unknown => "it ended".to_owned(),
                };
                return Err(LocalError::Proxy(self.last_words(logged).unwrap_or(how)));
            }
            if Instant::now() > deadline {
                return Err(LocalError::Proxy(problem));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The last line that was logged beyond this many bytes, without the word that it is an error.
    fn last_words(&self, logged: u64) -> Option<String> {
        let log = std::fs::read(self.log()).ok()?;
        let new = String::from_utf8_lossy(log.get(usize::try_from(logged).ok()?..)?).into_owned();
        let last = new.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
        Some(last.strip_prefix("error: ").unwrap_or(last).to_owned())
    }

    fn log(&self) -> PathBuf {
        self.dir.join("proxy.log")
    }

    fn logged(&self) -> u64 {
        std::fs::metadata(self.log()).map_or(0, |log| log.len())
    }

    /// Starts the proxy again whenever it ends or falls silent, for ever.
    pub(crate) async fn run(self: Arc<Self>, writer: Arc<TableWriter>) {
        let mut crashes = 0;
        loop {
            if let Some(process) = self.process() {
                let since = Instant::now();
                self.watch(process).await;
                let _ = process.reap();
                crashes = if since.elapsed() > self.backoff.most { 0 } else { crashes + 1 };
                tracing::warn!(pid = process.pid, "the proxy ended and is started again");
            }
            // the first time at once: requests are being refused
            if crashes > 1 {
                tokio::time::sleep(self.backoff.after(crashes - 1)).await;
            }
            match self.ensure_running().await {
                Ok(_) => writer.write_again(),
                Err(error) => {
                    crashes += 1;
                    tracing::error!(%error, "the proxy cannot be started");
                }
            }
        }
    }

    /// Waits until the proxy has ended; one that does not answer any more is killed.
    async fn watch(&self, process: ProcessId) {
        let silent = async {
            let mut unanswered = 0;
            while unanswered < SILENT {
                tokio::time::sleep(ASK_EVERY).await;
                // a log that cannot be turned over is no reason to stop the proxy
                let _ = turn_over(&self.log(), self.log_limit);
                unanswered = if self.client.table().await.is_ok() { 0 } else { unanswered + 1 };
            }
        };
        tokio::select! {
            () = process.ended() => {}
            () = silent => {
                tracing::error!(pid = process.pid, "the proxy does not answer and is killed");
                process.signal_group(Signal::KILL);
                process.ended().await;
            }
        }
    }

    /// Empties the table of a proxy that does not run: its replicas are gone, and others may have
    /// their ports.
    pub(crate) fn forget_endpoints(&self) -> Result<(), LocalError> {
        let file = self.config.table();
        // a table that cannot be read is not used by the proxy either
        if let Ok(Some(mut table)) = read_json::<TableDocument>(&file) {
            table.endpoints.clear();
            table.generation += 1;
            replace_json(&file, &table, Durable::Process)?;
        }
        Ok(())
    }

    /// Stops the proxy: it finishes its requests first, for as long as its limits allow.
    pub(crate) async fn stop(&self) {
        let Some(process) = self.process() else { return };
        process.signal(Signal::TERM);
        let patience = Duration::from_millis(self.config.limits.shutdown_timeout_ms) + Duration::from_secs(1);
        if tokio::time::timeout(patience, process.ended()).await.is_err() {
            process.signal_group(Signal::KILL);
            process.ended().await;
        }
        let _ = process.reap();
    }
}
