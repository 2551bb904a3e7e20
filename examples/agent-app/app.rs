//! The answers.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Channel, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use rand::RngExt as _;
use rand_distr::LogNormal;

use crate::args::{After, Args};
use crate::metrics::Metrics;

/// The header that says which version answered; an answer without it was not made here.
const VERSION_HEADER: &str = "x-app-version";
/// The normal distribution's 95th percentile in standard deviations.
const Z95: f64 = 1.644_853_627;
/// A stream has at most this many chunks.
const MAX_CHUNKS: u64 = 10_000;

/// Whatever the answer is made of.
pub(crate) type Body = BoxBody<Bytes, std::convert::Infallible>;

/// One running application.
#[derive(Debug)]
pub(crate) struct App {
    version: HeaderValue,
    about: Bytes,
    error_rate: f64,
    bad_error_rate: f64,
    bad_after: After,
    ready_after: After,
    latency: Option<LogNormal<f64>>,
    started: Instant,
    first_request: OnceLock<Instant>,
    metrics: Metrics,
}

impl App {
    /// Behaves as these arguments say, from now on.
    pub(crate) fn new(args: &Args) -> anyhow::Result<Self> {
        let about = serde_json::json!({ "version": args.version, "pid": std::process::id() });
        Ok(Self {
            version: HeaderValue::from_str(&args.version)?,
            about: Bytes::from(about.to_string() + "\n"),
            error_rate: args.error_rate,
            bad_error_rate: args.bad_error_rate,
            bad_after: args.bad_after,
            ready_after: args.ready_after,
            latency: latency(args.latency_p50, args.latency_p95)?,
            started: Instant::now(),
            first_request: OnceLock::new(),
            metrics: Metrics::new(),
        })
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let begun = Instant::now();
        let (Parts { uri, .. }, body) = request.into_parts();
        skip(body).await;
        let (status, content, body) = match uri.path() {
            "/" => self.work(begun).await,
            "/stream" => (StatusCode::OK, "text/plain", stream(uri.query().unwrap_or_default())),
            "/health" => (StatusCode::OK, "application/json", full(r#"{"status":"alive"}"#)),
            "/ready" => self.ready(),
            "/metrics" => {
                let text = self.metrics.text();
                (StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", full(text))
            }
            _ => (StatusCode::NOT_FOUND, "application/json", full(r#"{"error":"no such path"}"#)),
        };
        if matches!(uri.path(), "/" | "/stream") {
            self.metrics.answered(status.as_u16(), begun.elapsed());
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(VERSION_HEADER, self.version.clone());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content));
        response
    }

    async fn work(&self, begun: Instant) -> (StatusCode, &'static str, Body) {
        let serving = begun.duration_since(*self.first_request.get_or_init(|| begun));
        let error_rate = if self.bad_after.is_over(serving) { self.bad_error_rate } else { self.error_rate };
        let (failed, latency) = {
            let mut random = rand::rng();
            (random.random_bool(error_rate), self.latency.map(|latency| random.sample(latency)))
        };
        if let Some(seconds) = latency {
            tokio::time::sleep(Duration::from_secs_f64(seconds.min(60.0))).await;
        }
        if failed {
            return (
                StatusCode::INTERNAL_SERVER_ERROR,
                "application/json",
                full(r#"{"error":"as asked for"}"#),
            );
        }
        (StatusCode::OK, "application/json", full(self.about.clone()))
    }

    fn ready(&self) -> (StatusCode, &'static str, Body) {
        if self.ready_after.is_over(self.started.elapsed()) {
            return (StatusCode::OK, "application/json", full(r#"{"status":"ready"}"#));
        }
        (StatusCode::SERVICE_UNAVAILABLE, "application/json", full(r#"{"status":"not_ready"}"#))
    }
}

/// Reads a request's body to its end, however long, so that the connection can be used again.
async fn skip(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// The log-normal distribution with this median and 95th percentile, `None` for no latency at all.
fn latency(p50: Duration, p95: Duration) -> anyhow::Result<Option<LogNormal<f64>>> {
    if p50.is_zero() {
        return Ok(None);
    }
    let spread = (p95.max(p50).as_secs_f64() / p50.as_secs_f64()).ln() / Z95;
    Ok(Some(LogNormal::new(p50.as_secs_f64().ln(), spread)?))
}

/// `/stream?chunks=10&every=100`: that many lines, one every so many milliseconds.
fn stream(query: &str) -> Body {
    let field = |name: &str, default: u64| {
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let (chunks, every) = (field("chunks", 10).min(MAX_CHUNKS), Duration::from_millis(field("every", 100)));
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        for chunk in 1..=chunks {
            // The reader may be gone; then so is the stream.
            if sender.send_data(Bytes::from(format!("{chunk} of {chunks}\n"))).await.is_err() {
                return;
            }
            if chunk < chunks {
                tokio::time::sleep(every).await;
            }
        }
    });
    body.boxed()
}

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_has_the_median_and_the_percentile_that_were_asked_for() {
        let latency = latency(Duration::from_millis(80), Duration::from_millis(200)).unwrap().unwrap();
        let mut seconds: Vec<f64> = {
            let mut random = rand::rng();
            (0..20_000).map(|_| random.sample(latency)).collect()
        };
        seconds.sort_by(f64::total_cmp);
        let (p50, p95) = (seconds[10_000], seconds[19_000]);
        assert!((0.075..0.085).contains(&p50) && (0.18..0.22).contains(&p95), "{p50} {p95}");
    }
}
