//! The probes of one container.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use lifecycle_local::supervise::HttpProbe;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::address::dial;
use super::faults::ProbeKind;
use super::options::NodeOptions;
use super::shared::Shared;

/// What probes say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Started,
    Ready(bool),
    /// It is to be ended, and started again; with this grace if the probe has one of its own.
    Unhealthy {
        why: String,
        grace: Option<Duration>,
    },
}

/// The probes of one container.
#[derive(Debug)]
pub(super) struct Probes {
    shared: Arc<Shared>,
    namespace: String,
    pod: String,
    readiness: Option<Check>,
    liveness: Option<Check>,
    startup: Option<Check>,
}

#[derive(Debug)]
struct Check {
    kind: ProbeKind,
    ask: Ask,
    delay: Duration,
    period: Duration,
    failures: u32,
    successes: u32,
    grace: Option<Duration>,
}

#[derive(Debug)]
enum Ask {
    Http(HttpProbe),
    Tcp(Ipv4Addr, u16, Duration),
}

impl Probes {
    /// Of a container that listens on this address.
    ///
    /// # Errors
    /// A sentence for people: a probe that this node cannot make.
    pub(super) fn of(
        shared: &Arc<Shared>,
        (namespace, pod): (&str, &str),
        container: &Container,
        address: Ipv4Addr,
    ) -> Result<Self, String> {
        let options = &shared.options;
        let check = |probe: &Option<Probe>, kind| {
            probe.as_ref().map(|probe| Check::of(probe, kind, container, address, options)).transpose()
        };
        Ok(Self {
            readiness: check(&container.readiness_probe, ProbeKind::Readiness)?,
            liveness: check(&container.liveness_probe, ProbeKind::Liveness)?,
            startup: check(&container.startup_probe, ProbeKind::Startup)?,
            shared: Arc::clone(shared),
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
        })
    }

    /// Probes a container that was just started, until dropped.
    pub(super) async fn run(&self, verdicts: mpsc::Sender<Verdict>) -> Infallible {
        if let Some(check) = &self.startup
            && !self.startup(check, &verdicts).await
        {
            return std::future::pending().await;
        }
        self.say(&verdicts, Verdict::Started).await;
        tokio::join!(self.readiness(false, &verdicts), self.liveness(&verdicts));
        std::future::pending().await
    }

    /// Probes the readiness of a container that is being stopped, until dropped.
    pub(super) async fn readiness_only(&self, ready: bool, verdicts: mpsc::Sender<Verdict>) -> Infallible {
        if self.readiness.is_some() {
            self.readiness(ready, &verdicts).await;
        }
        std::future::pending().await
    }

    async fn say(&self, verdicts: &mpsc::Sender<Verdict>, verdict: Verdict) {
        // who does not listen any more drops this future too
        let _ = verdicts.send(verdict).await;
    }

    async fn ask(&self, check: &Check) -> Result<(), String> {
        if self.shared.faults.fails(&self.namespace, &self.pod, check.kind) {
            return Err("made to fail".to_owned());
        }
        check.ask.once().await
    }

    /// Has it started? `false`: it has not, in its time.
    async fn startup(&self, check: &Check, verdicts: &mpsc::Sender<Verdict>) -> bool {
        let mut ticks = check.ticks();
        let mut failed = 0;
        loop {
            ticks.tick().await;
            let Err(why) = self.ask(check).await else { return true };
            failed += 1;
            if failed >= check.failures {
                self.say(verdicts, Verdict::Unhealthy { why, grace: check.grace }).await;
                return false;
            }
        }
    }

    async fn readiness(&self, mut ready: bool, verdicts: &mpsc::Sender<Verdict>) {
        let Some(check) = &self.readiness else {
            self.shared.faults.released().await;
            return self.say(verdicts, Verdict::Ready(true)).await;
        };
        let mut ticks = check.ticks();
        let (mut passed, mut failed) = (0, 0);
        loop {
            ticks.tick().await;
            self.shared.faults.released().await;
            match self.ask(check).await {
                Ok(()) => (passed, failed) = (passed + 1, 0),
                Err(_) => (passed, failed) = (0, failed + 1),
            }
            let turned = if ready { failed >= check.failures } else { passed >= check.successes };
            if turned {
                ready = !ready;
                self.say(verdicts, Verdict::Ready(ready)).await;
            }
        }
    }

