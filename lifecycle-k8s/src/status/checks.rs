//! What each check said last.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use lifecycle_core::machine::Look;
use lifecycle_core::time::{Millis, Timestamp as At};

use super::in_seconds;
use crate::crd::CheckStatus;
use crate::text::cut;

/// More checks than a manifest can have.
const MAX_CHECKS: usize = 64;

/// The longest check and the longest sentence that are shown, in bytes: only what a source of health says of its
/// failure can be longer.
const MAX_CHECK: usize = 256;
const MAX_MESSAGE: usize = 512;

/// What is known of each check after these looks, in a step that began then. A check keeps its place, and its `since` for
/// as long as it says the same. A look that did not count leaves what was measured in this step as it is; where nothing
/// was, the reason is written once, however often it is said.
#[must_use]
pub fn checks(before: &[CheckStatus], looks: &[Look], step_began: Option<At>) -> Vec<CheckStatus> {
    let step_began = step_began.map(time);
    let mut all = before.to_vec();
    for look in looks {
        let said = said(look);
        let has_room = all.len() < MAX_CHECKS;
        match all.iter_mut().find(|known| known.check == said.check) {
            Some(known) if look.measurement.is_some() => {
                let since = if known.verdict == said.verdict { known.since.clone() } else { said.since };
                *known = CheckStatus { since, ..said };
            }
            Some(known) if is_news(known, &said, step_began.as_ref()) => *known = said,
            None if has_room => all.push(said),
            Some(_) | None => {}
        }
    }
    all
}

/// Is this reason for there being no look worth writing, over what is known?
fn is_news(known: &CheckStatus, said: &CheckStatus, step_began: Option<&Time>) -> bool {
    if known.verdict == Look::UNCOUNTED {
        return known.message != said.message;
    }
    // (the look that ends a step is of the moment in which the next one begins)
    step_began.is_some_and(|began| known.at <= *began)
}

fn said(look: &Look) -> CheckStatus {
    let at = time(look.at);
    let counted_from = look.counted.map(|span| time(before(look.at, span)));
    CheckStatus {
        check: cut(&look.check, MAX_CHECK).to_owned(),
        verdict: look.verdict().to_owned(),
        message: cut(&look.message, MAX_MESSAGE).to_owned(),
        since: at.clone(),
        at,
        counted_from,
    }
}

fn before(at: At, span: Millis) -> At {
    At::from_millis(at.as_millis().saturating_sub(span.get()))
}

fn time(at: At) -> Time {
    let at = i64::try_from(at.as_millis()).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    Time(in_seconds(at.unwrap_or_default()))
}
