//! Relations read from Turtle: labels, templates, domains, ranges and how many objects at most.
//!
//! Invariant: every [`Relation`] has at least one template, its classes are IRIs, and what is
//! read does not depend on the order of the files, but for the order of a relation's templates.
//! `ontologies/kgb.ttl` defines the vocabulary read here beside RDFS and OWL.

mod disjoint;
mod implications;
mod read;
mod statements;
mod template;
mod terms;
mod turtle;
mod usable;
mod values;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, Diagnostics, Place};

pub use implications::{Consequence, Implied};
pub use template::{Template, TemplateError};
pub use usable::Refusal;
#[cfg(test)]
pub(crate) use values::grammar_of as grammar;
pub use values::{
    Calendar, Datatype, MOST_DIGITS, MOST_LISTED, MOST_NUMBERS, Near, NumberGrammar, Precision,
    Prefix, Scale, Symbol, Tolerance, ValueRange,
};

/// The namespace of the terms that kgbuild defines.
pub const KGB: &str = "https://w3id.org/kgbuild#";

const OWL_THING: &str = "http://www.w3.org/2002/07/owl#Thing";
const RDFS_RESOURCE: &str = "http://www.w3.org/2000/01/rdf-schema#Resource";

/// Classes of which an entity must belong to at least one.
pub type AnyOf = Vec<String>;

/// An RDF property whose objects language models are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    /// The property's IRI.
    pub iri: String,
    /// Its `rdfs:label`, one without language or in English before others.
    pub label: Option<String>,
    /// Its `kgb:template`s and then its `kgb:question`s, at least one, in the order of the files.
    pub templates: Vec<Template>,
    /// What a subject must be: all of these, one for each `rdfs:domain`. Empty: anything.
    pub domain: Vec<AnyOf>,
    /// What an object that is an entity must be: all of these, one for each `rdfs:range`. Empty:
    /// anything, but [`Ontology::select`] refuses such a relation, unless its objects are values.
    pub range: Vec<AnyOf>,
    /// The values that its objects may be, where they are values.
    pub values: Option<ValueRange>,
    /// The most objects that a subject may have: 1 for an `owl:FunctionalProperty`, else
    /// `kgb:maxObjects` or the `owl:maxCardinality` of a restriction that holds for the domain.
    /// The smallest wins.
    pub max_objects: Option<u32>,
    /// Whether a subject is never its own object: an `owl:IrreflexiveProperty`.
    pub irreflexive: bool,
    /// Where the property is first the subject of a statement.
    pub place: Place,
}

impl Relation {
    /// The label, or the IRI where it has none.
    pub fn name(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.iri)
    }

    /// The label, if it has one, and the IRI, as in `capital <http://…/P36>`.
    pub fn name_and_iri(&self) -> String {
        let label = self.label.as_deref().map_or(String::new(), |label| format!("{label} "));
        format!("{label}<{}>", self.iri)
    }
}

/// What the ontology's files say together.
#[derive(Clone, Debug, Default)]
pub struct Ontology {
    /// Sorted by IRI.
    relations: Vec<Relation>,
    /// Properties without a template, with their places.
    others: BTreeMap<String, Place>,
    labels: HashMap<String, String>,
    /// `rdfs:subClassOf`, from the class to its direct superclasses.
    superclasses: HashMap<String, BTreeSet<String>>,
    disjoint: disjoint::Disjoint,
    /// Sorted by IRI.
    consequences: Vec<Consequence>,
}

impl Ontology {
    /// Reads the files together, as if they were one. Gives the warnings with the ontology.
    ///
    /// # Errors
    /// All mistakes of all files: unreadable files, broken Turtle, templates without their
    /// places, bounds that are no number, domains or ranges that are neither a class nor an
    /// `owl:unionOf` of classes, and ranges of values that cannot be asked for.
    pub fn read(files: &[PathBuf]) -> Result<(Self, Diagnostics), Diagnostics> {
        read::read(files)
    }

    /// The relations: every property that has a template, sorted by IRI.
    pub fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// The relation with this IRI.
    pub fn relation(&self, iri: &str) -> Option<&Relation> {
        let at = self.relations.binary_search_by(|r| r.iri.as_str().cmp(iri)).ok()?;
        Some(&self.relations[at])
    }

    /// The relations, with a template or without, of which facts follow from others, sorted by IRI.
    pub fn consequences(&self) -> &[Consequence] {
        &self.consequences
    }

    /// Whether the class is the ancestor or below it by `rdfs:subClassOf`. Every class is below
    /// `owl:Thing` and `rdfs:Resource`.
    pub fn is_a(&self, class: &str, ancestor: &str) -> bool {
        if ancestor == OWL_THING || ancestor == RDFS_RESOURCE {
            return true;
        }
        self.with_superclasses(class).contains(ancestor)
    }

