//! Predictions against gold: every metric, a relation at a time and over all.
//!
//! A gold question that the predictions lack counts as one with nothing predicted. Predictions
//! for what gold does not ask are counted and otherwise left alone.

use serde::Serialize;

use super::assign::assign;
use super::gold::{Gold, GoldQuestion};
use super::name::{Comparison, Naming, local_name};
use super::predictions::{PredictedObject, Predictions};
use super::rules::Rules;
use super::wrong::WrongQuestion;
use crate::diagnostic::{Diagnostic, Diagnostics, counted};
use crate::metrics::bootstrap::{self, Interval};
use crate::metrics::calibration::{self, Bin};
use crate::metrics::matching::maximum_matching;
use crate::metrics::mean;
use crate::metrics::ranking::{self, Ranking};
use crate::metrics::sets::{Counts, SetScore};

/// The bootstrap's seed, so that a report is the same every time.
const SEED: u64 = 1;

/// How well confidences fit what is right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalibrationScores {
    /// Objects that were predicted with a confidence.
    pub predictions: usize,
    /// The mean of their confidences.
    pub mean_confidence: f64,
    /// The share of them that is right.
    pub accuracy: f64,
    /// Over [`calibration::BINS`] bins of equal width.
    pub expected_calibration_error: f64,
    /// What the error would be by chance if the confidences were exact.
    pub error_by_chance: f64,
    /// Over as many bins of equal mass.
    pub adaptive_calibration_error: f64,
    /// The mean squared distance of a confidence from 1 where right, from 0 where wrong (Brier
    /// 1950).
    pub brier: f64,
    /// The mean of -ln of what a confidence gave to what came, in nats.
    pub log_loss: f64,
    /// The reliability diagram, without its empty bins.
    pub bins: Vec<Bin>,
}

impl CalibrationScores {
    fn of(predictions: &[(f64, bool)]) -> Option<Self> {
        Some(Self {
            predictions: predictions.len(),
            mean_confidence: mean(predictions.iter().map(|(confidence, _)| *confidence))?,
            accuracy: mean(predictions.iter().map(|(_, right)| f64::from(u8::from(*right))))?,
            expected_calibration_error: calibration::expected_calibration_error(predictions)?,
            error_by_chance: calibration::error_by_chance(
                &predictions.iter().map(|(confidence, _)| *confidence).collect::<Vec<_>>(),
            )?,
            adaptive_calibration_error: calibration::adaptive_calibration_error(predictions)?,
            brier: calibration::brier(predictions)?,
            log_loss: calibration::log_loss(predictions)?,
            bins: calibration::reliability(predictions),
        })
    }
}

/// A relation's line of the report, or that of all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// The relation as gold names it; `None` for all.
    pub relation: Option<String>,
    /// What it is called.
    pub name: String,
    /// Gold questions.
    pub questions: usize,
    /// Of these, those without a gold object.
    pub without_object: usize,
    /// Questions for which something is predicted.
    pub answered: usize,
    /// Over the questions with a gold object; `None` where there is none.
    pub ranking: Option<Ranking>,
    /// The interval of P@1.
    pub precision_at_1: Option<Interval>,
    /// P@1 of always giving the object that is gold of most other questions of the relation.
    pub majority_precision_at_1: Option<f64>,
    /// Over a relation's questions; for all, over relations, or under the rules of 2026 over all questions.
    pub macro_average: SetScore,
    /// The interval of the macro F1.
    pub macro_f1: Interval,
    /// Objects, summed over the questions.
    pub counts: Counts,
    /// Of the pooled counts.
    pub micro: SetScore,
    /// The macro average of predicting nothing.
    pub always_empty: SetScore,
    /// Of the objects' confidences; `None` where they have none.
    pub calibration: Option<CalibrationScores>,
    /// Of their confidences before calibration; `None` where none differs.
    pub before_calibration: Option<CalibrationScores>,
}

/// What was predicted and is not asked by gold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outside {
    /// Questions that gold does not ask.
    pub questions: usize,
    /// What was answered to them.
    pub objects: usize,
}

impl Outside {
    /// Counts a question with so many answers.
    pub(super) fn add(&mut self, objects: usize) {
        self.questions += 1;
        self.objects += objects;
    }
}

/// How predictions score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvalReport {
    /// By which it is scored.
    pub rules: Rules,
    /// The share of a gold number by which an answer may be away from it.
    pub tolerance: f64,
    /// In byte order of the relations as gold names them.
    pub relations: Vec<Scores>,
    /// Over the questions of all relations, by the rules' average.
    pub all: Scores,
    /// What has no part in the scores.
    pub outside_gold: Outside,
    /// The questions whose best answer is wrong or missing, in the order of gold.
    pub wrong: Vec<WrongQuestion>,
}

