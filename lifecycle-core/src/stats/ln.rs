//! Sums of numbers that are kept as their logarithms.

/// e^x where 1 + e^x is more than 1, else 0: of what is so much less than the rest no exponential is taken.
fn part(x: f64) -> f64 {
    // ln of the smallest double that makes a difference is -36.7; the sums below are of at most some dozens
    if x < -45.0 { 0.0 } else { x.exp() }
}

/// ln(e^a + e^b).
pub(super) fn add(a: f64, b: f64) -> f64 {
    let (most, least) = if a >= b { (a, b) } else { (b, a) };
    match part(least - most) {
        0.0 => most,
        // (ln_1p takes longer, and what it is more exact by is lost in the sum)
        part => most + (1.0 + part).ln(),
    }
}

/// ln of the mean of the e^x; of none it is ln 1. Each x is asked for once, because most of them cost logarithms.
#[allow(clippy::cast_precision_loss, reason = "a handful")]
pub(crate) fn mean(all: impl Iterator<Item = f64>) -> f64 {
    let (mut most, mut sum, mut n) = (f64::NEG_INFINITY, 0.0, 0_usize);
    for x in all {
        n += 1;
        if x > most {
            // (the first one finds no sum to be brought to its scale)
            sum = if most == f64::NEG_INFINITY { 1.0 } else { sum * part(most - x) + 1.0 };
            most = x;
        } else if x > f64::NEG_INFINITY {
            sum += part(x - most);
        }
    }
    match n {
        0 => 0.0,
        _ if most == f64::NEG_INFINITY => most,
        n => most + (sum / n as f64).ln(),
    }
}
