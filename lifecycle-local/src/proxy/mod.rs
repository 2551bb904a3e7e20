//! The reverse proxy: a process of its own, so that nothing that happens to the driver reaches a
//! request.
//!
//! It takes HTTP/1.1 on one address and passes each request on to one replica: bodies are streamed
//! both ways, switches of protocols (WebSocket) are passed through. The table that says where
//! requests go is replaced as a whole over the control socket in the proxy's directory, and kept in
//! a file there for the next start.
//!
//! | on the control socket | |
//! |---|---|
//! | `PUT /route` | a [`TableDocument`]; 200 with the [`Effective`] table, 409 when it is not newer than the one in effect |
//! | `GET /route` | the [`Effective`] table, with the requests under way at each replica |
//! | `GET /stats` | [`Stats`] since the proxy started, of the trailing `?window=MILLISECONDS`, or `?since=` the `untilMs` of an earlier answer (0 at first); with `?minutes=COUNT` also of each replica the last so many minutes |
//! | `GET /metrics` | the same for Prometheus |
//!
//! What becomes of a request:
//! - a replica that could not be reached, or whose kept connection was closed before a byte of the
//!   request was sent: another replica of the same revision has it;
//! - none of them could be reached: 502; none is ready: 503; no answer in time: 504; the connection
//!   ended without an answer: 502;
//! - a request that a replica may have seen is never sent again, but for one case: a GET, HEAD or
//!   OPTIONS without a body whose *kept* connection ended without a byte of an answer is sent once
//!   more, on a new connection and to another replica if there is one (RFC 9110, section 9.2.2). Other requests are kept off connections
//!   that the replica may be about to close, see the module `upstream` in the source.
//!
//! A request is counted when its response has ended, with the time from its head to that end.

mod admin;
mod body;
mod config;
mod counts;
mod document;
mod endpoint;
mod forward;
mod headers;
mod history;
mod metrics;
mod minutes;
mod serve;
mod table;
mod upstream;

pub use config::{Limits, ProxyConfig};
pub use counts::Totals;
pub use document::{Effective, EndpointDocument, EndpointState, RouteDocument, RouteKind, TableDocument};
pub use metrics::{RevisionStats, Stats};
pub(crate) use minutes::{MINUTE, MINUTES};
pub use serve::{ProxyError, serve, serve_file, serve_until};
