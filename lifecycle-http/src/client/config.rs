//! How targets are asked.

use std::fmt;

use reqwest::{Certificate, Identity};

use crate::error::ConfigError;

/// The largest answer that is read, unless it is set. A health answer is a few lines; the kubelet reads
/// 10 KiB of it.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The largest answer that may be allowed.
const MOST_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Whom a [`ProbeClient`](crate::ProbeClient) trusts, who it is, and how much it reads.
///
/// # Example
/// ```
/// # use lifecycle_http::ClientConfig;
/// let config = ClientConfig::default().with_max_answer_bytes(4096)?;
/// assert_eq!(
///     ClientConfig::default().with_ca(b"no PEM").unwrap_err().to_string(),
///     "ca: there is no certificate in it: give one or more as PEM, from -----BEGIN CERTIFICATE----- on",
/// );
/// # let _ = config;
/// # Ok::<(), lifecycle_http::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct ClientConfig {
    /// Of the system without any.
    pub(super) authorities: Vec<Certificate>,
    pub(super) identity: Option<Identity>,
    pub(super) any_certificate: bool,
    pub(super) max_answer_bytes: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            authorities: Vec::new(),
            identity: None,
            any_certificate: false,
            max_answer_bytes: MAX_ANSWER_BYTES,
        }
    }
}

impl ClientConfig {
    /// Trusts these certificate authorities (PEM, one or more) and no others. Called again, it adds to them.
    /// Default: those that the system trusts.
    ///
    /// # Errors
    /// When there is no certificate in it.
    pub fn with_ca(mut self, pem: &[u8]) -> Result<Self, ConfigError> {
        let found = Certificate::from_pem_bundle(pem).unwrap_or_default();
        if found.is_empty() {
            let problem =
                "there is no certificate in it: give one or more as PEM, from -----BEGIN CERTIFICATE----- on";
            return Err(ConfigError::new("ca", problem));
        }
        self.authorities.extend(found);
        Ok(self)
    }

    /// Says who it is (mutual TLS) with this certificate, those that lead to its authority, and its private
    /// key, all in one PEM. Default: it does not.
    ///
    /// # Errors
    /// When one of the two is missing.
    pub fn with_identity(mut self, pem: &[u8]) -> Result<Self, ConfigError> {
        let identity = Identity::from_pem(pem).map_err(|_| {
            ConfigError::new(
                "identity",
                "there is no certificate with its private key in it: give both as PEM",
            )
        })?;
        self.identity = Some(identity);
        Ok(self)
    }

    /// Believes any certificate, as the kubelet does when it probes. Whoever is in between can then answer in
    /// the place of the target, and sees the headers of the probe. Default: certificates are verified; give
    /// the authority with [`with_ca`](Self::with_ca) where that is possible.
    pub const fn accept_any_certificate(mut self) -> Self {
        self.any_certificate = true;
        self
    }

    /// The longest body that an answer that passes may have. A longer one is
    /// [`TooLarge`](crate::Failure::TooLarge): what answers with pages is no health endpoint. Default 64 KiB.
    ///
    /// # Errors
    /// When it is more than 16 MiB.
    pub fn with_max_answer_bytes(mut self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes > MOST_ANSWER_BYTES {
            let problem =
                format!("{bytes} is too much: write a number of bytes from 0 to {MOST_ANSWER_BYTES}");
            return Err(ConfigError::new("max_answer_bytes", problem));
        }
        self.max_answer_bytes = bytes;
        Ok(self)
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authorities, identity, any_certificate, max_answer_bytes } = self;
        f.debug_struct("ClientConfig")
            .field("authorities", &authorities.len())
            .field("identity", &identity.is_some())
            .field("any_certificate", any_certificate)
            .field("max_answer_bytes", max_answer_bytes)
            .finish()
    }
}
