//! The control socket: the table in, the table and the counts out.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::document::{Effective, TableDocument};
use super::forward::Shared;
use super::history::History;
use super::metrics::{Stats, exposition};
use super::minutes::{MINUTES, Minutes};
use super::table::Table;
use crate::files::{Durable, replace_json};

/// A table of 4000 replicas is about 1 MiB.
const TABLE_LIMIT: usize = 4 * 1024 * 1024;

/// What the control socket works on.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) shared: Arc<Shared>,
    pub(crate) history: Mutex<History>,
    pub(crate) minutes: Mutex<Minutes>,
    pub(crate) started: Instant,
    /// The same on the wall clock. It begins the clock of what is counted since an earlier answer: a time before it is
    /// one of an earlier run.
    pub(crate) started_at: Duration,
    /// Tells this run of the proxy from every other.
    pub(crate) instance: String,
    pub(crate) table_file: PathBuf,
    /// One writer at a time.
    pub(crate) writing: Mutex<()>,
    /// The newest table, for the one who writes it to its file.
    pub(crate) to_keep: watch::Sender<TableDocument>,
    /// Why the file is older than the table, when it could not be written.
    pub(crate) not_kept: Mutex<Option<String>>,
}

impl Control {
    pub(crate) fn sample(&self) {
        self.history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sample(self.started.elapsed(), &self.shared.counts);
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        minutes.sample(self.started.elapsed(), &self.shared.table.load().endpoints);
    }

