//! Ending a container the way a kubelet does: preStop, SIGTERM, and SIGKILL when its time is over.

use std::pin::pin;
use std::time::Duration;

use k8s_openapi::api::core::v1::LifecycleHandler;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::container::{ContainerTask, Running};
use super::facts::State;
use super::probes::{Verdict, http};

/// What SIGTERM has at least, however long preStop took.
const LEAST: Duration = Duration::from_secs(2);

impl ContainerTask {
    /// Ends what runs by the time that the pod was told; readiness is probed meanwhile, because requests that
    /// are on their way may still be answered.
    pub(super) async fn terminate(&mut self) {
        let Some(running) = self.running.clone() else { return };
        let (say, mut verdicts) = mpsc::channel(4);
        let stop = self.stop.clone();
        let ready = self.facts.ready;
        {
            let it = &*self;
            let mut probing = pin!(running.probes.readiness_only(ready, say));
            let mut ending = pin!(it.end(&running, deadline(stop)));
            let mut facts = it.facts.clone();
            loop {
                tokio::select! {
                    () = &mut ending => break,
                    Some(Verdict::Ready(ready)) = verdicts.recv() => {
                        facts.ready = ready;
                        it.tell(&facts);
                    }
                    never = &mut probing => match never {},
                }
            }
        }
        let ended = self.bury(&running).await;
        self.facts.state = State::Ended(ended);
    }

    /// preStop until `over`, SIGTERM until `over`, SIGKILL. Answers when the process has ended.
    pub(super) async fn end(&self, running: &Running, over: impl Future<Output = ()>) {
        let process = running.process;
        let mut gone = pin!(process.ended());
        let mut over = pin!(over);
        let hook = self.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        let mut late = false;
        if let Some(hook) = hook {
            tokio::select! {
                () = &mut gone => return,
                () = &mut over => late = true,
                () = self.pre_stop(hook) => {}
            }
        }
        process.terminate();
        let rest = async {
            if late {
                tokio::time::sleep(self.shared.options.scaled(LEAST)).await;
            } else {
                over.await;
            }
        };
        tokio::select! {
            () = &mut gone => return,
            () = rest => {}
        }
        tracing::debug!(container = self.container.name, "did not end in its grace and is killed");
        process.kill();
        gone.await;
    }

    async fn pre_stop(&self, hook: &LifecycleHandler) {
        let done = match (&hook.sleep, &hook.http_get) {
            (Some(sleep), _) => {
                tokio::time::sleep(self.shared.options.seconds(sleep.seconds)).await;
                Ok(())
            }
            // as long as the grace lasts
            (None, Some(get)) => match http(get, &self.container, self.address, Duration::from_secs(3600)) {
                Ok(probe) => probe.ask().await,
                Err(why) => Err(why),
            },
            // never started
            (None, None) => Ok(()),
        };
        if let Err(why) = done {
            tracing::warn!(container = self.container.name, why, "preStop has failed");
        }
    }
}

/// Waits for the time that it says at last.
async fn deadline(mut stop: watch::Receiver<Option<Instant>>) {
    loop {
        let at = *stop.borrow_and_update();
        let Some(at) = at else { return };
        tokio::select! {
            () = tokio::time::sleep_until(at) => return,
            changed = stop.changed() => if changed.is_err() { return },
        }
    }
}