    async fn liveness(&self, verdicts: &mpsc::Sender<Verdict>) {
        let Some(check) = &self.liveness else { return };
        let mut ticks = check.ticks();
        let mut failed = 0;
        loop {
            ticks.tick().await;
            let Err(why) = self.ask(check).await else {
                failed = 0;
                continue;
            };
            failed += 1;
            if failed >= check.failures {
                return self.say(verdicts, Verdict::Unhealthy { why, grace: check.grace }).await;
            }
        }
    }
}

impl Check {
    fn of(
        probe: &Probe,
        kind: ProbeKind,
        container: &Container,
        address: Ipv4Addr,
        options: &NodeOptions,
    ) -> Result<Self, String> {
        let seconds = |field: Option<i32>, default: i32| i64::from(field.unwrap_or(default));
        let count =
            |field: Option<i32>, default| field.and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
        // not scaled: a busy machine is as slow as ever
        let timeout =
            Duration::from_secs(u64::try_from(probe.timeout_seconds.unwrap_or(1)).unwrap_or(1).max(1));
        let ask = match (&probe.http_get, &probe.tcp_socket) {
            (Some(get), _) => Ask::Http(http(get, container, address, timeout)?),
            (None, Some(socket)) => Ask::Tcp(address, port(&socket.port, container)?, timeout),
            (None, None) => return Err("this node probes with httpGet and tcpSocket only".to_owned()),
        };
        Ok(Self {
            kind,
            ask,
            delay: options.seconds(seconds(probe.initial_delay_seconds, 0)),
            period: options.seconds(seconds(probe.period_seconds, 10).max(1)),
            failures: count(probe.failure_threshold, 3).max(1),
            successes: count(probe.success_threshold, 1).max(1),
            grace: probe.termination_grace_period_seconds.map(|grace| options.seconds(grace)),
        })
    }

    /// The first after the delay, then one each period; a late one delays those after it.
    fn ticks(&self) -> tokio::time::Interval {
        let mut ticks = interval_at(Instant::now() + self.delay, self.period.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }
}

impl Ask {
    async fn once(&self) -> Result<(), String> {
        match self {
            Self::Http(probe) => probe.ask().await,
            Self::Tcp(address, port, timeout) => {
                let connected = tokio::time::timeout(*timeout, TcpStream::connect((*address, *port))).await;
                connected
                    .map_err(|_| "no connection in time".to_owned())?
                    .map(drop)
                    .map_err(|it| it.to_string())
            }
        }
    }
}

/// The GET that a probe or a hook of a container asks for.
///
/// # Errors
/// A sentence for people.
pub(super) fn http(
    get: &HTTPGetAction,
    container: &Container,
    address: Ipv4Addr,
    timeout: Duration,
) -> Result<HttpProbe, String> {
    if get.scheme.as_deref().is_some_and(|scheme| scheme != "HTTP") {
        return Err("this node asks over plain HTTP only".to_owned());
    }
    let path = get.path.as_deref().unwrap_or("/");
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let host =
        get.host.as_deref().map(|host| host.parse().map_or(host.to_owned(), |it| dial(it).to_string()));
    let host = host.unwrap_or_else(|| address.to_string());
    let mut probe = HttpProbe::new(host, port(&get.port, container)?, path).timeout(timeout);
    for header in get.http_headers.iter().flatten() {
        probe = probe.header(&header.name, &header.value);
    }
    Ok(probe)
}

/// A port by its number, or by the name that the container gives it.
fn port(port: &IntOrString, container: &Container) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let mut named = container.ports.iter().flatten();
            let named = named.find(|port| port.name.as_ref() == Some(name)).map(|port| port.container_port);
            named.or_else(|| name.parse().ok())
        }
    };
    let number = number.and_then(|number| u16::try_from(number).ok());
    number.ok_or_else(|| format!("container {} has no port {port:?}", container.name))
}
