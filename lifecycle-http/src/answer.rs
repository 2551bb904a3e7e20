//! What a service says of itself: the statuses and bodies of `GET /health` and `GET /ready`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::probe::Detail;

/// What is said of a check that holds.
const OK: &str = "ok";

/// The answer to `GET /health`: the process is alive. Always the same; whoever can give it is alive.
///
/// No dependency belongs here: what is not alive is started again, and that repairs no database.
///
/// # Example
/// ```
/// # use lifecycle_http::Alive;
/// assert_eq!((Alive::STATUS_CODE, serde_json::to_string(&Alive)?), (200, r#"{"status":"alive"}"#.into()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "there is nothing more to say")]
pub struct Alive;

/// The answer to `GET /ready`: how every dependency is, and so whether requests are welcome. It is ready when
/// every required check holds; one that is optional is shown and decides nothing.
///
/// # Example
/// ```
/// # use lifecycle_http::{CheckFailure, CheckResult, ReadyReport};
/// let database = CheckFailure::new("connection refused").because("10.0.0.7:5432: os error 111");
/// let report = ReadyReport::new([
///     ("database".into(), CheckResult::required(Err(database))),
///     ("redis".into(), CheckResult::optional(Ok(()))),
/// ]);
/// assert_eq!(report.status_code(), 503);
/// assert_eq!(
///     serde_json::to_string(&report)?,
///     r#"{"status":"not_ready","checks":{"database":"connection refused","redis":"ok"}}"#,
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct ReadyReport {
    checks: BTreeMap<Arc<str>, CheckResult>,
}

/// How one check went, and what that means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct CheckResult {
    /// Without it the service is not ready.
    pub required: bool,
    /// Why it does not hold, if it does not.
    pub failure: Option<CheckFailure>,
}

/// Why a dependency cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckFailure {
    /// What anybody who can ask for `/ready` is shown. No address, password or foreign text belongs here.
    pub shown: Detail,
    /// What else is known, for the service's own log.
    pub cause: Detail,
}

impl Alive {
    /// The HTTP status of the answer.
    pub const STATUS_CODE: u16 = 200;
}

impl ReadyReport {
    /// The report of these checks by their names.
    pub fn new(checks: impl IntoIterator<Item = (Arc<str>, CheckResult)>) -> Self {
        Self { checks: checks.into_iter().collect() }
    }

    /// Are all required checks well?
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.checks.values().all(|check| !check.required || check.failure.is_none())
    }

    /// The HTTP status of the answer: 200 or 503.
    #[must_use]
    pub fn status_code(&self) -> u16 {
        if self.is_ready() { 200 } else { 503 }
    }

    /// Every check by its name.
    #[must_use]
    pub const fn checks(&self) -> &BTreeMap<Arc<str>, CheckResult> {
        &self.checks
    }
}

impl CheckResult {
    /// Of a check without which the service is not ready.
    pub fn required(result: Result<(), CheckFailure>) -> Self {
        Self { required: true, failure: result.err() }
    }

    /// Of a check that is shown and decides nothing.
    pub fn optional(result: Result<(), CheckFailure>) -> Self {
        Self { required: false, failure: result.err() }
    }

    /// As the body of the answer has it.
    fn text(&self) -> String {
        let Some(failure) = &self.failure else { return OK.to_owned() };
        let why = match failure.shown.as_str() {
            // Nothing that has failed reads as if it had not.
            "" | OK => "failed",
            why => why,
        };
        if self.required { why.to_owned() } else { format!("optional: {why}") }
    }
}

impl CheckFailure {
    /// A failure with this reason, which anybody who can ask for `/ready` is shown: a few words without
    /// addresses or secrets.
    #[must_use]
    pub fn new(shown: &str) -> Self {
        Self { shown: Detail::new(shown), cause: Detail::default() }
    }

    /// With what else is known, for the service's own log.
    #[must_use]
    pub fn because(mut self, cause: &str) -> Self {
        self.cause = Detail::new(cause);
        self
    }
}

impl Serialize for Alive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_struct("Alive", 1)?;
        body.serialize_field("status", "alive")?;
        body.end()
    }
}

impl Serialize for ReadyReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let checks: BTreeMap<&str, String> =
            self.checks.iter().map(|(name, check)| (&**name, check.text())).collect();
        let mut body = serializer.serialize_struct("ReadyReport", 2)?;
        body.serialize_field("status", if self.is_ready() { "ready" } else { "not_ready" })?;
        body.serialize_field("checks", &checks)?;
        body.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(why: &str) -> Result<(), CheckFailure> {
        Err(CheckFailure::new(why).because("secret"))
    }

    #[test]
    fn the_body_is_that_of_the_requirements_and_the_status_goes_with_it() {
        let required = CheckResult::required;
        let optional = CheckResult::optional;
        for (checks, status, body) in [
            (vec![], 200, r#"{"status":"ready","checks":{}}"#),
            (vec![("database", required(Ok(())))], 200, r#"{"status":"ready","checks":{"database":"ok"}}"#),
            (
                vec![("redis", optional(Ok(()))), ("database", required(failed("connection refused")))],
                503,
                r#"{"status":"not_ready","checks":{"database":"connection refused","redis":"ok"}}"#,
            ),
            (
                vec![("redis", optional(failed("no answer within 1s"))), ("database", required(Ok(())))],
                200,
                r#"{"status":"ready","checks":{"database":"ok","redis":"optional: no answer within 1s"}}"#,
            ),
            (
                vec![
                    ("a", required(failed("ok"))),
                    ("b", required(failed(" \n"))),
                    ("c", optional(failed("ok"))),
                ],
                503,
                r#"{"status":"not_ready","checks":{"a":"failed","b":"failed","c":"optional: failed"}}"#,
            ),
        ] {
            let report = ReadyReport::new(checks.into_iter().map(|(name, check)| (name.into(), check)));
            assert_eq!(
                (report.status_code(), serde_json::to_string(&report).unwrap().as_str()),
                (status, body)
            );
            assert_eq!(report.is_ready(), status == 200);
        }
    }
}
