//! What a run counted: a relation's chunks together, in the ledger while it works and at its end.

use serde::{Deserialize, Serialize};

use crate::shock::Pair;

/// Counts of one or several chunks. Whole numbers, so that their sum has no order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Subjects that were asked about.
    pub subjects: u64,
    /// Triples written.
    pub triples: u64,
    /// Subjects that got no object.
    pub without_object: u64,
    /// Sum of the triples' confidences, in millionths.
    pub confidence_millionths: u64,
    /// The largest distance between the bounds of a triple's confidence, in billionths, rounded up.
    #[serde(default)]
    pub width_billionths: u64,
    /// Subjects with a known object.
    pub gold_questions: u64,
    /// Of these, how often the best candidate of the mixture is a known object.
    pub gold_mixed: u64,
    /// The same for the finetuned model.
    pub gold_finetuned: u64,
    /// The same for the base model.
    pub gold_base: u64,
}

impl Statistics {
    /// Counts a triple with its confidence.
    pub fn add_triple(&mut self, confidence: f64) {
        self.triples += 1;
        self.confidence_millionths += (confidence * 1e6).round() as u64;
    }

    /// Keeps the largest distance between the bounds of a confidence.
    pub fn add_width(&mut self, width: f64) {
        self.width_billionths = self.width_billionths.max((width * 1e9).ceil() as u64);
    }

    /// Counts whether the best candidates of the mixture and of each model are right.
    pub fn add_gold(&mut self, mixed: bool, models: Pair<bool>) {
        self.gold_questions += 1;
        self.gold_mixed += u64::from(mixed);
        self.gold_finetuned += u64::from(models.finetuned);
        self.gold_base += u64::from(models.base);
    }

    /// Adds the counts of other chunks.
    pub fn add(&mut self, other: &Self) {
        self.subjects += other.subjects;
        self.triples += other.triples;
        self.without_object += other.without_object;
        self.confidence_millionths += other.confidence_millionths;
        self.width_billionths = self.width_billionths.max(other.width_billionths);
        self.gold_questions += other.gold_questions;
        self.gold_mixed += other.gold_mixed;
        self.gold_finetuned += other.gold_finetuned;
        self.gold_base += other.gold_base;
    }

    /// Mean confidence of the triples; `None` where there is none.
    pub fn mean_confidence(&self) -> Option<f64> {
        ratio(self.confidence_millionths, self.triples).map(|mean| mean / 1e6)
    }

    /// P@1 of a count of right answers; `None` where no subject has a known object.
    pub fn precision_at_1(&self, right: u64) -> Option<f64> {
        ratio(right, self.gold_questions)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// One relation's line of the report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RelationReport {
    /// The relation's IRI; `None` for the total.
    pub relation: Option<String>,
    /// Its label.
    pub name: String,
    /// Candidates of its answer space; `None` for the total.
    pub candidates: Option<usize>,
    /// Subjects that were asked about.
    pub subjects: u64,
    /// Triples written.
    pub triples: u64,
    /// Subjects that got no object.
    pub without_object: u64,
    /// Mean confidence of the triples.
    pub mean_confidence: Option<f64>,
    /// The largest distance between the bounds of a triple's confidence; 0 where nothing was left
    /// unexplored.
    pub widest_confidence: f64,
    /// Subjects with a known object, over which P@1 is taken.
    pub gold_questions: u64,
    /// P@1 of always giving the object that is known of most of the relation's other subjects.
    pub majority_precision_at_1: Option<f64>,
    /// P@1 of the base model.
    pub base_precision_at_1: Option<f64>,
    /// P@1 of the finetuned model.
    pub finetuned_precision_at_1: Option<f64>,
    /// P@1 of the mixture.
    pub mixed_precision_at_1: Option<f64>,
}

impl RelationReport {
    /// The line of `statistics`, with the P@1 of the models that were asked and of the majority answer.
    pub fn new(
        relation: Option<String>,
        name: String,
        candidates: Option<usize>,
        statistics: &Statistics,
        asked: Pair<bool>,
        majority: Option<f64>,
    ) -> Self {
        let s = statistics;
        Self {
            relation,
            name,
            candidates,
            subjects: s.subjects,
            triples: s.triples,
            without_object: s.without_object,
            mean_confidence: s.mean_confidence(),
            widest_confidence: s.width_billionths as f64 / 1e9,
            gold_questions: s.gold_questions,
            majority_precision_at_1: majority,
            base_precision_at_1: s.precision_at_1(s.gold_base).filter(|_| asked.base),
            finetuned_precision_at_1: s
                .precision_at_1(s.gold_finetuned)
                .filter(|_| asked.finetuned),
            mixed_precision_at_1: s
                .precision_at_1(s.gold_mixed)
                .filter(|_| asked.base && asked.finetuned),
        }
    }
}

/// What a run did, also written as JSON beside the store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunReport {
    /// The lines, sorted by the relation's IRI.
    pub relations: Vec<RelationReport>,
    /// Their sum.
    pub total: RelationReport,
    /// How many facts follow from the predicted and the known ones by the ontology; they are in no line.
    pub derived: usize,
    /// Whether all chunks are done, and what follows from them is written.
    pub complete: bool,
    /// Chunks that earlier processes had done.
    pub resumed_chunks: usize,
    /// Prompts that this process ran through each model.
    pub prompts: usize,
    /// Tokens that the models computed for them: none twice that prompts or candidates share.
    pub tokens: u64,
    /// Seconds that this process took.
    pub seconds: f64,
    /// Seconds of these in which a worker's models were computing, on average over the workers.
    pub model_seconds: f64,
}
