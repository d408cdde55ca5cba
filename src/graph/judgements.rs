//! What people say of facts: that one is right, that it is wrong, what is right in its place, that there is none.
//!
//! The named graph [`kgb::JUDGEMENTS`] has each judgement: who made it, when, of which fact, what it says. Judgements
//! win over predictions ([`settle`]): a fact that is wrong is not in the graph, one that is right has the confidence 1
//! and [`kgb::JUDGED`]. What the models predicted of facts that are judged lies, as it was, in the named graph
//! [`kgb::PREDICTED`].
//!
//! Invariant: the default graph is a function of what was predicted and of the judgements, whichever came first, so
//! that a run that makes the graph anew, and one who judges what is there, end with the same.

mod judge;
mod settle;

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

use oxigraph::model::vocab::{rdf, xsd};
use oxigraph::model::{
    GraphNameRef, Literal, NamedNode, NamedNodeRef, Quad, QuadRef, Term, TermRef,
};
use oxigraph::store::{StorageError, Store};
use oxsdatatypes::{Boolean, Date, DateTime, Decimal, Double, GYear, GYearMonth, Integer};

pub use judge::{Judge, Judged};

pub(super) use settle::{inherit, inherited, settle_all};

use super::error::Error;
use super::vocabulary as kgb;

/// What is said of a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
    /// It is wrong, and this object is right.
    Instead(Term),
    /// It is wrong, and so is every other object.
    NoObject,
}

/// What one person said of one fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Its place among all judgements, from 1.
    pub number: u64,
    /// The fact's subject.
    pub subject: NamedNode,
    /// Its relation.
    pub relation: NamedNode,
    /// Its object.
    pub object: Term,
    /// What is said of it.
    pub verdict: Verdict,
    /// Who says so.
    pub by: String,
    /// When, as `xsd:dateTime` writes it.
    pub at: String,
    /// How the fact was chosen, in a word, as in `random`.
    pub drawn: String,
}

impl Judgement {
    fn question(&self) -> Question {
        (self.subject.clone(), self.relation.clone())
    }
}

/// A question that judgements are about: its subject and relation.
type Question = (NamedNode, NamedNode);

/// What judgements of a question's facts come to, the later ones before the earlier.
#[derive(Clone, Debug, Default)]
struct Standing {
    right: HashSet<Term>,
    wrong: HashSet<Term>,
    /// Whether there is no object.
    has_none: bool,
}

impl Standing {
    /// With one judgement more, which comes after the others.
    fn add(&mut self, judgement: &Judgement) {
        let object = &judgement.object;
        match &judgement.verdict {
            Verdict::Right => self.set_right(object),
            Verdict::Wrong => self.set_wrong(object),
            Verdict::Instead(right) => {
                self.set_wrong(object);
                self.set_right(right);
            }
            Verdict::NoObject => {
                self.right.clear();
                self.set_wrong(object);
                self.has_none = true;
            }
        }
    }

    /// Of a question, by the judgements in a store.
    fn of(store: &Store, (subject, relation): &Question) -> Result<Self, Error> {
        let mut standing = Self::default();
        for judgement in judgements_of(store, subject.as_ref())? {
            if judgement.relation == *relation {
                standing.add(&judgement);
            }
        }
        Ok(standing)
    }

    fn set_right(&mut self, object: &Term) {
        self.wrong.remove(object);
        self.right.insert(object.clone());
        self.has_none = false;
    }

    fn set_wrong(&mut self, object: &Term) {
        self.right.remove(object);
        self.wrong.insert(object.clone());
    }

    /// Whether an object is right; nothing where that is open. Of a functional relation all others are wrong where
    /// one is right.
    fn is_right(&self, object: &Term, is_functional: bool) -> Option<bool> {
        if self.right.contains(object) {
            return Some(true);
        }
        let is_wrong =
            self.wrong.contains(object) || self.has_none || is_functional && !self.right.is_empty();
        is_wrong.then_some(false)
    }
}

/// The judgements in a store, in the order of their numbers.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn judgements(store: &Store) -> Result<Vec<Judgement>, Error> {
    found(store, kgb::NUMBER, None)
}

/// The judgements of an entity's facts, in the order of their numbers.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn judgements_of(store: &Store, subject: NamedNodeRef<'_>) -> Result<Vec<Judgement>, Error> {
    found(store, rdf::SUBJECT, Some(subject.into()))
}

/// The judgements of which something is said.
fn found(
    store: &Store,
    predicate: NamedNodeRef<'_>,
    object: Option<TermRef<'_>>,
) -> Result<Vec<Judgement>, Error> {
    let mut found = Vec::new();
    let graph = Some(GraphNameRef::NamedNode(kgb::JUDGEMENTS));
    for quad in store.quads_for_pattern(None, Some(predicate), object, graph) {
        let judgement = quad.map_err(Error::Read)?.subject;
        let mut said: BTreeMap<String, Term> = BTreeMap::new();
        for quad in store.quads_for_pattern(Some(judgement.as_ref()), None, None, graph) {
            let quad = quad.map_err(Error::Read)?;
            said.insert(quad.predicate.into_string(), quad.object);
        }
        found.extend(read(said));
    }
    found.sort_by_key(|judgement: &Judgement| judgement.number);
    Ok(found)
}

