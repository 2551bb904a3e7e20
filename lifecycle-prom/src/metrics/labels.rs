//! The labels that tell deployments and revisions apart.

use super::name::NameError;
use crate::target::Target;

/// Which labels they are, and what the one of the revision says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(crate) namespace: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) revision: String,
    pub(crate) value: RevisionValue,
}

impl Labels {
    /// Those of the pods.
    pub(super) fn of_pods() -> Self {
        let (namespace, agent) = (Some("namespace".to_owned()), Some("agent".to_owned()));
        Self { namespace, agent, revision: "revision".to_owned(), value: RevisionValue::hash() }
    }

    /// All of them, as PromQL lists them.
    pub(crate) fn listed(&self) -> String {
        let labels = [self.namespace.as_deref(), self.agent.as_deref(), Some(&*self.revision)];
        labels.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// What the label of the revision says: text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RevisionValue(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Namespace,
    Agent,
    Revision,
}

const PLACEHOLDERS: [(&str, Part); 3] =
    [("{namespace}", Part::Namespace), ("{agent}", Part::Agent), ("{revision}", Part::Revision)];

impl RevisionValue {
    /// The hash of the revision.
    pub(super) fn hash() -> Self {
        Self(vec![Part::Revision])
    }

    /// The name of the Deployment of the revision: `<agent>-<revision>`.
    pub(super) fn of_child() -> Self {
        Self(vec![Part::Agent, Part::Text("-".to_owned()), Part::Revision])
    }

    /// That with its namespace: `<namespace>/<agent>-<revision>`.
    pub(super) fn of_namespace_and_child() -> Self {
        let namespace = [Part::Namespace, Part::Text("/".to_owned())];
        Self(namespace.into_iter().chain(Self::of_child().0).collect())
    }

    pub(super) fn parse(template: &str) -> Result<Self, NameError> {
        let accepted = "write {revision} in it, and {namespace} and {agent} where they stand in it, too";
        let wrong = || NameError::new("revision value", template, "what a label of revisions says", accepted);
        let mut parts = Vec::new();
        let mut rest = template;
        while !rest.is_empty() {
            if let Some((word, part)) = PLACEHOLDERS.iter().find(|(word, _)| rest.starts_with(word)) {
                parts.push(part.clone());
                rest = &rest[word.len()..];
                continue;
            }
            let next = rest.find('{').unwrap_or(rest.len());
            if next == 0 {
                // a brace that begins no placeholder is a mistake in one
                return Err(wrong());
            }
            parts.push(Part::Text(rest[..next].to_owned()));
            rest = &rest[next..];
        }
        if parts.contains(&Part::Revision) { Ok(Self(parts)) } else { Err(wrong()) }
    }

    /// For the revision of this target with this hash.
    pub(crate) fn of(&self, target: &Target, hash: &str) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Namespace => target.namespace.clone(),
            Part::Agent => target.agent.clone(),
            Part::Revision => hash.to_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_label_is_made_of_what_is_known() {
        let target = Target::new("shop", "edge");
        for (template, value) in [
            ("{revision}", "abc"),
            ("{agent}-{revision}", "edge-abc"),
            ("httproute/{namespace}/{agent}/{revision}", "httproute/shop/edge/abc"),
        ] {
            assert_eq!(RevisionValue::parse(template).unwrap().of(&target, "abc"), value);
        }
        for template in ["", "edge", "{agent}", "{revision", "{revision}{", "{hash}-{revision}"] {
            let error = RevisionValue::parse(template).unwrap_err().to_string();
            assert!(error.starts_with(&format!("revision value: {template:?} is not")), "{error}");
        }
    }
}
