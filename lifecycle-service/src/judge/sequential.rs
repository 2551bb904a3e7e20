//! The error rates of two arms.

use lifecycle_core::spec::SpecError;
use lifecycle_core::spec::field::{Field, Fields};
use lifecycle_core::stats::{EarlyPass, Evidence, Finite, GridTest, Look};

use super::course::{Course, Rule};
use super::read;
use crate::input::BadInput;

const FORM: &str = "[canary failed, canary requests, stable failed, stable requests]";
const EXAMPLE: &str = "\"looks\": [[1, 250, 4, 4750]]";

/// Reads and judges.
pub(super) fn judge(file: &Field<'_>) -> Result<Course, BadInput> {
    let fields = file.fields(&["judge", "alpha", "eta", "r0", "rmax", "beta", "looks"])?;
    let rule = rule(&fields)?;
    let tolerated = fields.read_or("r0", 1.0, read::number)?;
    let looks = read::looks(&fields, EXAMPLE, look)?;

    let test = GridTest::of_rates(tolerated, rule.eta)?;
    let early = rule.early.map(|(bound, _)| EarlyPass::new(bound, rule.eta)).transpose()?;

    let title = format!("error rate of the canary against stable, tolerated ratio {tolerated}");
    let mut course = Course::new(title, &["canary failed", "stable failed"], rule);
    let (mut evidence, mut sum) = (Evidence::default(), Finite::default());
    for look in looks {
        let ln_e = test.look(&mut evidence, look);
        let ln_l = early.map(|early| early.look(&mut sum, look));
        course.look(vec![look.canary, look.stable], ln_e, ln_l);
    }
    Ok(course)
}

fn rule(fields: &Fields<'_>) -> Result<Rule, SpecError> {
    let bound = fields.read("rmax", read::number)?;
    let early = match (bound, fields.read("beta", read::probability)?) {
        (Some(bound), Some(beta)) => Some((bound, beta)),
        (None, None) => None,
        (bound, _) => {
            let missing = if bound.is_none() { "rmax" } else { "beta" };
            let why = "is missing: an early pass needs both, like \"rmax\": 2, \"beta\": 0.05";
            return Err(fields.error_at(missing, why));
        }
    };
    Ok(Rule { early, ..read::rule(fields)? })
}

fn look(field: &Field<'_>) -> Result<Look, SpecError> {
    let [x_c, n_c, x_s, n_s] = read::counts(field, FORM)?;
    Ok(Look::new(read::arm(field, x_c, n_c)?, read::arm(field, x_s, n_s)?))
}
