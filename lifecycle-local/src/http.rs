//! One HTTP/1.1 request on a connection of its own: for probes, hooks and the proxy's control
//! socket. What serves users is in [`proxy`](crate::proxy).

use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixListener, UnixStream};

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    #[error("no connection: {0}")]
    Connect(io::Error),
    #[error("no answer: {0}")]
    Broken(String),
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) request: Request<Full<Bytes>>,
    /// An answer that is longer than this is broken.
    pub(crate) answer_limit: usize,
    pub(crate) timeout: Duration,
}

impl Call {
    /// A request without a body.
    pub(crate) fn get(path: &str, timeout: Duration) -> Result<Self, CallError> {
        Self::new(Method::GET, path, Bytes::new(), timeout)
    }

    /// A request with a body of JSON, when that is not empty.
    pub(crate) fn new(method: Method, path: &str, body: Bytes, timeout: Duration) -> Result<Self, CallError> {
        let mut request =
            Request::builder().method(method).uri(path).header(HOST, "localhost").header(CONNECTION, "close");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body)).map_err(|error| CallError::Broken(error.to_string()))?;
        Ok(Self { request, answer_limit: 16 * 1024 * 1024, timeout })
    }

    pub(crate) const fn answer_limit(mut self, bytes: usize) -> Self {
        self.answer_limit = bytes;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.request.headers_mut().insert(name, value);
        }
        self
    }

    /// Asks a server on a TCP port; `host` is a name or an address.
    pub(crate) async fn tcp(self, host: &str, port: u16) -> Result<Answer, CallError> {
        let timeout = self.timeout;
        let call = async {
            let stream = TcpStream::connect((host, port)).await.map_err(CallError::Connect)?;
            self.over(stream).await
        };
        tokio::time::timeout(timeout, call).await.unwrap_or(Err(CallError::Timeout(timeout)))
    }

    /// Asks a server on a Unix socket.
    pub(crate) async fn unix(self, path: &Path) -> Result<Answer, CallError> {
        let timeout = self.timeout;
        let call = async {
            let stream = connect_unix(path).await.map_err(CallError::Connect)?;
            self.over(stream).await
        };
        tokio::time::timeout(timeout, call).await.unwrap_or(Err(CallError::Timeout(timeout)))
    }

    async fn over(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Answer, CallError> {
        let broken = |error: hyper::Error| CallError::Broken(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // The connection is driven beside the call, so that a dropped call leaves no task behind.
        let call = async {
            let answer = sender.send_request(self.request).await.map_err(broken)?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), self.answer_limit).collect().await;
            let body = body.map_err(|error| CallError::Broken(error.to_string()))?.to_bytes();
            Ok(Answer { status, body })
        };
        let mut call = std::pin::pin!(call);
        tokio::select! {
            biased;
            answer = &mut call => answer,
            _ = connection => call.await,
        }
    }
}

/// Connects to a Unix socket whose path may be longer than a socket address can hold: through the
/// open directory.
async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let (dir, name) = open_dir_of(path)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd())).await
}

/// Listens on a Unix socket, however long its path is; a socket that a dead process left is replaced.
pub(crate) fn listen_unix(path: &Path) -> io::Result<UnixListener> {
    let (dir, name) = open_dir_of(path)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd()))
}

fn open_dir_of(path: &Path) -> io::Result<(std::fs::File, String)> {
    let named = path.parent().zip(path.file_name().and_then(|name| name.to_str()));
    let (dir, name) =
        named.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the path of a socket"))?;
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    Ok((std::fs::File::open(dir)?, name.to_owned()))
}
