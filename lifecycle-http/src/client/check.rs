//! A URL that a service depends on.

use std::fmt;

use async_trait::async_trait;
use lifecycle_core::time::Millis;
use reqwest::Url;

use super::get::Get;
use crate::answer::CheckFailure;
use crate::dependency::DependencyCheck;
use crate::error::ConfigError;
use crate::probe::{Outcome, Probe};

/// Whoever calls gives up sooner: longer than any timeout of a check may be.
const LONGER_THAN_ANY: Millis = Millis::from_secs(3600);

/// Asks for a URL on a connection of its own. It can be used when the answer has a status that
/// [passes](Probe::judge) and is whole. What the other service wrote is not passed on: of an answer that
/// fails `/ready` shows the status alone, and the log can have its beginning.
#[derive(Clone)]
pub struct HttpCheck {
    get: Get,
    /// With name and password, if it has them.
    url: Url,
    rules: Probe,
}

impl HttpCheck {
    pub(super) fn new(get: Get, url: Url) -> Self {
        Self { get, url, rules: Probe::readiness() }
    }

    /// With this header in every request.
    ///
    /// # Errors
    /// When it is not a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        self.get.insert(name, value)?;
        Ok(self)
    }
}

#[async_trait]
impl DependencyCheck for HttpCheck {
    async fn check(&self) -> Result<(), CheckFailure> {
        match self.get.probe(self.url.clone(), &self.rules, LONGER_THAN_ANY).await {
            Outcome::Passed { .. } => Ok(()),
            Outcome::Failed { why, detail } => {
                Err(CheckFailure::new(&why.to_string()).because(detail.as_str()))
            }
        }
    }
}

impl fmt::Debug for HttpCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The host alone: the rest of the address may have a password.
        f.debug_struct("HttpCheck").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}
