//! How much of the candidates' mass a search has seen, and what that says of a candidate's share.

use crate::shock::logspace::log_add_exp;

/// The mixture's mass over the candidates of a question, as natural logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mass {
    /// Of the candidates that were scored.
    pub explored: f64,
    /// What all others have at most; `-inf` where there is none.
    pub open: f64,
}

/// How much of the open mass is taken to be candidates', ln(1/4): a prefix bounds its candidates
/// together with all else that begins so.
const REALISED: f64 = -2.0 * std::f64::consts::LN_2;

impl Mass {
    /// All of it is known, and is one.
    pub const ONE: Self = Self { explored: 0.0, open: f64::NEG_INFINITY };

    /// ln of the share of a scored candidate, as near as is known.
    pub fn share(&self, mass: f64) -> f64 {
        self.within(mass, self.open + REALISED)
    }

    /// ln of the least share of a scored candidate.
    pub fn least_share(&self, mass: f64) -> f64 {
        self.within(mass, self.open)
    }

    /// ln of the largest share of a scored candidate.
    pub fn largest_share(&self, mass: f64) -> f64 {
        self.within(mass, f64::NEG_INFINITY)
    }

    /// ln of the largest share of a candidate that has at most `mass`, of which `unscored` was not scored.
    pub fn largest_with(&self, mass: f64, unscored: f64) -> f64 {
        Self { explored: log_add_exp(self.explored, unscored), ..*self }.largest_share(mass)
    }

    /// ln of the share of the mass that may be unexplored.
    pub fn unexplored(&self) -> f64 {
        self.within(self.open, self.open)
    }

    /// ln of `mass` out of what is explored and `open`; nothing is all of nothing.
    fn within(&self, mass: f64, open: f64) -> f64 {
        let all = log_add_exp(self.explored, open);
        if all == f64::NEG_INFINITY { mass } else { (mass - all).min(0.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_by_hand() {
        let mass = Mass { explored: 0.6_f64.ln(), open: 0.4_f64.ln() };
        let close =
            |ln: f64, p: f64| assert!((ln.exp() - p).abs() < 1e-15, "{} is not {p}", ln.exp());
        close(mass.least_share(0.3_f64.ln()), 0.3);
        close(mass.largest_share(0.3_f64.ln()), 0.5);
        // A quarter of 0.4 is 0.1.
        close(mass.share(0.3_f64.ln()), 0.3 / 0.7);
        // One that has 0.2 beside 0.6, and one that has 0.1 of the 0.6 too.
        close(mass.largest_with(0.2_f64.ln(), 0.2_f64.ln()), 0.25);
        close(mass.largest_with(0.3_f64.ln(), 0.2_f64.ln()), 0.375);
        close(mass.unexplored(), 0.4);
        close(Mass::ONE.share(0.2_f64.ln()), 0.2);
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        let nothing = Mass { explored: f64::NEG_INFINITY, open: f64::NEG_INFINITY };
        assert_eq!(nothing.share(f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert_eq!(nothing.unexplored(), f64::NEG_INFINITY);
        assert_eq!(nothing.largest_with(-3.0, -3.0), 0.0);
    }
}
