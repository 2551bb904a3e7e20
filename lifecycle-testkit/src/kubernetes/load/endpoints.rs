//! The endpoints of a Service, as they are at each moment.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointSlice};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt as _, reflector};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{FIRST_LOOK, LoadError, LoadOptions, Seen};

/// How long the labels of a new pod may take to read.
const LABELS: Duration = Duration::from_secs(2);

/// Where a request may go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Target {
    pub(super) pod: Arc<str>,
    pub(super) address: SocketAddr,
}

/// The address to dial for a pod's IP: pods of the testkit's node report 10.a.b.c and listen on 127.a.b.c.
pub fn dialled(pod_ip: Ipv4Addr) -> Ipv4Addr {
    match pod_ip.octets() {
        [10, a, b, c] => Ipv4Addr::new(127, a, b, c),
        _ => pod_ip,
    }
}

/// Follows the EndpointSlices of a Service. Returns when they are known for the first time.
pub(super) async fn follow(
    client: Client,
    namespace: &str,
    service: &str,
    options: &LoadOptions,
    seen: Arc<Seen>,
) -> Result<(watch::Receiver<Vec<Target>>, JoinHandle<()>), LoadError> {
    let (sender, mut receiver) = watch::channel(Vec::new());
    let (failed, mut last) = watch::channel("no answer".to_owned());
    let follower = Follower {
        slices: Api::namespaced(client.clone(), namespace),
        pods: Api::namespaced(client, namespace),
        selector: format!("kubernetes.io/service-name={service}"),
        port: options.port.clone(),
        revision_label: options.revision_label.clone(),
        seen,
        targets: sender,
    };
    let task = tokio::spawn(follower.run(failed));
    match tokio::time::timeout(FIRST_LOOK, receiver.changed()).await {
        Ok(Ok(())) => Ok((receiver, task)),
        Ok(Err(_)) | Err(_) => {
            task.abort();
            Err(LoadError::Unreadable { service: service.to_owned(), last: last.borrow_and_update().clone() })
        }
    }
}

struct Follower {
    slices: Api<EndpointSlice>,
    pods: Api<Pod>,
    selector: String,
    port: Option<String>,
    revision_label: String,
    seen: Arc<Seen>,
    targets: watch::Sender<Vec<Target>>,
}

impl Follower {
    async fn run(self, failed: watch::Sender<String>) {
        let config = watcher::Config::default().labels(&self.selector);
        // After a new list the store changes when all of it has come: the API server's pause is none of the traffic's.
        let (slices, writer) = reflector::store();
        let mut events = Box::pin(watcher(self.slices.clone(), config).default_backoff().reflect(writer));
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init | Event::InitApply(_)) => {}
                Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)) => {
                    self.publish(&slices.state()).await
                }
                Err(error) => drop(failed.send_replace(error.to_string())),
            }
        }
    }

    async fn publish(&self, slices: &[Arc<EndpointSlice>]) {
        for pod in slices.iter().flat_map(|slice| slice.endpoints.iter().flatten()).filter_map(pod_name) {
            self.learn_revision(pod).await;
        }
        self.targets.send_replace(targets(slices.iter().map(Arc::as_ref), self.port.as_deref()));
    }

    /// Once a pod, before it first gets a request: the label is gone with the pod.
    async fn learn_revision(&self, name: &str) {
        if self.seen.report().knows(name) {
            return;
        }
        let Ok(Ok(pod)) = tokio::time::timeout(LABELS, self.pods.get_metadata(name)).await else { return };
        let revision = pod.labels().get(&self.revision_label).cloned().unwrap_or_default();
        self.seen.report().pod(&name.into()).revision = revision;
    }
}

/// Those that are ready; where there are none, those that terminate and still serve.
fn targets<'a>(slices: impl Iterator<Item = &'a EndpointSlice>, port: Option<&str>) -> Vec<Target> {
    let (mut ready, mut leaving) = (Vec::new(), Vec::new());
    for slice in slices {
        let ports = slice.ports.iter().flatten();
        let found = ports
            .filter(|candidate| port.is_none() || candidate.name.as_deref() == port)
            .find_map(|found| found.port);
        let Some(port) = found.and_then(|port| u16::try_from(port).ok()) else { continue };
        for endpoint in slice.endpoints.iter().flatten() {
            let Some(target) = target(endpoint, port) else { continue };
            let none = EndpointConditions::default();
            let conditions = endpoint.conditions.as_ref().unwrap_or(&none);
            let terminating = conditions.terminating.unwrap_or(false);
            if conditions.ready.unwrap_or(true) {
                ready.push(target);
            } else if terminating && conditions.serving.unwrap_or(true) {
                leaving.push(target);
            }
        }
    }
    let mut chosen = if ready.is_empty() { leaving } else { ready };
    chosen.sort();
    chosen.dedup();
    chosen
}

fn target(endpoint: &Endpoint, port: u16) -> Option<Target> {
    let address: Ipv4Addr = endpoint.addresses.first()?.parse().ok()?;
    let address = SocketAddr::from((dialled(address), port));
    let pod = pod_name(endpoint).map_or_else(|| address.to_string(), str::to_owned);
    Some(Target { pod: pod.into(), address })
}

fn pod_name(endpoint: &Endpoint) -> Option<&str> {
    endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"))?.name.as_deref()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Endpoints as (pod, ready, serving, terminating) and who gets traffic.
    fn check(endpoints: &[(&str, Value, Value, Value)], expected: &[&str]) {
        let endpoints: Vec<_> = endpoints
            .iter()
            .enumerate()
            .map(|(n, (pod, ready, serving, terminating))| {
                json!({
                    "addresses": [format!("10.1.0.{n}")],
                    "conditions": { "ready": ready, "serving": serving, "terminating": terminating },
                    "targetRef": { "kind": "Pod", "name": pod },
                })
            })
            .collect();
        let slice = serde_json::from_value(json!({
            "metadata": { "name": "web-1" }, "addressType": "IPv4",
            "ports": [{ "name": "metrics", "port": 9000 }, { "name": "http", "port": 8080 }], "endpoints": endpoints,
        }));
        let slice: EndpointSlice = slice.unwrap();
        let targets = targets([&slice].into_iter(), Some("http"));
        assert_eq!(targets.iter().map(|target| &*target.pod).collect::<Vec<_>>(), expected);
        assert!(
            targets.iter().all(|target| target.address.port() == 8080 && target.address.ip().is_loopback())
        );
    }

    #[test]
    fn traffic_goes_to_what_is_ready_and_only_else_to_what_leaves() {
        let (yes, no, nil) = (json!(true), json!(false), json!(null));
        let ready = ("ready", yes.clone(), yes.clone(), no.clone());
        let leaving = ("leaving", no.clone(), yes.clone(), yes.clone());
        let dead = ("dead", no.clone(), no.clone(), yes.clone());
        let unready = ("unready", no.clone(), no.clone(), no.clone());
        let untold = ("untold", nil.clone(), nil.clone(), nil);
        check(&[leaving.clone(), ready, unready.clone(), dead.clone(), untold], &["ready", "untold"]);
        check(&[leaving, unready.clone(), dead.clone()], &["leaving"]);
        check(&[unready, dead], &[]);
    }

    #[test]
    fn a_pod_of_the_node_is_dialled_on_loopback() {
        assert_eq!(dialled(Ipv4Addr::new(10, 1, 2, 3)), Ipv4Addr::new(127, 1, 2, 3));
        assert_eq!(dialled(Ipv4Addr::new(192, 168, 2, 3)), Ipv4Addr::new(192, 168, 2, 3));
    }
}
