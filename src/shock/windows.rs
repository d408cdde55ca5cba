//! Answers that are right near the true one: what those near each other have together.
//!
//! Of a number the likeliest text is not what is wanted, but the value that is most probably right within a
//! tolerance: the one with the most mass around it. Windows overlap, so that their masses sum to more than one.

use std::ops::{Range, RangeInclusive};

use super::question::Candidate;

/// The candidates that were found of a question, and which are near each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// The candidates, ascending, each once.
    found: Vec<Candidate>,
    /// By name, whose it is, as a place in `found`.
    owners: Vec<u32>,
    /// By place in `found`, the places of those that may be true where it is right.
    around: Vec<Range<u32>>,
}

impl Windows {
    /// Of names, each with its candidate, where `around` tells which candidates may be true so that one is
    /// right.
    pub fn new(
        owners: &[Candidate],
        around: impl Fn(Candidate) -> RangeInclusive<Candidate>,
    ) -> Self {
        let mut found = owners.to_vec();
        found.sort_unstable();
        found.dedup();
        let place = |candidate: Candidate| found.partition_point(|&other| other < candidate) as u32;
        let owners = owners.iter().map(|&owner| place(owner)).collect();
        let around = found.iter().map(|&candidate| {
            let range = around(candidate);
            let end = found.partition_point(|other| other <= range.end()) as u32;
            place(*range.start())..end
        });
        let around = around.collect();
        Self { owners, around, found }
    }

    /// The candidates, ascending.
    pub fn found(&self) -> &[Candidate] {
        &self.found
    }

    /// By place among the candidates found, ln of what those around it have together, and of what it has
    /// itself; `names` has ln p by name.
    pub fn masses(&self, names: &[f64]) -> Vec<WindowMass> {
        let highest = names.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut own = vec![0.0; self.found.len()];
        if highest > f64::NEG_INFINITY {
            for (&owner, name) in self.owners.iter().zip(names) {
                own[owner as usize] += (name - highest).exp();
            }
        }
        let ln = |p: f64| if p > 0.0 { p.ln() + highest } else { f64::NEG_INFINITY };
        let sum = |around: &Range<u32>| {
            own[around.start as usize..around.end as usize].iter().sum::<f64>()
        };
        let windows = self.around.iter().zip(&own);
        windows.map(|(around, &own)| WindowMass { around: ln(sum(around)), own: ln(own) }).collect()
    }
}

/// What a candidate's window has, as natural logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowMass {
    /// All in it.
    pub around: f64,
    /// The candidate itself.
    pub own: f64,
}

impl WindowMass {
    /// The place of the best window of those that are taken; of equals that whose candidate has more itself,
    /// then the first.
    pub fn best(all: &[Self], is_taken: &dyn Fn(usize) -> bool) -> Option<usize> {
        let better = |&a: &usize, &b: &usize| {
            let (one, other) = (all[a], all[b]);
            one.around.total_cmp(&other.around).then(one.own.total_cmp(&other.own)).then(b.cmp(&a))
        };
        (0..all.len()).filter(|&place| is_taken(place)).max_by(better)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_by_hand() {
        // Names of 10, 12, 40 and 10 again; right within 3.
        let owners = [10, 12, 40, 10];
        let windows = Windows::new(&owners, |c| c.saturating_sub(3)..=c + 3);
        assert_eq!(windows.found(), [10, 12, 40]);
        let masses = windows.masses(&[0.2, 0.25, 0.4, 0.05].map(f64::ln));
        let p = |of: fn(&WindowMass) -> f64| masses.iter().map(|m| of(m).exp()).collect::<Vec<_>>();
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-15);
        assert!(
            close(&p(|m| m.around), &[0.5, 0.5, 0.4]) && close(&p(|m| m.own), &[0.25, 0.25, 0.4])
        );
        // The likeliest alone is 40; 10 and 12 have more together, and the same themselves.
        assert_eq!(WindowMass::best(&masses, &|_| true), Some(0));
        let masses = windows.masses(&[0.1, 0.25, 0.3, 0.05].map(f64::ln));
        assert_eq!(WindowMass::best(&masses, &|_| true), Some(1), "12 has more than 10 itself");
        assert_eq!(WindowMass::best(&masses, &|place| place == 2), Some(2));
    }

    #[test]
    fn nothing_has_nothing_around_it() {
        let windows = Windows::new(&[1, 2], |c| c..=c);
        let masses = windows.masses(&[f64::NEG_INFINITY; 2]);
        assert_eq!(masses, [WindowMass { around: f64::NEG_INFINITY, own: f64::NEG_INFINITY }; 2]);
    }
}
