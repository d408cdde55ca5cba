//! The learning rate of each step: a linear rise, then a fall.

use crate::config::finetune::Decay;

/// The learning rates of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Schedule {
    peak: f64,
    warmup: usize,
    total: usize,
    decay: Decay,
}

impl Schedule {
    /// `total` steps, of which the share `warmup_share` rises to `peak`.
    pub(super) fn new(peak: f64, warmup_share: f64, total: usize, decay: Decay) -> Self {
        let warmup = (warmup_share * total as f64).round() as usize;
        Self { peak, warmup: warmup.min(total), total, decay }
    }

    /// The learning rate of a step, counted from 0, below `total`. It is never 0: the first step
    /// has a first part of the rise, and the last step a last part of the fall.
    pub(super) fn learning_rate(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let left = self.total.saturating_sub(step) as f64;
        let share = left / (self.total - self.warmup).max(1) as f64;
        match self.decay {
            Decay::None => self.peak,
            Decay::Linear => self.peak * share,
            Decay::Cosine => self.peak * 0.5 * (1.0 - (std::f64::consts::PI * share).cos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(share: f64, total: usize, decay: Decay) -> Vec<f64> {
        let schedule = Schedule::new(1.0, share, total, decay);
        (0..total).map(|step| schedule.learning_rate(step)).collect()
    }

    #[test]
    fn rates_are_as_worked_out_by_hand() {
        assert_eq!(all(0.5, 4, Decay::Linear), [0.5, 1.0, 1.0, 0.5]);
        assert_eq!(all(0.0, 4, Decay::Linear), [1.0, 0.75, 0.5, 0.25]);
        assert_eq!(all(0.5, 4, Decay::None), [0.5, 1.0, 1.0, 1.0]);
        assert_eq!(all(1.0, 2, Decay::Linear), [0.5, 1.0]);
        let cosine = all(0.0, 4, Decay::Cosine);
        // (1 + cos(π/4)) / 2 and so on.
        for (found, expected) in cosine.iter().zip([1.0, 0.853_553_4, 0.5, 0.146_446_6]) {
            assert!((found - expected).abs() < 1e-6, "{cosine:?}");
        }
    }

    proptest! {
        #[test]
        fn rates_rise_then_fall_and_stay_above_0(
            share in 0.0..=1.0_f64,
            total in 1..500_usize,
            decay in prop::sample::select(vec![Decay::Linear, Decay::Cosine, Decay::None]),
        ) {
            let rates = all(share, total, decay);
            prop_assert!(rates.iter().all(|rate| *rate > 0.0 && *rate <= 1.0));
            let warmup = (share * total as f64).round() as usize;
            prop_assert!(rates[..warmup].is_sorted());
            prop_assert!(rates[warmup..].iter().rev().is_sorted());
        }
    }
}
