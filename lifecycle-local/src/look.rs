//! What there is in a state directory, seen from outside: nothing is started, written or taken over.

use std::net::SocketAddr;
use std::path::Path;

use crate::control::{Client, recorded};
use crate::error::LocalError;
use crate::files::{DirLock, read_json};
use crate::paths::Paths;
use crate::process::{self, endpoint_id};
use crate::proxy::{EndpointState, ProxyConfig, TableDocument};

/// What there is in a state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// The process that supervises it: its pid, or `unknown`; `None` when nobody does.
    pub supervisor: Option<String>,
    /// Where the proxy takes requests, or did.
    pub listen: Option<SocketAddr>,
    /// The process of the proxy, `None` when it does not run.
    pub proxy_pid: Option<u32>,
    /// Does the proxy answer?
    pub answers: bool,
    /// Every replica that was started and not asked to stop.
    pub replicas: Vec<SeenReplica>,
}

/// One replica, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeenReplica {
    /// The identity of its revision.
    pub hash: String,
    /// Does its process run?
    pub runs: bool,
    /// Does it run, and did its readiness probe pass when it was asked last?
    pub ready: bool,
}

impl Seen {
    /// Does nothing run here?
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.proxy_pid.is_none() && !self.replicas.iter().any(|replica| replica.runs)
    }
}

/// Looks at a state directory from outside, whether or not somebody supervises it: at processes, and at
/// what the proxy answers.
///
/// # Errors
/// When the directory or its record of processes cannot be read.
pub async fn look(state_dir: &Path) -> Result<Seen, LocalError> {
    let paths = Paths::existing(state_dir)?;
    let (proxy, listen) = recorded(&paths.proxy()).map_or((None, None), |(process, at)| (process, Some(at)));
    let answer = Client::new(&paths.proxy()).table().await.ok();
    let answers = answer.is_some();
    let table = match (answer, listen) {
        (Some(effective), _) => Some(effective.table),
        // What it routed by last says which replicas were ready.
        (None, Some(listen)) => {
            read_json::<TableDocument>(&ProxyConfig::new(paths.proxy(), listen).table()).ok().flatten()
        }
        (None, None) => None,
    };
    let listed = |id: &str| {
        let endpoints = table.as_ref().map_or(&[][..], |table| &table.endpoints);
        endpoints.iter().any(|endpoint| endpoint.id == id && endpoint.state == EndpointState::Ready)
    };
    let ledger = process::read(&paths.ledger())?;
    let replicas = ledger.iter().flat_map(|ledger| &ledger.replicas);
    let replicas = replicas.filter(|(_, replica)| replica.drain_until_ms.is_none()).map(|(id, replica)| {
        let runs = replica.process.is_some_and(|process| process.is_alive());
        let ready = runs && listed(&endpoint_id(*id, replica.starts));
        SeenReplica { hash: replica.hash.clone(), runs, ready }
    });
    Ok(Seen {
        supervisor: DirLock::holder(&paths.lock_file()),
        listen,
        proxy_pid: proxy.map(|process| process.pid),
        answers,
        replicas: replicas.collect(),
    })
}
