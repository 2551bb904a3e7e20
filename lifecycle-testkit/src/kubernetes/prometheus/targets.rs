//! The pods that are scraped, in the file that Prometheus watches.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::kubernetes::load::dialled;

/// Where a label of the pod becomes a label of its series.
const LABELS: [(&str, &str); 2] =
    [("enis.andaon.com/agent", "agent"), ("enis.andaon.com/revision", "revision")];

/// Keeps the file up to date until it is dropped.
pub(super) async fn follow(client: Client, namespaces: Vec<String>, file: PathBuf) {
    let apis: Vec<Api<Pod>> = match namespaces.is_empty() {
        true => vec![Api::all(client)],
        false => namespaces.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect(),
    };
    let (mut stores, mut watches) = (Vec::new(), Vec::new());
    for api in apis {
        let (store, writer) = reflector::store();
        stores.push(store);
        watches.push(Box::pin(
            watcher::watcher(api, watcher::Config::default()).default_backoff().reflect(writer),
        ));
    }
    let mut events = stream::select_all(watches);
    let mut written = json!([]);
    while let Some(event) = events.next().await {
        // It is repeated, and the pods that are known are scraped on.
        if let Err(error) = event {
            tracing::warn!(%error, "the pods to scrape cannot be watched");
            continue;
        }
        let pods = stores.iter().flat_map(Store::state);
        let mut all: Vec<_> = pods.map(|pod| targets(&pod)).filter(|targets| !targets.is_null()).collect();
        all.sort_by_cached_key(Value::to_string);
        let all = Value::from(all);
        // A probe changes a pod, but not where it is.
        if all != written {
            match write(&file, &all) {
                Ok(()) => written = all,
                Err(error) => tracing::warn!(%error, "the file of targets cannot be written"),
            }
        }
    }
}

/// A static configuration as in <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config>;
/// null where there is nothing to scrape.
fn targets(pod: &Pod) -> Value {
    let status = pod.status.as_ref();
    let running = status.and_then(|status| status.phase.as_deref()) == Some("Running");
    let ip = status.and_then(|status| status.pod_ip.as_deref()).and_then(|ip| ip.parse::<Ipv4Addr>().ok());
    let (true, Some(ip)) = (running, ip) else { return Value::Null };
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    let ports = ports.filter_map(|port| u16::try_from(port.container_port).ok());
    let targets: Vec<_> = ports.map(|port| SocketAddr::from((dialled(ip), port)).to_string()).collect();
    if targets.is_empty() {
        return Value::Null;
    }
    let mut labels =
        BTreeMap::from([("pod", pod.name_any()), ("namespace", pod.namespace().unwrap_or_default())]);
    for (from, to) in LABELS {
        labels.extend(pod.labels().get(from).map(|value| (to, value.clone())));
    }
    json!({ "targets": targets, "labels": labels })
}

/// At once, for a reader that is told of every change.
fn write(file: &Path, targets: &Value) -> io::Result<()> {
    let mut next = NamedTempFile::new_in(file.parent().unwrap_or(Path::new(".")))?;
    next.write_all(targets.to_string().as_bytes())?;
    next.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(phase: &str, ip: Value, ports: Value) -> Value {
        let pod = serde_json::from_value(json!({
            "metadata": {
                "name": "web-1", "namespace": "shop",
                "labels": { "enis.andaon.com/agent": "web", "enis.andaon.com/revision": "abc", "other": "x" },
            },
            "spec": { "containers": [{ "name": "app", "ports": ports }] },
            "status": { "phase": phase, "podIP": ip },
        }));
        targets(&pod.unwrap())
    }

    #[test]
    fn a_running_pod_is_scraped_on_loopback_at_the_ports_it_declares() {
        let ports = json!([{ "containerPort": 8080 }, { "containerPort": 9090 }]);
        let expected = json!({
            "targets": ["127.1.2.3:8080", "127.1.2.3:9090"],
            "labels": { "pod": "web-1", "namespace": "shop", "agent": "web", "revision": "abc" },
        });
        assert_eq!(pod("Running", json!("10.1.2.3"), ports.clone()), expected);
        assert_eq!(pod("Pending", json!("10.1.2.3"), ports.clone()), Value::Null);
        assert_eq!(pod("Running", json!(null), ports), Value::Null);
        assert_eq!(pod("Running", json!("10.1.2.3"), json!([])), Value::Null);
    }
}
