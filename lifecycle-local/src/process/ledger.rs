//! What the supervisor must know after it was killed: one file, replaced whole.
//!
//! A replica is written down with its token before its process is started, and with the pid and start
//! time of the process before it counts. So at any time each process is either in the ledger or can
//! be found by a token in its environment that begins with the ledger's own name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use lifecycle_core::backend::{ScaleWish, Token};
use lifecycle_core::version::{Revision, Version};
use serde::{Deserialize, Serialize};

use super::procfs::ProcessId;
use crate::config::LOOPBACK;
use crate::template::ProcessTemplate;

/// The form of the file; a newer one is refused.
pub(crate) const FORMAT: u32 = 1;
/// Empty groups that are remembered for their token, and templates that are kept for rollbacks.
const REMEMBERED: usize = 100;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ledger {
    pub(crate) format: u32,
    /// Begins the token of every process of this state directory.
    pub(crate) name: String,
    /// The run of the system that pids belong to.
    pub(crate) boot: String,
    pub(crate) next_replica: u64,
    pub(crate) next_template: u64,
    /// Wishes for unknown groups up to this token are late: the group was there and was forgotten.
    pub(crate) forgotten: Token,
    /// By revision hash.
    pub(crate) templates: BTreeMap<String, Registered>,
    /// By revision hash.
    pub(crate) groups: BTreeMap<String, Group>,
    /// By number.
    pub(crate) replicas: BTreeMap<u64, Replica>,
}

/// What a revision runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Registered {
    pub(crate) version: Version,
    pub(crate) template: ProcessTemplate,
    /// Order of registration.
    pub(crate) order: u64,
}

/// The newest wish for one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Group {
    pub(crate) revision: Revision,
    pub(crate) replicas: u32,
    pub(crate) token: Token,
    pub(crate) drain_ms: u64,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Replica {
    pub(crate) hash: String,
    /// How often it was started, with this time.
    pub(crate) starts: u32,
    pub(crate) port: u16,
    /// `None` before the process was started, and after it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<ProcessId>,
    /// Milliseconds since the Unix epoch.
    pub(crate) started_ms: u64,
    pub(crate) failed_attempts: u32,
    /// It was asked to stop; its requests may go on until this time, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drain_until_ms: Option<u64>,
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

impl Ledger {
    pub(crate) fn new(boot: String) -> Self {
        Self {
            format: FORMAT,
            name: format!("{:016x}", fastrand::u64(..)),
            boot,
            next_replica: 1,
            next_template: 1,
            forgotten: Token::default(),
            templates: BTreeMap::new(),
            groups: BTreeMap::new(),
            replicas: BTreeMap::new(),
        }
    }

    /// The token in the environment of a replica's process: another one for each start.
    pub(crate) fn token(&self, id: u64, replica: &Replica) -> String {
        format!("{}-{}", self.name, endpoint_id(id, replica.starts))
    }

    /// Replicas of a group that were not asked to stop.
    pub(crate) fn created<'a>(&'a self, hash: &'a str) -> impl Iterator<Item = (u64, &'a Replica)> {
        self.replicas
            .iter()
            .filter(move |(_, r)| r.hash == hash && r.drain_until_ms.is_none())
            .map(|(id, r)| (*id, r))
    }

    /// Records a wish. `false` when it is late, and nothing changed.
    pub(crate) fn wish(&mut self, wish: &ScaleWish) -> bool {
        let hash = wish.revision.hash.to_string();
        match self.groups.get(&hash) {
            Some(group) if wish.token < group.token => return false,
            None if wish.token <= self.forgotten && self.forgotten > Token::default() => return false,
            Some(group) if wish.token == group.token => return true,
            _ => {}
        }
        let group = Group {
            revision: wish.revision.clone(),
            replicas: wish.replicas,
            token: wish.token,
            drain_ms: wish.drain.get(),
        };
        self.groups.insert(hash, group);
        self.forget();
        true
    }

    /// Keeps a template for this revision.
    pub(crate) fn register(&mut self, hash: &str, version: Version, template: ProcessTemplate) {
        let order = self.next_template;
        self.next_template += 1;
        self.templates.insert(hash.to_owned(), Registered { version, template, order });
        self.forget();
    }

    /// Adds a replica that is to be started.
    pub(crate) fn add(&mut self, hash: &str) -> u64 {
        let id = self.next_replica;
        self.next_replica += 1;
        let replica = Replica {
            hash: hash.to_owned(),
            starts: 0,
            port: 0,
            process: None,
            started_ms: 0,
            failed_attempts: 0,
            drain_until_ms: None,
        };
        self.replicas.insert(id, replica);
        id
    }

    /// Ports that replicas have.
    pub(crate) fn ports(&self) -> BTreeSet<u16> {
        self.replicas.values().map(|replica| replica.port).collect()
    }

    fn forget(&mut self) {
        let used: BTreeSet<String> = self.replicas.values().map(|replica| replica.hash.clone()).collect();
        let empty = |(hash, group): (&String, &Group)| {
            (group.replicas == 0 && !used.contains(hash)).then(|| (group.token, hash.clone()))
        };
        let mut groups: Vec<(Token, String)> = self.groups.iter().filter_map(empty).collect();
        groups.sort();
        for (token, hash) in groups.iter().take(groups.len().saturating_sub(REMEMBERED)) {
            self.groups.remove(hash);
            self.forgotten = self.forgotten.max(*token);
        }
        let wanted = |hash: &String| {
            used.contains(hash) || self.groups.get(hash).is_some_and(|group| group.replicas > 0)
        };
        let mut templates: Vec<(u64, String)> = self
            .templates
            .iter()
            .filter(|(hash, _)| !wanted(hash))
            .map(|(hash, t)| (t.order, hash.clone()))
            .collect();
        templates.sort();
        for (_, hash) in templates.iter().take(templates.len().saturating_sub(REMEMBERED)) {
            self.templates.remove(hash);
        }
    }
}

