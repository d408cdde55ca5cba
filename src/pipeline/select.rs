//! The select stage: from ranked candidates to the triples that are written, and their counts.
//!
//! The search has already applied the threshold and the cardinality: what it ranks is selected.
//! No candidate is an answer too.

use super::{Plan, Predicted, Statistics, Task};
use crate::catalog::EntityId;
use crate::graph::KeptQuestion;
use crate::lm::{CandidateIndex, ScoredCandidate};
use crate::shock::Pair;

/// A triple to be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Triple {
    /// The subject.
    pub subject: EntityId,
    /// The object, among the relation's candidates.
    pub object: CandidateIndex,
    /// The confidence: what is known of the answer, calibrated.
    pub confidence: f64,
    /// Its share of the mixture's mass over the candidates.
    pub corrected: f64,
    /// The models' probabilities.
    pub models: Pair<f64>,
    /// Whether other candidates have all of the object's names too.
    pub ambiguous: bool,
}

/// A chunk's triples.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The chunk.
    pub task: Task,
    /// Its triples: by subject in the table's order, then by falling confidence.
    pub triples: Vec<Triple>,
    /// What was counted.
    pub statistics: Statistics,
    /// What the models said to each question, where that is kept.
    pub kept: Vec<KeptQuestion>,
    /// By subject, the best candidates that were found, written or not; empty where they are not kept.
    pub found: Vec<FoundCandidates>,
}

/// The best candidates that were found for a question.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundCandidates {
    /// Best first.
    pub candidates: Vec<ScoredCandidate>,
    /// ln of the mixture's mass that all others have together at most.
    pub open: f64,
}

/// Selects a chunk's triples and counts.
pub fn select(plan: &Plan, predicted: Predicted) -> Selected {
    let Predicted { task, answers, kept } = predicted;
    let relation = &plan.relations[task.relation];
    let mut triples = Vec::new();
    let mut statistics = Statistics::default();
    let mut found = Vec::new();
    for (&subject, answer) in task.subjects.iter().zip(answers) {
        statistics.subjects += 1;
        statistics.without_object += u64::from(answer.ranked.is_empty());
        let demand = relation.rankings.mixed;
        let widest = answer.ranked.iter().map(|scored| scored.width(&demand, answer.mass));
        statistics.add_width(widest.fold(0.0, f64::max));
        for scored in &answer.ranked {
            // Rounding in the logarithm may lift a certainty above one by its last bit.
            let probability = |ln: f64| if ln > 0.0 { 1.0 } else { ln.exp() };
            let triple = Triple {
                subject,
                object: scored.candidate,
                confidence: demand.calibration.apply(scored.evidence),
                corrected: probability(scored.evidence.ln_share),
                models: scored.models.map(probability),
                ambiguous: relation.space.names().is_ambiguous(scored.candidate),
            };
            statistics.add_triple(triple.confidence);
            triples.push(triple);
        }
        let objects = plan
            .gold
            .as_ref()
            .and_then(|gold| gold.objects(plan.subjects.iri(subject), &relation.iri));
        if let (Some(objects), Some(best)) = (objects, answer.best)
            && !objects.is_empty()
        {
            let right = |candidate: CandidateIndex| {
                objects.iter().any(|object| plan.is_right(relation, candidate, object))
            };
            statistics.add_gold(right(best.mixed), best.models.map(right));
        }
        if relation.rankings.keep > 0 {
            let open = answer.mass.open;
            found.push(FoundCandidates { candidates: answer.found, open });
        }
    }
    Selected { task, triples, statistics, kept, found }
}
