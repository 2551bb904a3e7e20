//! The end of every process of a node when the program that has the node ends without a word.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use lifecycle_local::TOKEN_VARIABLE;

/// Waits until its standard input ends, which the system sees to however the other end dies. Then it kills
/// by token, not by pid, so that nothing has to be told to it: `$1` is the variable and the name that begin
/// a token, `$2` the folder, if any. Two looks that find nothing, because a process between fork and exec has
/// another environment.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
cat >/dev/null
empty=0
while [ "$empty" -lt 2 ]; do
    found=$(grep -lsz "^$1-" /proc/[0-9]*/environ)
    if [ -z "$found" ]; then empty=$((empty + 1)); else empty=0; fi
    for file in $found; do pid=${file#/proc/}; kill -KILL "${pid%/environ}"; done
    sleep 0.05
done
[ -z "$2" ] || rm -rf -- "$2"
"#;

/// A shell that outlives this program by as long as it takes to end the processes of a node.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// For processes whose tokens begin with `name-`, and a folder that nobody needs without them.
    pub(super) fn start(name: &str, dir: Option<&Path>) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT, "guard"])
            .arg(format!("{TOKEN_VARIABLE}={name}"))
            .arg(dir.unwrap_or(Path::new("")));
        // not of the terminal's group: Ctrl-C is for the program, and what follows from it for the guard
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut shell = shell.spawn()?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // it ends by itself; who asks leaves no zombie
        let _ = self.shell.wait();
    }
}
