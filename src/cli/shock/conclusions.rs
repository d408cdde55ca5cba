//! What is seen, in sentences, by rules that are stated here and in what is printed.
//!
//! Frequency Shock is *seen* where the finetuned model predicts rare objects of its training more
//! often than they are right and than the base model does, or common objects less often, and its
//! over-prediction goes with the shock more closely than the base model's, beyond chance. The base
//! model's own correlation is what there is without finetuning, and mostly below 0: what it expects
//! too often lowers the shock and is over-predicted.

use super::report::{Report, Scores, Training};
use crate::metrics::bootstrap::Interval;
use crate::pipeline::System;
use crate::shock::diagnosis::Band;

/// The sentences about a report without them.
pub(super) fn conclusions(report: &Report) -> Vec<String> {
    let mut said = Vec::new();
    match &report.all.training {
        Some(training) => said.push(shock(training)),
        None => said.push(
            "Whether there is Frequency Shock cannot be said: nothing is known of what the \
             finetuned model was trained on. Left out are the shock's correlation, the objects \
             seen and unseen in training, and the bands by training count; `--train` with the \
             training facts gives them."
                .to_owned(),
        ),
    }
    said.push(worth(report));
    let finetuned = report.scores(System::Finetuned);
    let own = report.scores(report.own);
    let error = |scores: &Scores| scores.expected_calibration_error;
    said.push(match own.calibrated_error {
        Some(after) => format!(
            "Expected calibration error of the best answers: {:.3} by their probabilities, \
             {after:.3} by the calibrated confidences (finetuned {:.3}).",
            error(own),
            error(finetuned)
        ),
        None => format!(
            "Expected calibration error of the best answers: {:.3}; nothing is calibrated, as \
             nothing was tuned.",
            error(own)
        ),
    });
    said
}

/// Whether there is Frequency Shock.
fn shock(training: &Training) -> String {
    let [base, finetuned] = [System::Base, System::Finetuned].map(System::index);
    let (common, rare) = (&training.shock[0], &training.shock[1]);
    let over = predicted(rare, finetuned) > rare.gold.max(predicted(rare, base));
    let under = predicted(common, finetuned) < common.gold.min(predicted(common, base));
    let counts = |band: &Band| {
        format!(
            "gold {:.0}, base {}, finetuned {}",
            band.gold, band.predicted[base], band.predicted[finetuned]
        )
    };
    let counts = format!(
        "common objects: {}; rare objects seen in training: {}",
        counts(common),
        counts(rare)
    );
    let Some(correlation) = training.correlation[finetuned] else {
        return format!(
            "Whether there is Frequency Shock cannot be said: too few entities were predicted or \
             trained to correlate over-prediction with the shock. Predictions of {counts}."
        );
    };
    let of_base = training.correlation[base].map(|correlation| correlation.spearman);
    let rises = correlation.spearman - of_base.unwrap_or(0.0) > beyond_chance(correlation.pairs);
    let correlations = format!(
        "Spearman's rho of over-prediction and shock is {:.2}{}",
        correlation.spearman,
        of_base.map_or(String::new(), |rho| format!(" (base {rho:.2})"))
    );
    let harm = match (over, under) {
        (true, true) => {
            "the finetuned model over-predicts rare objects of its training and under-predicts \
             common ones"
        }
        (true, false) => "the finetuned model over-predicts rare objects of its training",
        (false, true) => "the finetuned model under-predicts common objects",
        (false, false) => {
            return format!(
                "No Frequency Shock is seen: the finetuned model neither over-predicts rare \
                 objects of its training nor under-predicts common ones, beyond both gold and the \
                 base model ({counts}); {correlations}."
            );
        }
    };
    if rises {
        format!("Frequency Shock is seen: {harm} ({counts}), and {correlations}.")
    } else {
        format!(
            "No Frequency Shock is seen: {harm} ({counts}), but not in step with the shock, beyond \
             chance: {correlations}."
        )
    }
}

fn predicted(band: &Band, system: usize) -> f64 {
    band.predicted[system] as f64
}

/// Two standard errors of the difference of two Spearman's ρ of so many unrelated pairs, each with
/// one of 1/√(n − 1).
fn beyond_chance(pairs: usize) -> f64 {
    2.0 * (2.0 / (pairs.max(2) as f64 - 1.0)).sqrt()
}

/// What finetuning and the correction are worth.
fn worth(report: &Report) -> String {
    let p = |system| report.scores(system).precision_at_1.mean;
    let models = format!(
        "P@1 is {:.3} by the base, {:.3} by the finetuned model",
        p(System::Base),
        p(System::Finetuned)
    );
    let (own, mixed) = match report.own {
        System::Finetuned => ("mixing, which the pipeline does not do", System::LogLinear),
        own => ("the pipeline's correction", own),
    };
    let Interval { mean, low, high } = report.scores(mixed).gain;
    let sure = match (low > 0.0, high < 0.0) {
        (true, _) => "better than",
        (_, true) => "worse than",
        _ => "not to be told from",
    };
    format!(
        "{models}, {:.3} by {own} ({}), which is {sure} the finetuned model alone: {mean:+.3} (95 % \
         interval {low:+.3} to {high:+.3}).",
        p(mixed),
        mixed.name()
    )
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

    fn training(common: [usize; 2], rare: [usize; 2], rho: [Option<f64>; 2]) -> Training {
        let of = |rho: Option<f64>| {
            rho.map(|spearman| Correlation { pearson: 0.0, spearman, pairs: 201 })
        };
        Training {
            facts: 100,
            by_training: vec![],
            seen: vec![],
            shock: vec![band("common", 50.0, common), band("rare", 20.0, rare)],
            correlation: vec![of(rho[0]), of(rho[1]), None, None, None],
        }
    }

    #[test]
    fn frequency_shock_is_seen_by_the_rule() {
        let seen = |common, rare, rho| shock(&training(common, rare, rho));
        // 2·√(2/200) = 0.2.
        let both = seen([45, 30], [25, 40], [Some(-0.3), Some(-0.09)]);
        assert!(both.starts_with("Frequency Shock is seen"), "{both}");
        assert!(both.contains("over-predicts rare objects of its training and under-predicts"));
        assert!(both.contains("gold 50, base 45, finetuned 30"), "{both}");
        let rare = seen([45, 60], [25, 40], [None, Some(0.5)]);
        assert!(rare.starts_with("Frequency Shock is seen"), "{rare}");
        // Not beyond chance; less than the base; beyond the base, but not beyond gold.
        for (common, rare, rho) in [
            ([45, 30], [25, 40], [Some(-0.3), Some(-0.11)]),
            ([45, 30], [25, 40], [Some(0.6), Some(0.5)]),
            ([45, 46], [5, 18], [Some(0.0), Some(0.5)]),
        ] {
            let said = seen(common, rare, rho);
            assert!(said.starts_with("No Frequency Shock is seen"), "{said}");
        }
        let unknown = seen([45, 30], [25, 40], [None, None]);
        assert!(
            unknown.starts_with("Whether there is Frequency Shock cannot be said"),
            "{unknown}"
        );
    }
}
