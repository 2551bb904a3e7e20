//! Where Prometheus is and how it is asked, as `lifecycle operator` is told.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lifecycle_prom::{
    ConfigError, Connection, Metrics, NameError, Pem, PodMetrics, PrometheusConfig, PrometheusSource,
};

use crate::input::BadInput;

const PROMETHEUS: &str = "--prometheus";
const TOKEN: &str = "--prometheus-token-file";
const BASIC_AUTH: &str = "--prometheus-basic-auth-file";
const CA: &str = "--prometheus-ca";
const CERT: &str = "--prometheus-cert";
const KEY: &str = "--prometheus-key";
const HEADER: &str = "--prometheus-header";

#[derive(Args, Clone)]
#[command(next_help_heading = "Prometheus")]
pub(crate) struct PrometheusArgs {
    /// Prometheus that judges rollouts, as http://prometheus:9090; without it manifests with checks are refused. Several,
    /// each with the flag or with commas between them, are replicas with the same data: they are asked in this order
    #[arg(
        long,
        env = "LIFECYCLE_PROMETHEUS",
        hide_env_values = true,
        value_name = "URL",
        value_delimiter = ','
    )]
    prometheus: Vec<String>,
    /// Whose metrics it has: those of the application, or of the proxy before it
    #[arg(long, value_enum, default_value_t, value_name = "SET")]
    metrics: MetricSet,
    /// Label of the metrics that carries the revision [default: that of the set; of plain it is revision]
    #[arg(long, value_name = "LABEL", value_parser = label)]
    revision_label: Option<String>,
    /// What that label says, with {namespace}, {agent} and {revision}, the hash [default: that of the set; of plain it is
    /// {revision}]
    #[arg(long, value_name = "TEMPLATE", value_parser = template)]
    revision_value: Option<String>,
    /// Prometheus scrapes the kubelets and kube-state-metrics, with the labels of pods; without it checks of saturation and
    /// restarts are refused
    #[arg(long)]
    pod_metrics: bool,
    /// File with the bearer token for Prometheus; read again when it changes
    #[arg(long, value_name = "FILE", requires = "prometheus", conflicts_with = "prometheus_basic_auth_file")]
    prometheus_token_file: Option<PathBuf>,
    /// File with user:password for Prometheus
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    prometheus_basic_auth_file: Option<PathBuf>,
    /// File with the certificates, in PEM, of the authorities that are trusted [default: those of the system]
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    prometheus_ca: Option<PathBuf>,
    /// File with the operator's certificate, in PEM, where Prometheus asks for one
    #[arg(long, value_name = "FILE", requires = "prometheus", requires = "prometheus_key")]
    prometheus_cert: Option<PathBuf>,
    /// File with the key of that certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "prometheus", requires = "prometheus_cert")]
    prometheus_key: Option<PathBuf>,
    /// Header of each request, such as 'X-Scope-OrgID: shop'; may be given several times
    #[arg(long, value_name = "NAME: VALUE", requires = "prometheus")]
    prometheus_header: Vec<String>,
    /// Alertmanager whose critical alerts count, and not the series ALERTS: those that are silenced do not. Asked with the
    /// same token, password, certificates and headers as Prometheus; several as there
    #[arg(long, value_name = "URL", value_delimiter = ',', requires = "prometheus")]
    alertmanager: Vec<String>,
}

/// Ready-made names of metrics and labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum MetricSet {
    /// http_requests_total and http_request_duration_seconds, of the application
    #[default]
    Plain,
    /// Istio's, by the sidecar or waypoint of the server
    Istio,
    /// Linkerd's, by the proxy of the server
    Linkerd,
    /// Those of Ingress NGINX
    NginxIngress,
    /// Envoy's, by cluster
    Envoy,
}

impl MetricSet {
    fn names(self) -> Metrics {
        match self {
            Self::Plain => Metrics::plain(),
            Self::Istio => Metrics::istio(),
            Self::Linkerd => Metrics::linkerd(),
            Self::NginxIngress => Metrics::nginx_ingress(),
            Self::Envoy => Metrics::envoy(),
        }
    }
}

impl std::fmt::Debug for PrometheusArgs {
    /// Addresses and headers may have secrets in them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PrometheusArgs").field("metrics", &self.metrics).finish_non_exhaustive()
    }
}

