//! Axes: which values they span, where a value lies on them, and their ticks.

use super::number;

/// How values are spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// By their size.
    Linear,
    /// By their logarithm. Zero has a place of its own before the smallest value; what is negative
    /// has none.
    Log,
}

/// An axis as a caller describes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis<'a> {
    /// What is shown, with its unit.
    pub label: &'a str,
    /// How its values are spread.
    pub scale: Scale,
    /// Values that it shows besides those of the data.
    pub include: &'a [f64],
}

impl<'a> Axis<'a> {
    /// A linear axis that spans its data.
    pub fn linear(label: &'a str) -> Self {
        Self { label, scale: Scale::Linear, include: &[] }
    }

    /// A logarithmic axis that spans its data.
    pub fn log(label: &'a str) -> Self {
        Self { label, scale: Scale::Log, include: &[] }
    }

    /// An axis from 0 to 1.
    pub fn share(label: &'a str) -> Self {
        Self { label, scale: Scale::Linear, include: &[0.0, 1.0] }
    }
}

/// The values that an axis shows, from one tick to another.
#[derive(Clone, Debug)]
pub(super) struct Span {
    scale: Scale,
    low: f64,
    high: f64,
    /// Whether a logarithmic axis has a place for zero.
    has_zero: bool,
    /// The values that are labelled, ascending, and their labels.
    ticks: Vec<(f64, String)>,
}

/// Where zero lies on a logarithmic axis, and where its other values begin.
const ZERO: (f64, f64) = (0.03, 0.11);

/// Farther from zero than this nothing is drawn, so that differences stay finite.
const LARGEST: f64 = 1e150;

impl Span {
    /// The span of all `values` that have a place, with about `most` labels at most.
    pub(super) fn new(scale: Scale, values: impl Iterator<Item = f64>, most: usize) -> Self {
        let mut span = Self { scale, low: 0.0, high: 0.0, has_zero: false, ticks: vec![] };
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|&value| has_place(scale, value)) {
            if scale == Scale::Log && value == 0.0 {
                span.has_zero = true;
            } else {
                (low, high) = (low.min(value), high.max(value));
            }
        }
        match scale {
            Scale::Linear => span.fit_linear(low, high, most.max(2)),
            Scale::Log => span.fit_log(low, high, most.max(2)),
        }
        span
    }

    /// Where a value lies, 0 at the axis' beginning, 1 at its end; `None` where it has no place.
    pub(super) fn share(&self, value: f64) -> Option<f64> {
        if !has_place(self.scale, value) {
            return None;
        }
        let linear = |value: f64, low: f64, high: f64| (value - low) / (high - low);
        Some(match (self.scale, self.has_zero) {
            (Scale::Linear, _) => linear(value, self.low, self.high),
            (Scale::Log, true) if value == 0.0 => ZERO.0,
            (Scale::Log, has_zero) => {
                let share = linear(value.ln(), self.low.ln(), self.high.ln());
                if has_zero { ZERO.1 + share * (1.0 - ZERO.1) } else { share }
            }
        })
    }

    pub(super) fn ticks(&self) -> &[(f64, String)] {
        &self.ticks
    }

    pub(super) fn low(&self) -> f64 {
        self.low
    }

    pub(super) fn high(&self) -> f64 {
        self.high
    }

    fn fit_linear(&mut self, low: f64, high: f64, most: usize) {
        let (low, high) = match (low, high) {
            (low, high) if low > high => (0.0, 1.0),
            (low, high) if high - low > 1e-9 * low.abs().max(high.abs()) => (low, high),
            (0.0, _) => (0.0, 1.0),
            (low, _) => (low - low.abs() / 2.0, low + low.abs() / 2.0),
        };
        let step = nice_step((high - low) / most as f64);
        // A hair of tolerance, so that 0.3 / 0.1 needs three steps, not four.
        let (first, last) = ((low / step + 1e-6).floor(), (high / step - 1e-6).ceil());
        (self.low, self.high) = (first * step, last * step);
        let count = (last - first) as usize;
        let values = (0..=count).map(|i| (first + i as f64) * step);
        self.ticks = values.map(|value| (value, number::label(value, step))).collect();
    }

    fn fit_log(&mut self, low: f64, high: f64, most: usize) {
        let (low, high) = if low > high { (1.0, 10.0) } else { (low, high) };
        // Number n stands for 1, 2 or 5 times the power of ten n / 3.
        let value = |n: i32| [1.0, 2.0, 5.0][n.rem_euclid(3) as usize] * ten_to(n.div_euclid(3));
        let near = |x: f64| 3 * x.log10().floor() as i32;
        let mut first = near(low);
        while value(first + 1) <= low * (1.0 + 1e-9) {
            first += 1;
        }
        let mut last = near(high);
        while value(last) < high * (1.0 - 1e-9) {
            last += 1;
        }
        if first == last {
            (first, last) = (first - 1, last + 1);
        }
        (self.low, self.high) = (value(first), value(last));
        if self.has_zero {
            self.ticks.push((0.0, "0".to_owned()));
        }
        let count = (last - first) as usize;
        // Every power of ten, or every few, where 1, 2, 5 are too many.
        let decades = last.div_euclid(3) - (first + 2).div_euclid(3) + 1;
        let every = if count < most { 1 } else { 3 * (decades as usize).div_ceil(most).max(1) };
        let labelled = (first..=last).filter(|n| n.rem_euclid(every as i32) == 0);
        self.ticks.extend(labelled.map(|n| (value(n), number::label(value(n), value(n)))));
    }
}

