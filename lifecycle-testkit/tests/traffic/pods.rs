//! Pods that are tasks of the test: an object in the API, and a server where it says that it listens.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The port of all of them.
pub(crate) const PORT: u16 = 8080;

/// Makes the node that the pods are on, and a Service of the pods with the label `app: web`.
pub(crate) async fn prepare(client: &kube::Client) {
    let node: Node = from(json!({ "metadata": { "name": "here" } }));
    Api::all(client.clone()).create(&PostParams::default(), &node).await.unwrap();
    let service: Service = from(json!({
        "metadata": { "name": "web" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "name": "http", "port": 80, "targetPort": "http" }] },
    }));
    Api::default_namespaced(client.clone()).create(&PostParams::default(), &service).await.unwrap();
}

/// A pod that answers with its version, not ready until it is said to be.
#[derive(Debug)]
pub(crate) struct TestPod {
    pods: Api<Pod>,
    pub(crate) name: String,
    server: Arc<Server>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Server {
    version: String,
    status: AtomicU64,
    answered: AtomicU64,
    posted: AtomicU64,
    connections: AtomicU64,
}

impl TestPod {
    pub(crate) async fn start(client: &kube::Client, name: &str, version: &str, revision: &str) -> Self {
        let (listener, address) = listen().await;
        let pods: Api<Pod> = Api::default_namespaced(client.clone());
        let labels =
            json!({ "app": "web", "enis.andaon.com/agent": "web", "enis.andaon.com/revision": revision });
        let pod = from(json!({
            "metadata": { "name": name, "labels": labels },
            "spec": {
                "nodeName": "here",
                "containers": [{
                    "name": "app", "image": "test", "ports": [{ "name": "http", "containerPort": PORT }],
                }],
            },
        }));
        pods.create(&PostParams::default(), &pod).await.unwrap();
        let counters = [(); 4].map(|()| AtomicU64::new(0));
        let [status, answered, posted, connections] = counters;
        status.store(200, Ordering::Relaxed);
        let server = Arc::new(Server { version: version.to_owned(), status, answered, posted, connections });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&server)));
        let pod = Self { pods, name: name.to_owned(), server, tasks: Mutex::new(tasks) };
        let [_, a, b, c] = address.octets();
        pod.status(json!({ "phase": "Running", "podIP": format!("10.{a}.{b}.{c}"), "podIPs": [{ "ip": format!("10.{a}.{b}.{c}") }] }))
            .await;
        pod
    }

    /// Sets the condition that a kubelet sets after a probe.
    pub(crate) async fn ready(&self, ready: bool) {
        let status = if ready { "True" } else { "False" };
        self.status(json!({ "conditions": [{ "type": "Ready", "status": status }] })).await;
    }

    /// What it answers from now on.
    pub(crate) fn answer_with(&self, status: u16) {
        self.server.status.store(status.into(), Ordering::Relaxed);
    }

    /// Answers nothing any more, though the API server still believes in it.
    pub(crate) async fn die(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        tasks.shutdown().await;
    }

    pub(crate) fn answered(&self) -> u64 {
        self.server.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn posted(&self) -> u64 {
        self.server.posted.load(Ordering::Relaxed)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.server.connections.load(Ordering::Relaxed)
    }

    /// Deletes the object with this grace period; nobody else will end it.
    pub(crate) async fn delete(&self, grace: u32) {
        self.pods.delete(&self.name, &DeleteParams::default().grace_period(grace)).await.unwrap();
    }

    async fn status(&self, status: Value) {
        let patch = Patch::Strategic(json!({ "status": status }));
        self.pods.patch_status(&self.name, &PatchParams::default(), &patch).await.unwrap();
    }
}

fn from<K: serde::de::DeserializeOwned>(object: Value) -> K {
    serde_json::from_value(object).unwrap()
}

/// On a loopback address that nobody else has taken.
async fn listen() -> (TcpListener, Ipv4Addr) {
    for _ in 0..100 {
        let address = Ipv4Addr::new(127, fastrand::u8(200..250), fastrand::u8(..), fastrand::u8(1..255));
        if let Ok(listener) = TcpListener::bind(SocketAddr::from((address, PORT))).await {
            return (listener, address);
        }
    }
    panic!("no loopback address is free");
}

async fn serve(listener: TcpListener, server: Arc<Server>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        server.connections.fetch_add(1, Ordering::Relaxed);
        let server = Arc::clone(&server);
        let service = service_fn(move |request| answer(request, Arc::clone(&server)));
        connections.spawn(async move {
            // A client that goes away is none of the test's concern.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    server: Arc<Server>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = if request.uri().path() == "/metrics" {
        format!(
            "# TYPE http_requests_total counter\nhttp_requests_total{{code=\"200\"}} {}\n",
            server.answered.load(Ordering::Relaxed)
        )
    } else {
        let posted = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
        server.posted.fetch_add(u64::from(posted > 0), Ordering::Relaxed);
        server.answered.fetch_add(1, Ordering::Relaxed);
        "hello\n".to_owned()
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() =
        u16::try_from(server.status.load(Ordering::Relaxed)).unwrap().try_into().unwrap();
    response.headers_mut().insert("x-app-version", server.version.parse().unwrap());
    response.headers_mut().insert("content-type", "text/plain; version=0.0.4".parse().unwrap());
    Ok(response)
}
