//! The same on a real API server, with nothing but the rights that an operator has.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::api::{Api, PostParams};
use kube::core::NamespaceResourceScope;
use lifecycle_k8s::rbac;
use lifecycle_testkit::kubernetes::control_plane::{self, ControlPlane, ControlPlaneOptions};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::super::*;

const NAMESPACE: &str = "operators";
const LEASE: &str = "blue-operators";
const PATIENCE: Duration = Duration::from_secs(60);

async fn create<K>(client: &Client, object: &K)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    Api::<K>::namespaced(client.clone(), NAMESPACE).create(&PostParams::default(), object).await.unwrap();
}

/// Two ServiceAccounts: `operator` with the rights of one, and `nobody`.
async fn accounts(client: &Client) {
    let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata: named(NAMESPACE), ..Namespace::default() };
    Api::all(client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    for name in ["operator", "nobody"] {
        create(client, &ServiceAccount { metadata: named(name), ..ServiceAccount::default() }).await;
    }
    create(client, &Role { metadata: named("operator"), rules: Some(rbac::election_rules(LEASE)) }).await;
    let role_ref = RoleRef {
        api_group: Some("rbac.authorization.k8s.io".to_owned()),
        kind: "Role".to_owned(),
        name: "operator".to_owned(),
    };
    let subject = Subject {
        kind: "ServiceAccount".to_owned(),
        name: "operator".to_owned(),
        namespace: Some(NAMESPACE.to_owned()),
        ..Subject::default()
    };
    create(client, &RoleBinding { metadata: named("operator"), role_ref, subjects: Some(vec![subject]) })
        .await;
}

struct Candidate {
    leadership: watch::Receiver<Leadership>,
    trouble: watch::Receiver<Option<String>>,
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Candidate {
    fn start(client: &Client, identity: &str) -> Self {
        let [duration, renew_deadline, retry] = [6000, 4000, 200].map(Duration::from_millis);
        let timing = Timing::new(duration, renew_deadline, retry).unwrap();
        let lease = Lease::new(client.clone(), NAMESPACE, LEASE, identity, timing);
        let (leadership, trouble) = (lease.leadership(), lease.trouble());
        let (shutdown, asked) = oneshot::channel();
        let task = tokio::spawn(lease.run(async { drop(asked.await) }));
        Self { leadership, trouble, shutdown, task }
    }

    async fn until(&mut self, leadership: Leadership) -> Duration {
        let begun = Instant::now();
        timeout(PATIENCE, self.leadership.wait_for(|now| *now == leadership)).await.unwrap().unwrap();
        begun.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_api_server_elects_one_of_them() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::new()).await.unwrap();
    accounts(&control_plane.client().await.unwrap()).await;
    let client = async |account| {
        let file = control_plane.service_account_kubeconfig(NAMESPACE, account).await.unwrap();
        control_plane::client(&file).await.unwrap()
    };
    let operator = client("operator").await;
    let spec = async || {
        let leases = Api::<Object>::namespaced(operator.clone(), NAMESPACE);
        leases.get(LEASE).await.unwrap().spec.unwrap()
    };

    let mut first = Candidate::start(&operator, "first");
    first.until(Leadership::Leader).await;
    let mut second = Candidate::start(&operator, "second");
    let mut nobody = Candidate::start(&client("nobody").await, "nobody");
    let forbidden = |trouble: &Option<String>| trouble.as_ref().is_some_and(|why| why.contains("forbidden"));
    timeout(PATIENCE, nobody.trouble.wait_for(forbidden)).await.unwrap().unwrap();

    // killed: what it holds has to expire
    first.task.abort();
    let took = second.until(Leadership::Leader).await;
    assert!(took > Duration::from_secs(5), "{took:?}");
    let held = spec().await;
    assert_eq!((held.holder_identity.as_deref(), held.lease_transitions), (Some("second"), Some(1)));

    // out of reach: it stops by itself, and leads again afterwards
    control_plane.stop_api_server().await.unwrap();
    let took = second.until(Leadership::Follower).await;
    assert!(took < Duration::from_secs(6), "before anybody else may lead: {took:?}");
    control_plane.start_api_server().await.unwrap();
    second.until(Leadership::Leader).await;
    assert_eq!(spec().await.lease_transitions, Some(1));

    // given back: the next look takes it
    let mut third = Candidate::start(&operator, "third");
    second.shutdown.send(()).unwrap();
    second.task.await.unwrap();
    let took = third.until(Leadership::Leader).await;
    // far from the six seconds of a Lease that has to expire, also on a busy machine
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(spec().await.lease_transitions, Some(2));
    assert_eq!(*nobody.leadership.borrow(), Leadership::Follower);
}
