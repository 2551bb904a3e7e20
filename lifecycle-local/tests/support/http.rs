//! A client: one connection, or one request.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// A connection that is kept.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(addr).await.map_err(|error| format!("connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        tokio::spawn(async move {
            let _ = connection.with_upgrades().await;
        });
        Ok(Self { sender })
    }

    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<hyper::body::Incoming>, String> {
        self.sender.ready().await.map_err(|error| format!("closed: {error}"))?;
        self.sender.send_request(request).await.map_err(|error| format!("{error:?}"))
    }

    pub(crate) async fn call(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let answer = self.send(request).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|error| format!("body: {error:?}"))?.to_bytes();
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

pub(crate) fn request(method: &str, path: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "shop.example")
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

/// One request on a connection of its own.
pub(crate) async fn get(addr: SocketAddr, path: &str) -> Result<Answer, String> {
    let call = async { Connection::open(addr).await?.call(request("GET", path, "")).await };
    tokio::time::timeout(Duration::from_secs(20), call).await.map_err(|_| "timeout".to_owned())?
}

/// Sends bytes as they are; reads until the other side closes.
pub(crate) async fn raw(addr: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
