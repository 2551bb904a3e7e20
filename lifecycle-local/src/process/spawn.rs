//! Starting one process that outlives its supervisor.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

use super::TOKEN_VARIABLE;
use super::procfs::ProcessId;
use crate::config::LOOPBACK;
use crate::template::ProcessTemplate;

/// A process to start.
#[derive(Clone, Debug)]
pub struct Launch {
    program: OsString,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    inherits: bool,
    working_dir: Option<PathBuf>,
    token: String,
    log: PathBuf,
}

/// Why a process could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The program is not there, or not in `PATH`.
    #[error("command not found: {0}")]
    NotFound(String),
    /// The program is no executable file, or one of somebody else's.
    #[error("command cannot be executed: {0}")]
    NotExecutable(String),
    /// The directory it is to run in is not there.
    #[error("working directory not found: {}", .0.display())]
    NoDirectory(PathBuf),
    /// The log cannot be opened.
    #[error("cannot write {}: {source}", log.display())]
    Log {
        /// The file.
        log: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused, for want of memory or processes.
    #[error("cannot start {program}: {source}")]
    Refused {
        /// What was to be started.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// `/proc` does not show it.
    #[error("the process cannot be seen in /proc")]
    Unseen,
}

impl Launch {
    /// A process that is found again by this token (it is in its environment as
    /// [`TOKEN_VARIABLE`](crate::TOKEN_VARIABLE)), and appends what it writes to this log. A program
    /// without a `/` is looked up in `PATH`.
    #[must_use]
    pub fn new(program: impl Into<OsString>, token: impl Into<String>, log: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            inherits: true,
            working_dir: None,
            token: token.into(),
            log: log.into(),
        }
    }

    /// With these arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// With these variables, on top of this program's own environment.
    #[must_use]
    pub fn env(mut self, env: BTreeMap<String, String>) -> Self {
        self.env = env;
        self
    }

    /// Of this program's own environment only `PATH` is handed on. Default: all of it.
    #[must_use]
    pub fn without_inherited_env(mut self) -> Self {
        self.inherits = false;
        self
    }

    /// In this directory. Default: this program's own.
    #[must_use]
    pub fn working_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.working_dir = Some(dir.into());
        self
    }

    /// A replica on this port.
    pub(crate) fn replica(template: &ProcessTemplate, port: u16, token: &str, log: &Path) -> Self {
        let mut command = template.command_on(port).into_iter();
        let program = command.next().unwrap_or_default();
        let mut env: BTreeMap<String, String> = template
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.replace("{port}", &port.to_string())))
            .collect();
        env.insert("PORT".to_owned(), port.to_string());
        env.insert("HOST".to_owned(), LOOPBACK.to_string());
        let launch = Self::new(program, token, log).args(command).env(env);
        Self { working_dir: template.working_dir.clone(), ..launch }
    }

    /// Starts it in a process group of its own, so that a signal from the terminal does not reach it.
    /// It outlives this program.
    ///
    /// # Errors
    /// [`LaunchError`], a sentence for people.
    pub fn start(&self) -> Result<ProcessId, LaunchError> {
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.log);
        let log = log.and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = log.map_err(|source| LaunchError::Log { log: self.log.clone(), source })?;
        let mut command = Command::new(&self.program);
        if !self.inherits {
            command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        }
        command.args(&self.args).envs(&self.env).env(TOKEN_VARIABLE, &self.token);
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        if let Some(dir) = &self.working_dir {
            if !dir.is_dir() {
                return Err(LaunchError::NoDirectory(dir.clone()));
            }
            command.current_dir(dir);
        }
        let child = command.spawn().map_err(|error| self.refusal(error))?;
        // Nobody else can have asked about it yet, so that the pid is still its own.
        ProcessId::of(child.id()).ok_or(LaunchError::Unseen)
    }

    fn refusal(&self, source: io::Error) -> LaunchError {
        let program = self.program.to_string_lossy().into_owned();
        match source.kind() {
            io::ErrorKind::NotFound => LaunchError::NotFound(program),
            io::ErrorKind::PermissionDenied => LaunchError::NotExecutable(program),
            _ => LaunchError::Refused { program, source },
        }
    }
}

/// A port of the range that nobody listens on now. Chosen at random, so that it is not one that was
/// just given up, nor the one that somebody else who looks for a port finds.
pub(crate) fn free_port(range: &RangeInclusive<u16>, taken: &BTreeSet<u16>) -> Result<u16, String> {
    let span = u32::from(range.end() - range.start()) + 1;
    let first = fastrand::u32(0..span);
    let candidates =
        (0..span).filter_map(|i| u16::try_from(u32::from(*range.start()) + (first + i) % span).ok());
    for port in candidates.filter(|port| !taken.contains(port)) {
        if TcpListener::bind((LOOPBACK, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(format!("no free port from {} to {}", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_given_out() {
        // whatever two neighbouring ports are free now
        let (held, port) = (20_000..30_000)
            .step_by(2)
            .find_map(|p| TcpListener::bind((LOOPBACK, p)).ok().map(|l| (l, p)))
            .unwrap();
        let range = port..=port;
        assert_eq!(free_port(&range, &BTreeSet::new()), Err(format!("no free port from {port} to {port}")));
        drop(held);
        assert_eq!(free_port(&range, &BTreeSet::new()), Ok(port));
        assert!(free_port(&range, &BTreeSet::from([port])).is_err());
    }

    #[test]
    fn what_cannot_be_started_is_said_in_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let start = |template: &ProcessTemplate| {
            Launch::replica(template, 1, "t", &log).start().map_err(|error| error.to_string())
        };
        assert_eq!(
            start(&ProcessTemplate::new(["no-such-program"])),
            Err("command not found: no-such-program".into())
        );
        let nowhere = ProcessTemplate::new(["true"]).working_dir("/no/such/dir");
        assert_eq!(start(&nowhere), Err("working directory not found: /no/such/dir".into()));
        std::fs::write(dir.path().join("text"), "no program").unwrap();
        let text = dir.path().join("text");
        assert!(
            start(&ProcessTemplate::new([text.to_string_lossy()]))
                .unwrap_err()
                .starts_with("command cannot be executed: ")
        );
    }
}
