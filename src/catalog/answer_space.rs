//! Which entities a relation's subjects and objects may be.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::{Catalog, EntityId};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Place, counted};
use crate::ontology::{AnyOf, Ontology, Relation, ValueRange};

/// What a relation's objects may be: the candidates of its questions, by their number.
#[derive(Clone, Debug, PartialEq)]
pub enum Objects {
    /// In byte order of their IRIs, whatever the order of the table.
    Entities(Vec<EntityId>),
    /// In their own order.
    Values(ValueRange),
}

impl Objects {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Entities(entities) => entities.len(),
            Self::Values(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of an object: an entity of `catalog` by its IRI, a value by its text. Nothing if it is
    /// none of these.
    pub fn position(&self, catalog: &Catalog, object: &str) -> Option<usize> {
        match self {
            Self::Entities(entities) => {
                entities.binary_search_by(|entity| catalog.iri(*entity).cmp(object)).ok()
            }
            Self::Values(values) => values.position(object),
        }
    }

    /// The IRI of an entity, the text of a value.
    pub fn object<'a>(&self, catalog: &'a Catalog, number: usize) -> Cow<'a, str> {
        match self {
            Self::Entities(entities) => Cow::Borrowed(catalog.iri(entities[number])),
            Self::Values(values) => Cow::Owned(values.lexical(number)),
        }
    }

    /// What an object is called: the label of an entity, the text of a value as it is most usually written.
    pub fn label<'a>(&self, catalog: &'a Catalog, number: usize) -> Cow<'a, str> {
        match self {
            Self::Entities(entities) => Cow::Borrowed(catalog.label(entities[number])),
            Self::Values(values) => Cow::Owned(values.written(number).swap_remove(0)),
        }
    }

    /// Its place in the tables, if it is an entity.
    pub fn place(&self, catalog: &Catalog, number: usize) -> Option<Place> {
        match self {
            Self::Entities(entities) => catalog.place(entities[number]),
            Self::Values(_) => None,
        }
    }
}

/// The entities that the relation's `rdfs:range` admits, or its values. What is of a class disjoint with the
/// range too is left out, with a warning.
///
/// Candidates with one label share its probability. The warning names them.
///
/// # Errors
/// If the range admits none.
pub fn answer_space(
    ontology: &Ontology,
    relation: &Relation,
    catalog: &Catalog,
) -> Result<(Objects, Diagnostics), Diagnostics> {
    if let Some(values) = &relation.values {
        return Ok((Objects::Values(values.clone()), Diagnostics::default()));
    }
    let admitted = admitted_sets(ontology, &relation.range, catalog);
    let by_iri = catalog.by_iri.iter().map(|id| EntityId(*id));
    let candidates: Vec<EntityId> =
        by_iri.filter(|id| admitted[catalog.type_sets[id.index()] as usize]).collect();
    let mut warnings = contradictions(ontology, &relation.range, catalog);
    if candidates.is_empty() {
        warnings.push(no_candidate(relation, catalog));
        return Err(warnings);
    }
    let mut by_label: HashMap<&str, EntityId> = HashMap::new();
    let mut namesakes: BTreeMap<EntityId, Vec<EntityId>> = BTreeMap::new();
    for &entity in &candidates {
        let first = *by_label.entry(catalog.label(entity)).or_insert(entity);
        if first != entity {
            namesakes.entry(first).or_insert_with(|| vec![first]).push(entity);
        }
    }
    if !namesakes.is_empty() {
        warnings.push(shared_labels(relation, catalog, &namesakes));
    }
    Ok((Objects::Entities(candidates), warnings))
}

/// The entities that the relation's `rdfs:domain` admits, all where it has none, in the order of
/// the catalog. What is of a class disjoint with the domain too is left out: [`contradictions`] tells.
pub fn subjects_of(ontology: &Ontology, relation: &Relation, catalog: &Catalog) -> Vec<EntityId> {
    let admitted = admitted_sets(ontology, &relation.domain, catalog);
    catalog.ids().filter(|id| admitted[catalog.type_sets[id.index()] as usize]).collect()
}

/// For each set of types whether the domain or range admits it: once a set, not once an entity.
fn admitted_sets(ontology: &Ontology, wanted: &[AnyOf], catalog: &Catalog) -> Vec<bool> {
    let admits = |set: usize| {
        let classes = catalog.set(set as u32);
        ontology.admits(wanted, classes.clone())
            && ontology.contradiction(wanted, classes).is_none()
    };
    (0..catalog.sets.len()).map(admits).collect()
}

