//! One GET on a connection of its own.

use std::time::Duration;

use lifecycle_core::time::Millis;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Response, Url};
use tokio::time::{Instant, timeout_at};

use super::failure;
use crate::error::{ConfigError, quoted};
use crate::probe::{Failure, Outcome, Probe};

/// How much of the body of an answer that fails is read, for people.
const BEGINNING_BYTES: usize = 512;

/// What every request has, and how much of an answer is read.
#[derive(Clone, Debug)]
pub(super) struct Get {
    pub(super) client: Client,
    pub(super) headers: HeaderMap,
    pub(super) max_answer_bytes: usize,
}

impl Get {
    /// With this header, which is not shown.
    pub(super) fn insert(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let wrong = || {
            let accepted = "letters, digits and - for its name, and visible characters for its value";
            ConfigError::new("header", format!("{} cannot be sent: write {accepted}", quoted(name)))
        };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        self.headers.insert(key, value);
        Ok(())
    }

    /// Asks for this address, and judges what comes back by this probe.
    pub(super) async fn probe(&self, url: Url, probe: &Probe, timeout: Millis) -> Outcome {
        let began = Instant::now();
        let until = began + Duration::from(timeout);
        let late = |what: &str| Outcome::failed(Failure::Timeout).detail(&format!("{what} within {timeout}"));
        let request = self.client.get(url).headers(self.headers.clone());
        let mut response = match timeout_at(until, request.send()).await {
            Err(_) => return late("nothing came back"),
            Ok(Err(error)) => return failure::of(&error.without_url()),
            Ok(Ok(response)) => response,
        };
        let status = response.status().as_u16();
        match probe.judge(status, Millis::ZERO) {
            failed @ Outcome::Failed { why: Failure::Redirect(_), .. } => failed.detail(&leads_to(&response)),
            failed @ Outcome::Failed { .. } => {
                let mut beginning = Vec::new();
                // Without a beginning, too, the status says that it has failed.
                let _ = timeout_at(until, read(&mut response, &mut beginning, BEGINNING_BYTES)).await;
                failed.detail(&String::from_utf8_lossy(&beginning))
            }
            Outcome::Passed { .. } => {
                let mut body = Vec::new();
                match timeout_at(until, read(&mut response, &mut body, self.max_answer_bytes)).await {
                    Err(_) => late(&format!("status {status}, and the body did not end")),
                    Ok(Err(outcome)) => outcome,
                    Ok(Ok(())) => probe.judge(status, began.elapsed().into()),
                }
            }
        }
    }
}

/// Reads the whole body, or until there is more of it than this limit.
async fn read(response: &mut Response, body: &mut Vec<u8>, limit: usize) -> Result<(), Outcome> {
    loop {
        match response.chunk().await {
            Err(error) => return Err(failure::of(&error.without_url())),
            Ok(None) => return Ok(()),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
        }
        if body.len() > limit {
            let detail = format!("the body is longer than {limit} bytes");
            return Err(Outcome::failed(Failure::TooLarge).detail(&detail));
        }
    }
}

/// Where a redirect leads, without a query, in which there may be a token.
fn leads_to(response: &Response) -> String {
    let location = response.headers().get(LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()));
    match location {
        None => "it does not say where to".to_owned(),
        Some(location) => format!("to {}", quoted(location.split(['?', '#']).next().unwrap_or_default())),
    }
}
