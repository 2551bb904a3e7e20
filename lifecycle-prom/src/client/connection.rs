//! Where a server is, and who asks.

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

/// One server at one or several addresses, how it is trusted and how whoever asks shows who it is.
///
/// # Example
/// ```
/// # use lifecycle_prom::{Connection, Pem};
/// let connection = Connection::new("https://prometheus-0.monitoring:9090")?
///     .or("https://prometheus-1.monitoring:9090")?
///     .bearer_token_file("/var/run/secrets/kubernetes.io/serviceaccount/token")
///     .ca(Pem::file("/etc/monitoring/ca.crt"));
/// let secret = Connection::new("https://metrics.example.com/prometheus")?.bearer_token("secret")?;
/// assert!(!format!("{secret:?}").contains("secret"));
/// # Ok::<(), lifecycle_prom::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Connection {
    pub(super) addresses: Vec<Address>,
    pub(super) headers: HeaderMap,
    pub(super) credentials: Credentials,
    pub(super) ca: Option<Pem>,
    pub(super) identity: Option<(Pem, Pem)>,
}

/// One address.
#[derive(Clone)]
pub(super) struct Address {
    /// With name and password, if it has them, and a slash at its end.
    pub(super) url: Url,
    /// Without.
    pub(super) shown: String,
}

/// Who asks, beside what headers and addresses say.
#[derive(Clone)]
pub(super) enum Credentials {
    None,
    Basic { user: String, password: String },
    TokenFile(PathBuf),
}

/// Certificates or a key, in PEM.
#[derive(Clone)]
pub struct Pem(pub(super) PemSource);

#[derive(Clone)]
pub(super) enum PemSource {
    Text(Vec<u8>),
    File(PathBuf),
}

/// The configuration cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No address of a server.
    #[error("{given:?} is not the address of a server: {problem}")]
    Url {
        /// What was given, without a password.
        given: String,
        /// What is wrong and what is accepted.
        problem: String,
    },
    /// No header.
    #[error(
        "the header {name:?} cannot be sent: write letters, digits and - for its name, and visible characters for its value"
    )]
    Header {
        /// Its name.
        name: String,
    },
    /// A file that cannot be used.
    #[error("{what} {path}: {problem}")]
    File {
        /// What it should be.
        what: &'static str,
        /// Where it is.
        path: String,
        /// What is wrong and what is accepted.
        problem: String,
    },
    /// TLS or the client cannot be set up.
    #[error("no client: {0}")]
    Client(String),
}

impl Connection {
    /// The server at this address, `http://host:9090` or with a path where it is served under one. A name
    /// and a password in the address are used for basic authentication.
    ///
    /// # Errors
    /// When it is not the address of an HTTP server.
    pub fn new(address: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            addresses: vec![Address::parse(address)?],
            headers: HeaderMap::new(),
            credentials: Credentials::None,
            ca: None,
            identity: None,
        })
    }

    /// Or at this one, where the others do not answer, or not completely: another replica with the same data. They are tried in their order; one that
    /// failed is tried last for a while ([`rest`](crate::PrometheusConfig::rest)).
    ///
    /// # Errors
    /// When it is not the address of an HTTP server.
    pub fn or(mut self, address: &str) -> Result<Self, ConfigError> {
        self.addresses.push(Address::parse(address)?);
        Ok(self)
    }

    /// With this header in every request, such as a tenant's: `X-Scope-OrgID`.
    ///
    /// # Errors
    /// When it is not a header.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        let wrong = || ConfigError::Header { name: name.to_owned() };
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        self.headers.insert(key, value);
        Ok(self)
    }

    /// With this bearer token.
    ///
    /// # Errors
    /// When it cannot be part of a header.
    pub fn bearer_token(self, token: &str) -> Result<Self, ConfigError> {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {}", token.trim()))
    }

    /// With the bearer token in this file, which is read again when it has changed, as that of a ServiceAccount does every hour.
    pub fn bearer_token_file(mut self, path: impl AsRef<Path>) -> Self {
        self.credentials = Credentials::TokenFile(path.as_ref().to_owned());
        self
    }

    /// With basic authentication.
    pub fn basic_auth(mut self, user: &str, password: &str) -> Self {
        self.credentials = Credentials::Basic { user: user.to_owned(), password: password.to_owned() };
        self
    }

    /// Trusts these authorities, and no other. Default: those of the system.
    pub fn ca(mut self, certificates: Pem) -> Self {
        self.ca = Some(certificates);
        self
    }

    /// Shows this certificate, with what leads to its authority, and its key, where the server asks for one.
    pub fn client_certificate(mut self, certificate: Pem, key: Pem) -> Self {
        self.identity = Some((certificate, key));
        self
    }
}

