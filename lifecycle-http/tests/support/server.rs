//! A server that does as it is told, also what no server should do.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a connection is answered with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// These bytes; then the connection is closed.
    Bytes(Vec<u8>),
    /// These bytes; then the connection is broken off.
    Reset(Vec<u8>),
    /// These bytes, then nothing more, and the connection stays open.
    Hang(Vec<u8>),
    /// These bytes, then zeros without end.
    Endless(Vec<u8>),
}

impl Reply {
    pub fn new(status: u16, body: &str) -> Self {
        Self::with(status, "", body)
    }

    pub fn with(status: u16, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::text(&format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}"))
    }

    pub fn text(bytes: &str) -> Self {
        Self::Bytes(bytes.as_bytes().to_vec())
    }
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Server {
    pub addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<String>,
    accepted: usize,
    open: usize,
    most_open: usize,
    written: usize,
}

impl Server {
    pub async fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let reply = Arc::new(reply);
        let of_task = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, reply) = (Arc::clone(&of_task), Arc::clone(&reply));
                {
                    let mut seen = seen.lock().unwrap();
                    seen.accepted += 1;
                    seen.open += 1;
                    seen.most_open = seen.most_open.max(seen.open);
                }
                tokio::spawn(async move {
                    // A client that goes away is part of many a test.
                    let _ = serve(stream, &seen, &*reply).await;
                    seen.lock().unwrap().open -= 1;
                });
            }
        });
        Self { addr, seen, task }
    }

    pub async fn replying(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// An address where nothing listens any more.
    pub async fn stopped() -> SocketAddr {
        let server = Self::replying(Reply::new(200, "")).await;
        server.task.abort();
        while !server.task.is_finished() {
            tokio::task::yield_now().await;
        }
        server.addr
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    /// How many connections there were.
    pub fn accepted(&self) -> usize {
        self.seen.lock().unwrap().accepted
    }

    /// How many connections there are.
    pub fn open(&self) -> usize {
        self.seen.lock().unwrap().open
    }

    /// How many connections there were at once, at most.
    pub fn most_open(&self) -> usize {
        self.seen.lock().unwrap().most_open
    }

    /// Bytes of endless answers that were taken.
    pub fn written(&self) -> usize {
        self.seen.lock().unwrap().written
    }
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
) -> io::Result<()> {
    let request = head(&mut stream).await?;
    seen.lock().unwrap().requests.push(request.clone());
    match reply(&request) {
        Reply::Bytes(bytes) => {
            stream.write_all(&bytes).await?;
            stream.shutdown().await
        }
        Reply::Reset(bytes) => {
            stream.write_all(&bytes).await?;
            stream.set_zero_linger()
        }
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
    }
}

/// One request without a body.
async fn head(stream: &mut TcpStream) -> io::Result<String> {
    let mut read = Vec::new();
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = String::from_utf8_lossy(&read);
        if text.ends_with("\r\n\r\n") {
            return Ok(text.to_ascii_lowercase());
        }
    }
}
