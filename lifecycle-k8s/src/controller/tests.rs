use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Controller, ControllerOptions};

/// A cluster where nothing is, and nothing happens.
fn empty_cluster() -> Client {
    let service = tower::service_fn(|request: Request<Body>| async move {
        if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
            std::future::pending::<()>().await;
        }
        let list =
            r#"{"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": []}"#;
        Ok::<_, Infallible>(Response::new(Body::from(list.as_bytes().to_vec())))
    });
    Client::new(service, "default")
}

#[tokio::test]
async fn everybody_who_waits_learns_that_all_was_listed_and_nobody_before() {
    let controller = Controller::new(empty_cluster(), ControllerOptions::new());
    let mut waiting: Vec<_> = (0..3).map(|_| tokio::spawn(controller.synced())).collect();
    tokio::task::yield_now().await;
    assert!(waiting.iter().all(|waiter| !waiter.is_finished()), "nothing was listed yet");

    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(controller.run(async { drop(stopped.await) }));
    for waiter in &mut waiting {
        timeout(Duration::from_secs(20), waiter).await.expect("it learns").expect("it ends");
    }
    stop.send(()).expect("it runs");
    timeout(Duration::from_secs(20), running).await.expect("it stops").expect("it ends");
}
