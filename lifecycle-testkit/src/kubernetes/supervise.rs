//! Programs that never outlive the process that started them.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// Runs `"$@"` and kills it as soon as standard input is closed, which is what the system does with a pipe
/// whose only writer has died, of whatever cause. The program's pid is the first line of standard output;
/// everything after it goes to standard error.
const SUPERVISOR: &str = r#"
exec 3<&0 4>&1 1>&2
"$@" 3<&- 4>&- </dev/null &
child=$!
echo "$child" >&4
exec 4>&-
{ read -r line <&3; kill -KILL "$child"; } &
watcher=$!
wait "$child"
code=$?
kill "$watcher" 2>/dev/null
exit "$code"
"#;

/// Ports of servers: below those that the system gives to outgoing connections (from 32768 on), so that nobody takes
/// the port of a server that is being restarted.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// How many of the last lines of a log an error shows.
const LOG_LINES: usize = 15;

/// A program that is killed when this value is dropped, and when the process that holds it ends in any way:
/// a panic, an abort, SIGKILL.
///
/// A shell stands between the two: it holds the reading end of a pipe, and kills the program when the pipe
/// closes. It works whichever thread starts the program and however long that thread lives, where
/// `PR_SET_PDEATHSIG` kills when the *thread* that forked is gone.
#[derive(Debug)]
pub struct Supervised {
    name: String,
    log: PathBuf,
    pid: Pid,
    shell: Child,
    lifeline: Option<ChildStdin>,
}

impl Supervised {
    /// Starts this command, with its output appended to a log. Arguments, environment and working directory
    /// are taken from the command; what it says of standard streams is not.
    ///
    /// # Errors
    /// When no shell can be started or the log cannot be written. A program that cannot be run is one that
    /// exits with 127 and says so in its log.
    pub fn start(name: impl Into<String>, command: &Command, log: &Path) -> io::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SUPERVISOR, "supervisor"]).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            shell.current_dir(dir);
        }
        // A group of its own: Ctrl-C in a terminal ends the test, and the closed pipe the program.
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(output).spawn()?;
        let lifeline = shell.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = shell.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let pid = line.trim().parse().ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the shell told no pid"))?;
        Ok(Self { name: name.into(), log: log.to_owned(), pid, shell, lifeline })
    }

    /// What it was called at the start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The program's process id. It may be another process's by now when the program has exited.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its output.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// How it ended, `None` while it runs.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Asks it to end: SIGTERM.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn terminate(&mut self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Halts it where it is: SIGSTOP.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn freeze(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after [`Supervised::freeze`]: SIGCONT.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn thaw(&mut self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills it, and returns when it is gone. Does nothing when it has ended already.
    pub fn kill(&mut self) {
        drop(self.lifeline.take());
        // It fails only for a child that was waited for.
        let _ = self.shell.wait();
    }

    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        if let Some(status) = self.exited()? {
            return Err(io::Error::other(format!("{} has ended: {status}", self.name)));
        }
        Ok(kill_process(self.pid, signal)?)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port of 127.0.0.1 that is free at this moment.
pub(crate) fn free_port() -> io::Result<u16> {
    let mut last = io::Error::other("no port was tried");
    for _ in 0..100 {
        let port = fastrand::u16(PORTS);
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Removes a folder once this process has ended, for the times when it ends without a chance to do so.
#[derive(Debug)]
pub(crate) struct Sweeper {
    shell: Child,
    lifeline: Option<ChildStdin>,
}

impl Sweeper {
    /// Waits for the end of this process, or of this value.
    pub(crate) fn start(folder: &Path) -> io::Result<Self> {
        // A moment later, so that the programs that write into it have been killed too.
        let script = r#"read -r line; [ -e "$1" ] || exit 0; sleep 0.3; rm -rf "$1""#;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script, "sweeper"]).arg(folder).current_dir("/");
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let lifeline = shell.stdin.take();
        Ok(Self { shell, lifeline })
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.shell.wait();
    }
}
