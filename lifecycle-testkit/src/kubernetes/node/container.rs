//! One container from its image to its end: a task of its own.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use lifecycle_local::supervise::{Launch, ProcessId, kill_rest};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::access;
use super::back_off::BackOff;
use super::env::{Place, process};
use super::facts::{Ended, Facts, State, now};
use super::image::Image;
use super::probes::{Probes, Verdict};
use super::refs::Refs;
use super::shared::Shared;

/// One container. It reports by [`Facts`], and stops when it is told by when to have stopped.
#[derive(Debug)]
pub(super) struct ContainerTask {
    pub(super) shared: Arc<Shared>,
    pub(super) pod: Arc<Pod>,
    pub(super) container: Container,
    pub(super) index: usize,
    pub(super) address: Ipv4Addr,
    /// One entry a container of the pod.
    pub(super) report: Arc<watch::Sender<Vec<Facts>>>,
    /// By when it is to be gone.
    pub(super) stop: watch::Receiver<Option<Instant>>,
    pub(super) facts: Facts,
    /// Begins the token of each start.
    pub(super) token: String,
    pub(super) running: Option<Running>,
}

/// A process of a container.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) process: ProcessId,
    pub(super) token: String,
    pub(super) probes: Arc<Probes>,
}

impl ContainerTask {
    /// Lives until it is stopped, or has ended and is not to be started again.
    pub(super) async fn run(mut self) {
        let mut stop = self.stop.clone();
        let stopped = async { drop(stop.wait_for(Option::is_some).await) };
        let told = tokio::select! {
            () = self.live() => false,
            () = stopped => true,
        };
        if told {
            self.terminate().await;
        }
        self.facts.over = true;
        self.facts.ready = false;
        self.say();
    }

    async fn live(&mut self) {
        let mut restarts = BackOff::of_restarts(|time| self.shared.options.scaled(time));
        loop {
            self.shared.powered().await;
            let image = self.pull().await;
            let begun = Instant::now();
            let ended = match self.start(&image).await {
                Ok(Some(running)) => self.supervise(&running).await,
                Ok(None) => continue,
                Err(why) => {
                    let ended = Ended::unstarted(why.clone());
                    self.facts.last = Some(ended.clone());
                    self.wait("RunContainerError", why, Duration::from_secs(1)).await;
                    ended
                }
            };
            let code = ended.code;
            self.facts.ready = false;
            self.facts.started = false;
            self.facts.state = State::Ended(ended.clone());
            if !self.is_restarted(code) {
                return;
            }
            self.say();
            self.facts.last = Some(ended);
            let wait = restarts.after(begun.elapsed());
            if !wait.is_zero() {
                self.crash_loop(wait).await;
            }
            self.facts.restarts += 1;
        }
    }

