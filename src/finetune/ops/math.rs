//! Sums and exponentials that the compiler can turn into vector instructions.

/// Partial sums kept side by side. A sum is always folded in the same order.
const LANES: usize = 16;

/// Σ aᵢ bᵢ.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

/// The largest value; NaN is passed over.
pub(crate) fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if value > lane { *value } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |largest, &value| largest.max(value))
}

/// Replaces each value x by e^(x - shift) and gives their sum.
pub(crate) fn exp_and_sum(values: &mut [f32], shift: f32) -> f64 {
    // Short runs in f32, their sums in f64: as exact as f64 throughout, for this purpose.
    const RUN: usize = 1024;
    let mut sum = 0.0;
    for run in values.chunks_mut(RUN) {
        let mut lanes = [0.0f32; LANES];
        let (chunks, rest) = run.as_chunks_mut::<LANES>();
        for chunk in chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *value = exp(*value - shift);
                *lane += *value;
            }
        }
        for value in rest.iter_mut() {
            *value = exp(*value - shift);
        }
        sum += f64::from(lanes.iter().sum::<f32>()) + f64::from(rest.iter().sum::<f32>());
    }
    sum
}

/// e^x to within two units in the last place, without a branch; below e^-87 it stays there, above
/// e^88 as well.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // e^x = 2^n e^r with n the nearest integer to x / ln 2, so that |r| ≤ ln 2 / 2.
    // Adding 1.5 · 2^23 rounds to an integer and leaves it in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first of nine bits, so that n times it is exact.
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = (std::f64::consts::LN_2 - 355.0 / 512.0) as f32;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    // Taylor's series; the first term left out is below r^8 / 8! < 6e-9.
    let mut series = 1.0 / 5040.0;
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series * r + factor;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    series * power
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_exact_to_two_units() {
        for i in -870_000..=880_000 {
            let x = i as f32 / 10_000.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2.4e-7, "e^{x}: {error}");
        }
        assert!(exp(f32::NAN).is_nan() && exp(f32::NEG_INFINITY) < 1e-37);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn sums_and_the_largest() {
        let values: Vec<f32> = (0..100).map(|i| (i % 37) as f32).collect();
        assert_eq!(dot(&values, &values), values.iter().map(|v| v * v).sum::<f32>());
        assert_eq!(largest(&values), 36.0);
        assert_eq!(largest(&[-3.0, f32::NAN, -2.0]), -2.0);
        let mut changed = values.clone();
        let sum = exp_and_sum(&mut changed, 36.0);
        let exact: f64 = values.iter().map(|&v| f64::from(v - 36.0).exp()).sum();
        assert!((sum / exact - 1.0).abs() < 1e-6);
    }
}