/// Warnings about entities that are left out where `wanted` is asked for, as they are of a class that fits
/// and of one that is disjoint with it: of each two classes one.
pub fn contradictions(ontology: &Ontology, wanted: &[AnyOf], catalog: &Catalog) -> Diagnostics {
    let sets: Vec<Option<(&str, &str)>> = (0..catalog.sets.len())
        .map(|set| ontology.contradiction(wanted, catalog.set(set as u32)))
        .collect();
    let mut found: BTreeMap<(&str, &str), (usize, EntityId)> = BTreeMap::new();
    if sets.iter().any(Option::is_some) {
        for entity in catalog.ids() {
            if let Some(classes) = sets[catalog.type_sets[entity.index()] as usize] {
                found.entry(classes).or_insert((0, entity)).0 += 1;
            }
        }
    }
    let warnings = found.into_iter().map(|((one, other), (count, first))| {
        let message = format!(
            "left out where <{one}> is asked for: {} also of <{other}>, which is disjoint with it, as <{}>",
            counted(count, "entity"),
            catalog.iri(first)
        );
        let help = "mend the types, or the owl:disjointWith of the ontology";
        let warning = Diagnostic::warning("disjoint-types", message).help(help);
        Diagnostic { place: catalog.place(first).or_else(|| place(catalog)), ..warning }
    });
    Diagnostics(warnings.collect())
}

fn no_candidate(relation: &Relation, catalog: &Catalog) -> Diagnostic {
    let range: Vec<String> = relation.range.iter().map(|any| any.join("> or <")).collect();
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for set in &catalog.type_sets {
        for class in &catalog.sets[*set as usize] {
            *counts.entry(*class).or_default() += 1;
        }
    }
    let mut counts: Vec<(usize, &str)> =
        counts.into_iter().map(|(c, n)| (n, catalog.classes[c as usize].as_str())).collect();
    counts.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let mut occurring: Vec<String> =
        counts.iter().take(SHOWN).map(|(n, class)| format!("<{class}> ({n})")).collect();
    if counts.len() > SHOWN {
        occurring.push(format!("and {} more", counts.len() - SHOWN));
    }
    let help = if occurring.is_empty() {
        "the candidates have no types: give them some in the column types".to_owned()
    } else {
        format!("the classes that occur are {}", occurring.join(", "))
    };
    let message = format!(
        "the relation {} has no candidate: none is of its range <{}>",
        relation.name_and_iri(),
        range.join("> and <")
    );
    Diagnostic { place: place(catalog), ..Diagnostic::error("no-candidate", message) }.help(help)
}

/// `namesakes` are candidates with one label, by the first of them.
fn shared_labels(
    relation: &Relation,
    catalog: &Catalog,
    namesakes: &BTreeMap<EntityId, Vec<EntityId>>,
) -> Diagnostic {
    let mut examples: Vec<String> = namesakes
        .iter()
        .take(SHOWN)
        .map(|(first, all)| {
            let mut iris: Vec<String> =
                all.iter().take(SHOWN).map(|id| format!("<{}>", catalog.iri(*id))).collect();
            if all.len() > SHOWN {
                iris.push(format!("{} more", all.len() - SHOWN));
            }
            format!("\"{}\" is {}", catalog.label(*first), iris.join(" and "))
        })
        .collect();
    if namesakes.len() > SHOWN {
        examples.push(format!("and {} more", namesakes.len() - SHOWN));
    }
    let message = format!(
        "{} of the candidates of {} share a label, and its probability: {}",
        namesakes.values().map(Vec::len).sum::<usize>(),
        relation.name_and_iri(),
        examples.join("; ")
    );
    let help = "what has no name of its own is marked kgb:ambiguous in the graph; labels that tell them \
                apart, or aliases with `names = \"all\"`, help";
    Diagnostic { place: place(catalog), ..Diagnostic::warning("shared-label", message) }.help(help)
}

/// How many examples a message shows.
const SHOWN: usize = 5;

fn place(catalog: &Catalog) -> Option<Place> {
    let file: Option<&PathBuf> = catalog.files.first();
    file.map(|file| Place { file: file.clone(), at: At::File })
}
