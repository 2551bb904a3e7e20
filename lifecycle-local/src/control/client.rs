//! Calls to the control socket of the proxy.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::http::{Answer, Call, CallError};
use crate::proxy::{Effective, Stats, TableDocument};

/// How long the proxy may take to answer. It answers from memory.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Calls to the control socket of the proxy; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    socket: Arc<Path>,
}

/// Why the proxy gave no answer.
#[derive(Debug, Error)]
pub(crate) enum ControlError {
    #[error("the proxy does not answer: {0}")]
    Call(#[from] CallError),
    #[error("the proxy answered {0}")]
    Answer(String),
    /// The proxy has a newer table: this one.
    #[error("the proxy has a newer table")]
    Newer(Box<Effective>),
}

impl Client {
    pub(crate) fn new(proxy_dir: &Path) -> Self {
        Self { socket: PathBuf::from(proxy_dir).join("control.sock").into() }
    }

    /// The table in effect.
    pub(crate) async fn table(&self) -> Result<Effective, ControlError> {
        read(Call::get("/route", TIMEOUT)?.unix(&self.socket).await?)
    }

    /// Puts a table in effect.
    pub(crate) async fn put(&self, table: &TableDocument) -> Result<Effective, ControlError> {
        let body = serde_json::to_vec(table).map_err(|error| ControlError::Answer(error.to_string()))?;
        let answer = Call::new(Method::PUT, "/route", Bytes::from(body), TIMEOUT)?.unix(&self.socket).await?;
        if answer.status == StatusCode::CONFLICT {
            return Err(ControlError::Newer(Box::new(parse(&answer.body)?)));
        }
        read(answer)
    }

    /// The counts since the proxy started.
    pub(crate) async fn stats(&self) -> Result<Stats, ControlError> {
        self.counted("/stats").await
    }

    /// The counts of a trailing window.
    pub(crate) async fn stats_of(&self, window: Duration) -> Result<Stats, ControlError> {
        self.counted(&format!("/stats?window={}", window.as_millis())).await
    }

    /// The counts since an earlier answer ended; 0 is none.
    pub(crate) async fn stats_since(&self, until_ms: u64) -> Result<Stats, ControlError> {
        self.counted(&format!("/stats?since={until_ms}")).await
    }

    /// What each replica counted in each of the last so many minutes.
    pub(crate) async fn stats_of_replicas(&self, minutes: usize) -> Result<Stats, ControlError> {
        self.counted(&format!("/stats?minutes={minutes}")).await
    }

    async fn counted(&self, path: &str) -> Result<Stats, ControlError> {
        read(Call::get(path, TIMEOUT)?.unix(&self.socket).await?)
    }
}

fn read<T: DeserializeOwned>(answer: Answer) -> Result<T, ControlError> {
    if answer.status != StatusCode::OK {
        let words = String::from_utf8_lossy(&answer.body);
        return Err(ControlError::Answer(format!("{}: {}", answer.status, words.trim())));
    }
    parse(&answer.body)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ControlError> {
    serde_json::from_slice(body)
        .map_err(|error| ControlError::Answer(format!("what cannot be read: {error}")))
}
