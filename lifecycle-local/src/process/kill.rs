//! Killing whatever was started for a state directory.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::TOKEN_VARIABLE;
use super::procfs::{ProcessId, find_by_variable};
use crate::error::LocalError;

/// Kills every process whose token begins with this name and a `-`, until none is left: a ledger's
/// name, or that of whoever started them by [`Launch`](super::spawn::Launch). Says how many there were.
/// Blocks for as long as they take to end.
///
/// # Errors
/// When one of them does not end in this time.
pub fn kill_all(name: &str, patience: Duration) -> Result<usize, LocalError> {
    let deadline = Instant::now() + patience;
    let prefix = format!("{name}-");
    let mut killed = BTreeSet::new();
    loop {
        let found = find_by_variable(TOKEN_VARIABLE, &prefix)
            .map_err(|source| LocalError::file("read", "/proc", source))?;
        // Those of this program would stay behind as zombies for as long as it lives. Only what is dead
        // is asked, and what is not found any more is dead.
        for process in &killed {
            ProcessId::reap(*process);
        }
        if found.is_empty() {
            return Ok(killed.len());
        }
        if Instant::now() > deadline {
            return Err(LocalError::Alive(found.len()));
        }
        for (process, _) in found {
            process.signal(Signal::KILL);
            killed.insert(process);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Kills what a process of this token left behind: processes that it started and that left its group.
/// Answers once they are gone, or after a second.
pub async fn kill_rest(token: &str) {
    for _ in 0..200 {
        let found = find_by_variable(TOKEN_VARIABLE, token).unwrap_or_default();
        // r1.1 also begins r1.10
        let mut ours = found.into_iter().filter(|(_, value)| value == token).peekable();
        if ours.peek().is_none() {
            return;
        }
        ours.for_each(|(process, _)| process.signal(Signal::KILL));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn what_this_program_has_started_leaves_no_zombies_when_all_is_killed() {
        let name = format!("{:016x}", fastrand::u64(..));
        let start = |n: u32| {
            let token = format!("{name}-r{n}.1");
            let mut sleep = Command::new("sleep");
            // Like a replica, it is nobody's to wait for.
            drop(sleep.arg("600").env(TOKEN_VARIABLE, token).process_group(0).spawn().unwrap());
        };
        (0..8).for_each(start);
        // Between fork and exec a process still has its parent's environment.
        let deadline = Instant::now() + Duration::from_secs(5);
        let started = loop {
            let found = find_by_variable(TOKEN_VARIABLE, &name).unwrap();
            if found.len() == 8 {
                break found;
            }
            assert!(Instant::now() < deadline, "{found:?}");
        };
        assert_eq!(kill_all(&name, Duration::from_secs(5)).unwrap(), 8);
        let left = |(process, _): &(ProcessId, String)| ProcessId::of(process.pid) == Some(*process);
        assert_eq!(started.iter().filter(|started| left(started)).count(), 0, "zombies are left");
    }
}
