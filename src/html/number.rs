//! Numbers as text: coordinates, and the labels of axes.

/// A coordinate with at most two decimals.
pub(super) fn coordinate(value: f64) -> String {
    // Adding 0 turns -0 into 0.
    let text = format!("{:.2}", (value * 100.0).round() / 100.0 + 0.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number of an axis whose neighbours are `step` away: with the decimals that tell them apart,
/// thousands grouped, very large and very small ones as powers of ten.
pub(super) fn label(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let size = value.abs();
    if !(1e-4..1e6).contains(&size) {
        return scientific(value);
    }
    let decimals = (-(step.abs() * 1.000_001).log10().floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.decimals$}");
    match text.split_once('.') {
        Some((whole, decimals)) => format!("{}.{decimals}", grouped(whole)),
        None => grouped(&text),
    }
}

/// Digits with a comma before every three.
fn grouped(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("−", rest),
        None => ("", digits),
    };
    let mut text = sign.to_owned();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// As in 2×10⁶.
fn scientific(value: f64) -> String {
    let text = format!("{value:.1e}");
    let (factor, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let factor = factor.trim_end_matches(".0").replace('-', "−");
    let raised: String = exponent
        .chars()
        .map(|c| match c.to_digit(10) {
            Some(digit) => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize],
            None => '⁻',
        })
        .collect();
    match factor.as_str() {
        "1" => format!("10{raised}"),
        factor => format!("{factor}×10{raised}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_the_decimals_of_their_step() {
        let labels = [(0.25, 0.05), (0.5, 0.1), (1.0, 0.5), (20.0, 10.0), (0.002, 0.001)];
        let texts = labels.map(|(value, step)| label(value, step));
        assert_eq!(texts, ["0.25", "0.5", "1.0", "20", "0.002"]);
        assert_eq!(label(12_500.0, 500.0), "12,500");
        assert_eq!(label(-1_000.0, 500.0), "−1,000");
        assert_eq!(label(-0.0, 0.1), "0");
        assert_eq!(label(1e6, 1e6), "10⁶");
        assert_eq!(label(-2.5e-12, 1e-12), "−2.5×10⁻¹²");
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!(
            [1.0, 10.0, 1.005, -0.001, 4.56789].map(coordinate),
            ["1", "10", "1", "0", "4.57"]
        );
    }
}
