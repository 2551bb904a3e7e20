//! The names of metrics and labels.

use thiserror::Error;

/// How metrics and labels are called. The defaults are the names that most HTTP libraries write, and
/// the labels that pods have.
///
/// # Example
/// ```
/// # use lifecycle_prom::Metrics;
/// let metrics = Metrics::default().requests("app_requests_total")?.code_label("status")?;
/// # Ok::<(), lifecycle_prom::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Metrics {
    pub(crate) requests: String,
    pub(crate) durations: String,
    pub(crate) unit: DurationUnit,
    pub(crate) code: String,
    pub(crate) failed_codes: String,
    pub(crate) namespace: Option<String>,
    pub(crate) agent: Option<String>,
    pub(crate) revision: String,
    pub(crate) critical: (String, String),
    pub(crate) fixed: Vec<(String, String)>,
}

/// The unit in which a histogram has its bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DurationUnit {
    /// As Prometheus recommends.
    #[default]
    Seconds,
    /// As Istio's `istio_request_duration_milliseconds` has them.
    Milliseconds,
}

impl DurationUnit {
    pub(crate) const fn micros(self) -> f64 {
        match self {
            Self::Seconds => 1e6,
            Self::Milliseconds => 1e3,
        }
    }
}

/// This is no name that Prometheus accepts.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {given:?} is not the name of a {of}: {accepted}")]
#[non_exhaustive]
pub struct NameError {
    /// Which of the names.
    pub field: &'static str,
    /// What was given.
    pub given: String,
    of: &'static str,
    accepted: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: "http_requests_total".to_owned(),
            durations: "http_request_duration_seconds".to_owned(),
            unit: DurationUnit::Seconds,
            code: "code".to_owned(),
            failed_codes: "5..".to_owned(),
            namespace: Some("namespace".to_owned()),
            agent: Some("agent".to_owned()),
            revision: "revision".to_owned(),
            critical: ("severity".to_owned(), "critical".to_owned()),
            fixed: Vec::new(),
        }
    }
}

impl Metrics {
    /// The counter of requests. Default `http_requests_total`.
    ///
    /// # Errors
    /// When it is not the name of a metric; so for every name here.
    pub fn requests(mut self, name: &str) -> Result<Self, NameError> {
        self.requests = metric("requests", name)?;
        Ok(self)
    }

    /// The classic histogram of durations, without `_bucket`, and the unit of its bounds. Default
    /// `http_request_duration_seconds`.
    ///
    /// # Errors
    /// When it is not the name of a metric.
    pub fn durations(mut self, name: &str, unit: DurationUnit) -> Result<Self, NameError> {
        self.durations = metric("durations", name)?;
        self.unit = unit;
        Ok(self)
    }

    /// The label that has the status code. Default `code`.
    ///
    /// # Errors
    /// When it is not the name of a label.
    pub fn code_label(mut self, name: &str) -> Result<Self, NameError> {
        self.code = label("code label", name)?;
        Ok(self)
    }

    /// The regular expression of the codes that have failed, matched as a whole. Default `5..`. What
    /// Prometheus does not understand it refuses when it is asked.
    pub fn failed_codes(mut self, pattern: &str) -> Self {
        pattern.clone_into(&mut self.failed_codes);
        self
    }

    /// The label that has the namespace, `None` where there is none. Default `namespace`.
    ///
    /// # Errors
    /// When it is not the name of a label.
    pub fn namespace_label(mut self, name: Option<&str>) -> Result<Self, NameError> {
        self.namespace = name.map(|name| label("namespace label", name)).transpose()?;
        Ok(self)
    }

    /// The label that has the name of the AgentDeployment, `None` where there is none. Default `agent`.
    /// Without it a critical alert is anybody's.
    ///
    /// # Errors
    /// When it is not the name of a label.
    pub fn agent_label(mut self, name: Option<&str>) -> Result<Self, NameError> {
        self.agent = name.map(|name| label("agent label", name)).transpose()?;
        Ok(self)
    }

    /// The label that has the hash of the revision. Default `revision`.
    ///
    /// # Errors
    /// When it is not the name of a label.
    pub fn revision_label(mut self, name: &str) -> Result<Self, NameError> {
        self.revision = label("revision label", name)?;
        Ok(self)
    }

    /// The label and value that make an alert critical. Default `severity`, `critical`.
    ///
    /// # Errors
    /// When it is not the name of a label.
    pub fn critical_alerts(mut self, name: &str, value: &str) -> Result<Self, NameError> {
        self.critical = (label("critical alerts", name)?, value.to_owned());
        Ok(self)
    }

    /// One more label that every series and every alert must have, such as a cluster's name.
    ///
    /// # Errors
    /// When it is not the name of a label.
    pub fn with_label(mut self, name: &str, value: &str) -> Result<Self, NameError> {
        self.fixed.push((label("label", name)?, value.to_owned()));
        Ok(self)
    }
}

fn metric(field: &'static str, name: &str) -> Result<String, NameError> {
    let accepted = "write letters, digits, _ and :, not beginning with a digit";
    word(name, "_:").ok_or_else(|| NameError { field, given: name.to_owned(), of: "metric", accepted })
}

fn label(field: &'static str, name: &str) -> Result<String, NameError> {
    let accepted = "write letters, digits and _, not beginning with a digit";
    word(name, "_").ok_or_else(|| NameError { field, given: name.to_owned(), of: "label", accepted })
}

fn word(name: &str, also: &str) -> Option<String> {
    let letter = |c: char| c.is_ascii_alphabetic() || also.contains(c);
    let fits = name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit());
    fits.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_name_and_never_a_query() {
        for (name, fits) in [
            ("http_requests_total", true),
            ("job:requests:rate5m", true),
            ("_x", true),
            ("", false),
            ("5xx", false),
            ("requests-total", false),
            ("x{a=\"b\"}", false),
            ("zähler", false),
        ] {
            assert_eq!(Metrics::default().requests(name).is_ok(), fits, "{name}");
        }
        assert!(Metrics::default().revision_label("a:b").is_err());
        let error = Metrics::default().code_label("x\"y").unwrap_err().to_string();
        assert_eq!(
            error,
            "code label: \"x\\\"y\" is not the name of a label: write letters, digits and _, not beginning with a digit"
        );
    }
}
