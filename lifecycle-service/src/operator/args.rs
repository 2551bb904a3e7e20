//! The arguments of `lifecycle operator`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use lifecycle_core::spec::parse_duration;
use lifecycle_k8s::names;

use super::prometheus::PrometheusArgs;
use super::trace::LogFormat;
use crate::rbac::{lease_name, namespace};

/// Roll out the AgentDeployments of a Kubernetes cluster
#[derive(Args, Clone, Debug)]
pub(crate) struct OperatorArgs {
    /// Look after this namespace only [default: the whole cluster]
    #[arg(long, env = "LIFECYCLE_WATCH_NAMESPACE", value_name = "NAMESPACE", value_parser = namespace)]
    pub(super) watch_namespace: Option<String>,
    /// Address for /health, /ready and /metrics
    #[arg(long, env = "LIFECYCLE_LISTEN", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    pub(super) listen: SocketAddr,
    /// How many AgentDeployments are looked at at once
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) concurrency: u16,
    /// Name of the Lease that elects the one operator that works
    #[arg(long, default_value = names::LEASE, value_name = "NAME", value_parser = lease_name)]
    pub(super) lease_name: String,
    /// Namespace of the Lease [default: the operator's own]
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE", value_parser = namespace)]
    pub(super) lease_namespace: Option<String>,
    /// Name of this operator in the Lease [default: host name and process id]
    #[arg(long, env = "POD_NAME", value_name = "NAME", value_parser = identity)]
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
    #[command(flatten)]
    pub(super) prometheus: PrometheusArgs,
}

fn identity(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("must not be empty: it tells operators with one Lease apart".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(span) if span.0 > 0 => Ok(span.into()),
        Ok(_) => Err("must be longer than 0".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::rbac::RbacArgs;

    #[derive(Debug, Parser)]
    struct Operator {
        #[command(flatten)]
        args: OperatorArgs,
    }

    #[derive(Debug, Parser)]
    struct Rbac {
        #[command(flatten)]
        _args: RbacArgs,
    }

    #[test]
    fn a_flag_means_the_same_to_the_operator_and_to_its_rules() {
        let words = ["it", "--watch-namespace", "shop", "--lease-name", "blue"];
        let args = Operator::try_parse_from(words).unwrap().args;
        assert_eq!((args.watch_namespace.as_deref(), &*args.lease_name), (Some("shop"), "blue"));
        Rbac::try_parse_from(words).unwrap();

        // the operator's own is that of its pod, and its Lease's is another flag
        assert!(Operator::try_parse_from(["it", "--namespace", "shop"]).is_err());
        Rbac::try_parse_from(["it", "--namespace", "shop"]).unwrap();
        let twice = ["it", "--watch-namespace", "shop", "--watch-namespace", "store"];
        assert!(Operator::try_parse_from(twice).is_err() && Rbac::try_parse_from(twice).is_err());
        let bad = ["it", "--watch-namespace", ""];
        assert!(Operator::try_parse_from(bad).is_err() && Rbac::try_parse_from(bad).is_err());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_flag() {
        for (flag, value, says) in [
            ("--identity", " ", "must not be empty"),
            ("--lease-duration", "0s", "must be longer than 0"),
            ("--concurrency", "0", "1..=1024"),
        ] {
            let error = Operator::try_parse_from(["it", flag, value]).unwrap_err().to_string();
            assert!(error.contains(flag) && error.contains(says), "{error}");
        }
    }
}
