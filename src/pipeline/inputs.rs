//! What a pipeline reads besides its models: the ontology, the tables and known facts, held
//! against each other.
//!
//! None of it needs a model, so that mistakes are told before anything is fetched.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::derive::{self, Answered};
use super::examples::Examples;
use crate::catalog::{self, Catalog, EntityId, Objects};
use crate::config::Pipeline;
use crate::diagnostic::{At, Diagnostic, Diagnostics, nearest};
use crate::facts::{Facts, ObjectsOf};
use crate::graph::print;
use crate::ontology::{Ontology, Relation};

/// Over how many subjects a model's mean prediction for a relation is taken at most. The mean's
/// standard error is then a sixteenth of a single prediction's deviation.
pub const PRIOR_SUBJECTS: usize = 256;

/// The inputs of a pipeline, without mistakes.
pub struct Inputs {
    /// All relations of its files, predicted or not.
    pub ontology: Ontology,
    /// The entities to ask about.
    pub subjects: Catalog,
    /// The entities that may be answers.
    pub candidates: Catalog,
    /// Known facts, where the pipeline names some.
    pub gold: Option<Facts>,
    /// Known facts that are not asked again, where the pipeline completes a graph.
    pub known: Option<Facts>,
    /// The relations to predict, sorted by IRI.
    pub relations: Vec<RelationInputs>,
}

/// What the inputs say of one relation.
pub struct RelationInputs {
    /// As the ontology has it.
    pub relation: Relation,
    /// The subjects to ask about, in the table's order: those that its domain admits. Relations with the same
    /// share them.
    pub subjects: Arc<[EntityId]>,
    /// Subjects over which a model's mean prediction is taken: up to [`PRIOR_SUBJECTS`] of those
    /// that the pipeline asks about, drawn by lot; some of them are the first.
    pub prior_subjects: Vec<EntityId>,
    /// What its range admits, at least one.
    pub objects: Objects,
    /// Labels of subjects and objects of known facts that stand before its prompts.
    pub examples: Vec<(String, String)>,
}

impl Inputs {
    /// Reads what `pipeline` names. Warnings come with it.
    ///
    /// # Errors
    /// All mistakes of all files; those of what the files say together only where each is sound.
    pub fn read(pipeline: &Pipeline) -> Result<(Self, Diagnostics), Diagnostics> {
        Self::read_asking(pipeline, &[], &pipeline.inputs.gold, Ask::EverySubject)
    }

    /// Reads what `pipeline` names, to ask only the questions that `facts` answers; `facts` takes
    /// the place of the gold facts. The labels of their subjects come from `entities` too.
    ///
    /// # Errors
    /// As those of [`Inputs::read`].
    pub fn read_questions(
        pipeline: &Pipeline,
        entities: &[PathBuf],
        facts: &[PathBuf],
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        Self::read_asking(pipeline, entities, facts, Ask::SubjectsOfFacts)
    }

    /// Reads what `pipeline` names but its subjects, which come later.
    ///
    /// # Errors
    /// As those of [`Inputs::read`].
    pub(super) fn read_without_subjects(
        pipeline: &Pipeline,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        Self::read_asking(pipeline, &[], &pipeline.inputs.gold, Ask::Nothing)
    }

    /// The relations of these names, all where there are none; a mistake without a place is one of the
    /// ontology's `file`.
    fn selected(
        &self,
        names: Option<&[String]>,
        file: &Path,
    ) -> Result<Vec<Relation>, Diagnostics> {
        let selected = self.ontology.select(names).map_err(|mistakes| {
            let placed = mistakes.0.into_iter().map(|mistake| match mistake.place {
                Some(_) => mistake,
                None => mistake.at(file, At::File),
            });
            Diagnostics(placed.collect())
        })?;
        Ok(selected.into_iter().cloned().collect())
    }

