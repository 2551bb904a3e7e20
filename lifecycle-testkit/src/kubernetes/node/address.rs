//! Addresses of pods. A pod listens on `127.a.b.c`, an address of its own on this machine, and is known to
//! Kubernetes as `10.a.b.c`, because EndpointSlices refuse loopback addresses. No packet goes to the latter.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// The port of a kubelet. Holding it on a network's first address is the claim on the network.
const CLAIM_PORT: u16 = 10_250;

/// Where a pod that Kubernetes knows by this address listens: `10.a.b.c` is `127.a.b.c`, everything else is
/// itself.
///
/// ```
/// use std::net::Ipv4Addr;
/// use lifecycle_testkit::kubernetes::node::dial;
///
/// assert_eq!(dial(Ipv4Addr::new(10, 1, 2, 3)), Ipv4Addr::new(127, 1, 2, 3));
/// ```
#[must_use]
pub const fn dial(reported: Ipv4Addr) -> Ipv4Addr {
    match reported.octets() {
        [10, a, b, c] => Ipv4Addr::new(127, a, b, c),
        _ => reported,
    }
}

/// What Kubernetes knows a pod by that listens here.
pub(super) const fn reported(local: Ipv4Addr) -> Ipv4Addr {
    let [_, a, b, c] = local.octets();
    Ipv4Addr::new(10, a, b, c)
}

/// One network `127.a.0.0/16`, no other node's on this machine for as long as this value lives.
#[derive(Debug)]
pub(super) struct Addresses {
    network: u8,
    /// Its first address is the node's own.
    _claim: TcpListener,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    last: u16,
    taken: BTreeSet<u16>,
}

impl Addresses {
    /// Claims a network that nobody has.
    pub(super) fn claim() -> io::Result<Self> {
        let first = std::process::id() % 254;
        for i in 0..254 {
            // 127.0.0.0/16 has everybody's localhost
            let network = u8::try_from((first + i) % 254 + 1).unwrap_or(1);
            if let Ok(claim) = TcpListener::bind((Ipv4Addr::new(127, network, 0, 1), CLAIM_PORT)) {
                return Ok(Self { network, _claim: claim, used: Mutex::default() });
            }
        }
        let problem =
            format!("port {CLAIM_PORT} is taken in each network from 127.1.0.0/16 to 127.254.0.0/16");
        Err(io::Error::new(io::ErrorKind::AddrInUse, problem))
    }

    /// The node's own.
    pub(super) const fn node(&self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.network, 0, 1)
    }

    /// One for a pod, not used again before all others were. `None` when all are in use.
    pub(super) fn take(&self) -> Option<Ipv4Addr> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..u16::MAX {
            // 0.0 and 0.1 are the network's and the node's own
            used.last = used.last.checked_add(1).unwrap_or(2).max(2);
            let next = used.last;
            if used.taken.insert(next) {
                let [b, c] = next.to_be_bytes();
                return Some(Ipv4Addr::new(127, self.network, b, c));
            }
        }
        None
    }

    pub(super) fn give_back(&self, address: Ipv4Addr) {
        let [_, _, b, c] = address.octets();
        self.used.lock().unwrap_or_else(PoisonError::into_inner).taken.remove(&u16::from_be_bytes([b, c]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_side_by_side_have_no_address_in_common() {
        let (one, other) = (Addresses::claim().unwrap(), Addresses::claim().unwrap());
        assert_ne!(one.node(), other.node());
        assert_ne!(one.take(), other.take());
    }

    #[test]
    fn an_address_that_was_given_back_is_used_last() {
        let addresses = Addresses::claim().unwrap();
        let first = addresses.take().unwrap();
        addresses.give_back(first);
        let rest: BTreeSet<Ipv4Addr> = (0..65_533).map(|_| addresses.take().unwrap()).collect();
        assert!(!rest.contains(&first) && rest.len() == 65_533, "{first} {}", rest.len());
        assert_eq!((addresses.take(), addresses.take()), (Some(first), None));
        assert_eq!(dial(reported(first)), first);
    }
}
