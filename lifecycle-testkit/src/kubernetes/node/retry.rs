//! Calls that a node makes until they are answered.

use std::time::Duration;

use super::shared::Shared;

/// Waits between two tries: the first, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// A conflict goes away by itself, or it means that the object is another one by now.
const CONFLICTS: u32 = 4;

/// Calls again until the API server has done it (`Some`), or there is nothing to do it to (`None`). A node that
/// is cut off calls once it is back.
///
/// Never gives up on a server that is away or a right that is missing: both come back.
pub(super) async fn insist<T, F: Future<Output = kube::Result<T>>>(
    shared: &Shared,
    action: &str,
    mut call: impl FnMut() -> F,
) -> Option<T> {
    let mut wait = WAITS.0;
    let mut conflicts = 0;
    loop {
        shared.connected().await;
        let error = match call().await {
            Ok(answer) => return Some(answer),
            Err(error) => error,
        };
        match &error {
            kube::Error::Api(status) if status.code == 404 => return None,
            kube::Error::Api(status) if status.code == 409 && conflicts >= CONFLICTS => return None,
            kube::Error::Api(status) if status.code == 409 => conflicts += 1,
            kube::Error::Api(status) if matches!(status.code, 400 | 422) => {
                tracing::error!(%error, action, "the API server refuses what a node says");
                return None;
            }
            _ => tracing::debug!(%error, action, "is tried again"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(WAITS.1);
    }
}
