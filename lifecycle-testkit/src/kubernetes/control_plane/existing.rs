//! A cluster that somebody else runs.

use std::path::PathBuf;

use kube::config::Kubeconfig;
use tempfile::TempDir;

use super::ControlPlaneError;
use super::files::write_private;

/// The cluster of `KUBECONFIG`.
#[derive(Debug)]
pub(super) struct Existing {
    folder: TempDir,
    config: Kubeconfig,
    url: String,
}

impl Existing {
    /// Reads `KUBECONFIG`.
    pub(super) fn find() -> Result<Self, ControlPlaneError> {
        let path = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        let path = path.ok_or_else(|| {
            ControlPlaneError::Cluster(
                "\"existing\" needs KUBECONFIG, the file of the cluster to use".to_owned(),
            )
        })?;
        let config = Kubeconfig::read_from(&path).map_err(|source| ControlPlaneError::Kubeconfig {
            path: path.clone(),
            source: Box::new(source),
        })?;
        let folder = tempfile::Builder::new().prefix("existing-cluster-").tempdir();
        let folder = folder.map_err(ControlPlaneError::io("make a temporary folder"))?;
        let url = current_cluster(&config).unwrap_or_default();
        Ok(Self { folder, config, url })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The same credentials, impersonating the user unless it is the admin.
    pub(super) fn kubeconfig(&self, user: &str, admin: &str) -> Result<PathBuf, ControlPlaneError> {
        self.write(user, |info| {
            if user != admin {
                info["as"] = user.into()
            }
        })
    }

    /// The same cluster with this token.
    pub(super) fn token_kubeconfig(&self, name: &str, token: &str) -> Result<PathBuf, ControlPlaneError> {
        self.write(name, |info| *info = serde_json::json!({ "token": token }))
    }

    fn write(&self, name: &str, edit: impl Fn(&mut serde_json::Value)) -> Result<PathBuf, ControlPlaneError> {
        let unwritable = |error: serde_json::Error| ControlPlaneError::Cluster(error.to_string());
        let mut config = serde_json::to_value(&self.config).map_err(unwritable)?;
        for user in config["users"].as_array_mut().into_iter().flatten() {
            edit(&mut user["user"]);
        }
        let path = self.folder.path().join(format!("{name}.kubeconfig"));
        write_private(&path, &config.to_string())?;
        Ok(path)
    }
}

/// The address of the cluster that the current context means.
fn current_cluster(config: &Kubeconfig) -> Option<String> {
    let name = config.current_context.as_ref()?;
    let context = config.contexts.iter().find(|context| &context.name == name)?.context.as_ref()?;
    let cluster = config.clusters.iter().find(|cluster| cluster.name == context.cluster)?;
    cluster.cluster.as_ref()?.server.clone()
}
