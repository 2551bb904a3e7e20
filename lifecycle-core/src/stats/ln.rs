//! Sums of numbers that are kept as their logarithms.

/// ln(e^a + e^b).
pub(super) fn add(a: f64, b: f64) -> f64 {
    let (most, least) = if a >= b { (a, b) } else { (b, a) };
    if least == f64::NEG_INFINITY { most } else { most + (least - most).exp().ln_1p() }
}

/// ln of the mean of the e^x; of none it is ln 1.
#[allow(clippy::cast_precision_loss, reason = "a handful")]
pub(crate) fn mean(all: impl Iterator<Item = f64> + Clone) -> f64 {
    let most = all.clone().fold(f64::NEG_INFINITY, f64::max);
    let (sum, n) = all.fold((0.0, 0_usize), |(sum, n), x| (sum + (x - most).exp(), n + 1));
    match n {
        0 => 0.0,
        _ if most == f64::NEG_INFINITY => most,
        n => most + (sum / n as f64).ln(),
    }
}
