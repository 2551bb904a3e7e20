//! All checks once, side by side.

use std::sync::Arc;
use std::time::Duration;

use lifecycle_core::time::Millis;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::check::DependencyCheck;
use crate::answer::{CheckFailure, CheckResult, ReadyReport};

/// One dependency.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) required: bool,
    pub(super) timeout: Millis,
    pub(super) check: Arc<dyn DependencyCheck>,
}

impl Entry {
    fn result(&self, result: Result<(), CheckFailure>) -> (Arc<str>, CheckResult) {
        let result =
            if self.required { CheckResult::required(result) } else { CheckResult::optional(result) };
        (Arc::clone(&self.name), result)
    }
}

/// Each check in a task of its own, so that one that panics or blocks spoils no other.
pub(super) async fn run(entries: &[Entry], deadline: Millis) -> ReadyReport {
    let until = Instant::now() + Duration::from(deadline);
    let mut tasks = JoinSet::new();
    let ids: Vec<_> = entries.iter().map(|entry| tasks.spawn(one(entry.clone())).id()).collect();
    let late = || CheckFailure::new(&format!("no answer within {deadline}"));
    let mut results: Vec<Result<(), CheckFailure>> = entries.iter().map(|_| Err(late())).collect();
    while let Ok(Some(ended)) = timeout_at(until, tasks.join_next_with_id()).await {
        let (id, result) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                (error.id(), Err(CheckFailure::new("the check broke off").because(&error.to_string())))
            }
        };
        if let Some(place) = ids.iter().position(|known| *known == id) {
            results[place] = result;
        }
    }
    ReadyReport::new(entries.iter().zip(results).map(|(entry, result)| entry.result(result)))
}

/// Of all of them, when none was checked.
pub(super) fn without(entries: &[Entry], why: &str) -> ReadyReport {
    ReadyReport::new(entries.iter().map(|entry| entry.result(Err(CheckFailure::new(why)))))
}

async fn one(entry: Entry) -> Result<(), CheckFailure> {
    let late = |_| Err(CheckFailure::new(&format!("no answer within {}", entry.timeout)));
    timeout(entry.timeout.into(), entry.check.check()).await.unwrap_or_else(late)
}
