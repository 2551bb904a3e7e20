//! Checks. What is read is printed as it was written, and read again as the same; what cannot be read is
//! refused at one of its characters; and whatever a source may answer is judged and explained.
//!
//! An input is the text of a check and, after a zero byte, what a source says.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use lifecycle_core::analysis::{
    AnalysisPlan, Bound, Check, CheckState, Finite, Measurement, explain, judge, reference_of,
};
use lifecycle_core::backend::{Histogram, Reading};
use lifecycle_core::time::Millis;

/// One look, and the rules by which it is judged.
#[derive(Arbitrary, Debug)]
struct Look {
    window: u64,
    whole_window: u64,
    min_requests: u64,
    measured: Option<Said>,
    stable: Option<Said>,
    reference: Option<f64>,
}

/// What a source says, true or not.
#[derive(Arbitrary, Debug)]
enum Said {
    NoData,
    Down,
    Counts { requests: u64, failed: u64 },
    Scalar(f64),
    Histogram { bounds_us: Vec<u64>, counts: Vec<u64> },
}

impl Said {
    fn answer(self) -> Result<Reading, String> {
        match self {
            Self::NoData => Ok(Reading::NoData),
            Self::Down => Err("it is down".to_owned()),
            Self::Counts { requests, failed } => Ok(Reading::Counts { requests, failed }),
            Self::Scalar(value) => Ok(Reading::Scalar(value)),
            Self::Histogram { bounds_us, counts } => {
                Ok(Reading::Histogram(Histogram::new(bounds_us.into(), counts)))
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let (text, said) = match data.iter().position(|byte| *byte == 0) {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &[][..]),
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match text.parse::<Check>() {
        Ok(check) => {
            assert_eq!(check.to_string(), text.trim());
            assert_eq!(check.to_string().parse::<Check>().as_ref(), Ok(&check));
            if let Ok(look) = Look::arbitrary(&mut Unstructured::new(said)) {
                judged(&check, look);
            }
        }
        Err(error) => {
            let after_the_last = text.chars().count() + 1;
            assert!((1..=after_the_last).contains(&error.at), "{error}");
            assert!(!error.problem.is_empty() && error.to_string().lines().count() == 1, "{error:?}");
        }
    }
});

/// A judgement is one that the bound explains, and a sentence of one line.
fn judged(check: &Check, look: Look) {
    let mut plan = AnalysisPlan::default();
    (plan.window, plan.min_requests) = (Millis(look.whole_window), look.min_requests);
    let window = Millis(look.window);
    let (measured, stable) = (look.measured.map(Said::answer), look.stable.map(Said::answer));
    let reference = look.reference.and_then(Finite::new);
    let measurement = judge(check, &plan, window, measured.as_ref(), stable.as_ref(), reference);
    match (measurement, check.bound()) {
        (Measurement::Pass(value), Bound::Value(bound)) => {
            assert!(check.comparison().holds(value.get(), bound));
        }
        (Measurement::Fail(value), Bound::Value(bound)) => {
            assert!(!check.comparison().holds(value.get(), bound));
        }
        _ => {}
    }
    let sentence = explain(check, measurement, window, reference, measured.as_ref(), stable.as_ref());
    assert_eq!(sentence.lines().count(), 1, "{sentence:?}");
    let mut state = CheckState::default();
    if let Some(Ok(reading)) = &stable {
        state.reference = reference_of(check, &plan, window, reading);
    }
    state.record(measurement, &plan);
    let _ = state.verdict(&plan);
}
