//! Hooks: each is called once, and its answer counts.

use std::sync::{Arc, Mutex};

use lifecycle_core::backend::HookPoint;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::support::{Stage, Version, run};

/// Answers every call with this status, and keeps what it was sent.
struct Receiver {
    url: String,
    calls: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    async fn start(status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut text = Vec::new();
                let body = loop {
                    if stream.read_buf(&mut text).await.unwrap() == 0 {
                        break None;
                    }
                    let whole = String::from_utf8_lossy(&text).into_owned();
                    let body = whole.split_once("\r\n\r\n").map(|(_, body)| body);
                    if let Some(body) = body.and_then(|body| serde_json::from_str(body).ok()) {
                        break Some(body);
                    }
                };
                kept.lock().unwrap().extend(body);
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, calls, task }
    }

    /// What it was called for, in this order: point, version.
    fn calls(&self) -> Vec<(String, String)> {
        let calls = self.calls.lock().unwrap();
        let text = |call: &Value, field: &str| call[field].as_str().unwrap().to_owned();
        calls.iter().map(|call| (text(call, "point"), text(call, "version"))).collect()
    }
}

fn version(version: &'static str, receiver: &Receiver) -> Version {
    let hook = json!({"hooks": [{"on": HookPoint::PreDeploy, "url": receiver.url}]});
    Version::new("rolling", version).unchecked().replicas(2).with(hook)
}

#[test]
fn a_rollout_waits_for_its_hook_and_goes_back_when_it_fails() {
    run(async {
        let stage = Stage::new("hooks").await;
        let _operator = stage.operator().await;
        let (good, bad) =
            (Receiver::start("200 OK").await, Receiver::start("500 Internal Server Error").await);
        stage.deploy(&version("1.4.0", &good)).await;
        let called = |version: &str| ("pre-deploy".to_owned(), version.to_owned());
        assert_eq!(good.calls(), [called("1.4.0")]);

        stage.apply(&version("1.5.0", &bad).manifest());
        let agent = stage.until("the way back", |agent| agent.went_back_to("1.4.0", 2)).await;
        assert!(agent.says("Degraded").contains("500"), "{agent:?}");
        assert_eq!((good.calls().len(), bad.calls()), (1, vec![called("1.5.0")]));
        stage.until_told("GoingBack", "500").await;
    });
}
