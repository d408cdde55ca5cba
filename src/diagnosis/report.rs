//! What was found, as it is printed, written as JSON and drawn.
//!
//! Invariant: all vectors by system have the order of [`System::ALL`], and nothing rests on training
//! counts where none are known.

use serde::Serialize;

use super::{Diagnosed, System, Verdict};
use crate::config::Pipeline;
use crate::metrics::bootstrap::{self, Interval};
use crate::metrics::calibration::{self, Bin};
use crate::metrics::mean;
use crate::metrics::ranking::{hit, reciprocal_rank};
use crate::pipeline::{KnownQuestion, Plan, RelationPlan};
use crate::shock::diagnosis::{
    Band, CurvePoint, Entity, RelationDiagnosis, Summary, SystemAnswers,
};
use crate::shock::{Calibration, Correlation, Evidence, majority};

/// The bootstrap's seed, so that a report is the same every time.
const SEED: u64 = 1;

/// The whole diagnosis.
#[derive(Debug, Serialize)]
pub struct DiagnosisReport {
    /// The path of pipeline.toml, as it was given.
    pub pipeline: String,
    /// The tables of held-out facts.
    pub facts: Vec<String>,
    /// From where the training counts are; none where nothing is known of the training.
    pub training: Option<String>,
    /// The pipeline's correction, by its name.
    pub correction: &'static str,
    /// Which system answers as the pipeline does.
    pub own: System,
    /// Whether the numbers of the corrections were tuned.
    pub tuned: bool,
    /// The systems' names; the order of all that is by system.
    pub systems: [System; 5],
    /// Over the questions of all relations.
    pub all: Seen,
    /// Mixed linearly along λ.
    pub linear_curve: Vec<CurvePoint>,
    /// Mixed log-linearly along λ.
    pub log_linear_curve: Vec<CurvePoint>,
    /// The relations that have questions with objects.
    pub relations: Vec<DiagnosedRelation>,
    /// Whether Frequency Shock is seen.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What is seen of a relation, or of all.
#[derive(Debug, Serialize)]
pub struct Seen {
    /// Questions that have objects.
    pub questions: usize,
    /// Objects that no system can answer, as they are not in the answer space.
    pub outside: usize,
    /// The mean over the questions of the weights of their relations.
    pub lambda: f64,
    /// The same mean of the shares of the shift that are removed.
    pub tau: f64,
    /// P@1 of always giving the object that is right of most other questions of the relation.
    pub majority_precision_at_1: f64,
    /// By system.
    pub scores: Vec<SystemScores>,
    /// Entities by their share of their relation's gold facts.
    pub by_frequency: Vec<Band>,
    /// What only training counts show.
    pub training: Option<TrainingEffect>,
}

/// How right a system is.
#[derive(Debug, Serialize)]
pub struct SystemScores {
    /// Whose scores they are.
    pub system: System,
    /// The share of the questions whose best answer is right, 0 to 1.
    pub precision_at_1: Interval,
    /// The mean of 1 / rank of the first right answer, 0 to 1.
    pub mean_reciprocal_rank: Interval,
    /// The share of the questions with a right answer among the best five, 0 to 1.
    pub hits_at_5: Interval,
    /// P@1 less that of the finetuned model.
    pub gain: Interval,
    /// Expected calibration error of the best answers' probabilities.
    pub expected_calibration_error: f64,
    /// The same of their confidences, for the pipeline's own system where it was tuned.
    pub calibrated_error: Option<f64>,
    /// The reliability diagram of the best answers' probabilities.
    pub reliability: Vec<Bin>,
    /// That of their confidences, where [`SystemScores::calibrated_error`] is.
    pub calibrated_reliability: Option<Vec<Bin>>,
}

/// What only training counts show.
#[derive(Debug, Serialize)]
pub struct TrainingEffect {
    /// Training facts whose objects are candidates.
    pub facts: u64,
    /// Entities by how often they were trained.
    pub by_training: Vec<Band>,
    /// Those seen in training, and the others.
    pub seen: Vec<Band>,
    /// Common ones, and rare ones by whether training had them.
    pub shock: Vec<Band>,
    /// By system, how over-prediction goes with the shock, over entities; none where it does not
    /// vary.
    pub correlation: Vec<Option<Correlation>>,
}

/// What is seen of a relation.
#[derive(Debug, Serialize)]
pub struct DiagnosedRelation {
    /// Its IRI.
    pub relation: String,
    /// Its label, for people.
    pub name: String,
    /// What is seen of its questions.
    #[serde(flatten)]
    pub seen: Seen,
    /// The objects that its counts are of.
    pub entities: Vec<EntityReport>,
}

/// An object of a relation.
#[derive(Debug, Serialize)]
pub struct EntityReport {
    /// Its IRI.
    pub entity: String,
    /// The label that models are asked for.
    pub label: String,
    /// How often it is gold, trained and predicted.
    #[serde(flatten)]
    pub seen: Entity,
    /// By system, ln((predicted + ½) / (gold + ½)).
    pub over_prediction: Vec<f64>,
}

/// What a report is of.
pub struct Subject<'a> {
    pub pipeline: &'a Pipeline,
    pub plan: &'a Plan,
    pub facts: Vec<String>,
    pub training: Option<String>,
    /// By relation of the plan.
    pub known: &'a [Vec<KnownQuestion>],
}

