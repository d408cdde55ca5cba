//! What models answered, kept with the chunks that it was asked for, so that it need not be asked again
//! when something else changes.
//!
//! A chunk has two literals in the ledger: which questions and prompts it has answers for, which
//! is read at the start, and the answers themselves, which are read when they are wanted.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use oxigraph::model::vocab::xsd;
use oxigraph::model::{
    GraphNameRef, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, Quad, Term,
};
use oxigraph::store::Store;

use super::error::Error;
use super::vocabulary as kgb;
use super::write::fingerprint;

/// How many chunks' answers are held in memory: those that are asked about together were often
/// answered together.
const HELD: usize = 32;

/// What is kept of a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptQuestion {
    /// What tells it from others: [`question_print`].
    pub question: u64,
    /// For each prompt, by what tells it and its model from others, what was answered.
    pub prompts: Vec<(u64, Vec<u8>)>,
}

/// What stands in the IRI of what is kept beside chunks, before a colon and its hash.
pub(super) const BESIDE: &str = "kept";

/// Whether an entry is beside chunks.
fn is_beside(iri: &NamedNode) -> bool {
    iri.as_str().rsplit_once(':').is_some_and(|(before, _)| before.ends_with(BESIDE))
}

/// What tells apart what is asked about a subject by a relation, for some purpose: empty for a fact.
pub fn question_print(subject: &str, relation: &str, purpose: &str) -> u64 {
    print([subject, relation, purpose])
}

/// The first 64 bits of the SHA-256 of texts; their lengths keep them apart.
pub fn print<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let print = fingerprint(texts);
    u64::from_le_bytes(std::array::from_fn(|at| print[at]))
}

/// What the ledger says of answers that are kept beside chunks; nothing where none are.
pub(super) fn quads_beside(iri: &NamedNode, kept: &[KeptQuestion]) -> Vec<Quad> {
    let mut quads = quads(iri, kept);
    if !quads.is_empty() {
        quads.push(Quad::new(kgb::LEDGER, kgb::KEEPS, iri.clone(), kgb::LEDGER));
    }
    quads
}

/// What the ledger says of a chunk's kept answers; nothing where none are.
pub(super) fn quads(chunk: &NamedNode, kept: &[KeptQuestion]) -> Vec<Quad> {
    if kept.is_empty() {
        return Vec::new();
    }
    let (mut prints, mut answers) = (Vec::new(), Vec::new());
    for KeptQuestion { question, prompts } in kept {
        prints.extend(question.to_le_bytes());
        prints.extend((prompts.len() as u32).to_le_bytes());
        for (prompt, answer) in prompts {
            prints.extend(prompt.to_le_bytes());
            answers.extend((answer.len() as u32).to_le_bytes());
            answers.extend(answer);
        }
    }
    let say = |predicate: NamedNodeRef<'_>, bytes: &[u8]| {
        let text = Literal::new_typed_literal(BASE64.encode(bytes), xsd::BASE_64_BINARY);
        Quad::new(chunk.clone(), predicate, text, kgb::LEDGER)
    };
    vec![say(kgb::KEPT_QUESTIONS, &prints), say(kgb::KEPT_ANSWERS, &answers)]
}

/// What was kept in stores, to be looked up by question.
#[derive(Default)]
pub struct KeptAnswers {
    stores: Vec<(Store, PathBuf)>,
    chunks: Vec<KeptChunk>,
    /// By question: the last chunk that has it, and its place there.
    places: HashMap<u64, (u32, u32)>,
    /// The same of questions that earlier chunks have too.
    earlier: HashMap<u64, Vec<(u32, u32)>>,
    /// How many of these are of chunks.
    of_chunks: usize,
    held: Mutex<VecDeque<(u32, Arc<[KeptQuestion]>)>>,
}

/// Where answers are.
enum Answers {
    /// In the store of this number.
    Of(usize),
    Read(Arc<[KeptQuestion]>),
}

