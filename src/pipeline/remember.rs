//! What models answered to earlier runs: which questions need not be asked again, and a search that asks
//! only for what is not remembered.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Encoded, Error, LocatedModels, Plan, RelationPlan};
use crate::catalog::{Catalog, EntityId, Objects};
use crate::config::{CandidateNames, PredictionSettings};
use crate::graph::{KeptAnswers, KeptQuestion, print, question_print};
use crate::lm::{Answers, EvaluateSome, Memory, Remembered, Row};
use crate::onnx::{IMPORTER_VERSION, PREPARER_VERSION};
use crate::ontology::ValueRange;

/// How prompts are made of templates and labels, and rows of candidates: another number where the same
/// texts are asked otherwise.
const ASKED_AS: u32 = 1;

/// What a question is asked for: what is seen of the answers differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Facts,
    /// The text after every candidate.
    Text,
    /// All candidates.
    Everything,
}

impl Asked {
    fn name(self) -> &'static str {
        match self {
            Self::Facts => "",
            Self::Text => "text",
            Self::Everything => "everything",
        }
    }
}

/// A model that is asked, as far as its answers depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedModel {
    /// What tells its answers from another model's.
    pub identity: String,
    /// Whether it reads examples.
    pub exampled: bool,
}

impl LocatedModels {
    /// The models that are asked, in their order, in a manner of their own or in that of their family.
    pub(super) fn asked_models(
        &self,
        exampled: crate::shock::Pair<bool>,
        manner: Option<&str>,
    ) -> Vec<AskedModel> {
        let (base, finetuned) = (self.asked_base(), self.finetuned());
        // An adapter is nothing without its base.
        let over = self.base().map_or("", |base| &base.sha256);
        let mut choices = String::new();
        choices.extend(self.chosen_precision().map(|precision| format!(" {precision}")));
        choices.extend(manner.map(|manner| format!(" chat {manner}")));
        let of = |sha256: &str, over: &str, exampled| AskedModel {
            identity: format!(
                "{sha256} {over} {IMPORTER_VERSION} {PREPARER_VERSION} {ASKED_AS}{choices}"
            ),
            exampled,
        };
        let finetuned = finetuned.map(|model| of(&model.sha256, over, exampled.finetuned));
        // In a session with an adapter a base's numbers are rounded otherwise than alone, as the branches are,
        // whatever the weights in them.
        let beside = self
            .adapter_config()
            .map_or(String::new(), |config| hex::encode(Sha256::digest(config)));
        let base = base.map(|model| of(&model.sha256, &beside, exampled.base));
        finetuned.into_iter().chain(base).collect()
    }
}

impl Plan {
    /// What tells apart what is asked about a subject by a relation.
    pub(super) fn question(&self, relation: &RelationPlan, subject: EntityId, of: Asked) -> u64 {
        question_print(self.subjects.iri(subject), &relation.iri, of.name())
    }

    /// What tells a question's prompts apart, and the models that read them: by template, then by model.
    fn prompts_of(&self, relation: &RelationPlan, subject: EntityId) -> Vec<u64> {
        let label = self.subjects.label(subject);
        let of_template = |template: &crate::ontology::Template| {
            let each = self.models.iter().map(|model| {
                let examples = if model.exampled { &*relation.examples } else { "" };
                print([&*model.identity, template.text(), examples, label])
            });
            each.collect::<Vec<u64>>()
        };
        relation.templates.iter().flat_map(of_template).collect()
    }

    /// Whether answers to all prompts of a question are kept.
    pub(super) fn is_kept(
        &self,
        kept: &KeptAnswers,
        relation: &RelationPlan,
        subject: EntityId,
    ) -> bool {
        let found: Vec<u64> =
            kept.prompts(self.question(relation, subject, Asked::Facts)).collect();
        found.contains(&relation.asked_as)
            && self.prompts_of(relation, subject).iter().all(|prompt| found.contains(prompt))
    }
}

/// What tells apart what all questions of a relation are asked for: its candidates by their names, and how
/// these are asked for.
pub(super) fn asked_as(
    prediction: &PredictionSettings,
    naming: CandidateNames,
    values: Option<&ValueRange>,
    objects: &Objects,
    candidates: &Catalog,
) -> u64 {
    let PredictionSettings { normalise, after, method, masked, tolerance: _, names: _ } =
        prediction;
    let how = format!("{normalise:?} {after:?} {method:?} {masked:?} {naming:?}");
    match (objects, values) {
        (Objects::Entities(all), _) => {
            let of = |&id| {
                let aliases = candidates.aliases(id).filter(move |_| naming == CandidateNames::All);
                std::iter::once(candidates.label(id)).chain(aliases)
            };
            print(std::iter::once(&*how).chain(all.iter().flat_map(of)))
        }
        (Objects::Values(_), values) => print([&*how, &format!("{values:?}")]),
    }
}

/// What is remembered of a batch's questions, in their order.
pub(super) struct BatchMemory {
    memory: Memory,
    /// Each question with what it is asked for, and its prompts.
    questions: Vec<(u64, u64, Vec<u64>)>,
    models: usize,
}

impl BatchMemory {
    /// What is kept of a batch's questions.
    ///
    /// # Errors
    /// Where what is kept cannot be read.
    pub(super) fn of(
        plan: &Plan,
        kept: &Arc<KeptAnswers>,
        batch: &[Encoded],
        of: Asked,
    ) -> Result<Self, Error> {
        let models = plan.models.len();
        let mut known: Vec<Vec<Remembered>> = vec![Vec::new(); models];
        let (mut questions, mut is_stale) = (Vec::new(), Vec::new());
        for Encoded { task, .. } in batch {
            let relation = &plan.relations[task.relation];
            for &subject in &task.subjects {
                let question = plan.question(relation, subject, of);
                let prompts = plan.prompts_of(relation, subject);
                let found = kept.get(question)?;
                let is_as_asked = found.prompts.iter().any(|(kept, _)| *kept == relation.asked_as);
                is_stale.extend(relation.templates.iter().map(|_| !is_as_asked));
                for (at, prompt) in prompts.iter().enumerate() {
                    let own = found.prompts.iter().find(|(kept, _)| kept == prompt);
                    // What cannot be read is asked again.
                    let own = own.and_then(|(_, bytes)| Remembered::from_bytes(bytes));
                    known[at % models].push(own.unwrap_or_default());
                }
                questions.push((question, relation.asked_as, prompts));
            }
        }
        Ok(Self { memory: Memory::new(known, is_stale), questions, models })
    }

    /// Answers rows from what is remembered, and asks for the others.
    ///
    /// # Errors
    /// Those of `evaluate`.
    pub(super) fn answer(
        &mut self,
        rows: &[Row<'_>],
        evaluate: &mut EvaluateSome<'_, Error>,
    ) -> Result<Answers, Error> {
        self.memory.answer(rows, evaluate)
    }

    /// What is known of each question now, to be kept.
    pub(super) fn into_kept(self) -> Vec<KeptQuestion> {
        let mut known: Vec<_> = self.memory.into_known().into_iter().map(Vec::into_iter).collect();
        let mut kept = Vec::with_capacity(self.questions.len());
        for (question, asked_as, prompts) in self.questions {
            let each = prompts.into_iter().enumerate().map(|(at, prompt)| {
                let own = known[at % self.models].next().unwrap_or_default();
                (prompt, own.to_bytes())
            });
            // Beside the prompts, of which answers are there, what they were asked for.
            let asked_as = std::iter::once((asked_as, Vec::new()));
            kept.push(KeptQuestion { question, prompts: each.chain(asked_as).collect() });
        }
        kept
    }
}