    fn read_asking(
        pipeline: &Pipeline,
        entities: &[PathBuf],
        facts: &[PathBuf],
        ask: Ask,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut notes = Diagnostics::default();
        let files = &pipeline.inputs;
        let ontology = notes.keep(Ontology::read(&files.ontology));
        let more = entities.iter().filter(|file| !files.subjects.contains(file));
        let tables: Vec<PathBuf> = files.subjects.iter().chain(more).cloned().collect();
        let subjects = match ask {
            Ask::Nothing => Some(Catalog::default()),
            _ => notes.keep(read_subjects(&tables, &files.language, ask)),
        };
        let candidates = if files.candidates == tables && ask != Ask::Nothing {
            subjects.clone()
        } else {
            notes.keep(Catalog::read(&files.candidates, &files.language))
        };
        let objects = ontology.as_ref().map_or(ObjectsOf::Anything, ObjectsOf::Ontology);
        let mut facts_of = |files: &[PathBuf]| match files {
            [] => None,
            files => notes.keep(Facts::read(files, objects)),
        };
        let gold = facts_of(facts);
        let known = if ask == Ask::SubjectsOfFacts { None } else { facts_of(&files.known) };
        let (Some(ontology), Some(subjects), Some(candidates)) = (ontology, subjects, candidates)
        else {
            return Err(each_once(notes));
        };
        notes.0.extend(ontology.refusals(&pipeline.named_relations));
        if notes.has_errors() {
            return Err(notes);
        }
        let mut inputs =
            Self { ontology, subjects, candidates, gold, known, relations: Vec::new() };
        let answered = inputs.known.as_ref().map(|known| derive::answered(known, &inputs.ontology));
        let selected = match inputs.selected(files.relations.as_deref(), &files.ontology[0]) {
            Ok(relations) => relations,
            Err(mistakes) => {
                notes.0.extend(mistakes.0);
                return Err(notes);
            }
        };
        let own = own_tables(pipeline, &tables);
        // What is asked without subjects is told of its examples.
        let has_examples = ask != Ask::Nothing;
        let examples = || Examples::read(pipeline, &inputs.ontology, &mut notes);
        let examples = has_examples.then(examples).flatten();
        for relation in selected {
            if let Some(mut read) =
                inputs.relation(relation, ask, own.as_ref(), answered.as_ref(), &mut notes)
            {
                if let Some(examples) = &examples {
                    let own = own.as_ref().unwrap_or(&inputs.subjects);
                    read.examples = examples.of(&read, &inputs, own, &mut notes);
                }
                take(&mut inputs.relations, read);
            }
        }
        notes.0.extend(inputs.unused_numbers(pipeline));
        if ask != Ask::Nothing {
            let has_errors = notes.has_errors();
            notes.0.extend(inputs.of_subjects(pipeline, facts, ask, has_errors));
        }
        each_once(notes).or(inputs)
    }

    /// What the subjects leave to say, of inputs that have errors or none.
    fn of_subjects(
        &self,
        pipeline: &Pipeline,
        facts: &[PathBuf],
        ask: Ask,
        has_errors: bool,
    ) -> Vec<Diagnostic> {
        let nothing = !has_errors && self.relations.iter().all(|r| r.subjects.is_empty());
        let nothing = nothing.then(|| self.nothing_to_ask(pipeline, facts, ask));
        let asks = |relation: &str, subject: &str| self.asks(relation, subject);
        let unasked = self.gold.as_ref().map(|gold| gold.unasked(ask.role(), asks));
        nothing.into_iter().chain(unasked.into_iter().flatten()).collect()
    }

    /// Why no relation asks about any subject.
    fn nothing_to_ask(&self, pipeline: &Pipeline, facts: &[PathBuf], ask: Ask) -> Diagnostic {
        let files = &pipeline.inputs;
        match (&self.gold, facts, &files.known[..]) {
            (Some(gold), [file, ..], _) if ask == Ask::SubjectsOfFacts => {
                self.no_question(gold).at(file, At::File)
            }
            (_, _, [graph, ..]) => nothing_to_complete(graph),
            _ => no_subject(&files.subjects[0]),
        }
    }

