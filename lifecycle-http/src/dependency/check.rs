//! What can be checked.

use std::fmt::Debug;

use async_trait::async_trait;
use tokio::net::{TcpStream, lookup_host};

use crate::answer::CheckFailure;
use crate::client::of_io;
use crate::error::{ConfigError, quoted};
use crate::probe::Failure;

/// Something that a service cannot do without, or not do well.
///
/// # Contract
/// - `Ok` means that it can be used now. The reason of an `Err` is shown to anybody who can ask for `/ready`.
/// - It is dropped when its timeout is up, so it must be cancel safe, and leave no work behind.
/// - It must not block its thread. One that does is reported as failed at the deadline, but goes on.
/// - It is called as often as results are [kept](super::DependenciesBuilder::keep), however often `/ready` is
///   asked for, and should cost no more than a `SELECT 1`.
///
/// # Example
/// ```
/// use async_trait::async_trait;
/// use lifecycle_http::{CheckFailure, DependencyCheck};
/// # #[derive(Debug)] struct Pool;
/// # impl Pool { async fn ping(&self) -> std::io::Result<()> { Ok(()) } }
///
/// #[derive(Debug)]
/// struct Database(Pool);
///
/// #[async_trait]
/// impl DependencyCheck for Database {
///     async fn check(&self) -> Result<(), CheckFailure> {
///         self.0.ping().await.map_err(|error| CheckFailure::new("no answer").because(&error.to_string()))
///     }
/// }
/// ```
#[async_trait]
pub trait DependencyCheck: Send + Sync + Debug {
    /// Can it be used?
    async fn check(&self) -> Result<(), CheckFailure>;
}

/// Connects to a TCP port and closes the connection at once. That somebody listens there is all that it says:
/// a database that takes connections may still refuse queries.
///
/// # Example
/// ```
/// # use lifecycle_http::TcpCheck;
/// let redis = TcpCheck::new("redis:6379")?;
/// assert_eq!(
///     TcpCheck::new("redis://redis:6379").unwrap_err().to_string(),
///     "address: \"redis://redis:6379\" is not a host and a port: write them like redis:6379 or [::1]:6379",
/// );
/// # let _ = redis;
/// # Ok::<(), lifecycle_http::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TcpCheck {
    host: String,
    port: u16,
}

impl TcpCheck {
    /// A check of this host (a name or an address) and port, `host:port`.
    ///
    /// # Errors
    /// When it is not a host and a port from 1 to 65535.
    pub fn new(address: &str) -> Result<Self, ConfigError> {
        parse(address).ok_or_else(|| {
            let accepted = "write them like redis:6379 or [::1]:6379";
            ConfigError::new("address", format!("{} is not a host and a port: {accepted}", quoted(address)))
        })
    }
}

fn parse(address: &str) -> Option<TcpCheck> {
    let (host, port) = address.rsplit_once(':')?;
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let fits = match in_brackets {
        Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)),
    };
    // Not what else numbers are parsed from: `+80`.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port > 0)?;
    fits.then(|| TcpCheck { host: in_brackets.unwrap_or(host).to_owned(), port })
}

#[async_trait]
impl DependencyCheck for TcpCheck {
    async fn check(&self) -> Result<(), CheckFailure> {
        let failed = |why: Failure, error: std::io::Error| {
            CheckFailure::new(&why.to_string()).because(&format!("{}:{}: {error}", self.host, self.port))
        };
        let addresses = lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<_> = addresses.map_err(|error| failed(Failure::Unresolved, error))?.collect();
        match TcpStream::connect(&addresses[..]).await {
            Ok(_closed) => Ok(()),
            Err(error) => Err(failed(of_io(&error).unwrap_or(Failure::Other), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for (address, expected) in [
            ("db:5432", Some(("db", 5432))),
            ("db.prod.svc:1", Some(("db.prod.svc", 1))),
            ("127.0.0.1:65535", Some(("127.0.0.1", 65_535))),
            ("[::1]:6379", Some(("::1", 6379))),
            ("", None),
            ("db", None),
            (":5432", None),
            ("db:", None),
            ("db:0", None),
            ("db:+80", None),
            ("db:65536", None),
            ("::1:6379", None),
            ("[db]:1", None),
            ("redis://redis:6379", None),
            ("me:secret@db:5432", None),
            ("unix:/run/db.sock", None),
            ("d b:1", None),
        ] {
            let parsed = TcpCheck::new(address);
            let parsed = parsed.as_ref().ok().map(|check| (check.host.as_str(), check.port));
            assert_eq!(parsed, expected, "{address}");
        }
    }
}
