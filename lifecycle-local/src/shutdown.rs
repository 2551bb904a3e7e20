//! Stopping everything that was started for a state directory.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::config::LocalConfig;
use crate::control::ProxyHandle;
use crate::error::LocalError;
use crate::files::{Durable, replace_json};
use crate::paths::Paths;
use crate::process;
use crate::process::kill::kill_all;
use crate::process::procfs::ProcessId;

/// Everything was stopped.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ShutDown {
    /// Why that could not be recorded: a full disk, or one that may only be read. The next
    /// [`Local::open`](crate::Local::open) finds out by itself.
    pub unrecorded: Option<LocalError>,
}

/// Stops everything that was started for a state directory which nobody supervises now: the proxy
/// finishes its requests, then all replicas get SIGTERM, and after the grace SIGKILL. The sizes of the
/// groups are kept: opening the directory again starts them.
///
/// A disk that cannot be written keeps nothing running.
///
/// # Errors
/// When a program supervises it, a file cannot be read, or a process does not end.
pub async fn shut_down(config: &LocalConfig) -> Result<ShutDown, LocalError> {
    let paths = Paths::existing(&config.state_dir)?;
    let _lock = paths.lock()?;
    let Some(mut ledger) = process::read(&paths.ledger())? else { return Ok(ShutDown::default()) };
    let proxy = ProxyHandle::new(config, &paths.proxy(), &ledger.name);
    proxy.stop().await;
    let recorded = ledger.replicas.values().filter_map(|replica| replica.process);
    let recorded: Vec<ProcessId> = recorded.filter(|process| process.is_alive()).collect();
    for process in &recorded {
        process.signal_group(Signal::TERM);
    }
    let ended = async {
        for process in &recorded {
            process.ended().await;
        }
    };
    // those that are left are killed below
    let _ = tokio::time::timeout(config.grace, ended).await;
    for process in &recorded {
        process.signal_group(Signal::KILL);
        process.ended().await;
        process.reap();
    }
    kill_all(&ledger.name, Duration::from_secs(5))?;
    ledger.replicas.clear();
    let written = replace_json(&paths.ledger(), &ledger, Durable::Disk);
    Ok(ShutDown { unrecorded: written.and_then(|()| proxy.forget_endpoints()).err() })
}

/// Removes what this backend has written into a state directory where everything was stopped, and the
/// directory when nothing else is in it.
///
/// # Errors
/// When a program supervises it, or a file cannot be removed.
pub fn forget(state_dir: &Path) -> Result<(), LocalError> {
    let paths = Paths::existing(state_dir)?;
    let _lock = paths.lock()?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| LocalError::file("remove", path, source)
    };
    for dir in [paths.logs(), paths.proxy()] {
        gone(fs::remove_dir_all(&dir)).map_err(failed(&dir))?;
    }
    for file in [paths.ledger(), paths.alerts(), paths.lock_file()] {
        gone(fs::remove_file(&file)).map_err(failed(&file))?;
    }
    match fs::remove_dir(&paths.dir) {
        // what is left is not ours
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed.map_err(failed(&paths.dir)),
    }
}

/// What is not there need not be removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
