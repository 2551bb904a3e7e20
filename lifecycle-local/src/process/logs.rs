//! Log files of replicas: appended to by the processes themselves, so that they outlive the
//! supervisor, and kept small from the outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Log files that are kept, old ones of replicas that are gone included.
const FILES: usize = 64;

/// Turns a log over when it is larger than `limit`: what is in it is copied to `NAME.1`, and it goes
/// on empty. A line written between the two is lost.
pub(crate) fn turn_over(log: &Path, limit: u64) -> std::io::Result<()> {
    if fs::metadata(log)?.len() <= limit {
        return Ok(());
    }
    let mut old = log.as_os_str().to_owned();
    old.push(".1");
    // without room for the copy the old lines are given up: the application must be able to go on
    let copied = fs::copy(log, PathBuf::from(&old));
    // the process appends, so that its next line is at the beginning
    fs::OpenOptions::new().write(true).open(log)?.set_len(0)?;
    copied.map(drop)
}

/// Removes the oldest log files beyond the limit.
pub(crate) fn prune(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut files: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    files.sort();
    for (_, path) in files.iter().take(files.len().saturating_sub(FILES)) {
        // one that cannot be removed is tried again the next time
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_log_that_is_too_large_goes_on_empty() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        let mut writer = fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
        writer.write_all(b"0123456789").unwrap();
        turn_over(&log, 10).unwrap();
        assert_eq!(fs::read(&log).unwrap(), b"0123456789");
        turn_over(&log, 9).unwrap();
        writer.write_all(b"next").unwrap();
        assert_eq!(fs::read(&log).unwrap(), b"next");
        assert_eq!(fs::read(dir.path().join("a.log.1")).unwrap(), b"0123456789");
    }

    #[test]
    fn the_number_of_logs_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..FILES + 10 {
            fs::write(dir.path().join(format!("{i}.log")), "").unwrap();
        }
        prune(dir.path());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), FILES);
    }
}
