//! The names of metrics and labels.

mod labels;
mod name;
mod pods;
mod sets;

use std::sync::Arc;

use lifecycle_core::time::Millis;

pub(crate) use labels::Labels;
use labels::RevisionValue;
pub use name::NameError;
use name::{label, metric};
pub use pods::PodMetrics;

/// How metrics and labels are called. The defaults are the names that most HTTP libraries write, and
/// the labels that pods have; [`istio`](Self::istio), [`linkerd`](Self::linkerd),
/// [`nginx_ingress`](Self::nginx_ingress) and [`envoy`](Self::envoy) are other places to start.
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
    pub(crate) native: bool,
    pub(crate) code: String,
    pub(crate) failed_codes: String,
    pub(crate) series: Labels,
    /// Of alerts; `None` is those of the series.
    pub(crate) alerts: Option<Labels>,
    pub(crate) critical: (String, String),
    /// Are alerts those of Alertmanager, and not the series `ALERTS`?
    pub(crate) alertmanager: bool,
    pub(crate) fixed: Vec<(String, String)>,
    /// Of the series, and not of alerts.
    pub(crate) of_series: Vec<(String, String)>,
    /// The first one that a series has is the name of its replica; none where replicas are not told apart.
    pub(crate) replica: Vec<String>,
    /// Labels of the scraped targets' own series; `None` is those of the metrics.
    pub(crate) targets: Option<Vec<(String, String)>>,
    pub(crate) process_start: Option<String>,
    pub(crate) stale_after: Millis,
    /// Of saturation and restarts; `None` where nobody said how they are measured.
    pub(crate) pods: Option<Arc<PodMetrics>>,
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

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: "http_requests_total".to_owned(),
            durations: "http_request_duration_seconds".to_owned(),
            unit: DurationUnit::Seconds,
            native: false,
            code: "code".to_owned(),
            failed_codes: "5..".to_owned(),
            series: Labels::of_pods(),
            alerts: None,
            critical: ("severity".to_owned(), "critical".to_owned()),
            alertmanager: false,
            fixed: Vec::new(),
            of_series: Vec::new(),
            replica: vec!["pod".to_owned(), "instance".to_owned()],
            targets: None,
            process_start: Some("process_start_time_seconds".to_owned()),
            stale_after: Millis::from_secs(150),
            pods: None,
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
        (self.unit, self.native) = (unit, false);
        Ok(self)
    }

    /// The native histogram of durations, and its unit, in the place of a classic one. Needs a Prometheus that has them (2.40
    /// with `--enable-feature=native-histograms`, or 3). What is handed on has at most 8 buckets for each power of 2.
    ///
    /// # Errors
    /// When it is not the name of a metric.
    pub fn native_durations(self, name: &str, unit: DurationUnit) -> Result<Self, NameError> {
        let mut classic = self.durations(name, unit)?;
        classic.native = true;
        Ok(classic)
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
        self.series.namespace = name.map(|name| label("namespace label", name)).transpose()?;
        Ok(self)
    }

    /// The label that has the name of the AgentDeployment, `None` where there is none. Default `agent`.
    /// Without it a critical alert is anybody's.
    ///
    /// # Errors
    /// When it is not the name of a label.
    pub fn agent_label(mut self, name: Option<&str>) -> Result<Self, NameError> {
        self.series.agent = name.map(|name| label("agent label", name)).transpose()?;
        Ok(self)
    }

    /// The label that has the hash of the revision. Default `revision`.
    ///
    /// # Errors
    /// When it is not the name of a label.
    pub fn revision_label(mut self, name: &str) -> Result<Self, NameError> {
        self.series.revision = label("revision label", name)?;
        Ok(self)
    }

    /// What the label of the revision says, with `{namespace}`, `{agent}` and `{revision}` (the hash) for those of the arm.
    /// Default `{revision}`.
    ///
    /// # Errors
    /// When the revision is not in it, or there is another placeholder.
    ///
    /// # Example
    /// ```
    /// # use lifecycle_prom::Metrics;
    /// // kube-prometheus-stack, which knows pods by the name of their workload
    /// let metrics = Metrics::plain().revision_label("workload")?.revision_value("{agent}-{revision}")?;
    /// assert!(Metrics::plain().revision_value("{agent}-{version}").is_err());
    /// # Ok::<(), lifecycle_prom::NameError>(())
    /// ```
    pub fn revision_value(mut self, template: &str) -> Result<Self, NameError> {
        self.series.value = RevisionValue::parse(template)?;
        Ok(self)
    }

    /// The labels of namespace, agent and revision (its hash) that alerts have. Default: those of the series. `None` where alerts
    /// have no such label.
    ///
    /// # Errors
    /// When one is not the name of a label.
    pub fn alert_labels(
        mut self,
        namespace: Option<&str>,
        agent: Option<&str>,
        revision: &str,
    ) -> Result<Self, NameError> {
        let name = |name: Option<&str>| name.map(|name| label("alert labels", name)).transpose();
        let (namespace, agent, revision) = (name(namespace)?, name(agent)?, label("alert labels", revision)?);
        self.alerts = Some(Labels { namespace, agent, revision, value: RevisionValue::hash() });
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

    /// Critical alerts are those that Alertmanager has, and not the series `ALERTS` of Prometheus: those that are silenced or inhibited
    /// there do not count. (A [`PrometheusConfig`](crate::PrometheusConfig) with an Alertmanager says so by itself.)
    pub const fn alerts_of_alertmanager(mut self) -> Self {
        self.alertmanager = true;
        self
    }

    /// One more label that the series of requests and durations must have, and nothing else has to.
    ///
    /// # Errors
    /// When it is not the name of a label.
    pub fn series_label(mut self, name: &str, value: &str) -> Result<Self, NameError> {
        self.of_series.push((label("series label", name)?, value.to_owned()));
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

    /// The labels by which the scraped targets' own series, `up` and the one of [`process_start`](Self::process_start),
    /// are found. Default: they have the labels of the metrics, as relabelling gives them to both. Where the labels of
    /// the metrics are made by a proxy, give those of its scrape job, or none for all targets; a series is then matched
    /// with its target by `job` and `instance` alone.
    ///
    /// # Errors
    /// When one is not the name of a label.
    pub fn targets(mut self, labels: &[(&str, &str)]) -> Result<Self, NameError> {
        let own = |(name, value): &(&str, &str)| Ok((label("targets", name)?, (*value).to_owned()));
        self.targets = Some(labels.iter().map(own).collect::<Result<_, _>>()?);
        Ok(self)
    }

    /// The labels that tell replicas apart: of each series the first one that it has counts. Default `pod`, then
    /// `instance`.
    ///
    /// # Errors
    /// When one is not the name of a label, or there is none.
    pub fn replica_labels(mut self, names: &[&str]) -> Result<Self, NameError> {
        // no list is as good as an empty name
        let names = if names.is_empty() { &[""] } else { names };
        self.replica = names.iter().map(|name| label("replica labels", name)).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The metric that says when a target's process began, in seconds since 1970; `None` where there is none. Default
    /// `process_start_time_seconds`, which most client libraries write. With it what a new replica served before its
    /// first scrape is counted too, and every restart is noticed: see [`query`](crate::query).
    ///
    /// # Errors
    /// When it is not the name of a metric.
    pub fn process_start(mut self, name: Option<&str>) -> Result<Self, NameError> {
        self.process_start = name.map(|name| metric("process start", name)).transpose()?;
        Ok(self)
    }

    /// The metrics of pods. Default none: checks of saturation and restarts are refused, because without
    /// the labels of pods nobody knows which revision a pod is of.
    pub fn pods(mut self, pods: PodMetrics) -> Self {
        self.pods = Some(Arc::new(pods));
        self
    }

    /// The labels of what is known of pods.
    pub(crate) fn of_pods(&self) -> &Labels {
        self.pods.as_ref().map_or(&self.series, |pods| &pods.of)
    }

    /// The labels of alerts.
    pub(crate) fn of_alerts(&self) -> &Labels {
        self.alerts.as_ref().unwrap_or(&self.series)
    }

    /// How old the newest scrape of a revision may be. Default 150 s, more than two scrapes a minute apart. What is older
    /// says nothing about now, and is an error.
    pub const fn stale_after(mut self, age: Millis) -> Self {
        self.stale_after = age;
        self
    }
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
        assert!(Metrics::default().replica_labels(&[]).is_err());
        let error = Metrics::default().code_label("x\"y").unwrap_err().to_string();
        assert_eq!(
            error,
            "code label: \"x\\\"y\" is not the name of a label: write letters, digits and _, not beginning with a digit"
        );
    }
}
