//! What the operator may do: as little as it needs.
//!
//! Everything that it reads is read by list and watch; objects are only got one by one where a write was
//! refused and the newest one has to be seen.
//!
//! ```
//! use lifecycle_k8s::rbac::Install;
//!
//! let text = Install::new("lifecycle-system").watching("shop").yaml()?;
//! assert!(text.contains("kind: Role\n") && !text.contains("kind: ClusterRole\n"));
//! # Ok::<(), lifecycle_k8s::crd::YamlError>(())
//! ```

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;
use serde_json::Value;

use crate::crd::YamlError;
use crate::names;

/// The operator's ServiceAccount, and its roles and bindings, have this name.
const NAME: &str = "lifecycle-operator";

/// Where the operator runs and what it looks after.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Install {
    /// The operator's own namespace: its ServiceAccount and its Lease are there.
    pub namespace: String,
    /// The namespace of the AgentDeployments that it drives; `None` is the whole cluster.
    pub watched: Option<String>,
    /// Name of the Lease by which one of several operators is elected.
    pub lease: String,
}

impl Install {
    /// An operator in this namespace that looks after the whole cluster.
    #[must_use]
    pub fn new(namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), watched: None, lease: names::LEASE.to_owned() }
    }

    /// One that looks after this namespace only.
    #[must_use]
    pub fn watching(mut self, namespace: impl Into<String>) -> Self {
        self.watched = Some(namespace.into());
        self
    }

    /// One that is elected by the Lease of this name. Default: `lifecycle-operator`.
    #[must_use]
    pub fn lease(mut self, name: impl Into<String>) -> Self {
        self.lease = name.into();
        self
    }

    /// The objects to apply: ServiceAccount, roles and bindings.
    ///
    /// # Errors
    /// None that anybody has seen: when an object cannot be written as JSON.
    pub fn objects(&self) -> Result<Vec<Value>, YamlError> {
        let mut objects = Vec::new();
        let account = ServiceAccount { metadata: self.meta(Some(&self.namespace)), ..Default::default() };
        push(&mut objects, account)?;
        // two operators in one namespace have a Lease each, and a Role for it
        let election = format!("{}-election", self.lease);
        push(&mut objects, self.role(&self.namespace, &election, election_rules(&self.lease)))?;
        push(&mut objects, self.role_binding(&self.namespace, &election))?;
        if let Some(namespace) = &self.watched {
            push(&mut objects, self.role(namespace, NAME, rules()))?;
            push(&mut objects, self.role_binding(namespace, NAME))?;
        } else {
            let metadata = self.meta(None);
            let rules = Some(rules());
            push(&mut objects, ClusterRole { metadata: metadata.clone(), rules, ..Default::default() })?;
            let role_ref = role_ref("ClusterRole", NAME);
            push(
                &mut objects,
                ClusterRoleBinding { metadata, role_ref, subjects: Some(vec![self.subject()]) },
            )?;
        }
        Ok(objects)
    }

    /// The same as YAML, for `kubectl apply`.
    ///
    /// # Errors
    /// None that anybody has seen: when an object cannot be written as YAML.
    pub fn yaml(&self) -> Result<String, YamlError> {
        crate::yaml::documents(self.objects()?)
    }

    fn meta(&self, namespace: Option<&str>) -> ObjectMeta {
        ObjectMeta {
            name: Some(NAME.to_owned()),
            namespace: namespace.map(ToOwned::to_owned),
            ..Default::default()
        }
    }

    fn role(&self, namespace: &str, name: &str, rules: Vec<PolicyRule>) -> Role {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..self.meta(Some(namespace)) };
        Role { metadata, rules: Some(rules) }
    }

    fn role_binding(&self, namespace: &str, name: &str) -> RoleBinding {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..self.meta(Some(namespace)) };
        RoleBinding { metadata, role_ref: role_ref("Role", name), subjects: Some(vec![self.subject()]) }
    }

    fn subject(&self) -> Subject {
        Subject {
            kind: "ServiceAccount".to_owned(),
            name: NAME.to_owned(),
            namespace: Some(self.namespace.clone()),
            ..Default::default()
        }
    }
}

fn push(objects: &mut Vec<Value>, object: impl Serialize) -> Result<(), YamlError> {
    objects.push(crate::yaml::value(object)?);
    Ok(())
}

fn role_ref(kind: &str, name: &str) -> RoleRef {
    RoleRef {
        api_group: Some("rbac.authorization.k8s.io".to_owned()),
        kind: kind.to_owned(),
        name: name.to_owned(),
    }
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        api_groups: Some(list(&[group])),
        resources: Some(list(resources)),
        verbs: list(verbs),
        ..Default::default()
    }
}