    fn is_restarted(&self, code: i32) -> bool {
        let policy = self.pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref());
        match policy.unwrap_or("Always") {
            "Never" => false,
            "OnFailure" => code != 0,
            _ => true,
        }
    }

    async fn crash_loop(&mut self, wait: Duration) {
        let metadata = &self.pod.metadata;
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let message = format!(
            "back-off {wait:?} restarting failed container={} pod={}_{}({})",
            self.container.name,
            text(&metadata.name),
            text(&metadata.namespace),
            text(&metadata.uid)
        );
        self.facts.state = State::Waiting { reason: "CrashLoopBackOff", message };
        self.say();
        tokio::time::sleep(wait).await;
    }

    /// Waits for this reason, for so many of the pod's own seconds.
    pub(super) async fn wait(&mut self, reason: &'static str, message: String, time: Duration) {
        self.facts.state = State::Waiting { reason, message };
        self.say();
        tokio::time::sleep(self.shared.options.scaled(time)).await;
    }

    /// Starts the process. `None`: not now, the node has no power.
    ///
    /// # Errors
    /// A sentence for people: what cannot be run.
    async fn start(&mut self, image: &Image) -> Result<Option<Running>, String> {
        let (launch, probes) = loop {
            match self.prepare(image).await {
                Ok(prepared) => break prepared,
                // mended by whoever makes the missing object
                Err(why) => self.wait("CreateContainerConfigError", why, Duration::from_secs(2)).await,
            }
        };
        let token = self.start_token();
        let Some(launched) = self.shared.launch(&token, &launch) else { return Ok(None) };
        let process = launched.map_err(|error| error.to_string())?;
        let running = Running { process, token, probes: Arc::new(probes) };
        self.running = Some(running.clone());
        self.facts.state = State::Running { since: now() };
        self.facts.id = running.token.clone();
        self.say();
        Ok(Some(running))
    }

    /// Tells this start from every other.
    fn start_token(&self) -> String {
        format!("{}.{}.{}", self.token, self.index, self.facts.restarts)
    }

    async fn prepare(&self, image: &Image) -> Result<(Launch, Probes), String> {
        known(&self.pod, &self.container)?;
        let (shared, pod) = (&self.shared, &*self.pod);
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let probes = Probes::of(shared, (namespace, name), &self.container, self.address)?;
        let refs = Refs::read(&shared.client, namespace, &self.container).await?;
        let account = pod.spec.as_ref().and_then(access::account);
        let kubeconfig = match account {
            Some(account) => {
                let api = shared.options.api.as_ref();
                Some(access::write(&shared.client, api, pod, account, &shared.dir).await?)
            }
            None => None,
        };
        let place = Place {
            pod,
            node: &shared.options.name,
            address: self.address,
            host_ip: shared.host_ip(),
            kubeconfig: kubeconfig.as_deref().and_then(|path| path.to_str()),
            refs: &refs,
        };
        let it = process(&self.container, image, &place)?;
        let log = shared.log(namespace, name, &self.container.name);
        let launch = Launch::new(it.program, self.start_token(), log).args(it.args).env(it.env);
        Ok((launch.without_inherited_env(), probes))
    }

    /// Follows a process to its end.
    async fn supervise(&mut self, running: &Running) -> Ended {
        let (say, mut verdicts) = mpsc::channel(4);
        let mut probing = pin!(running.probes.run(say));
        let mut gone = pin!(running.process.ended());
        loop {
            tokio::select! {
                () = &mut gone => break,
                Some(verdict) = verdicts.recv() => match verdict {
                    Verdict::Started => self.facts.started = true,
                    Verdict::Ready(ready) => self.facts.ready = ready,
                    Verdict::Unhealthy { why, grace } => {
                        tracing::debug!(container = self.container.name, why, "is ended and started again");
                        let grace = grace.unwrap_or_else(|| self.grace());
                        self.facts.ready = false;
                        self.say();
                        self.end(running, tokio::time::sleep(grace)).await;
                        break;
                    }
                },
                never = &mut probing => match never {},
            }
            self.say();
        }
        self.bury(running).await
    }

    /// Its process is gone: what is left of it goes too.
    pub(super) async fn bury(&mut self, running: &Running) -> Ended {
        let since = match self.facts.state {
            State::Running { since } => since,
            State::Waiting { .. } | State::Ended(_) => now(),
        };
        // while nobody has asked how it ended its pid, and with it its group, are its own
        running.process.kill();
        let ended = Ended::of(running.process.reap(), since, &running.token);
        self.running = None;
        self.shared.forget(&running.token);
        kill_rest(&running.token).await;
        ended
    }

    /// The pod's own grace, as it passes here.
    fn grace(&self) -> Duration {
        let seconds = self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        self.shared.options.seconds(seconds.unwrap_or(30))
    }

    /// Tells what is known now, if it is news.
    pub(super) fn say(&self) {
        self.tell(&self.facts);
    }

    pub(super) fn tell(&self, facts: &Facts) {
        self.report.send_if_modified(|all| match all.get_mut(self.index) {
            Some(known) if known != facts => {
                known.clone_from(facts);
                true
            }
            _ => false,
        });
    }
}

/// Does the node know all that a container asks for, beyond its probes?
///
/// # Errors
/// A sentence for people: what it does not know.
fn known(pod: &Pod, container: &Container) -> Result<(), String> {
    let spec = pod.spec.as_ref();
    if spec.and_then(|spec| spec.init_containers.as_ref()).is_some_and(|init| !init.is_empty()) {
        return Err("this node runs no init containers".to_owned());
    }
    // the API server of a cluster may add the mount of a token, which is in the kubeconfig here
    let mut mounts = container.volume_mounts.iter().flatten();
    if mounts.any(|mount| !mount.mount_path.starts_with("/var/run/secrets/kubernetes.io/")) {
        return Err("this node mounts no volumes".to_owned());
    }
    match &container.lifecycle {
        Some(hooks) if hooks.post_start.is_some() => Err("this node knows no postStart".to_owned()),
        Some(hooks)
            if hooks.pre_stop.as_ref().is_some_and(|it| it.sleep.is_none() && it.http_get.is_none()) =>
        {
            Err("this node knows preStop with sleep and httpGet only".to_owned())
        }
        _ => Ok(()),
    }
}
