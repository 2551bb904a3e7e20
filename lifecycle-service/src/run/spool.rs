//! Commands on their way to the process that drives a rollout: one file a command in the state
//! directory, moved into place when it is whole, taken away when it was answered. Commands and
//! answers outlive both sides; the machine carries out each id once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lifecycle_core::machine::{Command, CommandKind, EventKind};
use serde::{Deserialize, Serialize};

/// The folder of commands and answers in a state directory.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    /// Given to the driver, not answered yet.
    given: BTreeSet<String>,
    /// Of these, the ones whose answer is known and not written yet: the disk may be full.
    unwritten: BTreeMap<String, Answer>,
}

/// What became of a command.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Was it carried out?
    pub(crate) done: bool,
    /// What was done, or why it was not.
    pub(crate) message: String,
}

impl Spool {
    /// The spool of this state directory.
    pub(crate) fn in_dir(state_dir: &Path) -> io::Result<Self> {
        let folder = state_dir.join("commands");
        fs::create_dir_all(&folder)?;
        Ok(Self { folder, given: BTreeSet::new(), unwritten: BTreeMap::new() })
    }

    /// Hands a command over; its id finds the answer.
    pub(crate) fn submit(&self, kind: CommandKind) -> io::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        // Ids sort by time; the pid tells two that were given in one moment.
        let id = format!("{now:020}-{}", std::process::id());
        let command = Command::new(id.as_str(), kind);
        self.put(&id, "command", &serde_json::to_vec(&command)?)?;
        Ok(id)
    }

    /// Commands that were not given to the driver yet, oldest first.
    ///
    /// # Errors
    /// Names the folder.
    pub(crate) fn take(&mut self) -> io::Result<Vec<Command>> {
        self.take_all().map_err(|error| self.failed("read", &error))
    }

    fn take_all(&mut self) -> io::Result<Vec<Command>> {
        let mut ids: Vec<String> = fs::read_dir(&self.folder)?
            .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".command")?.to_owned()))
            .filter(|id| !self.given.contains(id))
            .collect();
        ids.sort();
        let mut commands = Vec::with_capacity(ids.len());
        for id in ids {
            let read = fs::read(self.path(&id, "command"));
            match read.map(|bytes| serde_json::from_slice::<Command>(&bytes)) {
                Ok(Ok(command)) if *command.id == *id => {
                    self.given.insert(id);
                    commands.push(command);
                }
                Ok(_) => {
                    let message = "it cannot be understood".to_owned();
                    self.given.insert(id.clone());
                    self.unwritten.insert(id, Answer { done: false, message });
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(commands)
    }

    /// Answers the commands that these events are about. The state that knows of them is saved.
    pub(crate) fn answer_from<'a>(&mut self, events: impl Iterator<Item = &'a EventKind>) {
        for event in events {
            let (id, answer) = match event {
                EventKind::CommandDone { id, command } => {
                    (id, Answer { done: true, message: command.to_string() })
                }
                EventKind::CommandRefused { id, command, why } => {
                    (id, Answer { done: false, message: format!("{command} was refused: {why}") })
                }
                _ => continue,
            };
            self.known(id, answer);
        }
    }

    /// Answers the commands that a driver which died in between had carried out already.
    pub(crate) fn answer_seen<'a>(&mut self, seen: impl Iterator<Item = &'a str>) {
        for id in seen {
            self.known(id, Answer { done: true, message: "was carried out before".to_owned() });
        }
    }

    /// The first answer to a command counts.
    fn known(&mut self, id: &str, answer: Answer) {
        if self.given.contains(id) {
            self.unwritten.entry(id.to_owned()).or_insert(answer);
        }
    }

    /// Writes the answers that are known. What could not be written is written by a later call.
    ///
    /// # Errors
    /// Names the folder.
    pub(crate) fn write_answers(&mut self) -> io::Result<()> {
        while let Some((id, answer)) = self.unwritten.first_key_value() {
            self.answer(id, answer).map_err(|error| self.failed("answer", &error))?;
            if let Some((id, _)) = self.unwritten.pop_first() {
                self.given.remove(&id);
            }
        }
        Ok(())
    }

    fn failed(&self, doing: &str, error: &io::Error) -> io::Error {
        io::Error::new(
            error.kind(),
            format!("cannot {doing} the commands in {}: {error}", self.folder.display()),
        )
    }

    /// Is every command answered that was given to the driver?
    pub(crate) fn is_answered(&self) -> bool {
        self.given.is_empty()
    }

    /// The answer to this command, once; `None` while there is none.
    pub(crate) fn answer_to(&self, id: &str) -> io::Result<Option<Answer>> {
        let path = self.path(id, "answer");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        fs::remove_file(path)?;
        Ok(Some(serde_json::from_slice(&bytes)?))
    }

    /// Takes a command back that was not answered.
    pub(crate) fn withdraw(&self, id: &str) {
        // It may just have been taken: then it is carried out, as it may be.
        let _ = fs::remove_file(self.path(id, "command"));
    }

    fn answer(&self, id: &str, answer: &Answer) -> io::Result<()> {
        self.put(id, "answer", &serde_json::to_vec(answer)?)?;
        match fs::remove_file(self.path(id, "command")) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes a whole file or none.
    fn put(&self, id: &str, kind: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.path(id, "unfinished");
        fs::write(&unfinished, bytes)?;
        fs::rename(unfinished, self.path(id, kind))
    }

    fn path(&self, id: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{id}.{kind}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> (tempfile::TempDir, Spool) {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::in_dir(dir.path()).unwrap();
        (dir, spool)
    }

    #[test]
    fn a_command_is_given_once_and_answered_once() {
        let (_dir, mut spool) = spool();
        let id = spool.submit(CommandKind::Scale(3)).unwrap();
        let commands = spool.take().unwrap();
        assert_eq!(commands, [Command::new(id.as_str(), CommandKind::Scale(3))]);
        assert_eq!(spool.take().unwrap(), []);
        assert_eq!(spool.answer_to(&id).unwrap(), None);
        let done = EventKind::CommandDone { id: commands[0].id.clone(), command: CommandKind::Scale(3) };
        spool.answer_from([done].iter());
        spool.write_answers().unwrap();
        assert!(spool.is_answered());
        assert_eq!(spool.answer_to(&id).unwrap(), Some(Answer { done: true, message: "scale 3".to_owned() }));
        assert_eq!(spool.answer_to(&id).unwrap(), None);
    }

    #[test]
    fn a_command_outlives_the_driver_that_took_it() {
        let (dir, mut spool) = spool();
        let id = spool.submit(CommandKind::Pause).unwrap();
        assert_eq!(spool.take().unwrap().len(), 1);
        let mut next = Spool::in_dir(dir.path()).unwrap();
        assert_eq!(next.take().unwrap().len(), 1);
        next.answer_seen([id.as_str()].into_iter());
        next.write_answers().unwrap();
        assert!(next.answer_to(&id).unwrap().unwrap().done);
        assert_eq!(Spool::in_dir(dir.path()).unwrap().take().unwrap(), []);
    }

    #[test]
    fn what_cannot_be_understood_is_answered_too() {
        let (dir, mut spool) = spool();
        fs::write(dir.path().join("commands/7.command"), "{").unwrap();
        assert_eq!(spool.take().unwrap(), []);
        spool.write_answers().unwrap();
        assert!(!spool.answer_to("7").unwrap().unwrap().done);
    }

    #[test]
    fn an_answer_that_a_full_disk_does_not_take_is_written_when_there_is_room() {
        let (dir, mut spool) = spool();
        let id = spool.submit(CommandKind::Resume).unwrap();
        let command = spool.take().unwrap().remove(0);
        // Writes to it fail with "No space left on device".
        let unfinished = dir.path().join(format!("commands/{id}.unfinished"));
        std::os::unix::fs::symlink("/dev/full", &unfinished).unwrap();
        let refused = EventKind::CommandRefused { id: command.id, command: command.kind, why: "no".into() };
        spool.answer_from([refused].iter());
        let error = spool.write_answers().unwrap_err().to_string();
        let folder = dir.path().join("commands").display().to_string();
        assert!(error.contains(&folder) && error.contains("No space left"), "{error}");
        assert!(!spool.is_answered() && spool.take().unwrap().is_empty());
        // It is in the state by now; the answer stays what it was.
        spool.answer_seen([id.as_str()].into_iter());
        fs::remove_file(unfinished).unwrap();
        spool.write_answers().unwrap();
        assert!(spool.is_answered() && !spool.answer_to(&id).unwrap().unwrap().done);
    }
}
