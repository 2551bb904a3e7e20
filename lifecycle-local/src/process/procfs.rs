//! Processes as the system knows them. A process is told from every other by its pid *and* the time
//! it was started at: pids are used again.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, kill_process_group, pidfd_open, waitpid,
};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// One process: told from every other by its pid *and* the time it was started at, because pids are
/// used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    pub(crate) pid: u32,
    /// Clock ticks from the start of the system to the start of the process.
    pub(crate) start: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a process ends in one of these ways")]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// Somebody else was told.
    Unknown,
}

struct Stat {
    /// Has it ended, and was nobody told yet?
    dead: bool,
    start: u64,
}

/// Tells this run of the system from every other: after a restart pids and start times repeat.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and can hold anything, also parentheses.
    let after_name = text.iter().rposition(|byte| *byte == b')')? + 1;
    let rest = std::str::from_utf8(&text[after_name..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    // of proc_pid_stat(5): the state is field 3, the number of threads 20, the start 22
    let state = fields.next()?;
    let threads: u32 = fields.nth(16)?.parse().ok()?;
    let start = fields.nth(1)?.parse().ok()?;
    // the first thread may end before others
    Some(Stat { dead: matches!(state, "Z" | "X") && threads <= 1, start })
}

impl ProcessId {
    /// The process that has this pid now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        stat(pid).map(|stat| Self { pid, start: stat.start })
    }

    /// Its number.
    #[must_use]
    pub const fn pid(self) -> u32 {
        self.pid
    }

    /// Asks it to end: SIGTERM to the process and its group. Nobody is signalled when it is gone.
    pub fn terminate(self) {
        self.signal_group(Signal::TERM);
    }

    /// Ends it: SIGKILL to the process and its group. Nobody is signalled when it is gone.
    pub fn kill(self) {
        self.signal_group(Signal::KILL);
    }

    /// Does it run? A process that has ended and was not asked about yet (a zombie) does not.
    #[must_use]
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start == self.start && !stat.dead)
    }

    /// Does the pid still belong to it, alive or dead?
    fn is_held(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start == self.start)
    }

    fn raw(self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }

    /// Sends a signal to the process and its group (each of our processes leads one). Nobody is
    /// signalled when the process is gone.
    pub(crate) fn signal_group(self, signal: Signal) {
        if let (true, Some(pid)) = (self.is_held(), self.raw())
            && kill_process_group(pid, signal).is_err()
        {
            let _ = kill_process(pid, signal);
        }
    }

    /// Sends a signal to the process alone.
    pub(crate) fn signal(self, signal: Signal) {
        if let (true, Some(pid)) = (self.is_held(), self.raw()) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits until it has ended.
    pub async fn ended(self) {
        if let Some(descriptor) = self.descriptor().and_then(register)
            && (!self.is_alive() || descriptor.readable().await.is_ok())
        {
            return;
        }
        // systems without pidfd_open
        while self.is_alive() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn descriptor(self) -> Option<OwnedFd> {
        // checked after it was opened: from then on the descriptor is this process, whoever has the pid
        let descriptor = pidfd_open(self.raw()?, PidfdFlags::empty()).ok()?;
        self.is_held().then_some(descriptor)
    }

    /// Asks how it ended; the system forgets it then. Only its parent is told. Another child that got
    /// the pid after it is left for whoever waits for that one.
    pub fn reap(self) -> Exit {
        let Some(pid) = self.raw().filter(|_| self.is_held()) else { return Exit::Unknown };
        match waitpid(Some(pid), WaitOptions::NOHANG) {
            Ok(Some((_, status))) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Status(code),
                (None, Some(signal)) => Exit::Signal(signal),
                (None, None) => Exit::Unknown,
            },
            Ok(None) | Err(_) => Exit::Unknown,
        }
    }
}

/// The end of the process makes its descriptor readable.
#[expect(
    deprecated,
    reason = "the new name is unsafe for types that do not own what they register; this one does"
)]
fn register(descriptor: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE).ok()
}

/// All processes that were started with a value of this variable that begins with `prefix`.
///
/// # Errors
/// When the list of processes cannot be read.
pub(crate) fn find_by_variable(variable: &str, prefix: &str) -> io::Result<Vec<(ProcessId, String)>> {
    let wanted = format!("{variable}={prefix}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Start time before environment: a pid that changes hands in between does not match later.
        let Some(process) = ProcessId::of(pid) else { continue };
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        let mut variables = environment.split(|byte| *byte == 0);
        let value = variables.find(|pair| pair.starts_with(wanted.as_bytes()));
        if let Some(value) = value
            && process.is_alive()
        {
            found.push((process, String::from_utf8_lossy(&value[variable.len() + 1..]).into_owned()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use super::*;

    /// A process that is killed whatever becomes of the test.
    struct Sleeper(Child);

    impl Sleeper {
        fn start(token: &str) -> Self {
            Self(Command::new("sleep").arg("600").env("PROCFS_TEST", token).process_group(0).spawn().unwrap())
        }

        fn id(&self) -> ProcessId {
            ProcessId::of(self.0.id()).unwrap()
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_pid_that_was_used_again_is_another_process() {
        let sleeper = Sleeper::start("reuse");
        let process = sleeper.id();
        let before = ProcessId { start: process.start - 1, ..process };
        assert!(process.is_alive() && !before.is_alive());
        before.signal_group(Signal::KILL);
        before.signal(Signal::KILL);
        assert!(process.is_alive(), "a signal for the process that had the pid before reached this one");
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_seen_and_its_status_told_once() {
        let sleeper = Sleeper::start("ended");
        let process = sleeper.id();
        process.signal_group(Signal::TERM);
        tokio::time::timeout(Duration::from_secs(5), process.ended()).await.unwrap();
        assert!(!process.is_alive());
        assert_eq!((process.reap(), process.reap()), (Exit::Signal(15), Exit::Unknown));
    }

    #[test]
    fn processes_are_found_by_what_they_were_started_with() {
        let (one, two) = (Sleeper::start("find-1"), Sleeper::start("find-2"));
        // between fork and exec a process still has its parent's environment
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        loop {
            let mut found = find_by_variable("PROCFS_TEST", "find-").unwrap();
            found.sort_by(|a, b| a.1.cmp(&b.1));
            if found == [(one.id(), "find-1".to_owned()), (two.id(), "find-2".to_owned())] {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{found:?}");
        }
    }
}
