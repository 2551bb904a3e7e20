//! What ends a sleep.

use std::time::Duration;

use lifecycle_local::Changes;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What has ended a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Woken {
    /// The time is over, or something has changed.
    Time,
    /// Somebody wants this program to end.
    Interrupted,
}

/// The signals by which a person or the system ends this program.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// From now on they do not end the program by themselves.
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Sleeps until a signal, a change, or the end of this time.
    pub(super) async fn or_change(&mut self, changes: &mut Changes, time: Duration) -> Woken {
        tokio::select! {
            () = tokio::time::sleep(time) => Woken::Time,
            () = changes.next() => Woken::Time,
            _ = self.interrupt.recv() => Woken::Interrupted,
            _ = self.terminate.recv() => Woken::Interrupted,
            _ = self.hangup.recv() => Woken::Interrupted,
        }
    }
}
