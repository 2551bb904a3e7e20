//! The arguments of `lifecycle operator`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use lifecycle_core::spec::parse_duration;

use super::trace::LogFormat;

/// Roll out the AgentDeployments of a Kubernetes cluster
#[derive(Args, Clone, Debug)]
pub(crate) struct OperatorArgs {
    /// Look only at this namespace [default: the whole cluster]
    #[arg(long, env = "LIFECYCLE_NAMESPACE", value_name = "NAMESPACE")]
    pub(super) namespace: Option<String>,
    /// Address for /health, /ready and /metrics
    #[arg(long, env = "LIFECYCLE_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub(super) listen: SocketAddr,
    /// Prometheus that judges rollouts, as http://prometheus:9090; without it manifests with checks are refused
    #[arg(long, env = "LIFECYCLE_PROMETHEUS", value_name = "URL")]
    pub(super) prometheus: Option<String>,
    /// Label of the metrics that carries the revision's hash
    #[arg(long, default_value = "revision", value_name = "LABEL")]
    pub(super) revision_label: String,
    /// How many AgentDeployments are looked at at once
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) concurrency: u16,
    /// Name of the Lease that elects the one operator that works
    #[arg(long, default_value = "lifecycle-operator", value_name = "NAME")]
    pub(super) lease_name: String,
    /// Namespace of the Lease [default: the operator's own]
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub(super) lease_namespace: Option<String>,
    /// Name of this operator in the Lease [default: host name and process id]
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub(super) identity: Option<String>,
    /// How long a Lease is good that is not renewed
    #[arg(long, default_value = "15s", value_parser = duration, value_name = "DURATION")]
    pub(super) lease_duration: Duration,
    /// The leader stops when it could not renew the Lease for this long
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION")]
    pub(super) renew_deadline: Duration,
    /// Between two tries to get or renew the Lease
    #[arg(long, default_value = "2s", value_parser = duration, value_name = "DURATION")]
    pub(super) retry_period: Duration,
    /// What is logged on standard error: a level, or a list like info,lifecycle_k8s=debug
    #[arg(long, env = "RUST_LOG", value_name = "FILTER")]
    pub(super) log: Option<String>,
    /// Form of the log
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(super) log_format: LogFormat,
}

fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(span) if span.0 > 0 => Ok(span.into()),
        Ok(_) => Err("must be longer than 0".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
