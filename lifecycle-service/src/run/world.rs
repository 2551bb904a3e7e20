//! The processes, the proxy and the state of one state directory.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lifecycle_core::backend::RolloutStore as _;
use lifecycle_core::backend::store::{FileStore, Record};
use lifecycle_core::driver::Driver;
use lifecycle_core::report::Requests;
use lifecycle_core::spec::{Probe as SpecProbe, RolloutSpec};
use lifecycle_local::{Changes, Local, LocalConfig, LocalError, Probe, Probes, ProxyCommand};
use thiserror::Error;

use super::accept::Accepted;
use crate::input::BadInput;

/// Where the proxy listens unless said otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// A `run` drives this state directory already.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct InUse(String);

/// An open state directory. When it is dropped, everything goes on serving.
#[derive(Debug)]
pub(crate) struct World {
    local: Local,
    probes: Probes,
    /// What the proxy had counted when this began.
    before: Requests,
}

impl World {
    /// Opens the state directory for this manifest: finds what runs, starts the proxy if it does not.
    pub(super) async fn open(
        state_dir: &Path,
        listen: Option<SocketAddr>,
        accepted: &Accepted,
    ) -> anyhow::Result<Self> {
        let files = Files::of(state_dir);
        let wanted = listen.or_else(|| files.listen()).unwrap_or(LISTEN);
        let probes = probes(&accepted.manifest.spec);
        let config = config(state_dir, wanted)?.name(&*accepted.manifest.name).probes(probes.clone());
        let local = Local::open(config).await.map_err(|error| opening(error, wanted))?;
        let listening = local.listen();
        if listen.is_some_and(|listen| listen != listening && listen.port() != 0) {
            local.close().await;
            let problem = format!(
                "{wanted}: the proxy of this state directory listens on {listening}; `lifecycle down` stops it"
            );
            return Err(BadInput::new(format!("--listen {problem}")).into());
        }
        files.keep_listen(listening).with_context(|| format!("cannot write to {}", state_dir.display()))?;
        let mut world = Self { local, probes, before: Requests::default() };
        world.before = world.counted().await;
        Ok(world)
    }

    /// A driver for this manifest.
    pub(super) async fn driver(&self, accepted: &Accepted) -> anyhow::Result<Driver> {
        let files = Files::of(self.local.dir());
        let backends = self.local.backends(Arc::new(FileStore::new(files.rollout())));
        let driver = Driver::new(accepted.target.clone(), backends).map_err(BadInput::new)?;
        self.register(accepted).await?;
        Ok(driver)
    }

    /// Takes a manifest that was edited.
    pub(super) async fn take(&mut self, accepted: &Accepted, driver: &mut Driver) -> anyhow::Result<()> {
        // Register first: the driver asks for replicas from its next tick on.
        self.register(accepted).await?;
        driver.set_target(accepted.target.clone())?;
        Ok(())
    }

    /// Does this manifest probe otherwise than the processes are probed now?
    pub(super) fn probes_otherwise(&self, accepted: &Accepted) -> bool {
        probes(&accepted.manifest.spec) != self.probes
    }

    async fn register(&self, accepted: &Accepted) -> anyhow::Result<()> {
        let Accepted { text, manifest, target, template } = accepted;
        self.local.register(&target.desired.hash, manifest.spec.version(), template.clone()).await?;
        let kept = Files::of(self.local.dir()).manifest();
        replace(&kept, text.as_bytes()).with_context(|| format!("cannot write {}", kept.display()))
    }

    /// Requests since the state directory was opened, as the proxy has counted them.
    pub(super) async fn requests(&self) -> Requests {
        let (now, before) = (self.counted().await, self.before);
        let since = |now: u64, before: u64| now.saturating_sub(before);
        Requests::new(
            since(now.total, before.total),
            since(now.failed, before.failed),
            since(now.refused, before.refused),
        )
    }

