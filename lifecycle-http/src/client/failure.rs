//! What an error of the client means for a target.

use std::error::Error;
use std::io;

use crate::probe::{Failure, Outcome};

/// Why there was no answer.
pub(super) fn of(error: &reqwest::Error) -> Outcome {
    if error.is_dns() {
        return Outcome::failed(Failure::Unresolved).detail(&last_words(error));
    }
    let mut found = None;
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(it) = cause {
        // The last that means something: a request is also said to be cancelled because TLS has failed.
        found = reason(it).map(|why| Outcome::failed(why).detail(&it.to_string())).or(found);
        cause = it.source();
    }
    found.unwrap_or_else(|| Outcome::failed(Failure::Other).detail(&last_words(error)))
}

fn reason(error: &(dyn Error + 'static)) -> Option<Failure> {
    if error.is::<rustls::Error>() {
        Some(Failure::TlsFailed)
    } else if let Some(error) = error.downcast_ref::<hyper::Error>() {
        of_hyper(error)
    } else {
        error.downcast_ref::<io::Error>().and_then(of_io)
    }
}

fn of_hyper(error: &hyper::Error) -> Option<Failure> {
    if error.is_parse_too_large() {
        Some(Failure::TooLarge)
    } else if error.is_parse() {
        Some(Failure::NotHttp)
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        Some(Failure::Closed)
    } else {
        None
    }
}

/// What an error of I/O means, where it means something.
pub(crate) fn of_io(error: &io::Error) -> Option<Failure> {
    use io::ErrorKind as Kind;
    // What is wrapped in an error of I/O is no source of it.
    let wrapped = error.get_ref().map(|it| it as &(dyn Error + 'static));
    if let Some(why) = wrapped.and_then(reason) {
        return Some(why);
    }
    #[allow(clippy::wildcard_enum_match_arm, reason = "the rest is open and has no meaning of its own")]
    match error.kind() {
        Kind::ConnectionRefused => Some(Failure::Refused),
        Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown | Kind::AddrNotAvailable => {
            Some(Failure::Unreachable)
        }
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof => {
            Some(Failure::Closed)
        }
        Kind::TimedOut => Some(Failure::Timeout),
        // a body that is not in chunks though it should be
        Kind::InvalidData | Kind::InvalidInput => Some(Failure::NotHttp),
        _ => None,
    }
}

/// What the last cause says; those before it say which library had it.
pub(super) fn last_words(error: &reqwest::Error) -> String {
    let mut last: &(dyn Error + 'static) = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