    /// Warnings about tuned numbers of relations that are not predicted.
    fn unused_numbers(&self, pipeline: &Pipeline) -> Vec<Diagnostic> {
        let (Some(tuned), Some(tuning)) = (pipeline.tuned(), &pipeline.tuning) else {
            return Vec::new();
        };
        let predicted: Vec<&str> =
            self.relations.iter().map(|inputs| inputs.relation.iri.as_str()).collect();
        // One that has numbers cannot be the one that was meant.
        let without =
            || predicted.iter().copied().filter(|iri| !tuned.relations.contains_key(*iri));
        let unused = tuned.relations.keys().filter(|iri| !predicted.contains(&iri.as_str()));
        let warn = |iri: &String| {
            let message =
                format!("the tuned numbers of <{iri}> are of no use: it is not predicted");
            let help = match nearest(iri, without()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    "compare its IRI with the ontology's and with `inputs.relations`".to_owned()
                }
            };
            let warning = Diagnostic::warning("unused-numbers", message).help(help);
            warning.at(&tuning.file, At::File)
        };
        unused.map(warn).collect()
    }

    /// Why none of the facts is a question that is asked.
    fn no_question(&self, facts: &Facts) -> Diagnostic {
        let predicted = self.relations.iter().map(|relation| &*relation.relation.iri);
        let mut subjects =
            predicted.clone().flat_map(|iri| facts.questions(iri)).map(|(subject, _)| subject);
        let (code, message, help) = if facts.is_empty() {
            ("no-facts", "the table holds no facts", "give it a row for each fact, or name another")
        } else if predicted.clone().all(|iri| facts.questions(iri).next().is_none()) {
            (
                "no-predicted-fact",
                "no fact has a relation that is predicted",
                "compare the column `relation` with the ontology, and with `inputs.relations`",
            )
        } else if subjects.all(|subject| self.subjects.find(subject).is_none()) {
            (
                "unknown-subjects",
                "the subjects of the facts stand in no table of subjects",
                "name tables with their labels: `entities` under [tuning], or `--entities` for \
                 `kgbuild shock`",
            )
        } else {
            let message = "no subject of a fact has a type that its relation's domain asks for";
            ("no-subject", message, COMPARE_TYPES)
        };
        Diagnostic::error(code, message).help(help)
    }

    /// Whether the relation asks about the subject; nothing where it is not predicted.
    fn asks(&self, relation: &str, subject: &str) -> Option<bool> {
        let relation = self.relations.iter().find(|r| r.relation.iri == relation)?;
        let subject = self.subjects.find(subject);
        // In the table's order, which is that of the numbers.
        Some(subject.is_some_and(|s| relation.subjects.binary_search(&s).is_ok()))
    }

    fn relation(
        &self,
        relation: Relation,
        ask: Ask,
        own: Option<&Catalog>,
        answered: Option<&Answered<'_>>,
        notes: &mut Diagnostics,
    ) -> Option<RelationInputs> {
        let objects = catalog::answer_space(&self.ontology, &relation, &self.candidates);
        let objects = notes.keep(objects)?;
        if let Some(gold) = &self.gold {
            notes.0.extend(gold.unreachable(ask.role(), &relation, &objects, &self.candidates));
        }
        let mut subjects = catalog::subjects_of(&self.ontology, &relation, &self.subjects);
        let told = catalog::contradictions(&self.ontology, &relation.domain, &self.subjects);
        notes.0.extend(told.0);
        // By the types that its own tables give it, an entity may be asked about less.
        let prior_subjects = match own {
            Some(own) => catalog::subjects_of(&self.ontology, &relation, own)
                .into_iter()
                .filter_map(|id| self.subjects.find(own.iri(id)))
                .collect(),
            None => subjects.clone(),
        };
        let prior_subjects = drawn(&prior_subjects, &self.subjects);
        if ask == Ask::SubjectsOfFacts {
            let known = |subject: &EntityId| {
                let gold = self.gold.as_ref()?;
                gold.objects(self.subjects.iri(*subject), &relation.iri)
            };
            subjects.retain(|subject| known(subject).is_some());
        }
        if let Some(answered) = answered.and_then(|all| all.get(relation.iri.as_str())) {
            subjects.retain(|subject| !answered.contains(self.subjects.iri(*subject)));
        }
        let (examples, subjects) = (Vec::new(), subjects.into());
        Some(RelationInputs { relation, subjects, prior_subjects, objects, examples })
    }
}

