//! What requests are routed by: an immutable table, replaced whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lifecycle_core::version::Revision;

use super::counts::{Counters, Counts};
use super::document::{EndpointState, RouteKind, TableDocument};
use super::endpoint::Endpoint;

/// The table in effect.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) document: TableDocument,
    /// In the order of the document.
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    routing: Routing,
}

#[derive(Debug)]
enum Routing {
    Balanced(Arm),
    Split { stable: Arm, canary: Arm, weight: u32 },
}

/// Replicas among which requests are spread equally.
#[derive(Debug)]
pub(crate) struct Arm {
    /// Who answers for a request that none of the replicas took.
    pub(crate) counters: Arc<Counters>,
    pub(crate) ready: Vec<Arc<Endpoint>>,
    next: AtomicUsize,
}

impl Table {
    /// The table of a document. Replicas that were in the table before keep their connections and
    /// their requests.
    pub(crate) fn new(document: TableDocument, before: Option<&Self>, counts: &Counts) -> Self {
        let known =
            |id: &str| before.and_then(|table| table.endpoints.iter().find(|endpoint| endpoint.id == id));
        let endpoints: Vec<Arc<Endpoint>> = document
            .endpoints
            .iter()
            .map(|entry| match known(&entry.id) {
                Some(same) if same.addr == entry.addr && same.revision == entry.revision => Arc::clone(same),
                _ => Arc::new(Endpoint::new(entry, counts.of(&entry.revision))),
            })
            .collect();
        let states = document.endpoints.iter().map(|entry| entry.state);
        let ready = || {
            endpoints
                .iter()
                .zip(states.clone())
                .filter(|(_, state)| *state == EndpointState::Ready)
                .map(|(e, _)| e)
        };
        let arm = |revision: &Option<Revision>| match revision {
            Some(revision) => Arm::new(
                counts.of(revision),
                ready().filter(|endpoint| endpoint.revision.hash == revision.hash).cloned().collect(),
            ),
            None => Arm::new(Arc::clone(&counts.unrouted), Vec::new()),
        };
        let routing = match document.route.as_ref().map(|route| &route.kind) {
            None | Some(RouteKind::Balanced) => {
                Routing::Balanced(Arm::new(Arc::clone(&counts.unrouted), ready().cloned().collect()))
            }
            Some(RouteKind::Split { stable, canary, weight }) => {
                Routing::Split { stable: arm(stable), canary: arm(canary), weight: weight.get() }
            }
        };
        Self { document, endpoints, routing }
    }

    /// Where one request goes. With a split it is drawn by lot, each independent of the others, as
    /// the statistics of a canary take for granted.
    pub(crate) fn pick(&self) -> &Arm {
        match &self.routing {
            Routing::Balanced(all) => all,
            Routing::Split { stable, weight: 0, .. } => stable,
            Routing::Split { canary, weight: 100.., .. } => canary,
            Routing::Split { stable, canary, weight } => {
                if fastrand::u32(0..100) < *weight {
                    canary
                } else {
                    stable
                }
            }
        }
    }

    /// Takes effect on the replicas of this table and of the one before: those that are not ready in
    /// this one get nothing new.
    pub(crate) fn settle(&self, before: &Self) {
        for endpoint in &before.endpoints {
            if !self.endpoints.iter().any(|kept| Arc::ptr_eq(kept, endpoint)) {
                endpoint.leave(true);
            }
        }
        for (endpoint, entry) in self.endpoints.iter().zip(&self.document.endpoints) {
            endpoint.leave(entry.state == EndpointState::Leaving);
        }
    }
}

impl Arm {
    fn new(counters: Arc<Counters>, ready: Vec<Arc<Endpoint>>) -> Self {
        Self { counters, next: AtomicUsize::new(fastrand::usize(..1 << 16)), ready }
    }

    /// The replica whose turn it is, by its index.
    pub(crate) fn turn(&self) -> Option<usize> {
        self.next.fetch_add(1, Ordering::Relaxed).checked_rem(self.ready.len())
    }

