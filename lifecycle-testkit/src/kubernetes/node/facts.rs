//! What is known of one container, and how Kubernetes puts it.

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use lifecycle_local::supervise::Exit;

/// What is known of one container.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    pub(super) state: State,
    /// How the start before this one ended.
    pub(super) last: Option<Ended>,
    pub(super) restarts: i32,
    pub(super) ready: bool,
    /// Has its startup probe passed?
    pub(super) started: bool,
    /// Nothing more happens to it: it was stopped, or has ended and is not started again.
    pub(super) over: bool,
    /// Tells this start from every other.
    pub(super) id: String,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    Waiting { reason: &'static str, message: String },
    Running { since: Timestamp },
    Ended(Ended),
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) signal: Option<i32>,
    pub(super) reason: &'static str,
    pub(super) message: Option<String>,
    pub(super) started: Timestamp,
    pub(super) finished: Timestamp,
    pub(super) id: String,
}

impl Ended {
    /// Its process has ended.
    pub(super) fn of(exit: Exit, started: Timestamp, id: &str) -> Self {
        let (code, signal) = match exit {
            Exit::Status(code) => (code, None),
            Exit::Signal(signal) => (128 + signal, Some(signal)),
            Exit::Unknown => (255, None),
        };
        let reason = if code == 0 { "Completed" } else { "Error" };
        Self { code, signal, reason, message: None, started, finished: now(), id: id.to_owned() }
    }

    /// Its process could not be started.
    pub(super) fn unstarted(message: String) -> Self {
        let (started, finished) = (now(), now());
        let (signal, id) = (None, String::new());
        Self { code: 128, signal, reason: "StartError", message: Some(message), started, finished, id }
    }

    fn wire(&self) -> ContainerStateTerminated {
        ContainerStateTerminated {
            container_id: wire_id(&self.id),
            exit_code: self.code,
            finished_at: Some(Time(self.finished)),
            message: self.message.clone(),
            reason: Some(self.reason.to_owned()),
            signal: self.signal,
            started_at: Some(Time(self.started)),
        }
    }
}

impl Facts {
    /// Of a container that was just thought of.
    pub(super) fn new() -> Self {
        let state = State::Waiting { reason: "ContainerCreating", message: String::new() };
        let (last, id) = (None, String::new());
        Self { state, last, restarts: 0, ready: false, started: false, over: false, id }
    }

    /// Of a container that ran before its node was started: it has been restarted by that.
    pub(super) fn after(before: Option<&ContainerStatus>) -> Self {
        let ran = before.filter(|before| before.container_id.is_some());
        Self { restarts: ran.map_or(0, |before| before.restart_count + 1), ..Self::new() }
    }

    /// How it ended, when it is not running and has run, or was tried to.
    pub(super) const fn ended(&self) -> Option<&Ended> {
        match &self.state {
            State::Ended(ended) => Some(ended),
            State::Waiting { .. } => self.last.as_ref(),
            State::Running { .. } => None,
        }
    }

    /// As a pod's status has it.
    pub(super) fn status(&self, container: &Container) -> ContainerStatus {
        let image = container.image.clone().unwrap_or_default();
        ContainerStatus {
            name: container.name.clone(),
            image_id: if self.id.is_empty() { String::new() } else { image.clone() },
            image,
            container_id: wire_id(&self.id),
            ready: self.ready,
            started: Some(self.started),
            restart_count: self.restarts,
            state: Some(self.state.wire()),
            last_state: self
                .last
                .as_ref()
                .map(|last| ContainerState { terminated: Some(last.wire()), ..ContainerState::default() }),
            ..ContainerStatus::default()
        }
    }
}

impl State {
    fn wire(&self) -> ContainerState {
        let mut wire = ContainerState::default();
        match self {
            Self::Waiting { reason, message } => {
                let message = Some(message.clone()).filter(|message| !message.is_empty());
                wire.waiting = Some(ContainerStateWaiting { reason: Some((*reason).to_owned()), message });
            }
            Self::Running { since } => {
                wire.running = Some(ContainerStateRunning { started_at: Some(Time(*since)) });
            }
            Self::Ended(ended) => wire.terminated = Some(ended.wire()),
        }
        wire
    }
}

fn wire_id(id: &str) -> Option<String> {
    (!id.is_empty()).then(|| format!("process://{id}"))
}

/// Now, in the whole seconds of Kubernetes.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
