//! Probes over HTTP.

mod check;
mod config;
mod failure;
mod get;
mod url;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lifecycle_core::time::Millis;
use reqwest::header::{AUTHORIZATION, CONNECTION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use crate::error::ConfigError;
use crate::probe::{Outcome, Probe};
use crate::prober::Prober;
pub use check::HttpCheck;
pub use config::ClientConfig;
pub(crate) use failure::of_io;
use get::Get;

/// Makes probers, which share one set of certificates. Cheap to clone.
///
/// # What a probe does
/// - **Every probe has a connection of its own**, as those of the kubelet have, and asks the server to close
///   it. A connection that is kept is accepted already: it goes on working when the server takes no new ones,
///   and behind an address that leads to several servers it knows one of them.
/// - One `GET` over HTTP/1.1, its whole answer within the timeout of the probe. Of an answer that passes the
///   body is read up to a limit and not kept; of one that fails its beginning is kept for people.
/// - Redirects are not followed (see [`Redirects`](crate::Redirects)), nothing is tried twice, proxies of the
///   environment are not used, compression is not asked for.
/// - Certificates are verified unless [`ClientConfig::accept_any_certificate`] says otherwise.
///
/// # Example
/// ```
/// # use lifecycle_http::{ClientConfig, ProbeClient};
/// let client = ProbeClient::new(ClientConfig::default())?;
/// let prober = client.prober("http://127.0.0.1:8080")?.with_header("X-Probe", "readiness")?;
/// assert_eq!(
///     client.prober("unix:///run/agent.sock").unwrap_err().to_string(),
///     "base: \"unix:///run/agent.sock\" does not begin with http:// or https://; \
///      write one like http://127.0.0.1:8080",
/// );
/// # let _ = prober;
/// # Ok::<(), lifecycle_http::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct ProbeClient {
    shared: Arc<Shared>,
}

struct Shared {
    config: ClientConfig,
    plain: Client,
    /// Made when it is needed for the first time: a small image may have no authorities installed.
    tls: Mutex<Option<Client>>,
}

/// Asks one server over HTTP.
#[derive(Clone)]
pub struct HttpProber {
    get: Get,
    /// With name and password, if it has them.
    base: Url,
}

impl ProbeClient {
    /// A client with this configuration. Nothing is sent yet.
    ///
    /// # Errors
    /// When a certificate that is to be trusted or the identity cannot be used.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Somebody else may have just done so: theirs is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let none = ClientConfig::default();
        let plain = build(&none, true)?;
        let of_its_own =
            config.any_certificate || config.identity.is_some() || !config.authorities.is_empty();
        let tls = of_its_own.then(|| build(&config, false)).transpose()?;
        Ok(Self { shared: Arc::new(Shared { config, plain, tls: Mutex::new(tls) }) })
    }

    /// Asks the server at this address, `http://127.0.0.1:8080` or with a path that all paths are under. A
    /// name and a password in it are used for basic authentication.
    ///
    /// # Errors
    /// When it is not the address of an HTTP server, or TLS cannot be set up.
    pub fn prober(&self, base: &str) -> Result<HttpProber, ConfigError> {
        let base = url::base("base", base)?;
        Ok(HttpProber { get: self.get(&base)?, base })
    }

    /// Checks that this URL answers with a status that passes, for a service's own readiness. A name and a
    /// password in it are used for basic authentication.
    ///
    /// # Errors
    /// When it is not the URL of an HTTP server, or TLS cannot be set up.
    pub fn check(&self, url: &str) -> Result<HttpCheck, ConfigError> {
        let url = url::parse("url", url, "http://inference:8080/health")?;
        Ok(HttpCheck::new(self.get(&url)?, url))
    }

    fn get(&self, url: &Url) -> Result<Get, ConfigError> {
        let Shared { config, plain, tls } = &*self.shared;
        let client = if url.scheme() == "http" {
            plain.clone()
        } else {
            let mut tls = tls.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *tls {
                Some(client) => client.clone(),
                none => none.insert(build(config, false)?).clone(),
            }
        };
        Ok(Get { client, headers: HeaderMap::new(), max_answer_bytes: config.max_answer_bytes })
    }
}

fn build(config: &ClientConfig, plain: bool) -> Result<Client, ConfigError> {
    let close = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("close"))]);
    let mut builder = Client::builder()
        .user_agent(concat!("lifecycle-http/", env!("CARGO_PKG_VERSION")))
        .default_headers(close)
        .pool_max_idle_per_host(0)
        .http1_only()
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .no_proxy()
        // Whoever else builds with these must not change what a probe sends.
        .no_gzip()
        .no_brotli()
        .no_deflate()
        .no_zstd();
    let ClientConfig { authorities, identity, any_certificate, max_answer_bytes: _ } = config;
    if plain || !authorities.is_empty() {
        builder = builder.tls_certs_only(authorities.iter().cloned());
    }
    if let Some(identity) = identity {
        builder = builder.identity(identity.clone());
    }
    builder = builder.tls_danger_accept_invalid_certs(*any_certificate);
    builder.build().map_err(|error| {
        let problem = format!("the certificates cannot be used: {}", failure::last_words(&error));
        ConfigError::new("tls", problem)
    })
}

impl HttpProber {
    /// With this header in every request; `Host` is the name that the server is asked for.
    ///
    /// # Errors
    /// When it is not a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        self.get.insert(name, value)?;
        Ok(self)
    }

    /// With this bearer token.
    ///
    /// # Errors
    /// When it cannot be part of a header.
    pub fn with_bearer_token(self, token: &str) -> Result<Self, ConfigError> {
        self.with_header(AUTHORIZATION.as_str(), &format!("Bearer {}", token.trim()))
    }
}

#[async_trait]
impl Prober for HttpProber {
    async fn probe(&self, probe: &Probe, timeout: Millis) -> Outcome {
        self.get.probe(url::join(&self.base, probe.path()), probe, timeout).await
    }
}

impl fmt::Debug for ProbeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeClient").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpProber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The host alone: the rest of the address may have a password.
        f.debug_struct("HttpProber")
            .field("host", &self.base.host_str())
            .field("port", &self.base.port_or_known_default())
            .finish_non_exhaustive()
    }
}
