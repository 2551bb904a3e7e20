//! Constant load, every answer of which is looked at.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::http::{Connection, request};

/// Requests that go on until [`Load::end`].
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    clients: JoinSet<Seen>,
}

/// What the clients saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How often each body came with status 200.
    pub(crate) bodies: BTreeMap<String, u64>,
    /// Everything else.
    pub(crate) failures: Vec<String>,
}

impl Load {
    /// So many clients, each with a kept connection, each asking for these paths in turn.
    pub(crate) fn start(
        addr: SocketAddr,
        clients: usize,
        paths: &'static [(&'static str, &'static str)],
    ) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut set = JoinSet::new();
        for _ in 0..clients {
            set.spawn(client(addr, paths, Arc::clone(&stop), Arc::clone(&sent)));
        }
        Self { stop, sent, clients: set }
    }

    /// Waits until this many more requests were answered.
    pub(crate) async fn more(&self, requests: u64) {
        let upto = self.sent.load(Ordering::Relaxed) + requests;
        super::soon("load", async {
            while self.sent.load(Ordering::Relaxed) < upto {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    pub(crate) async fn end(mut self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        while let Some(seen) = super::soon("the last requests", self.clients.join_next()).await {
            let seen = seen.unwrap();
            for (body, n) in seen.bodies {
                *all.bodies.entry(body).or_default() += n;
            }
            all.failures.extend(seen.failures);
        }
        all
    }
}

impl Seen {
    pub(crate) fn total(&self) -> u64 {
        self.bodies.values().sum::<u64>() + self.failures.len() as u64
    }
}

async fn client(
    addr: SocketAddr,
    paths: &[(&'static str, &'static str)],
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
) -> Seen {
    let mut seen = Seen::default();
    let mut connection = None;
    for (method, path) in paths.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut open = match connection.take() {
            Some(open) => open,
            None => match Connection::open(addr).await {
                Ok(open) => open,
                Err(why) => {
                    seen.failures.push(why);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
            },
        };
        let call = open.call(request(method, path, if *method == "POST" { "posted" } else { "" }));
        match tokio::time::timeout(Duration::from_secs(10), call)
            .await
            .unwrap_or_else(|_| Err("no answer in 10 s".into()))
        {
            Ok(answer) if answer.status == 200 => {
                *seen.bodies.entry(answer.body).or_default() += 1;
                connection = Some(open);
            }
            Ok(answer) => {
                seen.failures.push(format!("{method} {path}: {} {}", answer.status, answer.body.trim()));
                connection = Some(open);
            }
            Err(why) => seen.failures.push(format!("{method} {path}: {why}")),
        }
        sent.fetch_add(1, Ordering::Relaxed);
    }
    seen
}
