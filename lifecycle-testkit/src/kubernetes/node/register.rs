//! The Node object, and the Lease that says that the node lives.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, NodeAddress, NodeCondition, NodeStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;

use super::error::NodeError;
use super::facts::now;
use super::retry::insist;
use super::shared::{Power, Shared};

/// Where the leases of nodes are. The API server makes it some time after its start.
const LEASES: &str = "kube-node-lease";

/// Makes the Node, or makes one that is there Ready, and its Lease.
pub(super) async fn register(shared: &Shared) -> Result<(), NodeError> {
    let name = &shared.options.name;
    let nodes: Api<Node> = Api::all(shared.client.clone());
    let mut labels = shared.options.labels.clone();
    labels.insert("kubernetes.io/hostname".to_owned(), name.clone());
    labels.insert("kubernetes.io/os".to_owned(), "linux".to_owned());
    let metadata = ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..ObjectMeta::default() };
    let node = Node { metadata, status: Some(status(shared)), ..Node::default() };
    let made = match nodes.create(&PostParams::default(), &node).await {
        Err(kube::Error::Api(refusal)) if refusal.code == 409 => ready(shared, &nodes).await,
        made => made,
    };
    let made = made.map_err(NodeError::api(format!("register node {name}")))?;
    let lease = lease(name, made.metadata.uid.unwrap_or_default());
    let leases: Api<Lease> = Api::namespaced(shared.client.clone(), LEASES);
    // its namespace may be about to come
    let lease = Patch::Apply(&lease);
    let params = PatchParams::apply("lifecycle-node").force();
    loop {
        match leases.patch(name, &params, &lease).await {
            Err(kube::Error::Api(refusal)) if refusal.code == 404 => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            made => return made.map(drop).map_err(NodeError::api(format!("make the lease of node {name}"))),
        }
    }
}

/// Says for ever that the node lives; while it is cut off nobody hears it.
pub(super) async fn heartbeat(shared: Arc<Shared>) {
    let leases: Api<Lease> = Api::namespaced(shared.client.clone(), LEASES);
    let nodes: Api<Node> = Api::all(shared.client.clone());
    let mut ticks = tokio::time::interval(shared.options.lease_every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let name = &shared.options.name;
    let params = PatchParams::default();
    loop {
        ticks.tick().await;
        if *shared.power.borrow() != Power::On {
            shared.connected().await;
            // others have said meanwhile that nothing is known of it
            insist(&shared, "say that a node is back", || ready(&shared, &nodes)).await;
        }
        let renewal = Patch::Merge(json!({"spec": {"renewTime": MicroTime(Timestamp::now())}}));
        if let Err(error) = leases.patch(name, &params, &renewal).await {
            tracing::debug!(%error, name, "the lease of a node is not renewed");
        }
    }
}

/// Takes Node and Lease away.
pub(super) async fn unregister(client: &Client, name: &str) -> Result<(), NodeError> {
    let params = DeleteParams::default();
    let absent = |result: kube::Result<()>| match result {
        Err(kube::Error::Api(refusal)) if refusal.code == 404 => Ok(()),
        other => other,
    };
    let leases: Api<Lease> = Api::namespaced(client.clone(), LEASES);
    let lease = leases.delete(name, &params).await.map(drop);
    absent(lease).map_err(NodeError::api(format!("delete the lease of node {name}")))?;
    let node = Api::<Node>::all(client.clone()).delete(name, &params).await.map(drop);
    absent(node).map_err(NodeError::api(format!("delete node {name}")))
}

async fn ready(shared: &Shared, nodes: &Api<Node>) -> kube::Result<Node> {
    let patch = Patch::Strategic(json!({"status": status(shared)}));
    nodes.patch_status(&shared.options.name, &PatchParams::default(), &patch).await
}

fn status(shared: &Shared) -> NodeStatus {
    let condition = |type_: &str, status: &str, reason: &str| NodeCondition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some("a node of a test".to_owned()),
        last_heartbeat_time: Some(Time(now())),
        last_transition_time: Some(Time(now())),
    };
    let quantity = |name: &str, value: String| (name.to_owned(), Quantity(value));
    let capacity = [
        quantity("cpu", "64".to_owned()),
        quantity("memory", "256Gi".to_owned()),
        quantity("pods", shared.options.capacity.to_string()),
    ];
    let address = |type_: &str, address: String| NodeAddress { type_: type_.to_owned(), address };
    NodeStatus {
        capacity: Some(capacity.clone().into()),
        allocatable: Some(capacity.into()),
        conditions: Some(vec![
            condition("Ready", "True", "KubeletReady"),
            condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
            condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
            condition("PIDPressure", "False", "KubeletHasSufficientPID"),
        ]),
        addresses: Some(vec![
            address("InternalIP", shared.host_ip().to_string()),
            address("Hostname", shared.options.name.clone()),
        ]),
        ..NodeStatus::default()
    }
}

fn lease(name: &str, uid: String) -> Lease {
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.to_owned(),
        uid,
        ..OwnerReference::default()
    };
    Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(LEASES.to_owned()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(name.to_owned()),
            lease_duration_seconds: Some(40),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        }),
    }
}