fn ten_to(exponent: i32) -> f64 {
    // Parsed, so that 10⁻³ is the f64 nearest to it and has a short label.
    format!("1e{exponent}").parse().unwrap_or(f64::MAX)
}

/// Whether a value can be drawn on an axis of this scale.
fn has_place(scale: Scale, value: f64) -> bool {
    value.abs() <= LARGEST
        && match scale {
            Scale::Linear => true,
            Scale::Log => value == 0.0 || value >= 1.0 / LARGEST,
        }
}

/// The least of 1, 2, 5 times a power of ten that is at least `step`.
fn nice_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    factors.map(|factor| factor * power).into_iter().find(|s| *s >= step * 0.999).unwrap_or(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(scale: Scale, values: &[f64]) -> Vec<String> {
        let span = Span::new(scale, values.iter().copied(), 5);
        span.ticks().iter().map(|(_, label)| label.clone()).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        assert_eq!(labels(Scale::Linear, &[0.0, 1.0]), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(
            labels(Scale::Linear, &[0.31, 0.397]),
            ["0.30", "0.32", "0.34", "0.36", "0.38", "0.40"]
        );
        assert_eq!(labels(Scale::Linear, &[3.0, 1_900.0]), ["0", "500", "1,000", "1,500", "2,000"]);
        assert_eq!(labels(Scale::Linear, &[-1.0, 1.0]), ["−1.0", "−0.5", "0", "0.5", "1.0"]);
    }

    #[test]
    fn log_ticks_are_powers_or_one_two_five() {
        assert_eq!(labels(Scale::Log, &[1.0, 9.0]), ["1", "2", "5", "10"]);
        assert_eq!(labels(Scale::Log, &[0.001, 30.0]), ["0.001", "0.01", "0.1", "1", "10"]);
        assert_eq!(labels(Scale::Log, &[0.0, 3.0, 400.0]), ["0", "10", "100"]);
        assert_eq!(labels(Scale::Log, &[1e-9, 1.0]), ["10⁻⁸", "10⁻⁶", "0.0001", "0.01", "1"]);
    }

    #[test]
    fn degenerate_data_has_an_axis() {
        assert_eq!(labels(Scale::Linear, &[]), labels(Scale::Linear, &[0.0, 1.0]));
        assert_eq!(labels(Scale::Linear, &[f64::NAN, f64::INFINITY]), labels(Scale::Linear, &[]));
        assert_eq!(labels(Scale::Log, &[]), ["1", "2", "5", "10"]);
        assert_eq!(labels(Scale::Log, &[-1.0, 0.0]), ["0", "1", "2", "5", "10"]);
        let one = Span::new(Scale::Linear, [4.0].into_iter(), 5);
        assert!(one.low() < 4.0 && one.high() > 4.0);
        let one = Span::new(Scale::Log, [100.0].into_iter(), 5);
        assert_eq!((one.low(), one.high()), (50.0, 200.0));
    }

    #[test]
    fn zero_has_its_own_place_on_a_log_axis() {
        let span = Span::new(Scale::Log, [0.0, 1.0, 100.0].into_iter(), 5);
        let shares = [0.0, 1.0, 10.0, 100.0].map(|value| span.share(value).unwrap());
        assert!(shares.is_sorted() && shares[0] > 0.0 && shares[1] - shares[0] > 0.05);
        assert_eq!(span.share(-1.0), None);
        assert_eq!(span.share(f64::NAN), None);
    }

    proptest! {
        #[test]
        fn every_value_lies_on_its_axis_between_few_ticks(
            values in prop::collection::vec(
                prop_oneof![-1e3..1e3_f64, 1e-9..1.0_f64, 0.0..1e12_f64, any::<f64>()], 0..20),
            log: bool, most in 2..8_usize,
        ) {
            let scale = if log { Scale::Log } else { Scale::Linear };
            let span = Span::new(scale, values.iter().copied(), most);
            for &value in &values {
                if let Some(share) = span.share(value) {
                    prop_assert!((-1e-5..=1.0 + 1e-5).contains(&share), "{value} at {share}");
                }
            }
            prop_assert!(span.ticks().len() <= most + 4, "{:?}", span.ticks());
            let shares: Vec<f64> =
                span.ticks().iter().map(|(value, _)| span.share(*value).unwrap()).collect();
            prop_assert!(shares.windows(2).all(|pair| pair[0] < pair[1]), "{shares:?}");
        }
    }
}
