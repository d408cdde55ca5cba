//! What is seen, in sentences.

use crate::diagnosis::{DiagnosisReport, Harm, System, SystemScores, TrainingEffect, Verdict};
use crate::metrics::bootstrap::Interval;
use crate::shock::diagnosis::Band;

/// The sentences about a report; the last ones say what to bear in mind.
pub(super) fn conclusions(report: &DiagnosisReport) -> Vec<String> {
    let mut said = Vec::new();
    said.push(match &report.all.training {
        Some(training) => shock(training, report.verdict),
        None => "Whether there is Frequency Shock cannot be said: nothing is known of what the \
                 finetuned model was trained on. Left out are the shock's correlation, the objects \
                 seen and unseen in training, and the bands by training count; `--train` with the \
                 training facts gives them."
            .to_owned(),
    });
    said.push(worth(report));
    let finetuned = report.scores(System::Finetuned);
    let own = report.scores(report.own);
    let error = |scores: &SystemScores| scores.expected_calibration_error;
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

/// Whether there is Frequency Shock, where training counts are known.
fn shock(training: &TrainingEffect, verdict: Verdict) -> String {
    let [base, finetuned] = [System::Base, System::Finetuned].map(System::index);
    let counts = |band: &Band| {
        format!(
            "gold {:.0}, base {}, finetuned {}",
            band.gold, band.predicted[base], band.predicted[finetuned]
        )
    };
    let counts = format!(
        "common objects: {}; rare objects seen in training: {}",
        counts(&training.shock[0]),
        counts(&training.shock[1])
    );
    let spearman = |system: usize| training.correlation[system].map(|seen| seen.spearman);
    let correlations = format!(
        "Spearman's rho of over-prediction and shock is {:.2}{}",
        spearman(finetuned).unwrap_or(f64::NAN),
        spearman(base).map_or(String::new(), |rho| format!(" (base {rho:.2})"))
    );
    match verdict {
        Verdict::TrainingUnknown | Verdict::TooFewEntities => format!(
            "Whether there is Frequency Shock cannot be said: too few entities were predicted or \
             trained to correlate over-prediction with the shock. Predictions of {counts}."
        ),
        Verdict::NoHarm => format!(
            "No Frequency Shock is seen: the finetuned model neither over-predicts rare objects of \
             its training nor under-predicts common ones, beyond both gold and the base model \
             ({counts}); {correlations}."
        ),
        Verdict::NotInStep(harm) => format!(
            "No Frequency Shock is seen: {} ({counts}), but not in step with the shock, beyond \
             chance: {correlations}.",
            worded(harm)
        ),
        Verdict::Seen(harm) => {
            format!("Frequency Shock is seen: {} ({counts}), and {correlations}.", worded(harm))
        }
    }
}

fn worded(harm: Harm) -> &'static str {
    match harm {
        Harm::Both => {
            "the finetuned model over-predicts rare objects of its training and under-predicts \
             common ones"
        }
        Harm::OverPredictsRare => "the finetuned model over-predicts rare objects of its training",
        Harm::UnderPredictsCommon => "the finetuned model under-predicts common objects",
    }
}

/// What finetuning and the correction are worth.
fn worth(report: &DiagnosisReport) -> String {
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
