//! The facade: one state directory, opened.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lifecycle_core::backend::{Backends, RolloutStore, RouteStatus};
use lifecycle_core::version::Version;

use crate::background::Background;
use crate::config::LocalConfig;
use crate::control::{Client, ProxyHandle, TableWriter};
use crate::error::LocalError;
use crate::health::LocalHealth;
use crate::hook::HttpHook;
use crate::notify::FileNotifier;
use crate::paths::Paths;
use crate::process::kill::kill_all;
use crate::process::{self, Changes, LocalWorkload, ReplicaStatus, Settings};
use crate::proxy::Stats;
use crate::router::LocalRouter;
use crate::shutdown::{ShutDown, shut_down};
use crate::template::ProcessTemplate;

/// A state directory whose processes and proxy are supervised by this program.
///
/// Dropping it (and the backends that came from it) ends the supervision; everything goes on
/// serving, and the next [`Local::open`] takes over.
#[derive(Debug)]
pub struct Local {
    config: LocalConfig,
    paths: Paths,
    workload: Arc<LocalWorkload>,
    writer: Arc<TableWriter>,
    client: Client,
    proxy: Arc<ProxyHandle>,
    background: Arc<Background>,
}

/// What there is now, for people.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LocalStatus {
    /// Where the proxy takes requests.
    pub listen: SocketAddr,
    /// The process of the proxy, `None` when it does not run.
    pub proxy_pid: Option<u32>,
    /// The route in effect; `None` before the first one, and while the proxy does not answer.
    pub route: Option<RouteStatus>,
    /// Every replica.
    pub replicas: Vec<ReplicaStatus>,
    /// Requests under way, by the number of the replica.
    pub in_flight: BTreeMap<u64, u64>,
    /// The proxy's counts since it started, while it answers.
    pub stats: Option<Stats>,
}

impl Local {
    /// Opens a state directory: finds its processes and its proxy again, starts what is missing, and
    /// supervises them in tasks of the current runtime.
    ///
    /// # Errors
    /// When another program supervises it, a file cannot be read or written, or the proxy cannot
    /// listen. Processes that run are left alone then, and a directory that was not there is not
    /// there afterwards.
    pub async fn open(config: LocalConfig) -> Result<Self, LocalError> {
        config.check()?;
        let dir = config.state_dir.clone();
        let is_new = !dir.exists();
        let opened = Self::open_in(config).await;
        match &opened {
            Ok(_) | Err(LocalError::InUse { .. }) => {}
            Err(_) if is_new => {
                // a proxy that started too slowly
                let _ = kill_everything(&dir);
                let _ = std::fs::remove_dir_all(&dir);
            }
            Err(_) => {}
        }
        opened
    }

    async fn open_in(config: LocalConfig) -> Result<Self, LocalError> {
        let paths = Paths::create(&config.state_dir)?;
        let lock = Arc::new(paths.lock()?);
        let ledger = process::load(&paths.ledger())?;
        let proxy = Arc::new(ProxyHandle::new(&config, &paths.proxy(), &ledger.name));
        let effective = proxy.ensure_running().await?;
        let client = Client::new(&paths.proxy());
        let writer = Arc::new(TableWriter::new(client.clone(), effective.clone()));
        let settings = Settings {
            config: config.clone(),
            ledger_file: paths.ledger(),
            logs: paths.logs(),
            client: client.clone(),
            writer: Arc::clone(&writer),
            lock,
        };
        tracing::info!(name = %config.name, dir = %paths.dir.display(), listen = %effective.listen, "supervising");
        let opened = process::open(settings, ledger, &effective).await;
        let background = Arc::new(Background::new());
        background.run(opened.supervisor.run(opened.messages));
        background.run(Arc::clone(&writer).run());
        background.run(Arc::clone(&proxy).run(Arc::clone(&writer)));
        let workload = Arc::new(LocalWorkload::new(
            opened.inbox,
            opened.snapshot,
            Arc::clone(&writer),
            Arc::clone(&background),
            paths.ledger(),
        ));
        Ok(Self { config, paths, workload, writer, client, proxy, background })
    }

    /// The backends of this rollout target, with this store for its state.
    #[must_use]
    pub fn backends(&self, store: Arc<dyn RolloutStore>) -> Backends {
        let workload: Arc<LocalWorkload> = Arc::clone(&self.workload);
        Backends::new(workload, store)
            .router(Arc::new(LocalRouter::new(self.client.clone(), Arc::clone(&self.writer))))
            .health(Arc::new(LocalHealth::new(self.client.clone(), self.paths.dir.join("alerts.json"))))
            .hooks(Arc::new(HttpHook::new()))
            .notifier(Arc::new(FileNotifier::new(self.paths.alerts())))
    }

    /// The replicas of this directory.
    #[must_use]
    pub const fn workload(&self) -> &Arc<LocalWorkload> {
        &self.workload
    }

    /// Keeps what a revision runs. Needed once before its first replica; it is remembered for
    /// rollbacks, also after a restart.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn register(
        &self,
        hash: &str,
        version: &Version,
        template: ProcessTemplate,
    ) -> Result<(), LocalError> {
        self.workload.register(hash, version, template).await
    }

    /// Where the proxy takes requests.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.writer.effective().map_or(self.config.listen, |effective| effective.listen)
    }

    /// The state directory, as an absolute path.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.paths.dir
    }

    /// Tells when something changed: a replica, or what the proxy routes by.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.workload.changes()
    }

    /// What there is now.
    pub async fn status(&self) -> LocalStatus {
        let replicas = self.workload.replicas();
        let table = self.client.table().await.ok();
        let under_way =
            |replica: &ReplicaStatus| table.as_ref().map_or(0, |table| table.in_flight_of(&replica.endpoint));
        LocalStatus {
            listen: self.listen(),
            proxy_pid: self.proxy.process().map(|process| process.pid),
            route: table.as_ref().and_then(|table| Some(table.table.route.as_ref()?.status())),
            in_flight: replicas.iter().map(|replica| (replica.id, under_way(replica))).collect(),
            replicas,
            stats: self.client.stats().await.ok(),
        }
    }

    /// Ends the supervision at once; everything goes on serving. The directory can be opened again as
    /// soon as this has returned.
    pub async fn close(self) {
        self.background.end().await;
    }

    /// Stops everything, see [`shut_down`].
    ///
    /// # Errors
    /// When a process does not end.
    pub async fn shutdown_everything(self) -> Result<ShutDown, LocalError> {
        self.background.end().await;
        let config = self.config.clone();
        drop(self);
        shut_down(&config).await
    }
}

/// Kills every process that was started for a state directory, supervised or not, without asking
/// anybody: the last resort, and what a test does when it fails. Says how many there were.
///
/// # Errors
/// When the directory has no readable record, or a process does not end.
pub fn kill_everything(state_dir: &Path) -> Result<usize, LocalError> {
    let paths = Paths { dir: state_dir.to_owned() };
    match crate::files::read_json::<serde_json::Value>(&paths.ledger())?
        .and_then(|ledger| Some(ledger.get("name")?.as_str()?.to_owned()))
    {
        Some(name) => kill_all(&name, Duration::from_secs(5)),
        None => Ok(0),
    }
}