impl Replica {
    pub(crate) fn addr(&self) -> SocketAddr {
        SocketAddr::new(LOOPBACK, self.port)
    }
}

/// What the proxy calls one start of a replica.
pub(crate) fn endpoint_id(id: u64, starts: u32) -> String {
    format!("r{id}.{starts}")
}

#[cfg(test)]
mod tests {
    use lifecycle_core::time::Millis;
    use lifecycle_core::version::{RevisionNumber, parse_version};

    use super::*;

    fn wish(n: u32, replicas: u32, token: u64) -> ScaleWish {
        let revision = Revision::new(RevisionNumber(n), format!("h{n}"), parse_version("1.0.0").unwrap());
        ScaleWish::new(revision, replicas, Token(token), Millis::ZERO)
    }

    #[test]
    fn a_late_wish_changes_nothing() {
        let mut ledger = Ledger::new(String::new());
        assert!(ledger.wish(&wish(1, 3, 5)));
        assert!(!ledger.wish(&wish(1, 1, 4)));
        assert!(ledger.wish(&wish(1, 9, 5)), "a repetition");
        assert_eq!(ledger.groups["h1"].replicas, 3);
        assert!(ledger.wish(&wish(2, 1, 1)), "another group has tokens of its own");
    }

    #[test]
    fn what_is_forgotten_is_bounded_and_fenced() {
        let mut ledger = Ledger::new(String::new());
        for n in 1..=300 {
            ledger.register(
                &format!("h{n}"),
                parse_version("1.0.0").unwrap(),
                ProcessTemplate::new(["true"]),
            );
            assert!(ledger.wish(&wish(n, 1, u64::from(n) * 2)));
            assert!(ledger.wish(&wish(n, 0, u64::from(n) * 2 + 1)));
        }
        assert!(ledger.groups.len() <= REMEMBERED + 1 && ledger.templates.len() <= REMEMBERED + 1);
        assert!(!ledger.wish(&wish(1, 5, 2)), "a late writer revived a forgotten group");
        assert!(ledger.wish(&wish(1, 5, 1000)));
    }
}
