//! Whether Frequency Shock is seen, by a stated rule.
//!
//! It is *seen* where the finetuned model predicts rare objects of its training more often than they
//! are right and than the base model does, or common objects less often, and its over-prediction
//! goes with the shock more closely than the base model's, beyond chance. The base model's own
//! correlation is what there is without finetuning, and mostly below 0: what it expects too often
//! lowers the shock and is over-predicted.

use serde::Serialize;

use super::System;
use super::report::TrainingEffect;
use crate::shock::diagnosis::Band;

/// What is said of Frequency Shock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "shock", content = "harm")]
pub enum Verdict {
    /// Nothing can be said: it is not known what the finetuned model was trained on.
    TrainingUnknown,
    /// Nothing can be said: too few entities were predicted or trained for a correlation.
    TooFewEntities,
    /// None: the finetuned model neither over-predicts rare objects nor under-predicts common ones.
    NoHarm,
    /// None: the finetuned model does harm, but not in step with the shock beyond chance.
    NotInStep(Harm),
    /// It is seen.
    Seen(Harm),
}

/// What the finetuned model does beyond both gold and the base model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// It predicts rare objects of its training too often.
    OverPredictsRare,
    /// It predicts common objects too seldom.
    UnderPredictsCommon,
    /// Both.
    Both,
}

impl Verdict {
    /// By what only training counts show.
    pub fn of(training: Option<&TrainingEffect>) -> Self {
        let Some(training) = training else { return Self::TrainingUnknown };
        let [base, finetuned] = [System::Base, System::Finetuned].map(System::index);
        let Some(correlation) = training.correlation[finetuned] else {
            return Self::TooFewEntities;
        };
        let Some(harm) = Harm::of(&training.shock[0], &training.shock[1]) else {
            return Self::NoHarm;
        };
        let of_base = training.correlation[base].map_or(0.0, |correlation| correlation.spearman);
        if correlation.spearman - of_base > beyond_chance(correlation.pairs) {
            Self::Seen(harm)
        } else {
            Self::NotInStep(harm)
        }
    }
}

impl Harm {
    fn of(common: &Band, rare: &Band) -> Option<Self> {
        let [base, finetuned] = [System::Base, System::Finetuned].map(System::index);
        let predicted = |band: &Band, system: usize| band.predicted[system] as f64;
        let over = predicted(rare, finetuned) > rare.gold.max(predicted(rare, base));
        let under = predicted(common, finetuned) < common.gold.min(predicted(common, base));
        match (over, under) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::OverPredictsRare),
            (false, true) => Some(Self::UnderPredictsCommon),
            (false, false) => None,
        }
    }
}

/// Two standard errors of the difference of two Spearman's ρ of so many unrelated pairs, each with
/// one of 1/√(n − 1).
fn beyond_chance(pairs: usize) -> f64 {
    2.0 * (2.0 / (pairs.max(2) as f64 - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shock::Correlation;

    fn band(name: &'static str, gold: f64, predicted: [usize; 2]) -> Band {
        let [base, finetuned] = predicted;
        let predicted = vec![base, finetuned, 0, 0, 0];
        Band { name, entities: 9, gold, right: vec![0.0; 5], predicted }
    }

    fn verdict(common: [usize; 2], rare: [usize; 2], rho: [Option<f64>; 2]) -> Verdict {
        let of = |rho: Option<f64>| {
            rho.map(|spearman| Correlation { pearson: 0.0, spearman, pairs: 201 })
        };
        Verdict::of(Some(&TrainingEffect {
            facts: 100,
            by_training: vec![],
            seen: vec![],
            shock: vec![band("common", 50.0, common), band("rare", 20.0, rare)],
            correlation: vec![of(rho[0]), of(rho[1]), None, None, None],
        }))
    }

    #[test]
    fn frequency_shock_is_seen_by_the_rule() {
        // 2·√(2/200) = 0.2.
        let both = verdict([45, 30], [25, 40], [Some(-0.3), Some(-0.09)]);
        assert_eq!(both, Verdict::Seen(Harm::Both));
        let rare = verdict([45, 60], [25, 40], [None, Some(0.5)]);
        assert_eq!(rare, Verdict::Seen(Harm::OverPredictsRare));
        let common = verdict([45, 30], [25, 10], [None, Some(0.5)]);
        assert_eq!(common, Verdict::Seen(Harm::UnderPredictsCommon));
        let chance = verdict([45, 30], [25, 40], [Some(-0.3), Some(-0.11)]);
        assert_eq!(chance, Verdict::NotInStep(Harm::Both));
        let less_than_base = verdict([45, 30], [25, 40], [Some(0.6), Some(0.5)]);
        assert_eq!(less_than_base, Verdict::NotInStep(Harm::Both));
        // Beyond the base, but not beyond gold.
        let within_gold = verdict([45, 46], [5, 18], [Some(0.0), Some(0.5)]);
        assert_eq!(within_gold, Verdict::NoHarm);
        assert_eq!(verdict([45, 30], [25, 40], [None, None]), Verdict::TooFewEntities);
        assert_eq!(Verdict::of(None), Verdict::TrainingUnknown);
    }
}