/// A judgement of what is said of it; nothing where that is none that kgbuild writes.
fn read(mut said: BTreeMap<String, Term>) -> Option<Judgement> {
    let mut take = |predicate: NamedNodeRef<'_>| said.remove(predicate.as_str());
    let (subject, relation) = (take(rdf::SUBJECT)?, take(rdf::PREDICATE)?);
    let (Term::NamedNode(subject), Term::NamedNode(relation)) = (subject, relation) else {
        return None;
    };
    let object = take(rdf::OBJECT)?;
    let instead = take(kgb::RIGHT_OBJECT);
    let mut text = |predicate| match take(predicate) {
        Some(Term::Literal(literal)) => Some(literal.destruct().0),
        _ => None,
    };
    let verdict = match (&*text(kgb::VERDICT)?, instead) {
        ("right", _) => Verdict::Right,
        ("wrong", None) => Verdict::Wrong,
        ("wrong", Some(right)) => Verdict::Instead(right),
        ("no object", _) => Verdict::NoObject,
        _ => return None,
    };
    Some(Judgement {
        number: text(kgb::NUMBER)?.parse().ok()?,
        subject,
        relation,
        object,
        verdict,
        by: text(kgb::JUDGED_BY)?,
        at: text(kgb::GENERATED_AT_TIME)?,
        drawn: text(kgb::DRAWN).unwrap_or_default(),
    })
}

/// What a store has of a judgement, whose IRI begins with `base_iri`.
fn quads(base_iri: &str, judgement: &Judgement) -> Vec<Quad> {
    let iri = NamedNode::new_unchecked(format!("{base_iri}judgement:{}", judgement.number));
    let number = Literal::new_typed_literal(judgement.number.to_string(), xsd::INTEGER);
    let time = Literal::new_typed_literal(&judgement.at, xsd::DATE_TIME);
    let Judgement { subject, relation, object, .. } = judgement.clone();
    let (verdict, instead) = match &judgement.verdict {
        Verdict::Right => ("right", None),
        Verdict::Wrong => ("wrong", None),
        Verdict::Instead(right) => ("wrong", Some(right.clone())),
        Verdict::NoObject => ("no object", None),
    };
    let text = |text: &str| Term::from(Literal::from(text));
    let mut said: Vec<(NamedNodeRef<'_>, Term)> = vec![
        (rdf::TYPE, kgb::JUDGEMENT.into()),
        (kgb::NUMBER, number.into()),
        (rdf::SUBJECT, subject.into()),
        (rdf::PREDICATE, relation.into()),
        (rdf::OBJECT, object),
        (kgb::VERDICT, text(verdict)),
        (kgb::JUDGED_BY, text(&judgement.by)),
        (kgb::GENERATED_AT_TIME, time.into()),
        (kgb::DRAWN, text(&judgement.drawn)),
    ];
    said.extend(instead.map(|right| (kgb::RIGHT_OBJECT, right)));
    let quad = |(predicate, object)| Quad::new(iri.clone(), predicate, object, kgb::JUDGEMENTS);
    said.into_iter().map(quad).collect()
}

/// What is known of questions by judgements: by relation and subject the objects that are right, in the order of
/// their terms; none where there is no object. Questions of which no object is known to be right are not there.
pub fn judged_facts(judgements: &[Judgement]) -> BTreeMap<(NamedNode, NamedNode), Vec<Term>> {
    let mut questions: BTreeMap<(NamedNode, NamedNode), Standing> = BTreeMap::new();
    for judgement in judgements {
        let (subject, relation) = judgement.question();
        questions.entry((relation, subject)).or_default().add(judgement);
    }
    questions.retain(|_, standing| !standing.right.is_empty() || standing.has_none);
    let right = |standing: Standing| {
        let mut right: Vec<Term> = standing.right.into_iter().collect();
        right.sort_by_cached_key(ToString::to_string);
        right
    };
    questions.into_iter().map(|(question, standing)| (question, right(standing))).collect()
}

/// A text as a value of a datatype, in the way that a store writes it; nothing where it is none. Of datatypes that the
/// graph is not written with any text is one.
pub fn canonical_value(text: &str, datatype: NamedNodeRef<'_>) -> Option<Literal> {
    fn of<T: FromStr + ToString>(text: &str) -> Option<String> {
        text.parse::<T>().ok().map(|value| value.to_string())
    }
    let text = match datatype {
        xsd::INTEGER => of::<Integer>(text)?,
        xsd::DECIMAL => of::<Decimal>(text)?,
        xsd::DOUBLE => of::<Double>(text)?,
        xsd::BOOLEAN => of::<Boolean>(text)?,
        xsd::DATE => of::<Date>(text)?,
        xsd::DATE_TIME => of::<DateTime>(text)?,
        xsd::G_YEAR => of::<GYear>(text)?,
        xsd::G_YEAR_MONTH => of::<GYearMonth>(text)?,
        _ => text.to_owned(),
    };
    Some(Literal::new_typed_literal(text, datatype))
}

/// Whether an ontology says of a relation that a subject has one object at most.
fn is_functional(store: &Store, relation: &NamedNode) -> Result<bool, StorageError> {
    let schema = GraphNameRef::NamedNode(kgb::SCHEMA);
    let class = kgb::FUNCTIONAL_PROPERTY;
    store.contains(QuadRef::new(relation, rdf::TYPE, class, schema))
}

#[cfg(test)]
mod tests;
