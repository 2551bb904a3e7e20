//! A real process that saves all the time is killed by SIGKILL, again and again.
#![allow(clippy::unwrap_used, reason = "helpers of tests, which may fail by panicking")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use common::{now, record};
use lifecycle_core::backend::RolloutStore;
use lifecycle_core::backend::store::FileStore;

/// Set for the process that saves: where.
const WRITER: &str = "LIFECYCLE_TEST_WRITER";
const NAME: &str = "a_writer_that_is_killed_at_any_time_leaves_a_whole_record";
const KILLS: u32 = 40;

/// Saves ever higher epochs, and tells each one after it was saved.
fn save_for_ever(path: &str) -> ! {
    let store = FileStore::new(path);
    let mut out = std::io::stdout();
    loop {
        let stored = now(store.load()).unwrap();
        let (epoch, version) =
            stored.map_or((0, None), |stored| (stored.record.state.epoch, Some(stored.version)));
        now(store.save(&record(epoch + 1), version)).unwrap();
        writeln!(out, "saved {}", epoch + 1).unwrap();
        out.flush().unwrap();
    }
}

/// The same test is both processes: the parent starts its own program to run nothing but this test.
#[test]
fn a_writer_that_is_killed_at_any_time_leaves_a_whole_record() {
    if let Ok(path) = std::env::var(WRITER) {
        save_for_ever(&path);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.json");
    let store = FileStore::new(&path);
    let mut told = 0;
    for kill in 0..KILLS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact", "--nocapture"])
            .env(WRITER, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        // the harness of the test program writes lines of its own
        let mut epochs =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("saved ")?.parse().ok());
        for _ in 0..=kill % 3 {
            told = epochs.next().expect("the writer saves");
        }
        // a different moment of the next save each time
        for _ in 0..kill * 2_000 {
            std::hint::spin_loop();
        }
        writer.kill().unwrap();
        told = epochs.last().unwrap_or(told);
        let status = writer.wait().unwrap();
        assert!(status.code().is_none(), "the writer ended by itself: {status}");

        let stored = now(store.load()).unwrap().expect("what was saved is there");
        let epoch: u32 = stored.record.state.epoch;
        assert!(epoch == told || epoch == told + 1, "told of {told}, found {epoch}");
    }
    assert!(told >= KILLS);
}
