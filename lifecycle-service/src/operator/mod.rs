//! `lifecycle operator`: the controller of lifecycle-k8s with everything that a program around it needs.

mod alerts;
mod args;
mod http;
mod lease;
mod metrics;
mod prometheus;
mod trace;
mod world;

use std::sync::Arc;

use anyhow::Context as _;
use kube::Client;
use lifecycle_k8s::client::Scope;
use lifecycle_k8s::controller::{Controller, ControllerOptions};
use tokio::sync::watch;

pub(crate) use args::OperatorArgs;
use http::Readiness;
use lease::{Leadership, Lease, Timing};
use metrics::Metrics;

use crate::exit::Exit;
use crate::input::BadInput;

/// Names of the readiness checks.
const API_SERVER: &str = "apiServer";
const CACHES: &str = "caches";

/// Runs until a signal, or until leadership is lost: then the process ends, and whoever started it starts it
/// again as a follower.
pub(crate) fn carry_out(args: OperatorArgs) -> anyhow::Result<Exit> {
    trace::start(args.log_format, args.log.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(operate(args))
}

async fn operate(args: OperatorArgs) -> anyhow::Result<Exit> {
    let timing =
        Timing::new(args.lease_duration, args.renew_deadline, args.retry_period).map_err(BadInput::new)?;
    let world = world::World::new(args.prometheus.source()?);
    let config = kube::Config::infer().await.context("no cluster: set KUBECONFIG, or run in a pod")?;
    let lease_namespace = args.lease_namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config)?;
    let identity = args.identity.clone().unwrap_or_else(lease::identity);
    let metrics = Metrics::new();
    let readiness = Readiness::new(&[API_SERVER]);
    let listener = http::listen(args.listen).await.context("--listen")?;
    let ending = ending();
    let lease = Lease::new(client.clone(), &lease_namespace, &args.lease_name, &identity, timing);
    let leadership = lease.leadership();
    tokio::spawn(reachable(lease.trouble(), readiness.clone()));
    let served =
        tokio::spawn(http::serve(listener, readiness.clone(), metrics.clone(), ended(ending.clone())));
    // the Lease is given back when the work is done, not when the signal comes
    let (finish, finished) = watch::channel(false);
    let electing = tokio::spawn(lease.run(ended(finished)));
    tracing::info!(identity, listen = %args.listen, "waiting for the Lease");
    readiness.inform("leadership", "follower");

    let exit = tokio::select! {
        () = ended(ending.clone()) => Exit::Done,
        () = until(leadership.clone(), Leadership::Leader) => {
            tracing::info!(identity, "leading");
            metrics.leads(true);
            readiness.inform("leadership", "leader");
            let options = ControllerOptions::new()
                .scope(args.watch_namespace.clone().map_or(Scope::Cluster, Scope::Namespace))
                .concurrency(args.concurrency)
                .surroundings(Arc::new(world))
                .observer(Arc::new(metrics.clone()))
                .instance(identity.clone());
            lead(Controller::new(client, options), leadership, ending.clone(), &readiness).await
        }
    };
    if exit == Exit::Failed {
        // whoever leads now must not be disturbed: everything in here ends at once
        tracing::error!(identity, "the Lease was lost");
        return Ok(exit);
    }
    finish.send_replace(true);
    electing.await?;
    served.await??;
    Ok(exit)
}

/// Works until the end, or until somebody else leads.
async fn lead(
    controller: Controller,
    leadership: watch::Receiver<Leadership>,
    ending: watch::Receiver<bool>,
    readiness: &Readiness,
) -> Exit {
    let synced = controller.synced();
    readiness.set(CACHES, Err("the first lists have not been read yet".to_owned()));
    let told = readiness.clone();
    let syncing = tokio::spawn(async move {
        synced.await;
        told.set(CACHES, Ok(()));
    });
    let exit = tokio::select! {
        () = controller.run(ended(ending.clone())) => Exit::Done,
        () = until(leadership, Leadership::Follower) => Exit::Failed,
    };
    syncing.abort();
    exit
}

/// Waits for this leadership. (Not to be written into a `select!`: what `wait_for` answers with locks the value
/// for as long as the branch runs.)
async fn until(mut leadership: watch::Receiver<Leadership>, wanted: Leadership) {
    drop(leadership.wait_for(|leadership| *leadership == wanted).await);
}

/// Keeps the readiness check of the API server: the Lease is what is asked for all the time.
async fn reachable(mut trouble: watch::Receiver<Option<String>>, readiness: Readiness) {
    loop {
        let holds = trouble.borrow_and_update().clone().map_or(Ok(()), Err);
        readiness.set(API_SERVER, holds);
        if trouble.changed().await.is_err() {
            return;
        }
    }
}

/// Becomes true with the first signal to end.
fn ending() -> watch::Receiver<bool> {
    let (end, ending) = watch::channel(false);
    tokio::spawn(async move {
        signal().await;
        tracing::info!("ending");
        end.send_replace(true);
        // the channel stays open: nobody takes its end for a signal
        end.closed().await;
    });
    ending
}

async fn ended(mut ending: watch::Receiver<bool>) {
    // a sender that is gone has ended too
    let _ = ending.wait_for(|end| *end).await;
}

async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};

    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt => {}
            }
        }
        Err(_) => drop(interrupt.await),
    }
}
