//! A wire between one operator and the API server, on which a request can be held up: what is on its way when its
//! sender is stopped arrives later.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{PATIENCE, Stage, operator};

/// Ends with the test.
pub(crate) struct Wire {
    kubeconfig: PathBuf,
    held: watch::Sender<Held>,
    carrying: JoinHandle<()>,
}

/// The request that is held up.
enum Held {
    Nothing,
    /// The next request whose line has all these in it is to be held up.
    Sought(&'static [&'static str]),
    /// This one is, until it is let go.
    Here(String),
    LetGo,
    /// What the API server said to it then.
    Answered(StatusCode, String),
}

#[derive(Clone)]
struct Carrier {
    client: Client,
    held: watch::Sender<Held>,
}

impl Wire {
    /// A wire to the API server of this stage, for its operator's account.
    pub(super) async fn lay(stage: &Stage) -> Self {
        let account = stage
            .control_plane
            .service_account_kubeconfig(&stage.namespace, operator::ACCOUNT)
            .await
            .unwrap();
        let mut kubeconfig = Kubeconfig::read_from(&account).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await.unwrap();
        let client = Client::try_from(config).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
            cluster.server = Some(format!("http://{}", listener.local_addr().unwrap()));
        }
        let held = watch::Sender::new(Held::Nothing);
        let app = Router::new().fallback(carry).with_state(Carrier { client, held: held.clone() });
        let carrying = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

        let path = account.with_extension("wire");
        std::fs::write(&path, serde_json::to_vec(&kubeconfig).unwrap()).unwrap();
        Self { kubeconfig: path, held, carrying }
    }

    /// What reaches the API server by this wire.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Holds up the next request whose line (`PATCH /apis/...`) has all these in it, and answers with that line once it
    /// is here.
    pub(crate) async fn hold(&self, words: &'static [&'static str]) -> String {
        self.held.send_replace(Held::Sought(words));
        self.until("a request to hold up", |held| match held {
            Held::Here(line) => Some(line.clone()),
            _ => None,
        })
        .await
    }

    /// Lets the request go on to the API server, and answers with what that says.
    pub(crate) async fn let_go(&self) -> (StatusCode, String) {
        self.held.send_replace(Held::LetGo);
        self.until("an answer", |held| match held {
            Held::Answered(status, body) => Some((*status, body.clone())),
            _ => None,
        })
        .await
    }

    async fn until<T>(&self, what: &str, is: impl Fn(&Held) -> Option<T>) -> T {
        let mut held = self.held.subscribe();
        let seen = tokio::time::timeout(PATIENCE, held.wait_for(|held| is(held).is_some())).await;
        let seen = seen.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}")).unwrap();
        is(&seen).unwrap()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(State(carrier): State<Carrier>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    // the whole of it: nothing more comes from a sender that is stopped
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let request = Request::from_parts(head, kube::client::Body::from(body.to_vec()));
    let is_held = carrier.held.send_if_modified(|held| match held {
        Held::Sought(words) if words.iter().all(|word| line.contains(word)) => {
            *held = Held::Here(line);
            true
        }
        _ => false,
    });
    match is_held {
        // a task of its own: what is on its way arrives although its sender is gone
        true => tokio::spawn(carrier.carry_later(request)).await.unwrap(),
        false => carrier.carry_on(request).await,
    }
}

impl Carrier {
    async fn carry_on(&self, mut request: Request<kube::client::Body>) -> Response {
        request.headers_mut().remove(header::HOST);
        match self.client.send(request).await {
            Ok(answer) => answer.map(Body::new),
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    }

    async fn carry_later(self, request: Request<kube::client::Body>) -> Response {
        let _ = self.held.subscribe().wait_for(|held| matches!(held, Held::LetGo)).await;
        let (head, body) = self.carry_on(request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let said = String::from_utf8_lossy(&body).into_owned();
        self.held.send_replace(Held::Answered(head.status, said));
        Response::from_parts(head, Body::from(body))
    }
}
