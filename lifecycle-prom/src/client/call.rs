//! One question over HTTP, at one of several addresses.

use std::fmt;
use std::pin::pin;

use lifecycle_core::backend::{BackendError, BackendResult, ErrorKind};
use reqwest::header::LOCATION;
use reqwest::{RequestBuilder, Response};
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::config::Limits;
use super::connection::{Address, ConfigError, Connection};
use super::credentials::Signer;
use super::endpoints::Endpoints;
use super::error::CallError;
use super::tls::{Clients, of_tls, with_causes};
use crate::answer::AnswerError;

/// Asks; keeps connections, and remembers how it went with each address.
pub(super) struct Caller {
    /// How errors call the server.
    server: &'static str,
    addresses: Vec<Address>,
    endpoints: Endpoints,
    clients: Clients,
    signer: Signer,
    limits: Limits,
    places: Semaphore,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    /// A form, to which the time is added that somebody waits for the answer.
    Form(&'a str, &'a [(&'static str, String)]),
    /// What an address with this query says.
    Get(&'a str, &'a [(&'static str, String)]),
}

/// What came back.
pub(super) type Reader<T> = fn(u16, Option<&str>, &[u8]) -> Result<T, AnswerError>;

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: BackendError,
    /// May less be answered?
    pub(super) too_much: bool,
    /// May it be about a part of the question, so that the rest would be answered?
    pub(super) of_a_part: bool,
}

impl Caller {
    pub(super) fn new(
        server: &'static str,
        connection: &Connection,
        limits: Limits,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            server,
            addresses: connection.addresses.clone(),
            endpoints: Endpoints::new(connection.addresses.len(), limits.rest),
            clients: Clients::new(connection)?,
            signer: Signer::new(&connection.credentials)?,
            limits,
            places: Semaphore::new(limits.concurrency),
        })
    }

    /// The first answer of one of the addresses, an error at the deadline or when none has an answer. Whoever asks has one of
    /// the [places](Self::place_by).
    pub(super) async fn ask<T>(
        &self,
        request: Request<'_>,
        read: Reader<T>,
        deadline: Instant,
    ) -> Result<T, Failed> {
        let order = self.endpoints.order(Instant::now());
        let mut before: Option<Failed> = None;
        for (tried, address) in order.iter().enumerate() {
            let Some(attempt) = self.endpoints.begin(*address) else { continue };
            let address = &self.addresses[attempt.address];
            // what is left is shared by those that are left
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(order.len() - tried).unwrap_or(1);
            let until = Instant::now() + share;
            let answer = timeout_at(until, self.call(address, request, read, until)).await;
            let within = if order.len() == 1 { self.limits.deadline } else { share };
            let error = match answer.unwrap_or(Err(CallError::Late(within))) {
                Ok(answer) => {
                    attempt.answered();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let failed = Failed {
                error: self.failed(address, &error),
                too_much: error.is_too_much(),
                of_a_part: error.is_of_a_part(),
            };
            if error.is_of_question() {
                attempt.answered();
                return Err(failed);
            }
            match error.is_incomplete() {
                // it is alive, and other questions it may answer in full
                true => attempt.answered(),
                false => attempt.failed(Instant::now(), error),
            }
            before = Some(failed.after(before));
        }
        // somebody else finds out about the only address
        Err(before.unwrap_or_else(|| {
            let error = self.alive().err().unwrap_or_else(|| self.late());
            Failed { error, too_much: false, of_a_part: false }
        }))
    }

    /// One of the places for questions on their way, an error at the deadline.
    pub(super) async fn place_by(&self, deadline: Instant) -> BackendResult<SemaphorePermit<'_>> {
        timeout_at(deadline, self.place()).await.unwrap_or_else(|_| Err(self.late()))
    }

    /// Whoever waits for one hears of it when every address has died.
    async fn place(&self) -> BackendResult<SemaphorePermit<'_>> {
        let mut failures = self.endpoints.failures();
        let mut place = pin!(self.places.acquire());
        loop {
            self.alive()?;
            tokio::select! {
                place = &mut place => {
                    // never closed: there is always a permit to come
                    let closed = |closed: AcquireError| CallError::Unreachable(closed.to_string());
                    return place.map_err(|error| self.failed(&self.addresses[0], &closed(error)));
                }
                // never closed either
                _ = failures.changed() => {}
            }
        }
    }

    /// There was no answer at the deadline.
    pub(super) fn late(&self) -> BackendError {
        self.failed(&self.addresses[0], &CallError::Late(self.limits.deadline))
    }

    /// An error when every address is known to be dead.
    fn alive(&self) -> BackendResult<()> {
        match self.endpoints.dead(Instant::now()) {
            None => Ok(()),
            Some(dead) => Err(self.failed(&self.addresses[0], &dead)),
        }
    }

    fn failed(&self, address: &Address, error: &CallError) -> BackendError {
        let message = format!("{}: {error}", address.shown);
        BackendError::new(self.server, "measure", error.kind(), message).because(error.clone())
    }

    async fn call<T>(
        &self,
        address: &Address,
        request: Request<'_>,
        read: Reader<T>,
        until: Instant,
    ) -> Result<T, CallError> {
        let request = self.request(address, request, until).await;
        let request = self.signer.sign(request).await.map_err(CallError::Token)?;
        let mut response = request.send().await.map_err(of_transport)?;
        let status = response.status().as_u16();
        let location = response
            .headers()
            .get(LOCATION)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let body = self.body(&mut response).await?;
        read(status, location.as_deref(), &body).map_err(CallError::Answer)
    }

    async fn request(&self, address: &Address, request: Request<'_>, until: Instant) -> RequestBuilder {
        let client = self.clients.get().await;
        let url = |path: &str| {
            let mut url = address.url.clone();
            url.set_path(&format!("{}{path}", url.path()));
            url
        };
        match request {
            Request::Form(path, form) => {
                // Prometheus gives up, too, when nobody waits any more.
                let left = until.saturating_duration_since(Instant::now());
                let timeout = format!("{}ms", left.as_millis().max(1));
                let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, &**value)).collect();
                client.post(url(path)).form(&[form, vec![("timeout", &*timeout)]].concat())
            }
            Request::Get(path, query) => client.get(url(path)).query(query),
        }
    }

    async fn body(&self, response: &mut Response) -> Result<Vec<u8>, CallError> {
        let limit = self.limits.max_answer_bytes;
        let mut body = Vec::new();
        loop {
            match response.chunk().await.map_err(of_transport)? {
                None => return Ok(body),
                Some(chunk) if body.len() + chunk.len() > limit => {
                    return Err(AnswerError::TooLarge { limit }.into());
                }
                Some(chunk) => body.extend_from_slice(&chunk),
            }
        }
    }
}

fn of_transport(error: reqwest::Error) -> CallError {
    let error = error.without_url();
    match of_tls(&error) {
        Some((problem, refused)) => CallError::Tls { problem, refused },
        None => CallError::Unreachable(with_causes(&error)),
    }
}

impl Failed {
    /// What all addresses have said. Where one may answer the next time, asking again may help.
    fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        let (first, next) = (before.error, self.error);
        let kind = if next.kind == ErrorKind::Transient { next.kind } else { first.kind };
        let message = format!("{}; {}", first.message, next.message);
        let error = BackendError::new(next.backend, next.operation, kind, message).because(next);
        let (too_much, of_a_part) = (self.too_much || before.too_much, self.of_a_part || before.of_a_part);
        Self { error, too_much, of_a_part }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<&str> = self.addresses.iter().map(|address| &*address.shown).collect();
        f.debug_struct("Caller").field("addresses", &addresses).finish_non_exhaustive()
    }
}