impl PrometheusArgs {
    /// The source of health, where there is one. The files are read, and nothing is asked yet.
    pub(super) fn source(&self) -> Result<Option<PrometheusSource>, BadInput> {
        let Some(config) = self.config()? else { return Ok(None) };
        let source = PrometheusSource::new(config);
        Ok(Some(source.map_err(|error| bad(self.flag_of(&error), error))?))
    }

    fn config(&self) -> Result<Option<PrometheusConfig>, BadInput> {
        let Some(prometheus) = self.connection(PROMETHEUS, &self.prometheus)? else { return Ok(None) };
        let config =
            PrometheusConfig::over(prometheus).metrics(self.names()?).pods_come_with("--pod-metrics");
        Ok(Some(match self.connection("--alertmanager", &self.alertmanager)? {
            Some(alertmanager) => config.alertmanager(alertmanager),
            None => config,
        }))
    }

    /// What metrics and labels are called.
    fn names(&self) -> Result<Metrics, BadInput> {
        let mut names = self.metrics.names();
        if let Some(label) = &self.revision_label {
            names = names.revision_label(label).map_err(|error| bad("--revision-label", error))?;
        }
        if let Some(template) = &self.revision_value {
            names = names.revision_value(template).map_err(|error| bad("--revision-value", error))?;
        }
        Ok(if self.pod_metrics { names.pods(PodMetrics::default()) } else { names })
    }

    /// The server at these addresses; none where all are empty, as a variable of the environment may be.
    fn connection(&self, flag: &str, addresses: &[String]) -> Result<Option<Connection>, BadInput> {
        let mut addresses =
            addresses.iter().map(|address| address.trim()).filter(|address| !address.is_empty());
        let Some(first) = addresses.next() else { return Ok(None) };
        let mut connection = Connection::new(first).map_err(|error| bad(flag, error))?;
        for address in addresses {
            connection = connection.or(address).map_err(|error| bad(flag, error))?;
        }
        for header in &self.prometheus_header {
            let (name, value) =
                header.split_once(':').ok_or_else(|| bad(HEADER, "write a header as 'Name: value'"))?;
            connection = connection.header(name.trim(), value.trim()).map_err(|error| bad(HEADER, error))?;
        }
        if let Some(path) = &self.prometheus_token_file {
            connection = connection.bearer_token_file(path);
        }
        if let Some(path) = &self.prometheus_basic_auth_file {
            let (user, password) = user_and_password(path)?;
            connection = connection.basic_auth(&user, &password);
        }
        if let Some(path) = &self.prometheus_ca {
            connection = connection.ca(Pem::file(path));
        }
        if let (Some(certificate), Some(key)) = (&self.prometheus_cert, &self.prometheus_key) {
            connection = connection.client_certificate(Pem::file(certificate), Pem::file(key));
        }
        Ok(Some(connection))
    }

    /// The flag that this is about.
    fn flag_of(&self, error: &ConfigError) -> &'static str {
        let files = [
            (TOKEN, &self.prometheus_token_file),
            (CA, &self.prometheus_ca),
            (CERT, &self.prometheus_cert),
            (KEY, &self.prometheus_key),
        ];
        let ConfigError::File { path, .. } = error else { return PROMETHEUS };
        let is_it = |file: &Option<PathBuf>| file.as_ref().is_some_and(|file| *file == Path::new(path));
        files.into_iter().find(|(_, file)| is_it(file)).map_or(PROMETHEUS, |(flag, _)| flag)
    }
}

fn bad(flag: &str, problem: impl std::fmt::Display) -> BadInput {
    BadInput::new(format!("{flag}: {problem}"))
}

fn user_and_password(path: &Path) -> Result<(String, String), BadInput> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| bad(BASIC_AUTH, format!("{}: cannot be read: {error}", path.display())))?;
    match text.trim_end_matches(['\r', '\n']).split_once(':') {
        Some((user, password)) if !user.is_empty() => Ok((user.to_owned(), password.to_owned())),
        _ => Err(bad(BASIC_AUTH, format!("{}: write user:password in it", path.display()))),
    }
}

fn label(text: &str) -> Result<String, String> {
    said(text, Metrics::default().revision_label(text))
}

fn template(text: &str) -> Result<String, String> {
    said(text, Metrics::default().revision_value(text))
}

fn said(text: &str, accepted: Result<Metrics, NameError>) -> Result<String, String> {
    accepted.map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