    /// The replicas to try after `first`: those of the same revision before others.
    pub(crate) fn after(&self, first: usize) -> Vec<&Arc<Endpoint>> {
        let n = self.ready.len();
        let mut rest: Vec<&Arc<Endpoint>> = (1..n).map(|i| &self.ready[(first + i) % n]).collect();
        if let Some(first) = self.ready.get(first) {
            rest.sort_by_key(|endpoint| endpoint.revision.hash != first.revision.hash);
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::backend::Token;
    use lifecycle_core::plan::Weight;
    use lifecycle_core::version::{RevisionNumber, parse_version};

    use super::super::document::{EndpointDocument, RouteDocument};
    use super::*;

    fn revision(n: u32) -> Revision {
        Revision::new(RevisionNumber(n), format!("h{n}"), parse_version(&format!("{n}")).unwrap())
    }

    fn endpoint(id: &str, of: u32, state: EndpointState) -> EndpointDocument {
        EndpointDocument::new(id, revision(of), "127.0.0.1:1".parse().unwrap(), state)
    }

    fn table(route: Option<RouteKind>, endpoints: Vec<EndpointDocument>) -> Table {
        let route = route.map(|kind| RouteDocument { token: Token(1), kind });
        Table::new(TableDocument { generation: 1, route, endpoints }, None, &Counts::new())
    }

    fn split(weight: u32) -> Option<RouteKind> {
        let weight = Weight::new(weight).unwrap();
        Some(RouteKind::Split { stable: Some(revision(1)), canary: Some(revision(2)), weight })
    }

    /// How many of 10,000 requests each replica gets.
    fn spread(table: &Table) -> Vec<(String, u32)> {
        let mut counted = std::collections::BTreeMap::new();
        for _ in 0..10_000 {
            let arm = table.pick();
            let id = arm.turn().map_or_else(|| "none".to_owned(), |i| arm.ready[i].id.clone());
            *counted.entry(id).or_default() += 1;
        }
        counted.into_iter().collect()
    }

    #[test]
    fn a_split_follows_the_weight_whatever_the_replicas() {
        use EndpointState::Ready;
        let endpoints = vec![endpoint("a", 1, Ready), endpoint("b", 1, Ready), endpoint("c", 2, Ready)];
        for weight in [1, 10, 50, 99] {
            let spread = spread(&table(split(weight), endpoints.clone()));
            let canary = spread.iter().find(|(id, _)| id == "c").map_or(0, |(_, n)| *n);
            // five standard deviations of a binomial
            let slack =
                5.0 * (10_000.0 * f64::from(weight) / 100.0 * (1.0 - f64::from(weight) / 100.0)).sqrt();
            assert!((f64::from(canary) - f64::from(weight) * 100.0).abs() < slack, "{weight}%: {spread:?}");
        }
    }

    #[test]
    fn all_or_nothing_is_exact() {
        use EndpointState::Ready;
        let endpoints = vec![endpoint("a", 1, Ready), endpoint("c", 2, Ready)];
        assert_eq!(spread(&table(split(0), endpoints.clone())), [("a".to_owned(), 10_000)]);
        assert_eq!(spread(&table(split(100), endpoints)), [("c".to_owned(), 10_000)]);
    }

    #[test]
    fn balanced_gives_every_ready_replica_the_same() {
        use EndpointState::{Leaving, Ready};
        let endpoints = vec![
            endpoint("a", 1, Ready),
            endpoint("b", 2, Ready),
            endpoint("c", 2, Leaving),
            endpoint("d", 2, Ready),
            endpoint("e", 3, Ready),
        ];
        let expected = ["a", "b", "d", "e"].map(|id| (id.to_owned(), 2500));
        assert_eq!(spread(&table(None, endpoints)), expected);
    }

    #[test]
    fn a_revision_without_a_ready_replica_gets_no_other_revisions_replica() {
        let endpoints =
            vec![endpoint("a", 1, EndpointState::Ready), endpoint("c", 2, EndpointState::Leaving)];
        assert_eq!(spread(&table(split(100), endpoints)), [("none".to_owned(), 10_000)]);
    }

    #[test]
    fn a_replica_that_leaves_admits_nothing_and_keeps_what_it_has() {
        let counts = Counts::new();
        let ready = TableDocument {
            endpoints: vec![endpoint("a", 1, EndpointState::Ready)],
            ..TableDocument::default()
        };
        let first = Table::new(ready, None, &counts);
        let held = first.endpoints[0].admit().unwrap();
        let leaving = TableDocument {
            endpoints: vec![endpoint("a", 1, EndpointState::Leaving)],
            ..TableDocument::default()
        };
        let second = Table::new(leaving, Some(&first), &counts);
        second.settle(&first);
        assert!(first.endpoints[0].admit().is_none());
        assert_eq!(second.endpoints[0].in_flight(), 1);
        drop(held);
        assert_eq!(second.endpoints[0].in_flight(), 0);
    }
}