    /// A class and all above it by `rdfs:subClassOf`.
    fn with_superclasses<'a>(&'a self, class: &'a str) -> HashSet<&'a str> {
        let mut seen = HashSet::from([class]);
        let mut open = vec![class];
        while let Some(class) = open.pop() {
            let above = self.superclasses.get(class).into_iter().flatten();
            open.extend(above.map(String::as_str).filter(|c| seen.insert(c)));
        }
        seen
    }

    /// The classes that the ontology says to lie below others, each with those right above it; sorted.
    pub fn superclasses(&self) -> BTreeMap<&str, Vec<&str>> {
        let all = self.superclasses.iter();
        all.map(|(class, above)| (&**class, above.iter().map(String::as_str).collect())).collect()
    }

    /// Whether something of these classes is what a domain or range asks for.
    pub fn admits<'a>(
        &self,
        wanted: &[AnyOf],
        classes: impl Iterator<Item = &'a str> + Clone,
    ) -> bool {
        wanted.iter().all(|any| any.iter().any(|w| classes.clone().any(|c| self.is_a(c, w))))
    }

    /// The `rdfs:label` of anything, one without language or in English before others.
    pub fn label(&self, iri: &str) -> Option<&str> {
        self.labels.get(iri).map(String::as_str)
    }

    /// The relations with these IRIs, or all where none are named; each once, sorted by IRI.
    ///
    /// # Errors
    /// All that are unknown, without template or without range; or that there is none at all.
    pub fn select(&self, wanted: Option<&[String]>) -> Result<Vec<&Relation>, Diagnostics> {
        let mut mistakes = Diagnostics::default();
        let mut selected: Vec<&Relation> = match wanted {
            None => self.relations.iter().collect(),
            Some(iris) => {
                let iris: BTreeSet<&str> = iris.iter().map(String::as_str).collect();
                let found = iris.into_iter().filter_map(|iri| {
                    self.relation(iri).or_else(|| {
                        mistakes.push(self.not_a_relation(iri));
                        None
                    })
                });
                found.collect()
            }
        };
        selected.retain(|relation| {
            let has_range = !relation.range.is_empty() || relation.values.is_some();
            if !has_range {
                mistakes.push(without_range(relation));
            }
            has_range
        });
        if mistakes.has_errors() {
            return Err(mistakes);
        }
        if selected.is_empty() {
            return Err(Diagnostic::error(
                "no-relation",
                "the ontology has no relation to predict",
            )
            .help(format!(
                "give a property a template: <{KGB}template> \"The capital of [X] is [Y]\""
            ))
            .into());
        }
        Ok(selected)
    }

    /// Why the relation with this IRI cannot be predicted, without a place where the ontology does
    /// not know it; nothing if it can.
    pub fn refusal(&self, iri: &str) -> Option<Diagnostic> {
        self.relation(iri).is_none().then(|| self.not_a_relation(iri))
    }

    /// [`Self::refusal`] of each of these relations that has one, at the place that names it where
    /// it has none of its own.
    pub fn refusals<'a>(
        &'a self,
        named: &'a [(String, Place)],
    ) -> impl Iterator<Item = Diagnostic> + 'a {
        named.iter().filter_map(|(iri, place)| {
            let mut mistake = self.refusal(iri)?;
            mistake.place.get_or_insert_with(|| place.clone());
            Some(mistake)
        })
    }

    fn not_a_relation(&self, iri: &str) -> Diagnostic {
        if let Some(place) = self.others.get(iri) {
            let message = format!("the relation <{iri}> has no template");
            return Diagnostic {
                place: Some(place.clone()),
                ..Diagnostic::error("no-template", message)
            }
            .help("add one, as in: kgb:template \"The capital of [X] is [Y]\"");
        }
        let diagnostic =
            Diagnostic::error("unknown-relation", format!("the ontology has no relation <{iri}>"));
        let known = self.relations.iter().map(|r| &r.iri).chain(self.others.keys());
        let near = known
            .map(|k| (strsim::damerau_levenshtein(k, iri), k))
            .min()
            .filter(|(distance, _)| *distance <= FARTHEST);
        match near {
            Some((_, near)) => diagnostic.help(format!("did you mean <{near}>?")),
            None => diagnostic.help("relations are named by their full IRI"),
        }
    }
}

/// How many letters an unknown IRI may differ from one that is offered in its stead.
const FARTHEST: usize = 4;

fn without_range(relation: &Relation) -> Diagnostic {
    let message = format!("the relation {} has no range", relation.name_and_iri());
    Diagnostic { place: Some(relation.place.clone()), ..Diagnostic::error("no-range", message) }
        .help("its rdfs:range says which entities or values may be its objects: add one")
}

#[cfg(test)]
mod tests;
