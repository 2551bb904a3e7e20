//! One question over HTTP, at one of several addresses.

use std::fmt::{self, Display};
use std::pin::pin;

use lifecycle_core::backend::{BackendError, BackendResult, ErrorKind};
use reqwest::header::LOCATION;
use reqwest::{RequestBuilder, Response};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::config::Limits;
use super::connection::{Address, ConfigError, Connection};
use super::credentials::Signer;
use super::endpoints::{Dead, Endpoints};
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
}

/// Why there is no answer from one address.
struct Failure {
    kind: ErrorKind,
    problem: String,
    /// Is it about the question, so that another address would say the same?
    of_question: bool,
    too_much: bool,
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
            let failure = match answer.unwrap_or_else(|_| Err(Failure::late(within.as_millis()))) {
                Ok(answer) => {
                    attempt.answered();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            let Failure { kind, problem, of_question, too_much } = failure;
            let failed = Failed { error: self.failed(kind, address, &problem), too_much };
            if of_question {
                attempt.answered();
                return Err(failed);
            }
            attempt.failed(Instant::now(), kind, &problem);
            before = Some(failed.after(before));
        }
        // somebody else finds out about the only address
        Err(before.unwrap_or_else(|| {
            let error = self.alive().err().unwrap_or_else(|| self.late());
            Failed { error, too_much: false }
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
                    return place.map_err(|closed| self.failed(ErrorKind::Transient, &self.addresses[0], &closed));
                }
                // never closed either
                _ = failures.changed() => {}
            }
        }
    }

    /// There was no answer at the deadline.
    pub(super) fn late(&self) -> BackendError {
        let Failure { kind, problem, .. } = Failure::late(self.limits.deadline.as_millis());
        self.failed(kind, &self.addresses[0], &problem)
    }

    /// An error when every address is known to be dead.
    fn alive(&self) -> BackendResult<()> {
        let Some(Dead { kind, problem, times, again_in }) = self.endpoints.dead(Instant::now()) else {
            return Ok(());
        };
        let again = match again_in.as_millis() {
            0 => "is being tried again".to_owned(),
            ms => format!("is tried again in {ms} ms"),
        };
        let known =
            format!("not asked: it has failed {times} times in a row, and {again}; at last: {problem}");
        Err(self.failed(kind, &self.addresses[0], &known))
    }

    fn failed(&self, kind: ErrorKind, address: &Address, problem: &dyn Display) -> BackendError {
        BackendError::new(self.server, "measure", kind, format!("{}: {problem}", address.shown))
    }

    async fn call<T>(
        &self,
        address: &Address,
        request: Request<'_>,
        read: Reader<T>,
        until: Instant,
    ) -> Result<T, Failure> {
        let request = self.request(address, request, until).await;
        let request = self
            .signer
            .sign(request)
            .await
            .map_err(|problem| Failure::new(ErrorKind::Unauthorized, problem))?;
        let mut response = request.send().await.map_err(Failure::of_transport)?;
        let status = response.status().as_u16();
        let location = response
            .headers()
            .get(LOCATION)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let body = self.body(&mut response).await?;
        read(status, location.as_deref(), &body).map_err(|error| Failure::of_answer(&error))
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

    async fn body(&self, response: &mut Response) -> Result<Vec<u8>, Failure> {
        let limit = self.limits.max_answer_bytes;
        let mut body = Vec::new();
        loop {
            match response.chunk().await.map_err(Failure::of_transport)? {
                None => return Ok(body),
                Some(chunk) if body.len() + chunk.len() > limit => {
                    return Err(Failure::of_answer(&AnswerError::TooLarge { limit }));
                }
                Some(chunk) => body.extend_from_slice(&chunk),
            }
        }
    }
}

impl Failure {
    fn new(kind: ErrorKind, problem: String) -> Self {
        Self { kind, problem, of_question: false, too_much: false }
    }

    fn late(ms: u128) -> Self {
        let late = Self::new(ErrorKind::Transient, format!("no answer within {ms} ms"));
        Self { too_much: true, ..late }
    }

    fn of_transport(error: reqwest::Error) -> Self {
        let error = error.without_url();
        match of_tls(&error) {
            Some((problem, refused)) => {
                let kind = if refused { ErrorKind::Unauthorized } else { ErrorKind::Invalid };
                Self::new(kind, format!("TLS: {problem}"))
            }
            None => Self::new(ErrorKind::Transient, with_causes(&error)),
        }
    }

    fn of_answer(error: &AnswerError) -> Self {
        let (of_question, too_much) = (error.is_of_question(), error.is_too_much());
        Self { of_question, too_much, ..Self::new(error.kind(), error.to_string()) }
    }
}

impl Failed {
    /// What all addresses have said. Where one may answer the next time, asking again may help.
    fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        let (first, next) = (before.error, self.error);
        let kind = if next.kind == ErrorKind::Transient { next.kind } else { first.kind };
        let message = format!("{}; {}", first.message, next.message);
        let error = BackendError::new(next.backend, next.operation, kind, message);
        Self { error, too_much: self.too_much || before.too_much }
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<&str> = self.addresses.iter().map(|address| &*address.shown).collect();
        f.debug_struct("Caller").field("addresses", &addresses).finish_non_exhaustive()
    }
}
