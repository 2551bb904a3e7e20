//! The folder of a control plane: keys, users, kubeconfigs, data and logs.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::json;
use tempfile::{NamedTempFile, TempDir};

use super::ControlPlaneError;
use crate::kubernetes::supervise::Sweeper;

/// The user who may do everything.
pub(super) const ADMIN: &str = "admin";

/// Every request is written down before anything is done about it, and when it is answered; a watch also when it ends.
const AUDIT_POLICY: &str =
    r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}"#;

/// A temporary folder with all that the components read and write. It is removed when it is dropped, and when
/// this process ends without having dropped it.
#[derive(Debug)]
pub(super) struct Files {
    folder: TempDir,
    _sweeper: Sweeper,
    users: Vec<String>,
}

impl Files {
    /// Makes the folder, keys and certificates for a server on 127.0.0.1, and a token for each user.
    pub(super) fn create(users: &[String]) -> Result<Self, ControlPlaneError> {
        let folder = tempfile::Builder::new().prefix("control-plane-").tempdir();
        let folder = folder.map_err(ControlPlaneError::io("make a temporary folder"))?;
        let sweeper = Sweeper::start(folder.path()).map_err(ControlPlaneError::io("start /bin/sh"))?;
        let mut all = vec![ADMIN.to_owned()];
        all.extend(users.iter().filter(|user| *user != ADMIN).cloned());
        let files = Self { folder, _sweeper: sweeper, users: all };
        files.write_keys()?;
        files.write("audit-policy.json", AUDIT_POLICY)?;
        files.write("tokens.csv", &files.users.iter().map(|user| token_line(user)).collect::<String>())?;
        Ok(files)
    }

    /// A file or folder in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The token of a user.
    pub(super) fn token(&self, user: &str) -> Result<String, ControlPlaneError> {
        if !self.users.iter().any(|known| known == user) {
            return Err(ControlPlaneError::UnknownUser {
                user: user.to_owned(),
                known: self.users.join(", "),
            });
        }
        Ok(token(user))
    }

    /// Writes a kubeconfig of this name for a token, and says where it is.
    pub(super) fn kubeconfig(
        &self,
        name: &str,
        url: &str,
        token: &str,
    ) -> Result<PathBuf, ControlPlaneError> {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": self.path("ca.crt")}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": "test", "user": name, "namespace": "default"}}],
            "current-context": name,
        });
        // JSON is YAML.
        self.write(&format!("{name}.kubeconfig"), &config.to_string())
    }

    fn write_keys(&self) -> Result<(), ControlPlaneError> {
        let mut ca = CertificateParams::new([])?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        ca.distinguished_name.push(rcgen::DnType::CommonName, "test control plane");
        let ca_key = KeyPair::generate()?;
        self.write("ca.crt", &ca.self_signed(&ca_key)?.pem())?;
        let mut server = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let server_key = KeyPair::generate()?;
        self.write("server.crt", &server.signed_by(&server_key, &Issuer::new(ca, ca_key))?.pem())?;
        self.write("server.key", &server_key.serialize_pem())?;
        let accounts = KeyPair::generate()?;
        self.write("service-account.key", &accounts.serialize_pem())?;
        self.write("service-account.pub", &accounts.public_key_pem())?;
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, ControlPlaneError> {
        let path = self.path(name);
        write_private(&path, text)?;
        Ok(path)
    }
}

/// Writes a file that only its owner reads, at once: a program may be about to read the one before.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), ControlPlaneError> {
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        // Such a file is made with mode 0600.
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(ControlPlaneError::io(format!("write {}", path.display())))
}

/// Secret enough: the server is on loopback and lives as long as a test.
fn token(user: &str) -> String {
    format!("token-of-{user}")
}

fn token_line(user: &str) -> String {
    let groups = if user == ADMIN { r#","system:masters""# } else { "" };
    format!("{},{user},{user}{groups}\n", token(user))
}
