//! A server of HTTP that does as it is told, also what no server should do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What a request is answered with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These bytes; then the connection is closed.
    Bytes(Vec<u8>),
    /// These bytes, then nothing more, and the connection stays open.
    Hang(Vec<u8>),
    /// These bytes, then zeros without end.
    Endless(Vec<u8>),
    /// An answer of this status and body, after this time.
    Late(Duration, u16, String),
}

impl Reply {
    pub fn new(status: u16, body: &str) -> Self {
        Self::with(status, "Content-Type: application/json\r\n", body)
    }

    pub fn with(status: u16, headers: &str, body: &str) -> Self {
        Self::with_bytes(status, headers, body.as_bytes())
    }

    pub fn with_bytes(status: u16, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n");
        Self::Bytes([head.as_bytes(), body].concat())
    }
}

/// Listens until it is dropped.
pub struct Server {
    pub addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<String>,
    open: usize,
    most_open: usize,
    written: usize,
}

impl Server {
    pub async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), reply).await
    }

    async fn start_at(addr: SocketAddr, reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let reply = Arc::new(reply);
        let of_task = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            // they end with the server
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (seen, reply) = (Arc::clone(&of_task), Arc::clone(&reply));
                connections.spawn(async move {
                    // A client that goes away is part of many a test.
                    let _ = serve(stream, &seen, &*reply).await;
                });
            }
        });
        Self { addr, seen, task }
    }

    /// One that knows what time it is, and has this reply to every other question.
    pub async fn prometheus(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::prometheus_at(SocketAddr::from(([127, 0, 0, 1], 0)), reply).await
    }

    /// One at this address.
    pub async fn prometheus_at(
        addr: SocketAddr,
        reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let clock =
            Reply::new(200, r#"{"status":"success","data":{"resultType":"scalar","result":[1000,"1000"]}}"#);
        let reply = move |request: &str| if asks_for_time(request) { clock.clone() } else { reply(request) };
        Self::start_at(addr, reply).await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Stops listening, and ends every connection; the address where nothing listens any more.
    pub async fn stop(self) -> SocketAddr {
        self.task.abort();
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
        self.addr
    }

    /// The requests so far, head and body.
    pub fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// Those of them that do not ask for the time.
    pub fn questions(&self) -> Vec<String> {
        self.requests().into_iter().filter(|request| !asks_for_time(request)).collect()
    }

    /// How many requests were being answered at once, at most.
    pub fn most_open(&self) -> usize {
        self.seen.lock().unwrap().most_open
    }

    /// Bytes of endless answers that were taken.
    pub fn written(&self) -> usize {
        self.seen.lock().unwrap().written
    }
}

fn asks_for_time(request: &str) -> bool {
    request.contains("query=time%28%29")
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Seen>,
    reply: &(impl Fn(&str) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let request = request(&mut stream).await?;
    {
        let mut seen = seen.lock().unwrap();
        seen.requests.push(request.clone());
        seen.open += 1;
        seen.most_open = seen.most_open.max(seen.open);
    }
    let result = answer(&mut stream, reply(&request), seen).await;
    seen.lock().unwrap().open -= 1;
    result
}

async fn answer(stream: &mut TcpStream, reply: Reply, seen: &Mutex<Seen>) -> std::io::Result<()> {
    match reply {
        Reply::Bytes(bytes) => stream.write_all(&bytes).await,
        Reply::Hang(bytes) => {
            stream.write_all(&bytes).await?;
            // until the client goes away
            stream.read(&mut [0; 64]).await.map(|_| ())
        }
        Reply::Endless(bytes) => {
            stream.write_all(&bytes).await?;
            loop {
                stream.write_all(&[b'0'; 4096]).await?;
                seen.lock().unwrap().written += 4096;
            }
        }
        Reply::Late(after, status, body) => {
            tokio::time::sleep(after).await;
            let Reply::Bytes(bytes) = Reply::new(status, &body) else { return Ok(()) };
            stream.write_all(&bytes).await
        }
    }
}

/// One request with a body of a known length.
async fn request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut read = Vec::new();
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length:").map(|length| length.trim().parse::<usize>().unwrap())
        });
        if body.len() >= length.unwrap_or(0) {
            return Ok(text);
        }
    }
}
