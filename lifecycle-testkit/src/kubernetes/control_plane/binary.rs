//! Where the programs are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ControlPlaneError;

/// The one binary that is etcd, API server and controller manager.
const BINARY: &str = "LIFECYCLE_CONTROL_PLANE";
/// A folder with a binary for each, as kubebuilder's tests use it.
const FOLDER: &str = "KUBEBUILDER_ASSETS";

/// The programs of a control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Binaries {
    /// The component is the first argument.
    One(PathBuf),
    /// Each component is a file.
    Folder(PathBuf),
}

impl Binaries {
    /// Finds them: where `LIFECYCLE_CONTROL_PLANE` says, in the folder that `KUBEBUILDER_ASSETS` names, or where
    /// `just control-plane` puts its binary, in this folder's `target` or that of one above it.
    pub(super) fn find() -> Result<Self, ControlPlaneError> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        match (set(BINARY), set(FOLDER)) {
            (Some(binary), _) => Self::One(binary).checked(),
            // setup-envtest brings no controller manager
            (None, Some(folder)) => Self::Folder(folder).checked().or_else(|missing| match built() {
                binary if binary.is_file() => Ok(Self::One(binary)),
                _ => Err(missing),
            }),
            (None, None) => Self::One(built()).checked(),
        }
    }

    /// The command of one component, without its flags.
    pub(super) fn command(&self, component: &str) -> Command {
        match self {
            Self::One(binary) => {
                let mut command = Command::new(binary);
                command.arg(component);
                command
            }
            Self::Folder(folder) => Command::new(folder.join(component)),
        }
    }

    fn checked(self) -> Result<Self, ControlPlaneError> {
        let missing = |program: &str, looked_for: PathBuf, hint| ControlPlaneError::Missing {
            program: program.to_owned(),
            looked_for,
            hint,
        };
        match &self {
            Self::One(binary) if !binary.is_file() => Err(missing("control-plane", binary.clone(), BINARY)),
            Self::One(_) => Ok(self),
            Self::Folder(folder) => {
                for component in ["etcd", "kube-apiserver", "kube-controller-manager"] {
                    let file = folder.join(component);
                    if !file.is_file() {
                        return Err(missing(component, file, FOLDER));
                    }
                }
                Ok(self)
            }
        }
    }
}

/// Where `just control-plane` puts it, as seen from a test, which runs in its package's folder.
fn built() -> PathBuf {
    let in_target = Path::new("target").join("control-plane").join("control-plane");
    let here = env::current_dir().unwrap_or_default();
    let found = here.ancestors().map(|folder| folder.join(&in_target)).find(|file| file.is_file());
    found.unwrap_or_else(|| here.join(in_target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_builds_it() {
        let error = Binaries::One("/nowhere/control-plane".into()).checked().unwrap_err().to_string();
        assert!(
            error.contains("/nowhere/control-plane") && error.contains("`just control-plane`"),
            "{error}"
        );
        assert!(error.contains(BINARY), "{error}");
    }

    #[test]
    fn a_folder_needs_all_three() {
        let folder = tempfile::tempdir().unwrap();
        for component in ["etcd", "kube-apiserver"] {
            std::fs::write(folder.path().join(component), "").unwrap();
        }
        let error = Binaries::Folder(folder.path().into()).checked().unwrap_err().to_string();
        assert!(error.starts_with("kube-controller-manager is missing") && error.contains(FOLDER), "{error}");
        std::fs::write(folder.path().join("kube-controller-manager"), "").unwrap();
        Binaries::Folder(folder.path().into()).checked().unwrap();
    }
}