/// A chunk that has kept answers.
struct KeptChunk {
    answers: Answers,
    iri: NamedNode,
    questions: Vec<Question>,
}

/// A question, and its prompts.
type Question = (u64, Vec<u64>);

impl KeptAnswers {
    /// What is kept in the stores at these paths, to which nobody writes, and, beside chunks, in `own`; of
    /// what several have, the last one's counts. `own` is not held.
    ///
    /// # Errors
    /// Where a store cannot be read, or holds what kgbuild does not write.
    pub(super) fn read(paths: &[PathBuf], own: Option<(&Store, &Path)>) -> Result<Self, Error> {
        let mut kept = Self::default();
        for path in paths {
            let store =
                Store::open_read_only(path).map_err(|e| Error::storage("opening", path, e))?;
            kept.add(store, path)?;
        }
        if let Some((store, path)) = own {
            kept.add_own(store, path)?;
        }
        Ok(kept)
    }

    fn add_own(&mut self, store: &Store, path: &Path) -> Result<(), Error> {
        let ledger = Some(GraphNameRef::NamedNode(kgb::LEDGER));
        let of = Some(kgb::LEDGER.into());
        for quad in store.quads_for_pattern(of, Some(kgb::KEEPS), None, ledger) {
            let quad = quad.map_err(|e| Error::storage("reading", path, e))?;
            let Term::NamedNode(iri) = quad.object else { continue };
            for found in listed(store, path, Some(&iri)) {
                let (iri, questions) = found?;
                let answers = read_answers(store, path, &iri, &questions)?;
                let answers = Answers::Read(answers.into());
                self.add_chunk(KeptChunk { answers, iri, questions });
            }
        }
        Ok(())
    }

    fn add(&mut self, store: Store, path: &Path) -> Result<(), Error> {
        let number = self.stores.len();
        for found in listed(&store, path, None) {
            let (iri, questions) = found?;
            self.add_chunk(KeptChunk { answers: Answers::Of(number), iri, questions });
        }
        self.stores.push((store, path.to_owned()));
        Ok(())
    }

    fn add_chunk(&mut self, chunk: KeptChunk) {
        let is_chunk = !is_beside(&chunk.iri);
        let number = self.chunks.len() as u32;
        for (place, (question, _)) in chunk.questions.iter().enumerate() {
            match self.places.insert(*question, (number, place as u32)) {
                Some(before) => self.earlier.entry(*question).or_default().push(before),
                None => self.of_chunks += usize::from(is_chunk),
            }
        }
        self.chunks.push(chunk);
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Of how many questions of chunks something is kept.
    pub fn of_chunks(&self) -> usize {
        self.of_chunks
    }

    /// The chunks that have a question, the last one first, and its places there.
    fn found(&self, question: u64) -> impl Iterator<Item = (u32, u32)> {
        let earlier = self.earlier.get(&question).into_iter().flatten().rev();
        self.places.get(&question).into_iter().chain(earlier).copied()
    }

    /// The prompts of a question of which answers are kept; none where nothing is kept of it.
    pub fn prompts(&self, question: u64) -> impl Iterator<Item = u64> {
        let of = |(chunk, place): (u32, u32)| {
            self.chunks[chunk as usize].questions[place as usize].1.iter().copied()
        };
        self.found(question).flat_map(of)
    }

    /// What is kept of a question; of a prompt that several chunks have, what the last one has.
    ///
    /// # Errors
    /// Where it cannot be read, or is not what was written.
    pub fn get(&self, question: u64) -> Result<KeptQuestion, Error> {
        let mut kept = KeptQuestion { question, prompts: Vec::new() };
        for (chunk, place) in self.found(question) {
            for (prompt, answers) in &self.chunk(chunk)?[place as usize].prompts {
                if kept.prompts.iter().all(|(known, _)| known != prompt) {
                    kept.prompts.push((*prompt, answers.clone()));
                }
            }
        }
        Ok(kept)
    }

    fn chunk(&self, number: u32) -> Result<Arc<[KeptQuestion]>, Error> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, questions)) = held.iter().find(|(chunk, _)| *chunk == number) {
            return Ok(Arc::clone(questions));
        }
        let chunk = &self.chunks[number as usize];
        let questions: Arc<[KeptQuestion]> = match &chunk.answers {
            Answers::Read(questions) => return Ok(Arc::clone(questions)),
            Answers::Of(store) => {
                let (store, path) = &self.stores[*store];
                read_answers(store, path, &chunk.iri, &chunk.questions)?.into()
            }
        };
        if held.len() == HELD {
            held.pop_front();
        }
        held.push_back((number, Arc::clone(&questions)));
        Ok(questions)
    }
}

