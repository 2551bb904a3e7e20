//! Programs of Debian's packages, run on an address of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long anything may take that takes a second or two.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The path of a program of this package.
pub fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is missing: apt-get update && apt-get install -y --no-install-recommends {package}")
    })
}

/// A running program, killed when it is dropped.
pub struct Running {
    pub addr: SocketAddr,
    process: Child,
    _dir: TempDir,
}

impl Running {
    /// This program with these arguments, once it has logged this. The arguments are made of its folder and an address
    /// that is free.
    pub async fn start(
        program: &Path,
        dir: TempDir,
        args: impl Fn(&Path, SocketAddr) -> Vec<String>,
        ready: &str,
    ) -> Self {
        let mut dir = dir;
        for _ in 0..5 {
            match Self::try_start(program, dir, &args, ready).await {
                Ok(running) => return running,
                Err(again) => dir = again,
            }
        }
        panic!("{} found no free port in five tries", program.display());
    }

    /// Its folder when somebody else has taken the port in the meantime.
    async fn try_start(
        program: &Path,
        dir: TempDir,
        args: &impl Fn(&Path, SocketAddr) -> Vec<String>,
        ready: &str,
    ) -> Result<Self, TempDir> {
        let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = dir.path().join("log");
        let mut process = Command::new(program)
            .args(args(dir.path(), addr))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !said(&log, ready) {
            let ended = process.try_wait().unwrap();
            if ended.is_some() && said(&log, "address already in use") {
                return Err(dir);
            }
            let text = || std::fs::read_to_string(&log).unwrap_or_default();
            let waits = ended.is_none() && Instant::now() < deadline;
            assert!(waits, "{} does not start:\n{}", program.display(), text());
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self { addr, process, _dir: dir })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Its process, while it runs.
    pub fn pid(&self) -> u32 {
        self.process.id().unwrap()
    }

    /// Ends it at once.
    pub async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }
}

fn said(log: &Path, what: &str) -> bool {
    std::fs::read_to_string(log).is_ok_and(|log| log.contains(what))
}
