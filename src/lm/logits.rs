//! From a row of logits to the normaliser of its softmax.

/// Independent partial sums, so that the compiler can use the machine's vectors.
const LANES: usize = 16;

/// ln Σ exp(xᵢ) of `f32` logits, to about 1e-7; NaN where a logit is NaN or +∞.
///
/// A vocabulary has tens of thousands of logits and this runs once a row: an `exp` in `f64` of
/// each would cost a tenth of a small model's own time. The terms are `f32`, their sum is `f64`.
pub(super) fn log_sum_exp(logits: &[f32]) -> f64 {
    let mut max = [f32::NEG_INFINITY; LANES];
    let mut poison = [0.0_f32; LANES];
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            max[lane] = max[lane].max(chunk[lane]);
            // 0·x is 0 for numbers and NaN for NaN and infinities.
            poison[lane] += 0.0 * chunk[lane];
        }
    }
    let max = max.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, f32::max);
    // A logit of -∞ is a legal mask: only NaN and +∞ are refused.
    let suspicious = poison.iter().any(|p| p.is_nan());
    let broken = |x: &f32| x.is_nan() || *x == f32::INFINITY;
    if rest.iter().any(broken) || (suspicious && logits.iter().any(broken)) {
        return f64::NAN;
    }
    if max == f32::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    let mut sums = [0.0_f64; LANES];
    for chunk in logits.chunks_exact(LANES) {
        let mut terms = [0.0_f32; LANES];
        for lane in 0..LANES {
            terms[lane] = exp_of_nonpositive(chunk[lane] - max);
        }
        for lane in 0..LANES {
            sums[lane] += f64::from(terms[lane]);
        }
    }
    let rest: f64 = rest.iter().map(|&x| f64::from(exp_of_nonpositive(x - max))).sum();
    f64::from(max) + (sums.iter().sum::<f64>() + rest).ln()
}

/// exp(x) for x ≤ 0 with a relative error of about 1e-7; 0 below what `f32` can hold.
///
/// exp(x) = 2ⁿ·exp(r) with n = round(x / ln 2) and |r| ≤ ln 2 / 2, exp(r) by its Taylor
/// polynomial of degree 7, whose remainder there is below 6e-9.
#[inline(always)]
fn exp_of_nonpositive(x: f32) -> f32 {
    const LN_2_HIGH: f32 = 0.693_359_4; // few bits, so that n · LN_2_HIGH is exact
    const LN_2_LOW: f32 = -2.121_944_4e-4; // ln 2 - LN_2_HIGH
    /// Adding and taking away 1.5·2²³ rounds to the nearest whole number.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let n = (x * std::f32::consts::LOG2_E + ROUND) - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut p = 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    let power = f32::from_bits((((n as i32) + 127) << 23) as u32);
    p * power
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference(logits: &[f32]) -> f64 {
        let xs: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
        crate::shock::logspace::log_sum_exp(&xs)
    }

    #[test]
    fn nan_and_infinity_are_seen_wherever_they_stand() {
        for length in [1, 16, 37] {
            for at in [0, length / 2, length - 1] {
                for bad in [f32::NAN, f32::INFINITY] {
                    let mut logits = vec![1.0; length];
                    logits[at] = bad;
                    assert!(log_sum_exp(&logits).is_nan(), "{bad} at {at} of {length}");
                }
            }
        }
    }

    #[test]
    fn masked_logits_count_nothing() {
        let mut logits = vec![f32::NEG_INFINITY; 40];
        assert_eq!(log_sum_exp(&logits), f64::NEG_INFINITY);
        logits[3] = 2.0;
        assert!((log_sum_exp(&logits) - 2.0).abs() < 1e-7);
    }

    proptest! {
        #[test]
        fn agrees_with_f64(logits in prop::collection::vec(-60.0..60.0_f32, 1..300)) {
            prop_assert!((log_sum_exp(&logits) - reference(&logits)).abs() < 4e-7);
        }
    }
}