    async fn counted(&self) -> Requests {
        let Some(stats) = self.local.status().await.stats else { return Requests::default() };
        let totals = stats.revisions.values().map(|revision| &revision.totals);
        let (all, failed) = totals.fold((0, 0), |(all, failed), t| (all + t.requests, failed + t.failed));
        Requests::new(all + stats.unrouted, failed, stats.unrouted)
    }

    /// Where requests go in.
    pub(super) fn listening(&self) -> SocketAddr {
        self.local.listen()
    }

    /// Tells when a process or the proxy has changed.
    pub(super) fn changes(&self) -> Changes {
        self.local.changes()
    }

    /// Keeps how things stand for `lifecycle status`.
    pub(super) fn show(&self, record: &Record) -> io::Result<()> {
        replace(&Files::of(self.local.dir()).shown(), &serde_json::to_vec(record)?)
    }

    /// Ends the supervision; everything goes on serving.
    pub(super) async fn close(self) {
        self.local.close().await;
    }
}

/// Stops every process of a state directory.
pub(crate) async fn down(state_dir: &Path) -> anyhow::Result<()> {
    let listen = Files::of(state_dir).listen().unwrap_or(LISTEN);
    lifecycle_local::shut_down(&config(state_dir, listen)?).await.map_err(|error| opening(error, listen))
}

/// How things stand in a state directory, as far as was written down; nothing is touched.
pub(crate) async fn standing(state_dir: &Path) -> anyhow::Result<Option<(Record, SocketAddr)>> {
    let files = Files::of(state_dir);
    let Some(stored) = FileStore::new(files.rollout()).load().await? else { return Ok(None) };
    // What was shown last knows more of the replicas, unless it is older.
    let shown = fs::read(files.shown()).ok().and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
    let fresh = shown.filter(|shown| shown.state.clock >= stored.record.state.clock);
    Ok(Some((fresh.unwrap_or(stored.record), files.listen().unwrap_or(LISTEN))))
}

/// Serves the proxy of a `run`.
pub(super) fn serve_proxy(config: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(lifecycle_local::proxy::serve_file(config))?)
}

/// The files in a state directory that are this program's own.
struct Files<'a>(&'a Path);

impl<'a> Files<'a> {
    const fn of(state_dir: &'a Path) -> Self {
        Self(state_dir)
    }

    fn rollout(&self) -> PathBuf {
        self.0.join("rollout.json")
    }

    fn shown(&self) -> PathBuf {
        self.0.join("status.json")
    }

    fn manifest(&self) -> PathBuf {
        self.0.join(super::KEPT_MANIFEST)
    }

    fn listen(&self) -> Option<SocketAddr> {
        fs::read_to_string(self.0.join("listen")).ok()?.trim().parse().ok()
    }

    fn keep_listen(&self, listen: SocketAddr) -> io::Result<()> {
        if self.listen() == Some(listen) {
            return Ok(());
        }
        replace(&self.0.join("listen"), format!("{listen}\n").as_bytes())
    }
}

/// Writes a whole file or leaves the one before.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = fs::File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(unfinished, path)
}

fn config(state_dir: &Path, listen: SocketAddr) -> anyhow::Result<LocalConfig> {
    let program = env::current_exe().context("cannot find this program's own file")?;
    Ok(LocalConfig::new(state_dir, listen, ProxyCommand::new(program, ["proxy"])))
}

fn probes(spec: &RolloutSpec) -> Probes {
    let probe = |probe: &SpecProbe| {
        let SpecProbe { endpoint, interval, timeout, failure_threshold, .. } = probe;
        Probe::new(&**endpoint, Duration::from(*interval), Duration::from(*timeout), *failure_threshold)
    };
    Probes::new(probe(spec.health_check()), probe(spec.liveness()))
}

/// What a person did wrong, and what somebody else does.
fn opening(error: LocalError, listen: SocketAddr) -> anyhow::Error {
    match error {
        LocalError::InUse { .. } => InUse(error.to_string()).into(),
        LocalError::Invalid { .. } => BadInput::new(error).into(),
        LocalError::Proxy(_) => BadInput::new(format!("--listen {listen}: {error}")).into(),
        other => other.into(),
    }
}
