//! Sums of numbers that are kept as their logarithms.

/// ln(e^a + e^b).
pub(super) fn add(a: f64, b: f64) -> f64 {
    let (most, least) = if a >= b { (a, b) } else { (b, a) };
    if least == f64::NEG_INFINITY { most } else { most + (least - most).exp().ln_1p() }
}

/// ln of the mean of the e^x; of none it is ln 1. Each x is asked for once, because most of them cost logarithms.
#[allow(clippy::cast_precision_loss, reason = "a handful")]
pub(crate) fn mean(all: impl Iterator<Item = f64>) -> f64 {
    let (mut most, mut sum, mut n) = (f64::NEG_INFINITY, 0.0, 0_usize);
    for x in all {
        n += 1;
        if x > most {
            // (the first one finds no sum to be brought to its scale)
            sum = if most == f64::NEG_INFINITY { 1.0 } else { sum * (most - x).exp() + 1.0 };
            most = x;
        } else if x > f64::NEG_INFINITY {
            sum += (x - most).exp();
        }
    }
    match n {
        0 => 0.0,
        _ if most == f64::NEG_INFINITY => most,
        n => most + (sum / n as f64).ln(),
    }
}
