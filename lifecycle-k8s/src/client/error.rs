//! The API's errors in the one shape of a backend's.

use lifecycle_core::backend::{BackendError, ErrorKind};

/// What an error of the client means to whoever called.
#[must_use]
pub fn backend_error(operation: &'static str, what: &str, error: kube::Error) -> BackendError {
    let kind = kind(&error);
    BackendError::new("kubernetes", operation, kind, format!("{what}: {}", describe(&error))).because(error)
}

/// The sentence for people: what the API server said.
#[must_use]
pub fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.message.is_empty() => {
            format!("the API server answered {} {}", status.code, status.reason)
        }
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

fn kind(error: &kube::Error) -> ErrorKind {
    let kube::Error::Api(status) = error else { return ErrorKind::Transient };
    match status.code {
        409 => ErrorKind::Conflict,
        // a JSON patch whose `test` does not hold: the object is not the one that was decided on
        422 if status.message.contains("testing value") || status.message.contains("test failed") => {
            ErrorKind::Conflict
        }
        404 => ErrorKind::NotFound,
        401 | 403 => ErrorKind::Unauthorized,
        400 | 422 => ErrorKind::Invalid,
        405 | 415 | 501 => ErrorKind::Unsupported,
        _ => ErrorKind::Transient,
    }
}
