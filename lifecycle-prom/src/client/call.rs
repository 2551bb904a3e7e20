//! One question over HTTP.

use std::error::Error as _;
use std::fmt;

use lifecycle_core::backend::{BackendError, BackendResult, ErrorKind};
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::config::{ConfigError, PrometheusConfig};
use crate::answer::{self, Answer, AnswerError};

/// Asks; keeps connections.
pub(super) struct Caller {
    client: Client,
    config: PrometheusConfig,
    places: Semaphore,
}

impl Caller {
    pub(super) fn new(config: &PrometheusConfig) -> Result<Self, ConfigError> {
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(config.deadline)
            .default_headers(config.headers.clone());
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Somebody else may have just done so: theirs is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        if config.base_url.scheme() == "http" {
            // No authority is needed then, and a small image may have none installed.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| ConfigError::Client(with_causes(&error)))?;
        Ok(Self { client, config: config.clone(), places: Semaphore::new(config.concurrency) })
    }

    /// The answer of this path of the API to this form, an error at the deadline.
    pub(super) async fn ask(
        &self,
        path: &str,
        form: &[(&'static str, String)],
        deadline: Instant,
    ) -> BackendResult<Answer> {
        timeout_at(deadline, self.call(path, form, deadline)).await.unwrap_or_else(|_| Err(self.late()))
    }

    /// There was no answer at the deadline.
    pub(super) fn late(&self) -> BackendError {
        let within = self.config.deadline.as_millis();
        self.failed(ErrorKind::Transient, &format!("no answer within {within} ms"))
    }

    async fn call(
        &self,
        path: &str,
        form: &[(&'static str, String)],
        deadline: Instant,
    ) -> BackendResult<Answer> {
        // Never closed: there is always a permit to come.
        let _place =
            self.places.acquire().await.map_err(|closed| self.failed(ErrorKind::Transient, &closed))?;
        // Prometheus gives up, too, when nobody waits any more.
        let timeout = format!("{}ms", (deadline - Instant::now()).as_millis().max(1));
        let mut url = self.config.base_url.clone();
        url.set_path(&format!("{}{path}", url.path()));
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, &**value)).collect();
        let form = [form, vec![("timeout", &*timeout)]].concat();
        let mut request = self.client.post(url).form(&form);
        if let Some((user, password)) = &self.config.basic {
            request = request.basic_auth(user, Some(password));
        }
        let mut response = request.send().await.map_err(|error| self.broken(error))?;
        let status = response.status().as_u16();
        let location = response
            .headers()
            .get(LOCATION)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let body = self.body(&mut response).await?;
        answer::read(status, location.as_deref(), &body).map_err(|error| self.failed(error.kind(), &error))
    }

    async fn body(&self, response: &mut Response) -> BackendResult<Vec<u8>> {
        let limit = self.config.max_answer_bytes;
        let mut body = Vec::new();
        loop {
            match response.chunk().await.map_err(|error| self.broken(error))? {
                None => return Ok(body),
                Some(chunk) if body.len() + chunk.len() > limit => {
                    let error = AnswerError::TooLarge { limit };
                    return Err(self.failed(error.kind(), &error));
                }
                Some(chunk) => body.extend_from_slice(&chunk),
            }
        }
    }

    fn broken(&self, error: reqwest::Error) -> BackendError {
        self.failed(ErrorKind::Transient, &with_causes(&error.without_url()))
    }

    fn failed(&self, kind: ErrorKind, problem: &dyn fmt::Display) -> BackendError {
        BackendError::new("prometheus", "measure", kind, format!("{}: {problem}", self.config.shown))
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("url", &self.config.shown).finish_non_exhaustive()
    }
}

/// An error of reqwest says what failed, and its causes say why.
fn with_causes(error: &reqwest::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = next.source();
    }
    said
}
