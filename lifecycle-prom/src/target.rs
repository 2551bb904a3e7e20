//! Whose health is asked for.

use std::sync::Arc;

use crate::query::{Template, TemplateError};

/// One AgentDeployment, and the queries that its manifest defines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Target {
    pub(crate) namespace: String,
    pub(crate) agent: String,
    pub(crate) queries: Vec<(Arc<str>, Template)>,
}

impl Target {
    /// The AgentDeployment with this namespace and name, without queries of its own.
    pub fn new(namespace: impl Into<String>, agent: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), agent: agent.into(), queries: Vec::new() }
    }

    /// With the queries of `spec.analysis.queries`, as
    /// [`AnalysisPlan::queries`](lifecycle_core::analysis::AnalysisPlan::queries) has them.
    ///
    /// # Errors
    /// When a query is not a template that can be filled in; the message has the path of the field.
    pub fn with_queries(mut self, queries: &[(Arc<str>, Arc<str>)]) -> Result<Self, TemplateError> {
        self.queries = queries
            .iter()
            .map(|(name, text)| Ok((Arc::clone(name), Template::parse(name, text)?)))
            .collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The query with this name.
    pub(crate) fn query(&self, name: &str) -> Option<&Template> {
        self.queries.iter().find(|(known, _)| **known == *name).map(|(_, template)| template)
    }
}
