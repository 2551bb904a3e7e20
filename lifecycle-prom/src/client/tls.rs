//! HTTP clients with the certificates of the configuration.

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Identity};
use tokio::sync::Mutex;

use super::connection::{ConfigError, Connection, Pem, PemSource};

/// A client that is made anew when a file of its certificates has changed.
#[derive(Debug)]
pub(super) struct Clients {
    connection: Connection,
    current: Mutex<(Vec<Stamp>, Client)>,
}

/// By what one sees that a file has changed; `None` when it is not there.
pub(super) type Stamp = Option<(SystemTime, u64)>;

impl Clients {
    pub(super) fn new(connection: &Connection) -> Result<Self, ConfigError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Somebody else may have just done so: theirs is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let stamps = files(connection).map(|path| stamp(std::fs::metadata(path))).collect();
        let current = Mutex::new((stamps, client(connection)?));
        Ok(Self { connection: connection.clone(), current })
    }

    /// The client for the next request.
    pub(super) async fn get(&self) -> Client {
        let mut current = self.current.lock().await;
        let mut stamps = Vec::with_capacity(current.0.len());
        for path in files(&self.connection) {
            stamps.push(stamp(tokio::fs::metadata(path).await));
        }
        if stamps != current.0
            // half of what was there may be new: what worked works on
            && let Ok(client) = client(&self.connection)
        {
            *current = (stamps, client);
        }
        current.1.clone()
    }
}

pub(super) fn stamp(metadata: io::Result<std::fs::Metadata>) -> Stamp {
    let metadata = metadata.ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn files(connection: &Connection) -> impl Iterator<Item = &Path> {
    let identity = connection.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
    connection.ca.iter().chain(identity).filter_map(|pem| match &pem.0 {
        PemSource::File(path) => Some(path.as_path()),
        PemSource::Text(_) => None,
    })
}

fn client(connection: &Connection) -> Result<Client, ConfigError> {
    let mut builder = Client::builder().redirect(Policy::none()).retry(reqwest::retry::never()).no_proxy();
    builder = builder.default_headers(connection.headers.clone());
    if let Some(ca) = &connection.ca {
        let pem = read(ca, "the certificates of the authorities")?;
        let wrong = |problem: String| unusable(ca, "the certificates of the authorities", problem);
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(with_causes(&error)))?;
        if certificates.is_empty() {
            return Err(wrong("it has no certificate: write them in PEM".to_owned()));
        }
        builder = builder.tls_certs_only(certificates);
    } else if connection.addresses.iter().all(|address| address.url.scheme() == "http") {
        // No authority is needed then, and a small image may have none installed.
        builder = builder.tls_certs_only([]);
    }
    if let Some((certificate, key)) = &connection.identity {
        let (what, of_key) = ("the client's certificate", "the client's key");
        let mut pem = read(certificate, what)?;
        pem.push(b'\n');
        pem.extend(read(key, of_key)?);
        let identity = Identity::from_pem(&pem).map_err(|error| {
            let problem = with_causes(&error);
            unusable(certificate, what, format!("{problem}: write certificate and key in PEM"))
        })?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|error| ConfigError::Client(with_causes(&error)))
}

fn read(pem: &Pem, what: &'static str) -> Result<Vec<u8>, ConfigError> {
    match &pem.0 {
        PemSource::Text(text) => Ok(text.clone()),
        PemSource::File(path) => {
            std::fs::read(path).map_err(|error| unusable(pem, what, format!("cannot be read: {error}")))
        }
    }
}

fn unusable(pem: &Pem, what: &'static str, problem: String) -> ConfigError {
    let path = match &pem.0 {
        PemSource::File(path) => path.display().to_string(),
        PemSource::Text(_) => "given as text".to_owned(),
    };
    ConfigError::File { what, path, problem }
}

/// An error says what failed, and its causes say why.
pub(super) fn with_causes(error: &dyn StdError) -> String {
    let mut said = error.to_string();
    for cause in causes(error) {
        let text = cause.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
    }
    said
}

/// What TLS says about it, where it is an error of TLS; and whether the server has refused the client.
pub(super) fn of_tls(error: &dyn StdError) -> Option<(String, bool)> {
    causes(error).find_map(|cause| {
        let tls = inside(cause).downcast_ref::<rustls::Error>()?;
        Some((tls.to_string(), matches!(tls, rustls::Error::AlertReceived(_))))
    })
}

/// What errors of input and output are made of, which do not name it as their cause.
fn inside<'e>(mut error: &'e (dyn StdError + 'static)) -> &'e (dyn StdError + 'static) {
    while let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        error = inner;
    }
    error
}

fn causes<'e>(error: &'e dyn StdError) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    let cause_of = |cause: &&'e (dyn StdError + 'static)| {
        let cause: &'e (dyn StdError + 'static) = *cause;
        cause.source()
    };
    std::iter::successors(error.source(), cause_of)
}
