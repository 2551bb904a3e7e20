//! Running the proxy.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::admin::{self, Control};
use super::config::ProxyConfig;
use super::counts::Counts;
use super::document::TableDocument;
use super::forward::{Shared, forward};
use super::history::{History, SAMPLE_EVERY};
use super::table::Table;
use crate::error::LocalError;
use crate::files::{DirLock, LockError, create_private_dir, read_json};
use crate::http::listen_unix;

/// Connections that wait in the system's queue.
const BACKLOG: u32 = 4096;

/// Why the proxy does not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}{hint}")]
    Listen {
        /// The address.
        addr: String,
        /// What the system said.
        source: io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// Another proxy runs in the same directory.
    #[error("the directory {} is in use by the proxy with process {holder}", dir.display())]
    InUse {
        /// The directory.
        dir: PathBuf,
        /// The pid in the lock file.
        holder: String,
    },
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] LocalError),
    /// The system gave no signals to listen to.
    #[error("cannot listen to signals: {0}")]
    Signals(io::Error),
}

impl ProxyError {
    fn listen(addr: impl ToString, source: io::Error) -> Self {
        let hint = match source.kind() {
            io::ErrorKind::AddrInUse => "; stop the program that uses it, or choose another port",
            io::ErrorKind::PermissionDenied => "; choose a port from 1024 on",
            _ => "",
        };
        Self::Listen { addr: addr.to_string(), source, hint }
    }
}

/// Runs the proxy whose configuration is in this file until SIGTERM or SIGINT: what the program of a
/// [`ProxyCommand`](crate::ProxyCommand) does with its last argument.
///
/// # Errors
/// When it cannot start, see [`ProxyError`].
pub async fn serve_file(config: &Path) -> Result<(), ProxyError> {
    let missing = || LocalError::file("read", config, io::ErrorKind::NotFound.into());
    serve(read_json(config)?.ok_or_else(missing)?).await
}

/// Runs a proxy until SIGTERM or SIGINT: then it takes no more connections, and ends with its last
/// request, at the latest after [`Limits::shutdown_timeout_ms`](super::Limits::shutdown_timeout_ms).
///
/// # Errors
/// When it cannot start, see [`ProxyError`].
pub async fn serve(config: ProxyConfig) -> Result<(), ProxyError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ProxyError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ProxyError::Signals)?;
    serve_until(config, async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
    .await
}

/// Runs a proxy until this future is ready. See [`serve`].
///
/// # Errors
/// When it cannot start, see [`ProxyError`].
pub async fn serve_until(
    config: ProxyConfig,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ProxyError> {
    create_private_dir(&config.dir)?;
    let _lock = DirLock::take(config.lock(), Duration::from_secs(1)).map_err(|error| match error {
        LockError::Held(holder) => ProxyError::InUse { dir: config.dir.clone(), holder },
        LockError::File(error) => error.into(),
    })?;
    raise_file_limit();
    let listener = listen(config.listen)?;
    let addr = listener.local_addr().map_err(|source| ProxyError::listen(config.listen, source))?;
    let metrics = config.metrics.map(listen).transpose()?;
    let socket = listen_unix(&config.socket())
        .map_err(|source| ProxyError::listen(config.socket().display(), source))?;

    let control = Arc::new(control(&config, addr));
    let (stopping, stopped) = watch::channel(false);
    // All of these end with this function, whichever way it ends.
    let mut tasks = JoinSet::new();
    tasks.spawn(keep_history(Arc::clone(&control)));
    tasks.spawn(Arc::clone(&control).keep_table());
    tasks.spawn(answer_control(Arc::clone(&control), socket));
    if let Some(metrics) = metrics {
        tasks.spawn(answer_metrics(Arc::clone(&control), metrics));
    }
    let connections = Arc::new(Semaphore::new(config.limits.connections));
    let clients = take_clients(Arc::clone(&control.shared), listener, Arc::clone(&connections), stopped);
    tracing::info!(%addr, "the proxy takes requests");
    tokio::select! {
        () = clients => {}
        () = stop => {}
    }
    // No receiver is left when no client is connected.
    let _ = stopping.send(true);
    let all = u32::try_from(config.limits.connections).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(config.limits.shutdown_timeout(), connections.acquire_many(all)).await;
    control.keep_now();
    Ok(())
}

fn control(config: &ProxyConfig, listen: SocketAddr) -> Control {
    let counts = Counts::new();
    // A table that cannot be read was cut off by a power failure, and with it all the replicas in it.
    let document = read_json::<TableDocument>(&config.table()).unwrap_or_else(|error| {
        tracing::warn!(%error, "starting without a table");
        None
    });
    let document = document.unwrap_or_default();
    let to_keep = watch::Sender::new(document.clone());
    let table = Table::new(document, None, &counts);
    table.settle(&table);
    let shared = Shared { table: ArcSwap::from_pointee(table), counts, limits: config.limits, listen };
    Control {
        shared: Arc::new(shared),
        history: Mutex::new(History::new()),
        minutes: Mutex::default(),
        started: Instant::now(),
        started_at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        instance: format!("{:016x}", fastrand::u64(..)),
        table_file: config.table(),
        writing: Mutex::new(()),
        to_keep,
        not_kept: Mutex::new(None),
    }
}

fn listen(addr: SocketAddr) -> Result<TcpListener, ProxyError> {
    let listen = || {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // the connections of the proxy before do not keep the port from this one
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| ProxyError::listen(addr, source))
}

/// Every request takes two sockets, and the usual limit is 1024.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

async fn take_clients(
    shared: Arc<Shared>,
    listener: TcpListener,
    connections: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
) {
    let mut builder = Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.header_timeout())
        .max_headers(shared.limits.headers)
        .max_header_size(shared.limits.header_bytes);
    while let Ok(permit) = Arc::clone(&connections).acquire_owned().await {
        let (stream, client) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // out of files or memory: those who wait stay in the queue
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let (shared, builder, stopped) = (Arc::clone(&shared), builder.clone(), stopped.clone());
        tokio::spawn(async move {
            serve_client(shared, &builder, stream, client.ip(), stopped).await;
            drop(permit);
        });
    }
}

async fn serve_client(
    shared: Arc<Shared>,
    builder: &Builder,
    stream: TcpStream,
    client: IpAddr,
    mut stopped: watch::Receiver<bool>,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(forward(&shared, client, request).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // An error here is a client that went away or sent no HTTP; what it asked for is counted.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn keep_history(control: Arc<Control>) {
    let mut ticks = tokio::time::interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let shared = &control.shared;
    loop {
        ticks.tick().await;
        control.sample();
        for endpoint in &shared.table.load().endpoints {
            endpoint.sweep_idle(shared.limits.idle_timeout());
        }
    }
}

async fn answer_control(control: Arc<Control>, socket: UnixListener) {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(admin::serve(Arc::clone(&control), stream, true))),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn answer_metrics(control: Arc<Control>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(admin::serve(Arc::clone(&control), stream, false))),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}
