//! A disk that does not answer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so by panicking")]

mod support;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lifecycle_core::backend::{ErrorKind, ScaleWish, Token};
use lifecycle_core::time::Millis;
use support::{Site, soon};

/// In place of the file that the processes are written down in stands a pipe that nobody reads: who
/// opens it to write hangs as on a disk that does not answer.
struct Hang {
    file: PathBuf,
    pipe: PathBuf,
}

impl Hang {
    fn on(state_dir: &Path) -> Self {
        let (file, pipe) = (state_dir.join("processes.next"), state_dir.join("pipe"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::fs::hard_link(&pipe, &file).unwrap();
        Self { file, pipe }
    }
}

impl Drop for Hang {
    fn drop(&mut self) {
        // Who hangs goes on and finds that its file is gone; who comes next finds a disk that works.
        let _ = std::fs::remove_file(&self.file);
        // Both ends at once, so that this does not hang itself. A test ends only when nothing hangs.
        let _ended = OpenOptions::new().read(true).write(true).open(&self.pipe);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_on_a_disk_that_hangs_is_refused_in_time_and_what_runs_goes_on() {
    let site = Site::new();
    let target = site.open().await;
    let one = target.run(1, 2, 1, &[]).await;
    let hang = Hang::on(&site.dir());

    let wish = ScaleWish::new(one.clone(), 3, Token(2), Millis::ZERO);
    let begun = Instant::now();
    let error = soon("a refusal", target.backends.workload.scale(&wish)).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(error.kind, ErrorKind::Transient);
    assert!(error.to_string().contains("processes.json") && error.to_string().contains("hangs"), "{error}");
    let group = target.group(&one).await;
    assert_eq!((group.desired, group.available, group.token), (2, 2, Token(1)));
    assert_eq!(target.get("/").await.status, 200);

    drop(hang);
    // As the driver does at its next tick.
    while target.backends.workload.scale(&wish).await.is_err() {}
    target.until(&one, "three", |group| group.available == 3 && group.token == Token(2)).await;
}