impl DiagnosisReport {
    /// Puts together what was seen. Nothing where no question has an object.
    pub fn new(subject: Subject<'_>, diagnosed: Diagnosed) -> Option<Self> {
        let Subject { pipeline, plan, facts, training, known } = subject;
        let Diagnosed { diagnosis, weights, curves: [linear_curve, log_linear_curve] } = diagnosed;
        let own = System::of(pipeline.correction);
        let trained = training.is_some();
        let answered: Vec<Answered<'_>> = diagnosis
            .relations
            .iter()
            .zip(&plan.relations)
            .zip(&weights)
            .zip(known)
            .filter(|(((seen, _), _), _)| seen.summary.questions > 0)
            .map(|(((seen, relation), weights), known)| Answered {
                majority: majority(known.iter().map(KnownQuestion::question)),
                answers: &seen.answers,
                questions: seen.summary.questions,
                weights: [weights.lambda, weights.tau],
                calibration: relation.rankings.mixed.calibration,
            })
            .collect();
        let tuned = pipeline.tuned().is_some();
        let join = |summary: Summary, answered: &[Answered<'_>]| {
            Seen::of(summary, answered, own, tuned, trained)
        };
        let all = join(diagnosis.summary.clone(), &answered)?;
        let verdict = Verdict::of(all.training.as_ref());
        let with_questions = diagnosis.relations.iter().zip(&plan.relations);
        let with_questions = with_questions.filter(|(seen, _)| seen.summary.questions > 0);
        let relations = with_questions.zip(&answered).filter_map(|((seen, relation), answered)| {
            Some(DiagnosedRelation {
                relation: relation.iri.to_string(),
                name: relation.name.clone(),
                seen: join(seen.summary.clone(), std::slice::from_ref(answered))?,
                entities: entities(plan, relation, seen),
            })
        });
        Some(Self {
            pipeline: pipeline.file.display().to_string(),
            facts,
            training,
            correction: pipeline.correction.name(),
            own,
            tuned,
            systems: System::ALL,
            all,
            linear_curve,
            log_linear_curve,
            relations: relations.collect(),
            verdict,
        })
    }

    /// The entities of all relations, each with its relation's name.
    pub fn entities(&self) -> impl Iterator<Item = (&str, &EntityReport)> + Clone {
        self.relations.iter().flat_map(|relation| {
            relation.entities.iter().map(move |entity| (relation.name.as_str(), entity))
        })
    }

    /// The scores of a system over all questions.
    pub fn scores(&self, system: System) -> &SystemScores {
        &self.all.scores[system.index()]
    }
}

/// How the systems answered a relation's questions.
struct Answered<'d> {
    /// By question, whether the majority answer is right.
    majority: Vec<f64>,
    /// By system.
    answers: &'d [SystemAnswers],
    questions: usize,
    /// λ and τ.
    weights: [f64; 2],
    calibration: Calibration,
}

