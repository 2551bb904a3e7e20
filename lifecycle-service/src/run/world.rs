//! The processes, the proxy and the state of one state directory.

use std::env;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lifecycle_core::backend::store::{FileStore, Record};
use lifecycle_core::backend::{GroupStatus, RolloutStore as _, Workload as _};
use lifecycle_core::driver::{Driver, Target};
use lifecycle_core::machine::State;
use lifecycle_core::report::Requests;
use lifecycle_core::spec::{Probe as SpecProbe, RolloutSpec};
use lifecycle_core::version::Version;
use lifecycle_local::{Changes, Local, LocalConfig, LocalError, Probe, Probes, ProxyCommand, Seen};
use thiserror::Error;

use super::accept::Accepted;
use super::files::{Files, replace};
use crate::input::BadInput;

/// Where the proxy listens unless said otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// A `run` drives this state directory already.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct InUse(String);

/// What served before everything was stopped.
#[derive(Debug)]
pub(super) struct Gone {
    hash: Arc<str>,
    /// Its version.
    pub(super) version: Version,
    /// How many replicas it had.
    pub(super) replicas: u32,
}

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
        files.check_owner(&accepted.manifest)?;
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
        self.keep(accepted)?;
        Ok(driver)
    }

    /// Takes a manifest that was edited. When that fails the target `before` it holds.
    pub(super) async fn take(
        &mut self,
        accepted: &Accepted,
        driver: &mut Driver,
        before: &Target,
    ) -> anyhow::Result<()> {
        Files::of(self.local.dir()).check_owner(&accepted.manifest)?;
        // Register first: the driver asks for replicas from its next tick on.
        self.register(accepted).await?;
        driver.set_target(accepted.target.clone())?;
        if let Err(error) = self.keep(accepted) {
            driver.set_target(before.clone())?;
            return Err(error);
        }
        Ok(())
    }

    /// Does this manifest probe otherwise than the processes are probed now?
    pub(super) fn probes_otherwise(&self, accepted: &Accepted) -> bool {
        probes(&accepted.manifest.spec) != self.probes
    }

    async fn register(&self, accepted: &Accepted) -> anyhow::Result<()> {
        let Accepted { manifest, target, template, .. } = accepted;
        Ok(self.local.register(&target.desired.hash, manifest.spec.version(), template.clone()).await?)
    }

    /// Keeps the manifest for commands that come when nobody drives.
    fn keep(&self, accepted: &Accepted) -> anyhow::Result<()> {
        let kept = Files::of(self.local.dir()).manifest();
        replace(&kept, accepted.text.as_bytes()).with_context(|| format!("cannot write {}", kept.display()))
    }

    /// The state as it is recorded.
    pub(super) async fn recorded(&self) -> State {
        let store = FileStore::new(Files::of(self.local.dir()).rollout());
        store.load().await.ok().flatten().map(|stored| stored.record.state).unwrap_or_default()
    }

    /// What served and has no replica that takes requests, while nothing else has one either.
    pub(super) async fn gone(&self) -> Option<Gone> {
        let state = self.recorded().await;
        let stable = state.revision(state.stable?)?;
        let replicas = state.group(state.stable?).map_or(0, |group| group.wish);
        let groups = self.groups().await;
        let serves = groups.iter().any(|group| group.available > 0);
        let comes = groups.iter().any(|group| group.revision.hash == stable.hash && group.desired > 0);
        (comes && !serves).then(|| Gone {
            hash: Arc::clone(&stable.hash),
            version: stable.version.clone(),
            replicas,
        })
    }

    /// Is it whole again?
    pub(super) async fn is_back(&self, gone: &Gone) -> bool {
        let groups = self.groups().await;
        groups.iter().any(|group| group.revision.hash == gone.hash && group.available >= group.desired)
    }

    async fn groups(&self) -> Vec<GroupStatus> {
        self.local.workload().observe().await.unwrap_or_default()
    }

    /// Does a replica take requests?
    pub(super) async fn serves(&self) -> bool {
        self.groups().await.iter().any(|group| group.available > 0)
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

/// What was stopped with `down`.
#[derive(Debug)]
pub(crate) struct Down {
    /// Why that could not be recorded, if so.
    pub(crate) unrecorded: Option<LocalError>,
}

/// Stops every process of a state directory, and forgets what is in it where that is wanted.
pub(crate) async fn down(state_dir: &Path, clean: bool) -> anyhow::Result<Down> {
    let files = Files::of(state_dir);
    let listen = files.listen().unwrap_or(LISTEN);
    let stopped = lifecycle_local::shut_down(&config(state_dir, listen)?).await;
    let stopped = stopped.map_err(|error| match error {
        LocalError::InUse { holder, .. } => InUse(format!(
            "process {holder} drives {}: end that `run` first, with Ctrl-C",
            state_dir.display()
        ))
        .into(),
        other => opening(other, listen),
    })?;
    if clean {
        files.forget().with_context(|| format!("cannot clean {}", state_dir.display()))?;
        lifecycle_local::forget(state_dir)?;
    }
    Ok(Down { unrecorded: stopped.unrecorded })
}

/// How things stand in a state directory.
#[derive(Debug)]
pub(crate) struct Standing {
    /// As far as it was written down.
    pub(crate) record: Record,
    /// As it looks from outside now.
    pub(crate) seen: Seen,
    /// Where the proxy listens, or did.
    pub(crate) listen: SocketAddr,
}

/// How things stand in a state directory; nothing is touched.
pub(crate) async fn standing(state_dir: &Path) -> anyhow::Result<Option<Standing>> {
    let files = Files::of(state_dir);
    let Some(stored) = FileStore::new(files.rollout()).load().await? else { return Ok(None) };
    // What was shown last knows more of the replicas, unless it is older.
    let shown = fs::read(files.shown()).ok().and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
    let fresh = shown.filter(|shown| shown.state.clock >= stored.record.state.clock);
    let record = fresh.unwrap_or(stored.record);
    let seen = lifecycle_local::look(state_dir).await?;
    let listen = seen.listen.or_else(|| files.listen()).unwrap_or(LISTEN);
    Ok(Some(Standing { record, seen, listen }))
}

/// Serves the proxy of a `run`.
pub(super) fn serve_proxy(config: &Path) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    Ok(runtime.block_on(lifecycle_local::proxy::serve_file(config))?)
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