/// What is known of a gold question after its predictions were looked at.
struct Scored {
    position: Option<usize>,
    counts: Counts,
    confidences: Vec<Confidence>,
    /// Whether the majority answer is right; none without a gold object.
    majority: Option<f64>,
}

/// A predicted object's confidence and whether the object is right.
#[derive(Clone, Copy)]
struct Confidence {
    calibrated: f64,
    uncalibrated: Option<f64>,
    is_right: bool,
}

impl EvalReport {
    /// Scores predictions. For the set metrics, objects of less than `least` confidence count as
    /// not predicted; ranking and calibration see all.
    ///
    /// # Errors
    /// Where gold has only labels and the predictions only IRIs.
    pub fn new(
        gold: &Gold,
        predictions: &Predictions,
        least: Option<f64>,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let lacks_labels = !predictions.has_labels && !predictions.questions.is_empty();
        if gold.by.naming == Naming::Label && gold.needs_labels() && lacks_labels {
            let message = "the gold facts name objects by label only, the predictions by IRI only";
            return Err(Diagnostic::error("no-labels", message)
                .help("score the graph itself, which has labels, or a file of labels")
                .into());
        }
        let (mut answers, outside_gold) = assign(gold, predictions);
        let mut relations = Vec::new();
        let mut scored_relations = Vec::new();
        let mut wrong = Vec::new();
        for (relation, questions) in &gold.relations {
            let mut majority = majority(questions).into_iter().peekable();
            let scored: Vec<Scored> = questions
                .iter()
                .enumerate()
                .map(|(number, question)| {
                    let predicted = answers.remove(&(relation.as_str(), number));
                    let predicted = predicted.unwrap_or_default();
                    let kept = kept(&predicted, least);
                    wrong.extend(WrongQuestion::of(relation, question, &kept, gold.by));
                    let mut scored = score(question, &predicted, &kept, gold.by);
                    scored.majority = majority.next_if(|_| scored.counts.gold > 0);
                    scored
                })
                .collect();
            let name = relation_name(relation, gold.by.naming, predictions);
            relations.push(Scores::new(Some(relation.clone()), name, &[&scored]));
            scored_relations.push(scored);
        }
        let groups = match gold.by.rules {
            Rules::LmKbc2022 => scored_relations,
            Rules::LmKbc2026 => vec![scored_relations.into_iter().flatten().collect()],
        };
        let groups: Vec<&[Scored]> = groups.iter().map(Vec::as_slice).collect();
        let report = Self {
            rules: gold.by.rules,
            tolerance: gold.by.tolerance,
            all: Scores::new(None, "all".to_owned(), &groups),
            relations,
            outside_gold,
            wrong,
        };
        let warnings = report.warnings();
        Ok((report, warnings))
    }

    fn warnings(&self) -> Diagnostics {
        let mut warnings = Diagnostics::default();
        let silent: Vec<&str> =
            self.relations.iter().filter(|r| r.answered == 0).map(|r| r.name.as_str()).collect();
        if !silent.is_empty() {
            let message = format!(
                "nothing is predicted for {} of {} gold relations: {}",
                silent.len(),
                self.relations.len(),
                silent.join(", ")
            );
            warnings.push(Diagnostic::warning("relation-without-prediction", message).help(
                "they count as empty predictions; if there should be some, compare the names",
            ));
        }
        let Outside { questions, objects } = self.outside_gold;
        if questions > 0 {
            let message = format!(
                "left out, as gold does not ask it: {} with {}",
                counted(questions, "predicted question"),
                counted(objects, "object")
            );
            warnings.push(Diagnostic::warning("outside-gold", message));
        }
        warnings
    }
}

