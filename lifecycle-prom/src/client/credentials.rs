//! A token in a file.

use std::path::PathBuf;

use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use tokio::sync::Mutex;

use super::connection::{ConfigError, Credentials};
use super::tls::{Stamp, stamp};

/// What is added to each request.
#[derive(Debug)]
pub(super) enum Signer {
    None,
    Basic { user: String, password: String },
    TokenFile(TokenFile),
}

/// A bearer token that is read again when its file has changed.
#[derive(Debug)]
pub(super) struct TokenFile {
    path: PathBuf,
    read: Mutex<Option<(Stamp, HeaderValue)>>,
}

impl Signer {
    /// Reads a token for the first time.
    pub(super) fn new(credentials: &Credentials) -> Result<Self, ConfigError> {
        Ok(match credentials {
            Credentials::None => Self::None,
            Credentials::Basic { user, password } => {
                Self::Basic { user: user.clone(), password: password.clone() }
            }
            Credentials::TokenFile(path) => {
                let text = std::fs::read_to_string(path);
                let header =
                    text.map_err(|error| format!("cannot be read: {error}")).and_then(|text| header(&text));
                let wrong = |problem| ConfigError::File {
                    what: "the bearer token",
                    path: path.display().to_string(),
                    problem,
                };
                // (read again with the first request, because it may be another one by then)
                header.map_err(wrong)?;
                Self::TokenFile(TokenFile { path: path.clone(), read: Mutex::default() })
            }
        })
    }

    /// This request with what says who asks.
    ///
    /// # Errors
    /// When the token cannot be read.
    pub(super) async fn sign(&self, request: RequestBuilder) -> Result<RequestBuilder, String> {
        match self {
            Self::None => Ok(request),
            Self::Basic { user, password } => Ok(request.basic_auth(user, Some(password))),
            Self::TokenFile(file) => match file.header().await {
                Ok(header) => Ok(request.header(AUTHORIZATION, header)),
                Err(problem) => Err(format!("the bearer token {}: {problem}", file.path.display())),
            },
        }
    }
}

impl TokenFile {
    async fn header(&self) -> Result<HeaderValue, String> {
        let mut read = self.read.lock().await;
        let stamp = stamp(tokio::fs::metadata(&self.path).await);
        if let Some((known, header)) = &*read
            && *known == stamp
        {
            return Ok(header.clone());
        }
        let text = tokio::fs::read_to_string(&self.path).await;
        let header = header(&text.map_err(|error| format!("cannot be read: {error}"))?)?;
        *read = Some((stamp, header.clone()));
        Ok(header)
    }
}

fn header(token: &str) -> Result<HeaderValue, String> {
    let token = token.trim();
    if token.is_empty() {
        return Err("the file is empty: write the token in it".to_owned());
    }
    let header = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut header =
        header.map_err(|_| "it has characters that no header has: write the token alone".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}