    /// Puts a table in effect. Its file is written after that: neither a slow disk nor a full one
    /// keeps a rollback from taking effect.
    fn put(&self, document: TableDocument) -> Result<Effective, Box<Effective>> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.shared.table.load_full();
        if document == before.document {
            return Ok(self.effective());
        }
        if document.generation <= before.document.generation {
            return Err(Box::new(self.effective()));
        }
        let table = Arc::new(Table::new(document.clone(), Some(&before), &self.shared.counts));
        self.shared.table.store(Arc::clone(&table));
        table.settle(&before);
        self.to_keep.send_replace(document);
        Ok(self.effective())
    }

    /// Writes the table to its file whenever it has changed, for ever.
    pub(crate) async fn keep_table(self: Arc<Self>) {
        let mut newest = self.to_keep.subscribe();
        while newest.changed().await.is_ok() {
            loop {
                newest.mark_unchanged();
                let control = Arc::clone(&self);
                // a task that was cut off is one that ends with the proxy, which writes once more then
                if tokio::task::spawn_blocking(move || control.keep_now()).await.unwrap_or(true) {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// Writes the newest table to its file.
    pub(crate) fn keep_now(&self) -> bool {
        let document = self.to_keep.borrow().clone();
        let problem =
            replace_json(&self.table_file, &document, Durable::Process).err().map(|error| error.to_string());
        let kept = problem.is_none();
        *self.not_kept.lock().unwrap_or_else(PoisonError::into_inner) = problem;
        kept
    }

    fn effective(&self) -> Effective {
        let not_persisted = self.not_kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let table = self.shared.table.load();
        Effective {
            instance: self.instance.clone(),
            listen: self.shared.listen,
            table: table.document.clone(),
            in_flight: table.endpoints.iter().map(|endpoint| endpoint.in_flight()).collect(),
            not_persisted,
        }
    }

    fn stats(&self, asked: Asked) -> Stats {
        let now = self.started.elapsed();
        let mut history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        let (covers, counted) = match asked {
            Asked::All => history.window(now, Duration::MAX, &self.shared.counts),
            Asked::Window(window) => history.window(now, window, &self.shared.counts),
            Asked::Minutes(count) => {
                let (covers, counted) = history.window(now, Duration::MAX, &self.shared.counts);
                let mut stats = Stats::new(&self.instance, covers, counted, &self.shared.counts);
                stats.replicas = self.minutes.lock().unwrap_or_else(PoisonError::into_inner).last(count);
                return stats;
            }
            Asked::Since(mark) => {
                let start = mark.checked_sub(self.started_at);
                let (until, counted) = history.since(now, start.unwrap_or_default(), &self.shared.counts);
                let covers = start.map_or(Duration::ZERO, |start| until.saturating_sub(start));
                let mut stats = Stats::new(&self.instance, covers, counted, &self.shared.counts);
                stats.until_ms = Some(whole_ms(self.started_at + until));
                stats.lost = start.is_none();
                return stats;
            }
        };
        Stats::new(&self.instance, covers, counted, &self.shared.counts)
    }

    fn exposition(&self) -> String {
        let table = self.shared.table.load();
        let in_flight: BTreeMap<String, u64> =
            table.endpoints.iter().map(|e| (e.id.clone(), e.in_flight())).collect();
        exposition(&self.shared.counts, &in_flight)
    }
}

/// Answers the requests of one connection. `writable` is for the control socket only.
pub(crate) async fn serve(
    control: Arc<Control>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    writable: bool,
) {
    let service = service_fn(move |request| {
        let control = Arc::clone(&control);
        async move { Ok::<_, Infallible>(answer(&control, request, writable).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    // whoever asked and went away needs no answer
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(control: &Control, request: Request<Incoming>, writable: bool) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/route") => json(StatusCode::OK, &control.effective()),
        (&Method::PUT, "/route") if writable => put_route(control, request).await,
        (&Method::GET, "/stats") => match asked(request.uri().query()) {
            Ok(asked) => json(StatusCode::OK, &control.stats(asked)),
            Err(why) => text(StatusCode::BAD_REQUEST, why),
        },
        (&Method::GET, "/metrics") => {
            let mut response = text(StatusCode::OK, control.exposition());
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "GET /route, /stats, /stats?window=MILLISECONDS, /stats?since=MILLISECONDS, /stats?minutes=COUNT, /metrics; PUT /route on the control socket\n",
        ),
    }
}

async fn put_route(control: &Control, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let body = match Limited::new(request.into_body(), TABLE_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            return text(StatusCode::BAD_REQUEST, format!("the table could not be read: {error}\n"));
        }
    };
    match serde_json::from_slice::<TableDocument>(&body) {
        Err(error) => text(StatusCode::BAD_REQUEST, format!("not a table: {error}\n")),
        Ok(document) => match control.put(document) {
            Ok(effective) => json(StatusCode::OK, &effective),
            Err(newer) => json(StatusCode::CONFLICT, &*newer),
        },
    }
}

fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Which counts are asked for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    All,
    /// Of the trailing window.
    Window(Duration),
    /// Since a time that an earlier answer gave as its `untilMs`.
    Since(Duration),
    /// Also of each replica in the last so many minutes.
    Minutes(usize),
}

fn asked(query: Option<&str>) -> Result<Asked, &'static str> {
    let Some(query) = query else { return Ok(Asked::All) };
    let (name, value) = query.split_once('=').unwrap_or((query, ""));
    let ms = || value.parse().map(Duration::from_millis);
    match name {
        "window" => ms().map(Asked::Window).map_err(|_| "window is a whole number of milliseconds\n"),
        "since" => ms().map(Asked::Since).map_err(|_| "since is a whole number of milliseconds\n"),
        "minutes" => match value.parse() {
            Ok(minutes @ 1..=MINUTES) => Ok(Asked::Minutes(minutes)),
            _ => Err("minutes is a number from 1 to 60\n"),
        },
        _ => Err("the only parameters are window=MILLISECONDS, since=MILLISECONDS and minutes=COUNT\n"),
    }
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(bytes) => {
            let mut response = Response::new(Full::new(Bytes::from(bytes)));
            *response.status_mut() = status;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn text(status: StatusCode, words: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(words.into()));
    *response.status_mut() = status;
    response
}
