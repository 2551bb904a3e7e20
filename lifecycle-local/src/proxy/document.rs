//! The table as it is written: on the control socket and in the file.

use std::net::SocketAddr;

use lifecycle_core::backend::{Route, RouteStatus, RouteWish, Token};
use lifecycle_core::plan::Weight;
use lifecycle_core::version::Revision;
use serde::{Deserialize, Serialize};

/// All that the proxy routes by. Always written whole, so that no request sees half of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TableDocument {
    /// Grows with every change of the table, whoever asked for it: a lower one is refused.
    pub generation: u64,
    /// The wish of the router with its own token; without one every ready replica gets an equal share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteDocument>,
    /// The replicas.
    #[serde(default)]
    pub endpoints: Vec<EndpointDocument>,
}

/// Where requests go, and the token of the wish that this came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RouteDocument {
    /// The router's token.
    pub token: Token,
    /// Where requests go.
    #[serde(flatten)]
    pub kind: RouteKind,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
#[non_exhaustive]
pub enum RouteKind {
    /// Every ready replica gets an equal share.
    Balanced,
    /// `weight` percent to the canary, the rest to stable.
    Split {
        /// Gets the rest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stable: Option<Revision>,
        /// Gets `weight`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        canary: Option<Revision>,
        /// Percent.
        weight: Weight,
    },
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EndpointDocument {
    /// Tells it from every replica that ever was.
    pub id: String,
    /// What it runs.
    pub revision: Revision,
    /// Where it listens.
    pub addr: SocketAddr,
    /// Does it get requests?
    pub state: EndpointState,
}

/// Does a replica get requests?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum EndpointState {
    /// It does.
    Ready,
    /// No new ones; it finishes those it has.
    Leaving,
}

impl RouteDocument {
    /// The wish of a router.
    #[must_use]
    pub fn of(wish: &RouteWish) -> Self {
        let kind = match &wish.route {
            Route::Split { stable, canary, weight } => {
                RouteKind::Split { stable: stable.clone(), canary: canary.clone(), weight: *weight }
            }
            // a kind of route that this proxy does not know cannot come from a router that only
            // claims weights; equal shares is what it would do without any
            _ => RouteKind::Balanced,
        };
        Self { token: wish.token, kind }
    }

    /// The route that is in effect when the proxy answers with this.
    #[must_use]
    pub fn status(&self) -> RouteStatus {
        let route = match &self.kind {
            RouteKind::Balanced => Route::Balanced,
            RouteKind::Split { stable, canary, weight } => {
                Route::Split { stable: stable.clone(), canary: canary.clone(), weight: *weight }
            }
        };
        RouteStatus::new(route, self.token)
    }
}

impl EndpointDocument {
    /// A replica of this revision.
    #[must_use]
    pub fn new(id: impl Into<String>, revision: Revision, addr: SocketAddr, state: EndpointState) -> Self {
        Self { id: id.into(), revision, addr, state }
    }
}

/// What the proxy answers to `GET /route` and `PUT /route`: the table in effect, and what is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Effective {
    /// Tells this run of the proxy from every other.
    pub instance: String,
    /// Where it takes requests.
    pub listen: SocketAddr,
    /// The table it routes by.
    #[serde(flatten)]
    pub table: TableDocument,
    /// Requests under way, by replica, in the order of the table.
    pub in_flight: Vec<u64>,
    /// Why a table could not be written to its file, while that is so. It is in effect all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_persisted: Option<String>,
}

impl Effective {
    /// Requests under way at this replica; a replica that is not in the table has none that matter.
    #[must_use]
    pub fn in_flight_of(&self, id: &str) -> u64 {
        let position = self.table.endpoints.iter().position(|endpoint| endpoint.id == id);
        position.and_then(|i| self.in_flight.get(i)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use lifecycle_core::version::{RevisionNumber, parse_version};

    use super::*;

    #[test]
    fn a_table_reads_back_as_it_was_written() {
        let revision = Revision::new(RevisionNumber(3), "abc", parse_version("1.5.0").unwrap());
        let wish = RouteWish::new(
            Route::Split { stable: None, canary: Some(revision.clone()), weight: Weight::FULL },
            Token(7),
        );
        let route = RouteDocument::of(&wish);
        assert_eq!(route.status(), RouteStatus::new(wish.route.clone(), wish.token));
        let addr = "127.0.0.1:9".parse().unwrap();
        let endpoints = vec![EndpointDocument::new("r-1", revision, addr, EndpointState::Leaving)];
        let table = TableDocument { generation: 4, route: Some(route), endpoints };
        let text = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<TableDocument>(&text).unwrap(), table, "{text}");
        let effective =
            Effective { instance: "i".into(), listen: addr, table, in_flight: vec![2], not_persisted: None };
        let text = serde_json::to_string(&effective).unwrap();
        assert_eq!(serde_json::from_str::<Effective>(&text).unwrap(), effective, "{text}");
        assert_eq!((effective.in_flight_of("r-1"), effective.in_flight_of("r-2")), (2, 0));
    }
}
