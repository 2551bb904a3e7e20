//! ConfigMaps and Secrets that a container's environment refers to.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvFromSource, Secret};
use kube::{Api, Client};

type Data = BTreeMap<String, String>;

/// What was read of them. `None`: there is none of that name.
#[derive(Debug, Default)]
pub(super) struct Refs {
    configs: BTreeMap<String, Option<Data>>,
    secrets: BTreeMap<String, Option<Data>>,
}

impl Refs {
    /// Reads all that a container refers to; nothing when it refers to nothing.
    ///
    /// # Errors
    /// A sentence for people, when the API server does not answer.
    pub(super) async fn read(
        client: &Client,
        namespace: &str,
        container: &Container,
    ) -> Result<Self, String> {
        let (mut configs, mut secrets) = (Vec::new(), Vec::new());
        for from in container.env_from.iter().flatten() {
            configs.extend(from.config_map_ref.as_ref().map(|it| it.name.clone()));
            secrets.extend(from.secret_ref.as_ref().map(|it| it.name.clone()));
        }
        for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            configs.extend(source.config_map_key_ref.as_ref().map(|it| it.name.clone()));
            secrets.extend(source.secret_key_ref.as_ref().map(|it| it.name.clone()));
        }
        let mut refs = Self::default();
        let failed = |name: &str, error: kube::Error| format!("cannot read {name}: {error}");
        for name in configs {
            let found: Option<ConfigMap> = Api::namespaced(client.clone(), namespace)
                .get_opt(&name)
                .await
                .map_err(|error| failed(&name, error))?;
            refs.configs.insert(name, found.map(|it| it.data.unwrap_or_default()));
        }
        for name in secrets {
            let found: Option<Secret> = Api::namespaced(client.clone(), namespace)
                .get_opt(&name)
                .await
                .map_err(|error| failed(&name, error))?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let data = found.map(|it| it.data.unwrap_or_default());
            let data =
                data.map(|data| data.iter().map(|(key, value)| (key.clone(), text(&value.0))).collect());
            refs.secrets.insert(name, data);
        }
        Ok(refs)
    }

    /// One key of a ConfigMap; `None` when it is not there and need not be.
    pub(super) fn config(&self, name: &str, key: &str, optional: bool) -> Result<Option<String>, String> {
        one(&self.configs, "configmap", name, key, optional)
    }

    /// One key of a Secret; `None` when it is not there and need not be.
    pub(super) fn secret(&self, name: &str, key: &str, optional: bool) -> Result<Option<String>, String> {
        one(&self.secrets, "secret", name, key, optional)
    }

    /// Every key of what an `envFrom` refers to.
    pub(super) fn all(&self, from: &EnvFromSource) -> Result<Data, String> {
        let mut all = Data::new();
        let prefix = from.prefix.as_deref().unwrap_or_default();
        let mut add = |data: Option<&Data>, kind: &str, name: &str, optional: bool| match data {
            Some(data) => {
                all.extend(data.iter().map(|(key, value)| (format!("{prefix}{key}"), value.clone())));
                Ok(())
            }
            None if optional => Ok(()),
            None => Err(format!("{kind} \"{name}\" not found")),
        };
        if let Some(it) = &from.config_map_ref {
            let data = self.configs.get(&it.name).and_then(Option::as_ref);
            add(data, "configmap", &it.name, it.optional.unwrap_or(false))?;
        }
        if let Some(it) = &from.secret_ref {
            let data = self.secrets.get(&it.name).and_then(Option::as_ref);
            add(data, "secret", &it.name, it.optional.unwrap_or(false))?;
        }
        Ok(all)
    }
}

fn one(
    objects: &BTreeMap<String, Option<Data>>,
    kind: &str,
    name: &str,
    key: &str,
    optional: bool,
) -> Result<Option<String>, String> {
    let object = objects.get(name).and_then(Option::as_ref);
    match object.map(|data| data.get(key)) {
        Some(Some(value)) => Ok(Some(value.clone())),
        Some(None) | None if optional => Ok(None),
        Some(None) => Err(format!("couldn't find key {key} in {kind} \"{name}\"")),
        None => Err(format!("{kind} \"{name}\" not found")),
    }
}
