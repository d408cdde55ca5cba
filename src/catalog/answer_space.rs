//! Which entities a relation's subjects and objects may be.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use super::{Catalog, EntityId};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Place};
use crate::ontology::{AnyOf, Ontology, Relation};

/// The candidates of one relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerCandidates {
    /// In byte order of their IRIs, whatever the order of the table; no two share a label.
    pub candidates: Vec<EntityId>,
}

impl AnswerCandidates {
    /// The position of the candidate with this IRI; nothing if it is none.
    pub fn position(&self, catalog: &Catalog, iri: &str) -> Option<usize> {
        self.candidates.binary_search_by(|candidate| catalog.iri(*candidate).cmp(iri)).ok()
    }
}

/// The entities that the relation's `rdfs:range` admits.
///
/// A model answers with labels, so that of several candidates with one label only one can be
/// predicted: the one whose IRI is smallest in byte order. The warning names the others.
///
/// # Errors
/// If the range admits none.
pub fn answer_space(
    ontology: &Ontology,
    relation: &Relation,
    catalog: &Catalog,
) -> Result<(AnswerCandidates, Diagnostics), Diagnostics> {
    let admitted = admitted_sets(ontology, &relation.range, catalog);
    let mut candidates = Vec::new();
    let mut by_label: HashMap<&str, EntityId> = HashMap::new();
    let mut shadowed = Vec::new();
    for entity in catalog.by_iri.iter().map(|id| EntityId(*id)) {
        if admitted[catalog.type_sets[entity.index()] as usize] {
            let kept = *by_label.entry(catalog.label(entity)).or_insert(entity);
            if kept == entity {
                candidates.push(entity);
            } else {
                shadowed.push((kept, entity));
            }
        }
    }
    if candidates.is_empty() {
        return Err(no_candidate(relation, catalog).into());
    }
    let mut warnings = Diagnostics::default();
    if !shadowed.is_empty() {
        warnings.push(shared_labels(relation, catalog, &shadowed));
    }
    Ok((AnswerCandidates { candidates }, warnings))
}

/// The entities that the relation's `rdfs:domain` admits, all where it has none, in the order of
/// the catalog.
pub fn subjects_of(ontology: &Ontology, relation: &Relation, catalog: &Catalog) -> Vec<EntityId> {
    let admitted = admitted_sets(ontology, &relation.domain, catalog);
    catalog.ids().filter(|id| admitted[catalog.type_sets[id.index()] as usize]).collect()
}

/// For each set of types whether the domain or range admits it: once a set, not once an entity.
fn admitted_sets(ontology: &Ontology, wanted: &[AnyOf], catalog: &Catalog) -> Vec<bool> {
    (0..catalog.sets.len()).map(|set| ontology.admits(wanted, catalog.set(set as u32))).collect()
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

fn shared_labels(
    relation: &Relation,
    catalog: &Catalog,
    shadowed: &[(EntityId, EntityId)],
) -> Diagnostic {
    let mut examples: Vec<String> = shadowed
        .iter()
        .take(SHOWN)
        .map(|(kept, out)| {
            let label = catalog.label(*kept);
            format!("\"{label}\" means <{}>, not <{}>", catalog.iri(*kept), catalog.iri(*out))
        })
        .collect();
    if shadowed.len() > SHOWN {
        examples.push(format!("and {} more", shadowed.len() - SHOWN));
    }
    let message = format!(
        "{} of the candidates of {} cannot be predicted, another has their label: {}",
        shadowed.len(),
        relation.name_and_iri(),
        examples.join("; ")
    );
    Diagnostic { place: place(catalog), ..Diagnostic::warning("shared-label", message) }
        .help("the smallest IRI keeps the label; give the others labels that tell them apart")
}

/// How many examples a message shows.
const SHOWN: usize = 5;

fn place(catalog: &Catalog) -> Option<Place> {
    let file: Option<&PathBuf> = catalog.files.first();
    file.map(|file| Place { file: file.clone(), at: At::File })
}