/// What is said of questions in a store, or of those of one entry: by whose entry, and with which prompts.
pub(super) fn listed<'a>(
    store: &Store,
    path: &'a Path,
    iri: Option<&NamedNode>,
) -> impl Iterator<Item = Result<(NamedNode, Vec<Question>), Error>> + use<'a> {
    let ledger = Some(GraphNameRef::NamedNode(kgb::LEDGER));
    let subject = iri.map(|iri| iri.as_ref().into());
    let quads = store.quads_for_pattern(subject, Some(kgb::KEPT_QUESTIONS), None, ledger);
    quads.filter_map(move |quad| {
        let quad = match quad {
            Ok(quad) => quad,
            Err(error) => return Some(Err(Error::storage("reading", path, error))),
        };
        let NamedOrBlankNode::NamedNode(iri) = quad.subject else { return None };
        let read = bytes(&quad.object).and_then(|bytes| questions(&bytes));
        Some(read.ok_or_else(|| damaged(path, &iri)).map(|questions| (iri, questions)))
    })
}

/// An entry's questions with their answers.
fn read_answers(
    store: &Store,
    path: &Path,
    iri: &NamedNode,
    questions: &[Question],
) -> Result<Vec<KeptQuestion>, Error> {
    let ledger = Some(GraphNameRef::NamedNode(kgb::LEDGER));
    let subject = Some(iri.as_ref().into());
    let found = store.quads_for_pattern(subject, Some(kgb::KEPT_ANSWERS), None, ledger).next();
    let found = found.transpose().map_err(|e| Error::storage("reading", path, e))?;
    let answers = found.and_then(|quad| bytes(&quad.object));
    let answered = answers.and_then(|answers| answered(questions, &answers));
    answered.ok_or_else(|| damaged(path, iri))
}

fn answered(questions: &[Question], mut answers: &[u8]) -> Option<Vec<KeptQuestion>> {
    let mut kept = Vec::with_capacity(questions.len());
    for &(question, ref prints) in questions {
        let mut prompts = Vec::with_capacity(prints.len());
        for &prompt in prints {
            let length = u32::from_le_bytes(take(&mut answers)?) as usize;
            let (own, rest) = answers.split_at_checked(length)?;
            answers = rest;
            prompts.push((prompt, own.to_vec()));
        }
        kept.push(KeptQuestion { question, prompts });
    }
    answers.is_empty().then_some(kept)
}

/// From the bytes of a chunk's questions: each with its prompts.
fn questions(mut bytes: &[u8]) -> Option<Vec<Question>> {
    let mut questions = Vec::new();
    while !bytes.is_empty() {
        let question = u64::from_le_bytes(take(&mut bytes)?);
        let count = u32::from_le_bytes(take(&mut bytes)?);
        let prompts: Option<Vec<u64>> =
            (0..count).map(|_| take(&mut bytes).map(u64::from_le_bytes)).collect();
        questions.push((question, prompts?));
    }
    Some(questions)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

fn bytes(term: &Term) -> Option<Vec<u8>> {
    match term {
        Term::Literal(literal) => BASE64.decode(literal.value()).ok(),
        _ => None,
    }
}

fn damaged(path: &Path, chunk: &NamedNode) -> Error {
    let what = format!("the answers kept with {chunk} are not what kgbuild writes");
    Error::Ledger { path: path.to_owned(), what }
}
