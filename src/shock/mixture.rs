//! A question's mixture over its candidates: their masses, and of what these are shares.

use super::calibration::Evidence;
use super::logspace::log_sum_exp;
use super::question::Candidate;
use super::windows::{WindowMass, Windows};

/// A mixture over the candidates of a question, as natural logarithms.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// By candidate, ln of the mixture's mass; one that cannot be the answer has `-inf`.
    pub masses: Vec<f64>,
    /// ln of all that a mass is a share of: of their sum, or of one.
    pub total: f64,
    /// Whether masses are the mixture's own, and say something beside their shares.
    own: bool,
}

impl Mixture {
    /// Of probabilities: a share is the mass itself.
    pub fn of_probabilities(masses: Vec<f64>) -> Self {
        Self { masses, total: 0.0, own: false }
    }

    /// Of masses that sum to anything.
    pub fn of_masses(masses: Vec<f64>) -> Self {
        Self { total: log_sum_exp(&masses), masses, own: true }
    }

    /// Of masses of names in windows, where candidates are the places of those that were found. Of windows with
    /// the same mass that is best whose candidate has more itself.
    pub fn of_windows(windows: &Windows, names: &[f64]) -> Self {
        let all = windows.masses(names);
        let best = WindowMass::best(&all, &|_| true);
        let lowered = |(place, mass): (usize, &WindowMass)| match best {
            Some(best) if best != place && all[best].around == mass.around => {
                mass.around.next_down()
            }
            _ => mass.around,
        };
        let masses = all.iter().enumerate().map(lowered).collect();
        Self { masses, total: log_sum_exp(names), own: true }
    }

    /// ln of a candidate's share.
    pub fn share(&self, candidate: Candidate) -> f64 {
        let mass = self.masses[candidate as usize];
        if mass == f64::NEG_INFINITY { mass } else { mass - self.total }
    }

    /// ln of every candidate's share.
    pub fn shares(&self) -> Vec<f64> {
        (0..self.masses.len()).map(|candidate| self.share(candidate as Candidate)).collect()
    }

    /// What is known of a candidate as the answer.
    pub fn evidence(&self, candidate: Candidate) -> Evidence {
        let score = if self.own { self.masses[candidate as usize] } else { 0.0 };
        Evidence { ln_share: self.share(candidate), score }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_by_hand() {
        let masses = vec![0.03_f64.ln(), 0.01_f64.ln(), f64::NEG_INFINITY];
        let own = Mixture::of_masses(masses.clone());
        assert!((own.share(0).exp() - 0.75).abs() < 1e-15);
        assert_eq!(own.evidence(0).score, masses[0]);
        assert_eq!(own.share(2), f64::NEG_INFINITY);
        let given = Mixture::of_probabilities(masses.clone());
        assert_eq!(given.shares(), masses);
        assert_eq!(given.evidence(1), Evidence { ln_share: masses[1], score: 0.0 });
        let nothing = Mixture::of_masses(vec![f64::NEG_INFINITY; 2]);
        assert_eq!(nothing.shares(), nothing.masses);
    }
}
