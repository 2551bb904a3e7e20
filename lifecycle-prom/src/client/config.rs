//! How Prometheus is reached.

use std::fmt;
use std::time::Duration;

use lifecycle_core::time::Millis;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

use crate::metrics::Metrics;

/// Where Prometheus is, who asks, and what its metrics are called.
///
/// # Example
/// ```
/// # use lifecycle_prom::PrometheusConfig;
/// let config = PrometheusConfig::new("https://metrics.example.com/prometheus")?.bearer_token("secret")?;
/// assert!(!format!("{config:?}").contains("secret"));
/// # Ok::<(), lifecycle_prom::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct PrometheusConfig {
    /// With name and password, if the address has them, and a slash at its end.
    pub(super) base_url: Url,
    /// Without.
    pub(super) shown: String,
    pub(super) headers: HeaderMap,
    pub(super) basic: Option<(String, String)>,
    pub(super) deadline: Duration,
    pub(super) max_answer_bytes: usize,
    pub(super) concurrency: usize,
    pub(super) settle: Millis,
    pub(super) metrics: Metrics,
}

/// The configuration cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No address of a Prometheus.
    #[error("{given:?} is not the address of a Prometheus: {problem}")]
    Url {
        /// What was given, without a password.
        given: String,
        /// What is wrong and what is accepted.
        problem: String,
    },
    /// No header.
    #[error(
        "the header {name:?} cannot be sent: write letters, digits and - for its name, and visible characters for its value"
    )]
    Header {
        /// Its name.
        name: String,
    },
    /// TLS or the client cannot be set up.
    #[error("no client for Prometheus: {0}")]
    Client(String),
}

impl PrometheusConfig {
    /// The Prometheus at this address, `http://host:9090` or with a path where it is served under one. A name
    /// and a password in the address are used for basic authentication.
    ///
    /// # Errors
    /// When it is not the address of an HTTP server.
    pub fn new(address: &str) -> Result<Self, ConfigError> {
        let wrong = |given: &str, problem: &str| ConfigError::Url {
            given: given.to_owned(),
            problem: format!("{problem}; write one like http://prometheus.monitoring:9090"),
        };
        // What cannot be parsed may still have a password in it.
        let without_password = address.rsplit_once('@').map_or(address, |(_, host)| host);
        let mut url = Url::parse(address).map_err(|error| wrong(without_password, &error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(without_password, "it does not begin with http:// or https://"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(without_password, "it has a query or a fragment"));
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let mut shown = url.clone();
        // Neither fails for a URL with a host, which one with http has.
        let _ = (shown.set_username(""), shown.set_password(None));
        Ok(Self {
            base_url: url,
            shown: shown.to_string(),
            headers: HeaderMap::new(),
            basic: None,
            deadline: Duration::from_secs(5),
            max_answer_bytes: 1 << 20,
            concurrency: 16,
            settle: Millis::from_secs(1),
            metrics: Metrics::default(),
        })
    }

    /// With this header in every request, such as a tenant's: `X-Scope-OrgID`.
    ///
    /// # Errors
    /// When it is not a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::Header { name: name.to_owned() };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        self.headers.insert(key, value);
        Ok(self)
    }

    /// With this bearer token.
    ///
    /// # Errors
    /// When it cannot be part of a header.
    pub fn bearer_token(self, token: &str) -> Result<Self, ConfigError> {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {}", token.trim()))
    }

    /// With basic authentication.
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.basic = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// How long the questions of one look may take together. Default 5 s.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The largest answer that is read. Default 1 MiB: what is larger does not aggregate.
    pub const fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// How many questions may be on their way, of all rollouts together. Default 16: a Prometheus answers 20
    /// at a time unless it is told otherwise.
    pub fn concurrency(mut self, questions: usize) -> Self {
        self.concurrency = questions.max(1);
        self
    }

    /// How long it takes until what was scraped is stored: about as long as the slowest replica takes to show its metrics.
    /// Default 1 s. What is counted since an earlier look ends that much before now. Too short a time costs
    /// looks, never exactness: see [`Ends`](crate::query::Ends).
    pub const fn settle(mut self, time: Millis) -> Self {
        self.settle = time;
        self
    }

    /// What metrics and labels are called.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }
}

impl fmt::Debug for PrometheusConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            base_url: _,
            shown,
            headers,
            basic,
            deadline,
            max_answer_bytes,
            concurrency,
            settle,
            metrics,
        } = self;
        f.debug_struct("PrometheusConfig")
            .field("url", shown)
            .field("headers", headers)
            .field("user", &basic.as_ref().map(|(user, _)| user))
            .field("deadline", deadline)
            .field("max_answer_bytes", max_answer_bytes)
            .field("concurrency", concurrency)
            .field("settle", settle)
            .field("metrics", metrics)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_the_one_below_which_the_api_is() {
        for (address, shown) in [
            ("http://prom:9090", "http://prom:9090/"),
            ("http://prom:9090/", "http://prom:9090/"),
            ("https://example.com/prometheus/", "https://example.com/prometheus/"),
            ("http://me:pass%40word@[::1]:9090", "http://[::1]:9090/"),
        ] {
            let config = PrometheusConfig::new(address).unwrap();
            assert_eq!(config.shown, shown);
            assert!(!format!("{config:?}").contains("pass"), "{config:?}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_says_why_and_keeps_the_password() {
        for (address, said) in [
            ("", "relative URL without a base"),
            ("prom:9090", "it does not begin with http:// or https://"),
            ("ftp://me:secret@prom", "\"prom\" is not the address of a Prometheus: it does not begin with"),
            ("http://", "empty host"),
            ("http://me:secret@prom:99999", "invalid port number"),
            ("http://me:secret@prom?x=1", "it has a query or a fragment"),
        ] {
            let error = PrometheusConfig::new(address).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("secret"), "{error}");
            assert!(error.ends_with("; write one like http://prometheus.monitoring:9090"), "{error}");
        }
    }

    #[test]
    fn no_header_smuggles_another_one_in() {
        let config = || PrometheusConfig::new("http://prom:9090").unwrap();
        for (name, value) in [("X-A", "1\r\nX-B: 2"), ("X A", "1"), ("", "1")] {
            assert!(config().header(name, value).is_err(), "{name} {value}");
        }
        assert!(config().bearer_token("a\nb").is_err());
        assert!(!format!("{:?}", config().bearer_token("tok3n\n").unwrap()).contains("tok3n"));
    }
}
