//! Watching one process: its end, its readiness, its liveness, the size of its log.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::sync::{mpsc, watch as channel};

use super::kill::kill_rest;
use super::logs;
use super::probe::HttpProbe;
use super::procfs::{Exit, ProcessId};
use super::supervisor::{Message, News, Settings};
use crate::config::{LOOPBACK, Probe};

/// A replica that was never ready is asked in between its regular probes, first after this time and
/// at last this often.
const EAGER: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(200));

/// One process to watch.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) id: u64,
    pub(super) starts: u32,
    pub(super) process: ProcessId,
    pub(super) port: u16,
    /// It is known to be ready: found again after the supervisor was away.
    pub(super) ready: bool,
    pub(super) token: String,
    pub(super) log: PathBuf,
    pub(super) settings: Arc<Settings>,
    pub(super) inbox: mpsc::Sender<Message>,
}

/// Watches a process until it ends, and reports.
pub(super) async fn watch(it: Watch) {
    let since = Instant::now();
    let (was_ready, never_ready) = channel::channel(it.ready);
    let probes = async {
        tokio::join!(readiness(&it, &was_ready), liveness(&it, never_ready));
    };
    tokio::select! {
        () = it.process.ended() => {}
        () = probes => {}
    }
    // While nobody has asked how it ended its pid, and with it its group, are its own.
    it.process.signal_group(Signal::KILL);
    let exit = it.process.reap();
    kill_rest(&it.token).await;
    it.report(News::Ended(describe(exit, since.elapsed()))).await;
}

fn describe(exit: Exit, ran: Duration) -> String {
    let ran = if ran < Duration::from_secs(10) {
        format!("{} ms", ran.as_millis())
    } else {
        lifecycle_core::time::Millis::from_secs(ran.as_secs()).to_string()
    };
    match exit {
        Exit::Status(code) => format!("exited with status {code} after {ran}"),
        Exit::Signal(signal) => format!("killed by signal {signal} after {ran}"),
        Exit::Unknown => format!("ended after {ran}"),
    }
}

impl Watch {
    async fn report(&self, news: News) {
        let message = Message::Replica { id: self.id, starts: self.starts, news };
        // without a supervisor there is nobody to tell
        let _ = self.inbox.send(message).await;
    }

    async fn probe(&self, probe: &Probe) -> Result<(), String> {
        HttpProbe::new(LOOPBACK.to_string(), self.port, &probe.path).timeout(probe.timeout).ask().await
    }
}

async fn readiness(it: &Watch, was_ready: &channel::Sender<bool>) {
    let probe = &it.settings.config.probes.readiness;
    let mut ready = it.ready;
    let mut failures = 0;
    let mut next = Instant::now();
    if !ready {
        // just started
        next += probe.interval;
        ready = eager(it, probe, next).await;
        if ready {
            was_ready.send_replace(true);
            it.report(News::Ready).await;
        }
    }
    loop {
        tokio::time::sleep_until(next.into()).await;
        next = (next + probe.interval).max(Instant::now());
        match it.probe(probe).await {
            Ok(()) => {
                failures = 0;
                if !ready {
                    ready = true;
                    was_ready.send_replace(true);
                    it.report(News::Ready).await;
                }
            }
            Err(why) => {
                failures += 1;
                if failures >= probe.failures {
                    failures = 0;
                    ready = false;
                    it.report(News::NotReady(why)).await;
                }
            }
        }
        turn_over(it).await;
        if !*was_ready.borrow() && !ready && eager(it, probe, next).await {
            ready = true;
            failures = 0;
            was_ready.send_replace(true);
            it.report(News::Ready).await;
        }
    }
}

/// Asks until it is ready or the next regular probe is due.
async fn eager(it: &Watch, probe: &Probe, until: Instant) -> bool {
    let mut wait = EAGER.0.min(probe.interval / 2);
    while Instant::now() + wait < until {
        tokio::time::sleep(wait).await;
        if it.probe(probe).await.is_ok() {
            return true;
        }
        wait = (wait * 2).min(EAGER.1).min(probe.interval / 2);
    }
    false
}

/// Ends when it is to be restarted; then there is nothing left to watch but the end.
async fn liveness(it: &Watch, mut was_ready: channel::Receiver<bool>) {
    let probes = &it.settings.config.probes;
    let ready = was_ready.wait_for(|ready| *ready);
    let _ = tokio::time::timeout(probes.startup, ready).await;
    let mut failures = 0;
    let mut next = Instant::now() + probes.liveness.interval;
    loop {
        tokio::time::sleep_until(next.into()).await;
        next = (next + probes.liveness.interval).max(Instant::now());
        match it.probe(&probes.liveness).await {
            Ok(()) => failures = 0,
            Err(why) => {
                failures += 1;
                if failures >= probes.liveness.failures {
                    it.report(News::Unhealthy(why)).await;
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

async fn turn_over(it: &Watch) {
    let (log, limit) = (it.log.clone(), it.settings.config.log_limit);
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || logs::turn_over(&log, limit)).await {
        tracing::debug!(%error, log = %it.log.display(), "the log is not turned over");
    }
}
