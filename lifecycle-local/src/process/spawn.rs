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

use super::TOKEN_VARIABLE;
use super::procfs::ProcessId;
use crate::config::LOOPBACK;
use crate::template::ProcessTemplate;

/// A process to start.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) program: OsString,
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) working_dir: Option<PathBuf>,
    /// By which it is found again when its pid could not be recorded.
    pub(crate) token: String,
    /// Where what it writes is appended.
    pub(crate) log: PathBuf,
}

impl Launch {
    /// A replica on this port.
    pub(crate) fn replica(template: &ProcessTemplate, port: u16, token: &str, log: &Path) -> Self {
        let mut command = template.command_on(port).into_iter();
        let program = command.next().unwrap_or_default().into();
        let mut env: BTreeMap<String, String> = template
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.replace("{port}", &port.to_string())))
            .collect();
        env.insert("PORT".to_owned(), port.to_string());
        env.insert("HOST".to_owned(), LOOPBACK.to_string());
        let working_dir = template.working_dir.clone();
        Self {
            program,
            args: command.collect(),
            env,
            working_dir,
            token: token.to_owned(),
            log: log.to_owned(),
        }
    }

    /// Starts it in a process group of its own, so that a signal from the terminal does not reach it.
    ///
    /// # Errors
    /// A sentence for people: `command not found: X`.
    pub(crate) fn start(&self) -> Result<ProcessId, String> {
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.log);
        let log = log.and_then(|log| Ok((log.try_clone()?, log)));
        let (out, err) = log.map_err(|error| format!("cannot write {}: {error}", self.log.display()))?;
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(&self.env).env(TOKEN_VARIABLE, &self.token);
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        if let Some(dir) = &self.working_dir {
            if !dir.is_dir() {
                return Err(format!("working directory not found: {}", dir.display()));
            }
            command.current_dir(dir);
        }
        let child = command.spawn().map_err(|error| self.refusal(&error))?;
        // Nobody else can have asked about it yet, so that the pid is still its own.
        ProcessId::of(child.id()).ok_or_else(|| "the process cannot be seen in /proc".to_owned())
    }

    fn refusal(&self, error: &io::Error) -> String {
        let program = self.program.to_string_lossy();
        match error.kind() {
            io::ErrorKind::NotFound => format!("command not found: {program}"),
            io::ErrorKind::PermissionDenied => format!("command cannot be executed: {program}"),
            _ => format!("cannot start {program}: {error}"),
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
        let start = |template: &ProcessTemplate| Launch::replica(template, 1, "t", &log).start();
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
