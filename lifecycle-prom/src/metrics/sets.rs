//! Ready-made names: those of well-known proxies.
//!
//! A proxy is scraped as a target of its own, so its series do not have the labels of a pod but those that it makes; the series `up` is
//! matched with them by `job` and `instance` ([`Metrics::targets`]). Alerts have the labels of pods in every set
//! ([`Metrics::alert_labels`]).

use super::labels::{Labels, RevisionValue};
use super::{DurationUnit, Metrics};

impl Metrics {
    /// What most HTTP libraries and exporters write, with the labels of the pods: `http_requests_total` with `code`, and
    /// `http_request_duration_seconds`. The same as `Metrics::default()`.
    pub fn plain() -> Self {
        Self::default()
    }

    /// Istio, as the sidecar or waypoint of the server reports it: `istio_requests_total` and
    /// `istio_request_duration_milliseconds` with `reporter="destination"`. Revisions are told apart by
    /// `destination_workload`, the name of the Deployment, `<agent>-<revision>`.
    ///
    /// Names: <https://istio.io/latest/docs/reference/config/metrics/>.
    pub fn istio() -> Self {
        let labels = (Some("destination_workload_namespace"), "destination_workload");
        let durations = ("istio_request_duration_milliseconds", DurationUnit::Milliseconds);
        Self::of_proxy("istio_requests_total", durations, ("response_code", "5.."), labels)
            .only("reporter", "destination")
    }

    /// Linkerd, as the proxy of the server reports it: `response_total` and `response_latency_ms` with
    /// `direction="inbound"`. A response has failed whose `classification` says so: a 5xx, or a status of gRPC that is an error.
    /// Revisions are told apart by `deployment`, `<agent>-<revision>`, which linkerd-viz gives to what it scrapes. The latency is up to
    /// the first byte of the response.
    ///
    /// Names: <https://linkerd.io/2/reference/proxy-metrics/>.
    pub fn linkerd() -> Self {
        let durations = ("response_latency_ms", DurationUnit::Milliseconds);
        let labels = (Some("namespace"), "deployment");
        Self::of_proxy("response_total", durations, ("classification", "failure"), labels)
            .only("direction", "inbound")
    }

    /// Ingress NGINX: `nginx_ingress_controller_requests` with `status`, and
    /// `nginx_ingress_controller_request_duration_seconds`. Revisions are told apart by `service`: give each its own Service,
    /// `<agent>-<revision>`, or say what it is called with [`revision_value`](Self::revision_value). Where the scrape configuration does not
    /// honour labels, they are `exported_namespace` and `exported_service`.
    ///
    /// Names: <https://kubernetes.github.io/ingress-nginx/user-guide/monitoring/#exposed-metrics>.
    pub fn nginx_ingress() -> Self {
        let durations = ("nginx_ingress_controller_request_duration_seconds", DurationUnit::Seconds);
        let labels = (Some("namespace"), "service");
        Self::of_proxy("nginx_ingress_controller_requests", durations, ("status", "5.."), labels)
            .without_replicas()
    }

    /// Envoy, and implementations of the Gateway API that are made of it: `envoy_cluster_upstream_rq` with
    /// `envoy_response_code`, and `envoy_cluster_upstream_rq_time`. Revisions are told apart by `envoy_cluster_name`, which every
    /// implementation forms in its own way: say how with [`revision_value`](Self::revision_value). Default
    /// `<namespace>/<agent>-<revision>`.
    ///
    /// Names: <https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats>, as its
    /// `/stats/prometheus` writes them.
    pub fn envoy() -> Self {
        let durations = ("envoy_cluster_upstream_rq_time", DurationUnit::Milliseconds);
        let code = ("envoy_response_code", "5..");
        let mut metrics =
            Self::of_proxy("envoy_cluster_upstream_rq", durations, code, (None, "envoy_cluster_name"));
        metrics.series.value = RevisionValue::of_namespace_and_child();
        metrics.without_replicas()
    }

    /// A proxy that names the Deployment of a revision, with the labels of its namespace and of that.
    fn of_proxy(
        requests: &str,
        (durations, unit): (&str, DurationUnit),
        (code, failed_codes): (&str, &str),
        (namespace, revision): (Option<&str>, &str),
    ) -> Self {
        Self {
            requests: requests.to_owned(),
            durations: durations.to_owned(),
            unit,
            code: code.to_owned(),
            failed_codes: failed_codes.to_owned(),
            series: Labels {
                namespace: namespace.map(str::to_owned),
                agent: None,
                revision: revision.to_owned(),
                value: RevisionValue::of_child(),
            },
            alerts: Some(Labels::of_pods()),
            targets: Some(Vec::new()),
            // that of the proxy, not of what it stands before
            process_start: None,
            ..Self::default()
        }
    }

    /// The proxy stands before all replicas, and does not tell them apart.
    fn without_replicas(mut self) -> Self {
        self.replica.clear();
        self
    }

    /// Only series with this label.
    fn only(mut self, name: &str, value: &str) -> Self {
        self.of_series.push((name.to_owned(), value.to_owned()));
        self
    }
}