impl Scores {
    /// Of the questions of one relation, or of several groups, which are averaged.
    fn new(relation: Option<String>, name: String, relations: &[&[Scored]]) -> Self {
        let all = || relations.iter().copied().flatten();
        let with_object = || all().filter(|question| question.counts.gold > 0);
        let positions: Vec<Option<usize>> =
            with_object().map(|question| question.position).collect();
        let hits: Vec<f64> = positions.iter().map(|&position| ranking::hit(position, 1)).collect();
        let per_relation = |count: fn(Counts) -> Counts| -> Vec<Vec<Counts>> {
            let of = |scored: &&[Scored]| scored.iter().map(|q| count(q.counts)).collect();
            relations.iter().map(of).collect()
        };
        let macro_average = |counts: &[Vec<Counts>]| {
            let counts: Vec<&[Counts]> = counts.iter().map(Vec::as_slice).collect();
            // Without questions, as good as no prediction for no object.
            SetScore::macro_average(&counts).unwrap_or(Counts::default().score())
        };
        let counts = per_relation(|counts| counts);
        let macro_score = macro_average(&counts);
        let f1: Vec<Vec<f64>> =
            counts.iter().map(|counts| counts.iter().map(|c| c.score().f1).collect()).collect();
        let f1: Vec<&[f64]> = f1.iter().map(Vec::as_slice).collect();
        let macro_f1 = macro_score.f1;
        let pooled: Counts = all().map(|question| question.counts).sum();
        let confidences = || all().flat_map(|question| &question.confidences);
        let after: Vec<(f64, bool)> = confidences().map(|c| (c.calibrated, c.is_right)).collect();
        let before: Vec<(f64, bool)> =
            confidences().map(|c| (c.uncalibrated.unwrap_or(c.calibrated), c.is_right)).collect();
        let was_calibrated = confidences().any(|c| c.uncalibrated.is_some());
        Self {
            relation,
            name,
            questions: all().count(),
            without_object: all().count() - positions.len(),
            answered: all().filter(|question| question.counts.predicted > 0).count(),
            ranking: Ranking::of(&positions),
            precision_at_1: bootstrap::interval(&hits, SEED),
            majority_precision_at_1: mean(all().filter_map(|question| question.majority)),
            macro_average: macro_score,
            macro_f1: bootstrap::stratified(&f1, SEED).unwrap_or(Interval {
                mean: macro_f1,
                low: macro_f1,
                high: macro_f1,
            }),
            counts: pooled,
            micro: pooled.score(),
            always_empty: macro_average(&per_relation(Counts::without_prediction)),
            calibration: CalibrationScores::of(&after),
            before_calibration: CalibrationScores::of(&before).filter(|_| was_calibrated),
        }
    }
}

/// By question that has a gold object, whether the majority answer is right.
fn majority(questions: &[GoldQuestion]) -> Vec<f64> {
    let with_object = questions.iter().filter(|question| !question.objects.is_empty());
    let keys = with_object.map(|question| question.objects.iter().map(|o| o.key()).collect());
    ranking::majority(&keys.collect::<Vec<Vec<&str>>>())
}

/// The objects that count as predicted: not those of less confidence than `least`.
fn kept<'p>(predicted: &[&'p PredictedObject], least: Option<f64>) -> Vec<&'p PredictedObject> {
    let is_kept = |object: &&&PredictedObject| {
        object.confidence.is_none_or(|c| least.is_none_or(|least| c >= least))
    };
    predicted.iter().filter(is_kept).copied().collect()
}

/// Scores one question, of whose objects some are kept.
fn score(
    question: &GoldQuestion,
    predicted: &[&PredictedObject],
    kept: &[&PredictedObject],
    by: Comparison,
) -> Scored {
    let is_right = |object: &&PredictedObject| question.is_right(object, by);
    Scored {
        position: ranking::position(predicted, is_right),
        counts: Counts {
            predicted: kept.len(),
            gold: question.objects.len(),
            found: found(question, kept, by),
        },
        confidences: predicted
            .iter()
            .filter_map(|object| {
                Some(Confidence {
                    calibrated: object.confidence?,
                    uncalibrated: object.uncalibrated,
                    is_right: is_right(object),
                })
            })
            .collect(),
        majority: None,
    }
}

/// How many gold objects are predicted.
fn found(question: &GoldQuestion, kept: &[&PredictedObject], by: Comparison) -> usize {
    let answered = question.objects.iter().map(|gold| {
        let answers = kept.iter().enumerate();
        let answers = answers.filter(|(_, object)| object.name.answers(gold, by.tolerance));
        answers.map(|(number, _)| number).collect()
    });
    let answered: Vec<Vec<usize>> = answered.collect();
    match by.rules.is_one_to_one() {
        true => maximum_matching(&answered, kept.len()),
        false => answered.iter().filter(|answers| !answers.is_empty()).count(),
    }
}

fn relation_name(relation: &str, naming: Naming, predictions: &Predictions) -> String {
    match naming {
        Naming::Label => relation.to_owned(),
        Naming::Iri => match predictions.relation_labels.get(relation) {
            Some(label) => label.clone(),
            None => local_name(relation).to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
