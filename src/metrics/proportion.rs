//! How sure a share is that was counted.

/// The 0.975 quantile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The 95 % interval of a share of which `right` of `count` were seen (Wilson 1927, "Probable
/// inference, the law of succession, and statistical inference"). `None` where nothing was counted.
pub fn interval(right: usize, count: usize) -> Option<(f64, f64)> {
    if count == 0 {
        return None;
    }
    let n = count as f64;
    let p = right as f64 / n;
    let scale = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / scale;
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
    Some(((centre - half).max(0.0), (centre + half).min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_by_hand() {
        // p = 0.8, z² = 3.8415: centre 0.71674, half 0.22658.
        let (low, high) = interval(8, 10).unwrap();
        assert!((low - 0.49016).abs() < 1e-4 && (high - 0.94332).abs() < 1e-4, "{low} {high}");
        assert_eq!(interval(0, 0), None);
        assert_eq!(interval(0, 5).unwrap().0, 0.0);
        assert_eq!(interval(5, 5).unwrap().1, 1.0);
    }
}
