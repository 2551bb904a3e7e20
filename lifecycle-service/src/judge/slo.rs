//! The error rate of one arm against a number.

use lifecycle_core::spec::field::Field;
use lifecycle_core::stats::{Counts, ObjectiveTest};

use super::course::Course;
use super::read;
use crate::input::BadInput;

const FORM: &str = "[failed, requests]";
const EXAMPLE: &str = "\"looks\": [[4, 300]]";

/// Reads and judges.
pub(super) fn judge(file: &Field<'_>) -> Result<Course, BadInput> {
    let fields = file.fields(&["judge", "alpha", "eta", "p0", "looks"])?;
    let rule = read::rule(&fields)?;
    let objective = fields.required("p0", "\"p0\": 0.01", read::probability)?;
    let test = ObjectiveTest::new(objective, rule.eta)?;

    let look = |field: &Field<'_>| {
        let [failed, requests] = read::counts(field, FORM)?;
        read::arm(field, failed, requests)
    };
    let looks = read::looks(&fields, EXAMPLE, look)?;
    let mut course = Course::new(format!("error rate, at most {objective}"), &["failed"], rule);
    let mut total = Counts::default();
    for look in looks {
        // the test is of all requests so far
        let (Some(failed), Some(requests)) =
            (total.failed.checked_add(look.failed), total.requests.checked_add(look.requests))
        else {
            return Err(fields
                .error_at("looks", "there are more requests in all than can be counted")
                .into());
        };
        total = Counts::new(failed, requests)?;
        course.look(vec![look], test.ln_e(total), None);
    }
    Ok(course)
}
