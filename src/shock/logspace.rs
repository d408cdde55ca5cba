//! Sums of probabilities that are held as natural logarithms.
//!
//! `f64::NEG_INFINITY` is the probability 0 and is legal everywhere; NaN is not.

/// ln Σ exp(xᵢ), exact where one term dominates. The empty sum is `-inf`.
pub fn log_sum_exp(xs: &[f64]) -> f64 {
    let max = xs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY {
        return max;
    }
    max + xs.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
}

/// ln(exp(a) + exp(b)).
pub fn log_add_exp(a: f64, b: f64) -> f64 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// ln of the mean of exp(xᵢ); `xs` is not empty.
pub fn log_mean_exp(xs: &[f64]) -> f64 {
    log_sum_exp(xs) - (xs.len() as f64).ln()
}

/// Subtracts ln Σ exp(xᵢ) from every xᵢ, so that they sum to one. All `-inf` stays as it is.
pub fn normalise(xs: &mut [f64]) {
    let total = log_sum_exp(xs);
    if total > f64::NEG_INFINITY {
        xs.iter_mut().for_each(|x| *x -= total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sums_of_logarithms_worked_out_by_hand() {
        assert!((log_sum_exp(&[0.25_f64.ln(), 0.5_f64.ln()]) - 0.75_f64.ln()).abs() < 1e-15);
        assert!((log_add_exp(0.2_f64.ln(), 0.3_f64.ln()) - 0.5_f64.ln()).abs() < 1e-15);
        assert!((log_mean_exp(&[0.2_f64.ln(), 0.4_f64.ln()]) - 0.3_f64.ln()).abs() < 1e-15);
        // Terms that underflow when exponentiated.
        assert!((log_sum_exp(&[-1000.0, -1000.0]) - (-1000.0 + 2_f64.ln())).abs() < 1e-12);
    }

    #[test]
    fn the_probability_zero_is_neutral() {
        let zero = f64::NEG_INFINITY;
        assert_eq!(log_sum_exp(&[]), zero);
        assert_eq!(log_sum_exp(&[zero, zero]), zero);
        assert_eq!(log_sum_exp(&[zero, -3.0]), -3.0);
        assert_eq!(log_add_exp(zero, zero), zero);
        assert_eq!(log_add_exp(-3.0, zero), -3.0);
        let mut all_zero = [zero; 3];
        normalise(&mut all_zero);
        assert_eq!(all_zero, [zero; 3]);
    }

    proptest! {
        #[test]
        fn normalised_values_sum_to_one(mut xs in prop::collection::vec(-700.0..700.0_f64, 1..50)) {
            normalise(&mut xs);
            let sum: f64 = xs.iter().map(|x| x.exp()).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9);
        }
    }
}
