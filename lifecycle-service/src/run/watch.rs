//! A manifest that may be edited while its rollout is on its way.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::input::{self, BadInput};

/// Looks at a file now and then, and reports each new content once.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    /// What the last reported content was: its text, or why there was none.
    reported: Result<String, String>,
    /// The file as it was at the last look, `None` when it was not there.
    looked: Option<Stamp>,
    /// The file as it was when it was read last.
    read: Option<Stamp>,
}

/// Differs when the file was written or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Watch {
    /// Watches this file, of which this content is known.
    pub(super) fn new(path: &Path, text: String) -> Self {
        let stamp = stamp(path);
        Self { path: path.to_owned(), reported: Ok(text), looked: stamp.clone(), read: stamp }
    }

    /// The new content, once per change. A file that changed since the last look is left alone until
    /// the next: somebody may still be writing it.
    pub(super) fn changed(&mut self) -> Option<Result<String, BadInput>> {
        let now = stamp(&self.path);
        let rests = now == self.looked;
        self.looked.clone_from(&now);
        if !rests || now == self.read {
            return None;
        }
        self.read = now;
        let content = input::read(&self.path);
        let report = content.as_ref().map(String::clone).map_err(ToString::to_string);
        if report == self.reported {
            return None;
        }
        self.reported = report;
        Some(content)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), length: metadata.len(), inode: metadata.ino() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_new_content_is_reported_once_and_only_when_it_rests() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.yaml");
        fs::write(&path, "a").unwrap();
        let mut watch = Watch::new(&path, "a".to_owned());
        assert!(watch.changed().is_none());
        fs::write(&path, "longer").unwrap();
        assert!(watch.changed().is_none(), "it may still be written");
        assert_eq!(watch.changed().unwrap().unwrap(), "longer");
        assert!(watch.changed().is_none());
        fs::remove_file(&path).unwrap();
        assert!(watch.changed().is_none());
        assert!(watch.changed().unwrap().unwrap_err().to_string().ends_with("no such file"));
        fs::write(&path, "longer").unwrap();
        assert!(watch.changed().is_none());
        assert_eq!(watch.changed().unwrap().unwrap(), "longer");
    }

    #[test]
    fn a_file_that_was_only_touched_is_no_news() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.yaml");
        fs::write(&path, "same").unwrap();
        let mut watch = Watch::new(&path, "same".to_owned());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "same").unwrap();
        assert!(watch.changed().is_none());
        assert!(watch.changed().is_none());
    }
}
