//! What a pod needs to be a client of the API server: a kubeconfig with a token of its ServiceAccount.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use k8s_openapi::ByteString;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, PodSpec, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

/// Tokens are good for this long and are not renewed: no test takes longer.
const TOKEN_SECONDS: i64 = 24 * 3600;

/// Where the API server is and how it is known to be the right one.
#[derive(Clone, Debug)]
pub(super) struct ApiAccess {
    server: String,
    authority: Option<ByteString>,
}

impl ApiAccess {
    pub(super) fn of(config: &kube::Config) -> Self {
        let pem = config.root_cert.as_ref().map(|certificates| {
            let pem: String = certificates.iter().map(|der| pem(der)).collect();
            ByteString(pem.into_bytes())
        });
        Self { server: config.cluster_url.to_string(), authority: pem }
    }

    fn kubeconfig(&self, namespace: &str, account: &str, token: &str) -> Value {
        let mut cluster = json!({"server": self.server});
        match &self.authority {
            Some(authority) => cluster["certificate-authority-data"] = json!(authority),
            None => cluster["insecure-skip-tls-verify"] = json!(self.server.starts_with("https:")),
        }
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "cluster", "cluster": cluster}],
            "users": [{"name": account, "user": {"token": token}}],
            "contexts": [{"name": "pod", "context": {"cluster": "cluster", "user": account, "namespace": namespace}}],
            "current-context": "pod",
        })
    }
}

/// The ServiceAccount that the pod calls the API server as, if it does: one that it names, unless it says
/// that it wants no token; `default` only where it says that it wants one.
pub(super) fn account(spec: &PodSpec) -> Option<&str> {
    let named = spec.service_account_name.as_deref().filter(|name| !name.is_empty());
    match (named, spec.automount_service_account_token) {
        (_, Some(false)) | (None | Some("default"), None) => None,
        (Some(name), _) => Some(name),
        (None, Some(true)) => Some("default"),
    }
}

/// Writes the kubeconfig of a pod into this folder.
///
/// # Errors
/// A sentence for people, which becomes the message of the waiting container.
pub(super) async fn write(
    client: &Client,
    access: Option<&ApiAccess>,
    pod: &Pod,
    account: &str,
    dir: &Path,
) -> Result<PathBuf, String> {
    let access = access.ok_or("the node was not told how pods reach the API server")?;
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let bound = BoundObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        name: pod.metadata.name.clone(),
        uid: Some(uid.clone()),
    };
    let spec = TokenRequestSpec {
        expiration_seconds: Some(TOKEN_SECONDS),
        bound_object_ref: Some(bound),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let granted = accounts.create_token_request(account, &PostParams::default(), &request).await;
    let granted = granted.map_err(|error| format!("no token for service account {account}: {error}"))?;
    let token = granted.status.and_then(|status| status.token).unwrap_or_default();
    let path = dir.join(format!("{uid}.kubeconfig"));
    let text = access.kubeconfig(namespace, account, &token).to_string();
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}

/// A certificate as text. Bytes of Kubernetes objects are base64 in JSON, so that no other encoder is needed.
fn pem(der: &[u8]) -> String {
    let base64 = json!(ByteString(der.to_vec()));
    let lines: Vec<&str> = base64
        .as_str()
        .unwrap_or_default()
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap_or_default())
        .collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_a_client_when_it_names_an_account_or_asks_for_a_token() {
        let check = |name: Option<&str>, automount: Option<bool>, expected: Option<&str>| {
            let spec = PodSpec {
                service_account_name: name.map(str::to_owned),
                automount_service_account_token: automount,
                ..PodSpec::default()
            };
            assert_eq!(account(&spec), expected, "{name:?} {automount:?}");
        };
        check(None, None, None);
        check(Some(""), None, None);
        check(Some("default"), None, None);
        check(Some("default"), Some(true), Some("default"));
        check(None, Some(true), Some("default"));
        check(Some("operator"), None, Some("operator"));
        check(Some("operator"), Some(false), None);
    }

    #[test]
    fn a_certificate_is_lines_of_base64() {
        let text = pem(&[0xff; 60]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "-----BEGIN CERTIFICATE-----");
        assert_eq!(lines[1..3].iter().map(|line| line.len()).collect::<Vec<_>>(), [64, 16]);
        assert_eq!(lines[3..], ["-----END CERTIFICATE-----"]);
    }
}