/// Where AgentDeployments are driven.
#[must_use]
pub fn rules() -> Vec<PolicyRule> {
    vec![
        // patch: the finalizer. The spec is never written, but no rule can say so.
        rule(names::GROUP, &[names::PLURAL], &["get", "list", "watch", "patch"]),
        rule(names::GROUP, &["agentdeployments/status"], &["patch"]),
        // an owner that is waited for, where the admission plugin OwnerReferencesPermissionEnforcement is on
        rule(names::GROUP, &["agentdeployments/finalizers"], &["update"]),
        rule("apps", &["deployments"], &["get", "list", "watch", "create", "patch", "delete"]),
        rule("apps", &["controllerrevisions"], &["get", "list", "watch", "create", "delete"]),
        rule("apps", &["replicasets"], &["list", "watch"]),
        rule("", &["pods"], &["list", "watch"]),
        rule("", &["services"], &["list", "watch", "patch"]),
        rule("discovery.k8s.io", &["endpointslices"], &["list", "watch"]),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
    ]
}

/// In the operator's own namespace: the Lease of this name, by which one of several operators is elected.
#[must_use]
pub fn election_rules(name: &str) -> Vec<PolicyRule> {
    let lease = |verbs: &[&str]| rule("coordination.k8s.io", &["leases"], verbs);
    // what does not exist yet has no name that a rule could ask for
    let own = PolicyRule { resource_names: Some(vec![name.to_owned()]), ..lease(&["get", "update"]) };
    vec![lease(&["create"]), own]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(install: &Install) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let name = |object: &Value| {
            let meta = &object["metadata"];
            format!("{} {}/{}", text(&object["kind"]), text(&meta["namespace"]), text(&meta["name"]))
        };
        install.objects().unwrap().iter().map(name).collect()
    }

    #[test]
    fn the_whole_cluster_takes_a_cluster_role_and_the_lease_a_role_at_home() {
        let wanted = [
            "ServiceAccount home/lifecycle-operator",
            "Role home/lifecycle-operator-election",
            "RoleBinding home/lifecycle-operator-election",
            "ClusterRole -/lifecycle-operator",
            "ClusterRoleBinding -/lifecycle-operator",
        ];
        assert_eq!(names(&Install::new("home")), wanted);
    }

    #[test]
    fn a_namespace_takes_a_role_and_nothing_of_the_cluster() {
        let wanted = [
            "ServiceAccount home/lifecycle-operator",
            "Role home/lifecycle-operator-election",
            "RoleBinding home/lifecycle-operator-election",
            "Role shop/lifecycle-operator",
            "RoleBinding shop/lifecycle-operator",
        ];
        assert_eq!(names(&Install::new("home").watching("shop")), wanted);
    }

    #[test]
    fn every_binding_is_of_the_role_beside_it_and_for_the_operator_at_home() {
        for install in [Install::new("home"), Install::new("home").watching("shop")] {
            let objects = install.objects().unwrap();
            let pairs: Vec<_> = objects[1..].chunks(2).map(|pair| (&pair[0], &pair[1])).collect();
            assert!(!pairs.is_empty());
            for (role, binding) in pairs {
                let named = &binding["roleRef"];
                assert_eq!((&named["kind"], &named["name"]), (&role["kind"], &role["metadata"]["name"]));
                assert_eq!(role["metadata"]["namespace"], binding["metadata"]["namespace"]);
                let subject = serde_json::json!([
                    {"kind": "ServiceAccount", "name": "lifecycle-operator", "namespace": "home"}
                ]);
                assert_eq!(binding["subjects"], subject);
            }
        }
    }

    #[test]
    fn the_lease_of_the_name_that_the_operator_is_given_may_be_renewed_and_no_other() {
        for (install, name) in
            [(Install::new("home"), "lifecycle-operator"), (Install::new("home").lease("blue"), "blue")]
        {
            let role = &install.objects().unwrap()[1];
            assert_eq!(role["metadata"]["name"], format!("{name}-election"));
            assert_eq!(role["rules"][1]["resourceNames"], serde_json::json!([name]));
            assert_eq!(role["rules"][1]["verbs"], serde_json::json!(["get", "update"]));
        }
    }

    #[test]
    fn nothing_is_allowed_by_a_wildcard_and_no_secret_is_read() {
        for rule in rules().into_iter().chain(election_rules("a")) {
            let words = [rule.api_groups.unwrap(), rule.resources.unwrap(), rule.verbs].concat();
            assert!(!words.iter().any(|word| word == "*" || word == "secrets" || word == "deletecollection"));
        }
    }
}
