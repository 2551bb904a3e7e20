//! What the tests share.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "no test uses all of it; one that fails says so by panicking"
)]
#![allow(missing_docs, unreachable_pub, reason = "for tests only")]

pub mod server;
pub mod tls;

use std::time::{Duration, Instant};

/// For answers that never come; long enough for what comes before them on a busy machine.
pub const SHORT: Duration = Duration::from_secs(1);

/// Long enough for anything that does come, on the busiest machine.
pub const LONG: Duration = Duration::from_secs(20);

/// Waits until this holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