impl Seen {
    fn of(
        summary: Summary,
        answered: &[Answered<'_>],
        own: System,
        tuned: bool,
        trained: bool,
    ) -> Option<Self> {
        let questions: usize = answered.iter().map(|answered| answered.questions).sum();
        let weight = |which: usize| {
            let sum: f64 = answered.iter().map(|a| a.weights[which] * a.questions as f64).sum();
            sum / questions as f64
        };
        let scores =
            System::ALL.map(|system| SystemScores::of(system, answered, own == system && tuned));
        let scores: Option<Vec<SystemScores>> = scores.into_iter().collect();
        let Summary { outside, training_facts, bands, shock, .. } = summary;
        Some(Self {
            questions,
            outside,
            lambda: weight(0),
            tau: weight(1),
            majority_precision_at_1: mean(answered.iter().flat_map(|a| a.majority.clone()))?,
            scores: scores?,
            by_frequency: bands.by_frequency,
            training: trained.then_some(TrainingEffect {
                facts: training_facts,
                by_training: bands.by_training,
                seen: bands.seen,
                shock: bands.shock,
                correlation: shock,
            }),
        })
    }
}

impl SystemScores {
    /// Nothing without questions.
    fn of(system: System, answered: &[Answered<'_>], calibrated: bool) -> Option<Self> {
        let ranks = |system: System| {
            answered.iter().flat_map(move |a| &a.answers[system.index()].ranks).copied()
        };
        // Positions are counted from 0.
        let positions: Vec<Option<usize>> = ranks(system).map(|r| Some(r? - 1)).collect();
        let over = |value: &dyn Fn(Option<usize>) -> f64| {
            let values: Vec<f64> = positions.iter().map(|&position| value(position)).collect();
            bootstrap::interval(&values, SEED)
        };
        let right = |rank: Option<usize>| f64::from(u8::from(rank == Some(1)));
        let pairs: Vec<(f64, f64)> = ranks(system)
            .zip(ranks(System::Finetuned))
            .map(|(a, b)| (right(a), right(b)))
            .collect();
        let firsts = |confidence: &dyn Fn(&Answered<'_>, Evidence) -> f64| -> Vec<(f64, bool)> {
            let of_relation = |answered: &Answered<'_>| {
                let SystemAnswers { ranks, evidence } = &answered.answers[system.index()];
                let pairs = evidence.iter().zip(ranks);
                pairs
                    .map(|(&known, rank)| (confidence(answered, known), *rank == Some(1)))
                    .collect::<Vec<_>>()
            };
            answered.iter().flat_map(of_relation).collect()
        };
        let before = firsts(&|_, known| Calibration::IDENTITY.apply(known));
        let after =
            calibrated.then(|| firsts(&|answered, known| answered.calibration.apply(known)));
        let error =
            |predictions: &[(f64, bool)]| calibration::expected_calibration_error(predictions);
        Some(Self {
            system,
            precision_at_1: over(&|position| hit(position, 1))?,
            mean_reciprocal_rank: over(&reciprocal_rank)?,
            hits_at_5: over(&|position| hit(position, 5))?,
            gain: bootstrap::difference(&pairs, SEED)?,
            expected_calibration_error: error(&before)?,
            calibrated_error: after.as_deref().and_then(error),
            reliability: calibration::reliability(&before),
            calibrated_reliability: after.as_deref().map(calibration::reliability),
        })
    }
}

fn entities(plan: &Plan, relation: &RelationPlan, seen: &RelationDiagnosis) -> Vec<EntityReport> {
    let entity = |seen: &Entity| EntityReport {
        entity: plan.object(relation, seen.candidate).into_owned(),
        label: plan.label(relation, seen.candidate).into_owned(),
        over_prediction: System::ALL.map(|s| seen.over_prediction(s.index())).to_vec(),
        seen: seen.clone(),
    };
    seen.entities.iter().map(entity).collect()
}
