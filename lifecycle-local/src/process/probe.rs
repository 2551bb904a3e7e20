//! Asking a process over HTTP whether it is well.

use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use crate::http::Call;

/// Of an answer only the status counts.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// One GET on a connection of its own; any status from 200 to 399 is well.
#[derive(Clone, Debug)]
pub struct HttpProbe {
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
    timeout: Duration,
}

impl HttpProbe {
    /// A probe of this path on this host (a name or an address), with a timeout of a second.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16, path: impl Into<String>) -> Self {
        let (host, path) = (host.into(), path.into());
        Self { host, port, path, headers: Vec::new(), timeout: Duration::from_secs(1) }
    }

    /// The whole answer must be there after this time.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With one more header, or another value of `host`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Asks once.
    ///
    /// # Errors
    /// A sentence for people: why it is not well.
    pub async fn ask(&self) -> Result<(), String> {
        let said = |error: &dyn std::fmt::Display| format!("GET {}: {error}", self.path);
        let mut call = Call::get(&self.path, self.timeout).map_err(|error| said(&error))?;
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().map_err(|error| said(&error))?;
            let value: HeaderValue = value.parse().map_err(|error| said(&error))?;
            call.request.headers_mut().insert(name, value);
        }
        let answer = call.answer_limit(ANSWER_LIMIT).tcp(&self.host, self.port).await;
        let status = answer.map_err(|error| said(&error))?.status.as_u16();
        if (200..400).contains(&status) { Ok(()) } else { Err(said(&format_args!("status {status}"))) }
    }
}