impl Pem {
    /// This text.
    #[must_use]
    pub fn text(pem: &str) -> Self {
        Self(PemSource::Text(pem.as_bytes().to_vec()))
    }

    /// The text in this file, which is read again when it has changed.
    #[must_use]
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self(PemSource::File(path.as_ref().to_owned()))
    }
}

impl Address {
    fn parse(address: &str) -> Result<Self, ConfigError> {
        let wrong = |given: &str, problem: &str| ConfigError::Url {
            given: given.to_owned(),
            problem: format!("{problem}; write one like http://prometheus.monitoring:9090"),
        };
        // What cannot be parsed may still have a password in it.
        let without_password = address.rsplit_once('@').map_or(address, |(_, host)| host);
        let mut url = Url::parse(address).map_err(|error| wrong(without_password, &error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong(without_password, "it does not begin with http:// or https://"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(without_password, "it has a query or a fragment"));
        }
        let path = format!("{}/", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let mut shown = url.clone();
        // Neither fails for a URL with a host, which one with http has.
        let _ = (shown.set_username(""), shown.set_password(None));
        Ok(Self { url, shown: shown.to_string() })
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { addresses, headers, credentials, ca, identity } = self;
        let addresses: Vec<&str> = addresses.iter().map(|address| &*address.shown).collect();
        f.debug_struct("Connection")
            .field("addresses", &addresses)
            .field("headers", headers)
            .field("credentials", credentials)
            .field("ca", ca)
            .field("client_certificate", &identity.as_ref().map(|(certificate, _)| certificate))
            .finish()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Basic { user, .. } => write!(f, "Basic({user:?})"),
            Self::TokenFile(path) => write!(f, "TokenFile({})", path.display()),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            PemSource::Text(_) => f.write_str("Text"),
            PemSource::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_the_one_below_which_the_api_is() {
        for (address, shown) in [
            ("http://prom:9090", "http://prom:9090/"),
            ("http://prom:9090/", "http://prom:9090/"),
            ("https://example.com/prometheus/", "https://example.com/prometheus/"),
            ("http://me:pass%40word@[::1]:9090", "http://[::1]:9090/"),
        ] {
            let connection = Connection::new(address).unwrap();
            assert_eq!(connection.addresses[0].shown, shown);
            assert!(!format!("{connection:?}").contains("pass"), "{connection:?}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_says_why_and_keeps_the_password() {
        for (address, said) in [
            ("", "relative URL without a base"),
            ("prom:9090", "it does not begin with http:// or https://"),
            ("ftp://me:secret@prom", "\"prom\" is not the address of a server: it does not begin with"),
            ("http://", "empty host"),
            ("http://me:secret@prom:99999", "invalid port number"),
            ("http://me:secret@prom?x=1", "it has a query or a fragment"),
        ] {
            for error in [
                Connection::new(address).unwrap_err(),
                Connection::new("http://prom").unwrap().or(address).unwrap_err(),
            ] {
                let error = error.to_string();
                assert!(error.contains(said) && !error.contains("secret"), "{error}");
                assert!(error.ends_with("; write one like http://prometheus.monitoring:9090"), "{error}");
            }
        }
    }

    #[test]
    fn no_header_smuggles_another_one_in() {
        let connection = || Connection::new("http://prom:9090").unwrap();
        for (name, value) in [("X-A", "1\r\nX-B: 2"), ("X A", "1"), ("", "1")] {
            assert!(connection().header(name, value).is_err(), "{name} {value}");
        }
        assert!(connection().bearer_token("a\nb").is_err());
    }

    #[test]
    fn what_is_secret_is_not_shown() {
        let connection = Connection::new("http://prom:9090")
            .unwrap()
            .bearer_token("s3cret\n")
            .unwrap()
            .basic_auth("me", "s3cret")
            .ca(Pem::text("s3cret"))
            .client_certificate(Pem::text("s3cret"), Pem::text("s3cret"));
        assert!(!format!("{connection:?}").contains("s3cret"), "{connection:?}");
    }
}
