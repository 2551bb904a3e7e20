//! The files in a state directory that are this program's own.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use lifecycle_core::spec::Manifest;

use super::KEPT_MANIFEST;
use crate::input::BadInput;

/// The files in a state directory that are this program's own.
pub(super) struct Files<'a>(&'a Path);

impl<'a> Files<'a> {
    /// Of this state directory.
    pub(super) const fn of(state_dir: &'a Path) -> Self {
        Self(state_dir)
    }

    /// The state of the rollout.
    pub(super) fn rollout(&self) -> PathBuf {
        self.0.join("rollout.json")
    }

    /// What a `run` has shown last.
    pub(super) fn shown(&self) -> PathBuf {
        self.0.join("status.json")
    }

    /// The manifest that was accepted last.
    pub(super) fn manifest(&self) -> PathBuf {
        self.0.join(KEPT_MANIFEST)
    }

    /// Where the proxy listens.
    pub(super) fn listen(&self) -> Option<SocketAddr> {
        fs::read_to_string(self.0.join("listen")).ok()?.trim().parse().ok()
    }

    /// Keeps where the proxy listens.
    pub(super) fn keep_listen(&self, listen: SocketAddr) -> io::Result<()> {
        if self.listen() == Some(listen) {
            return Ok(());
        }
        replace(&self.0.join("listen"), format!("{listen}\n").as_bytes())
    }

    /// One directory a deployment: another one would take over the first one's processes and history.
    pub(super) fn check_owner(&self, manifest: &Manifest) -> Result<(), BadInput> {
        let kept = fs::read_to_string(self.manifest()).ok();
        // One that cannot be read any more says nothing.
        let Some(owner) = kept.and_then(|text| Manifest::from_yaml(&text).ok()) else { return Ok(()) };
        if (&owner.namespace, &owner.name) == (&manifest.namespace, &manifest.name) {
            return Ok(());
        }
        let dir = self.0.display();
        Err(BadInput::new(format!(
            "metadata.name: the state directory {dir} belongs to {}, not to {}; give this one a directory of its \
             own with --state-dir, or end the other with `lifecycle down --clean`",
            full_name(&owner),
            full_name(manifest),
        )))
    }

    /// Removes them all.
    pub(super) fn forget(&self) -> io::Result<()> {
        let rollout = ["rollout.json", "rollout.json.lock", "rollout.json.tmp", "status.json", "listen"];
        // Those that a crash has left half-written.
        let unfinished = ["manifest.unfinished", "status.unfinished", "listen.unfinished"];
        for name in [KEPT_MANIFEST].iter().chain(&rollout).chain(&unfinished) {
            gone(fs::remove_file(self.0.join(name)))?;
        }
        gone(fs::remove_dir_all(self.0.join("commands")))
    }
}

fn full_name(manifest: &Manifest) -> String {
    match &*manifest.namespace {
        "default" => manifest.name.to_string(),
        namespace => format!("{namespace}/{}", manifest.name),
    }
}

/// What is not there need not be removed.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a whole file or leaves the one before.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = fs::File::create(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(metadata: &str) -> (String, Manifest) {
        let text = format!(
            "{{apiVersion: enis.andaon.com/v1, kind: AgentDeployment, metadata: {metadata}, spec: {{version: 1.5.0}}}}"
        );
        (text.clone(), Manifest::from_yaml(&text).unwrap())
    }

    #[test]
    fn a_state_directory_belongs_to_one_name() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::of(dir.path());
        let (text, edge) = manifest("{name: edge-agent}");
        let (_, billing) = manifest("{name: billing}");
        let (_, other_edge) = manifest("{name: edge-agent, namespace: staging}");
        assert!(files.check_owner(&billing).is_ok(), "it is nobody's yet");
        replace(&files.manifest(), text.as_bytes()).unwrap();
        assert!(files.check_owner(&edge).is_ok());
        for (other, name) in [(&billing, "billing"), (&other_edge, "staging/edge-agent")] {
            let error = files.check_owner(other).unwrap_err().to_string();
            let says = format!("belongs to edge-agent, not to {name}; ");
            assert!(
                error.contains(&says) && error.contains("--state-dir") && error.contains("down"),
                "{error}"
            );
        }
        files.forget().unwrap();
        assert!(files.check_owner(&billing).is_ok(), "it is nobody's again");
    }

    #[test]
    fn only_what_is_the_programs_own_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::of(dir.path());
        fs::create_dir(dir.path().join("commands")).unwrap();
        files.keep_listen("127.0.0.1:1".parse().unwrap()).unwrap();
        fs::write(dir.path().join("mine.txt"), "").unwrap();
        files.forget().unwrap();
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["mine.txt"]);
    }
}