/// Adds a relation, whose subjects are held once where another has the same.
fn take(relations: &mut Vec<RelationInputs>, mut read: RelationInputs) {
    if let Some(alike) = relations.iter().find(|other| other.subjects == read.subjects) {
        read.subjects = Arc::clone(&alike.subjects);
    }
    relations.push(read);
}

/// Which subjects are asked about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    EverySubject,
    SubjectsOfFacts,
    /// None yet.
    Nothing,
}

impl Ask {
    /// What the known facts are called.
    fn role(self) -> &'static str {
        match self {
            Self::EverySubject | Self::Nothing => "gold facts",
            Self::SubjectsOfFacts => "facts",
        }
    }
}

const COMPARE_TYPES: &str =
    "compare the column `types` of the subjects with `rdfs:domain` in the ontology";

/// The subjects of `tables`, some of which may be there for their labels alone.
fn read_subjects(
    tables: &[PathBuf],
    language: &str,
    ask: Ask,
) -> Result<(Catalog, Diagnostics), Diagnostics> {
    let (subjects, mut warnings) = Catalog::read(tables, language)?;
    if ask == Ask::SubjectsOfFacts {
        // Tables of more labels may well name what the pipeline's own do.
        warnings.0.retain(|warning| warning.code != "repeated-row");
    }
    Ok((subjects, warnings))
}

/// No relation's domain admits a subject of the tables, of which `table` is the first.
fn no_subject(table: &Path) -> Diagnostic {
    let message = "no subject has a type that a relation's domain asks for";
    Diagnostic::error("no-subject", message).help(COMPARE_TYPES).at(table, At::File)
}

/// No relation lacks an object in the graph, of which `file` is the first file.
fn nothing_to_complete(file: &Path) -> Diagnostic {
    let message = "the graph has an object of every relation for all that its domain admits";
    let help = "take `complete` out of [inputs] to ask nevertheless";
    Diagnostic::error("nothing-to-complete", message).help(help).at(file, At::File)
}

/// The pipeline's own tables of subjects, where `tables` are more than these.
fn own_tables(pipeline: &Pipeline, tables: &[PathBuf]) -> Option<Catalog> {
    let files = &pipeline.inputs.subjects;
    if files == tables {
        return None;
    }
    // Its mistakes are those of the larger catalog, which were told.
    Some(Catalog::read(files, &pipeline.inputs.language).ok()?.0)
}

/// At most [`PRIOR_SUBJECTS`] of the subjects: those whose IRIs have the least hashes, in the order of these. So each is
/// as likely as another, and where a few subjects are added most stay, and with them what is asked for the others.
fn drawn(subjects: &[EntityId], catalog: &Catalog) -> Vec<EntityId> {
    let mut least: BTreeSet<(u64, EntityId)> = BTreeSet::new();
    for &subject in subjects {
        least.insert((print([catalog.iri(subject)]), subject));
        if least.len() > PRIOR_SUBJECTS {
            least.pop_last();
        }
    }
    least.into_iter().map(|(_, subject)| subject).collect()
}

/// A table that is read twice, as subjects and as candidates, has its mistakes twice.
fn each_once(notes: Diagnostics) -> Diagnostics {
    let mut once = Diagnostics::default();
    for note in notes.0 {
        if !once.0.contains(&note) {
            once.push(note);
        }
    }
    once
}
