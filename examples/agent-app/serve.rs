//! Listening, and stopping without losing a request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::args::{After, Args, OnSigterm};

/// Serves until SIGTERM.
pub(crate) async fn serve(args: Args) -> anyhow::Result<()> {
    let wanted = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(wanted).await.with_context(|| format!("cannot listen on {wanted}"))?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut exit = pin!(exit_after(args.exit_after));
    let app = Arc::new(App::new(&args)?);
    let connections = GracefulShutdown::new();
    println!("agent-app {} on {}", args.version, listener.local_addr()?);
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // Too many open files, or a client that is gone again: the next one may do better.
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                let app = Arc::clone(&app);
                let service = service_fn(move |request| {
                    let app = Arc::clone(&app);
                    async move { Ok::<_, Infallible>(app.answer(request).await) }
                });
                let connection =
                    http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connections.watch(connection));
            }
            () = &mut exit => bail!("the time of --exit-after is over"),
            _ = terminated.recv() => break,
            _ = interrupted.recv() => break,
        }
    }
    drop(listener);
    if args.on_sigterm == OnSigterm::Finish {
        connections.shutdown().await;
    }
    Ok(())
}

async fn exit_after(after: After) {
    match after {
        After::Never => std::future::pending().await,
        After::Time(time) => tokio::time::sleep(time).await,
    }
}
