//! What a graph's ontology says of its relations and classes, kept in the store in a named graph of its own.
//!
//! Invariant: the same schema gives the same quads, blank nodes and all, so that a run that goes on ends with
//! the graph of one that was not stopped.

mod read;

use oxigraph::model::vocab::{rdf, rdfs, xsd};
use oxigraph::model::{BlankNode, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, Quad, Term};

pub(super) use read::read;

use super::error::Error;
use super::vocabulary as kgb;
use super::write::{identifier, named};

/// What the ontology says of the relations that are asked, and of classes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// The relations.
    pub relations: Vec<RelationSchema>,
    /// The classes.
    pub classes: Vec<ClassSchema>,
}

/// What the ontology says of a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationSchema {
    /// Absolute.
    pub iri: String,
    /// Its `rdfs:label`.
    pub label: Option<String>,
    /// What a subject must be: of one class at least of each list, all of them IRIs. Empty: anything.
    pub domain: Vec<Vec<String>>,
    /// What an object must be.
    pub range: RangeSchema,
    /// The most objects of a subject.
    pub max_objects: Option<u32>,
    /// Whether a subject is never its own object.
    pub irreflexive: bool,
    /// The IRI of what its numbers count.
    pub unit: Option<String>,
    /// Within which share of the true number another is right.
    pub tolerance: Option<String>,
}

/// What the objects of a relation are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeSchema {
    /// Entities: of one class at least of each list. Empty: any.
    Entities(Vec<Vec<String>>),
    /// Values of a datatype.
    Values {
        /// The datatype's IRI.
        datatype: String,
        /// The smallest and the largest, as the datatype writes them, where there are such.
        bounds: Option<[String; 2]>,
    },
    /// Days, and months and years where no more is known.
    Dates {
        /// The first and the last day.
        bounds: [String; 2],
        /// How little may be known: "month" or "year".
        precision: String,
    },
    /// Texts of a list.
    Texts(Vec<String>),
}

/// What the ontology says of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassSchema {
    /// Absolute.
    pub iri: String,
    /// Its `rdfs:label`.
    pub label: Option<String>,
    /// The IRIs of the classes right above it.
    pub superclasses: Vec<String>,
}

/// Statements as they come to be.
#[derive(Default)]
struct Statements(Vec<Quad>);

impl Statements {
    fn add(
        &mut self,
        subject: impl Into<NamedOrBlankNode>,
        predicate: NamedNodeRef<'_>,
        object: impl Into<Term>,
    ) {
        self.0.push(Quad::new(subject, predicate, object, kgb::SCHEMA));
    }

    /// An RDF list of these, whose nodes are named after `name`.
    fn list(&mut self, name: &str, members: impl IntoIterator<Item = Term>) -> Term {
        let members: Vec<Term> = members.into_iter().collect();
        let mut rest = Term::from(rdf::NIL.into_owned());
        for (at, member) in members.into_iter().enumerate().rev() {
            let node = BlankNode::new_unchecked(format!("{name}-{at}"));
            self.add(node.clone(), rdf::FIRST, member);
            self.add(node.clone(), rdf::REST, rest);
            rest = node.into();
        }
        rest
    }

    /// A class, or the union of several.
    fn class(&mut self, name: &str, any_of: &[String]) -> Result<Term, Error> {
        let classes: Result<Vec<_>, _> = any_of.iter().map(|iri| named("class", iri)).collect();
        let classes = classes?;
        if let [class] = &classes[..] {
            return Ok(class.clone().into());
        }
        let union = BlankNode::new_unchecked(name);
        self.add(union.clone(), rdf::TYPE, kgb::OWL_CLASS);
        let members = self.list(name, classes.into_iter().map(Term::from));
        self.add(union.clone(), kgb::UNION_OF, members);
        Ok(union.into())
    }

    fn relation(&mut self, relation: &RelationSchema) -> Result<(), Error> {
        let iri = named("relation", &relation.iri)?;
        let is_of_entities = matches!(relation.range, RangeSchema::Entities(_));
        let kind = if is_of_entities { kgb::OBJECT_PROPERTY } else { kgb::DATATYPE_PROPERTY };
        self.add(iri.clone(), rdf::TYPE, kind);
        if let Some(label) = &relation.label {
            self.add(iri.clone(), rdfs::LABEL, Literal::from(label.as_str()));
        }
        if relation.irreflexive {
            self.add(iri.clone(), rdf::TYPE, kgb::IRREFLEXIVE_PROPERTY);
        }
        match relation.max_objects {
            Some(1) => self.add(iri.clone(), rdf::TYPE, kgb::FUNCTIONAL_PROPERTY),
            Some(most) => {
                let most = Literal::new_typed_literal(most.to_string(), xsd::INTEGER);
                self.add(iri.clone(), kgb::MAX_OBJECTS, most);
            }
            None => {}
        }
        if let Some(unit) = &relation.unit {
            self.add(iri.clone(), kgb::UNIT, named("unit", unit)?);
        }
        if let Some(tolerance) = &relation.tolerance {
            let tolerance = Literal::new_typed_literal(tolerance, xsd::DECIMAL);
            self.add(iri.clone(), kgb::TOLERANCE, tolerance);
        }
        // One name for each blank node, whatever else is in the store.
        let name = |part: &str| format!("s{}", identifier([relation.iri.as_str(), part]));
        for (at, any_of) in relation.domain.iter().enumerate() {
            let class = self.class(&name(&format!("domain {at}")), any_of)?;
            self.add(iri.clone(), rdfs::DOMAIN, class);
        }
        self.range(&iri, &relation.range, &name)
    }

    fn range(
        &mut self,
        relation: &NamedNode,
        range: &RangeSchema,
        name: &dyn Fn(&str) -> String,
    ) -> Result<(), Error> {
        match range {
            RangeSchema::Entities(all) => {
                for (at, any_of) in all.iter().enumerate() {
                    let class = self.class(&name(&format!("range {at}")), any_of)?;
                    self.add(relation.clone(), rdfs::RANGE, class);
                }
            }
            RangeSchema::Values { datatype, bounds } => {
                let datatype = named("datatype", datatype)?;
                self.add(relation.clone(), rdfs::RANGE, datatype.clone());
                for (predicate, bound) in
                    [kgb::MINIMUM, kgb::MAXIMUM].into_iter().zip(bounds.iter().flatten())
                {
                    let bound = Literal::new_typed_literal(bound, datatype.clone());
                    self.add(relation.clone(), predicate, bound);
                }
            }
            RangeSchema::Dates { bounds, precision } => {
                self.add(relation.clone(), rdfs::RANGE, xsd::DATE.into_owned());
                for (predicate, bound) in [kgb::MINIMUM, kgb::MAXIMUM].into_iter().zip(bounds) {
                    let bound = Literal::new_typed_literal(bound, xsd::DATE);
                    self.add(relation.clone(), predicate, bound);
                }
                self.add(relation.clone(), kgb::PRECISION, Literal::from(precision.as_str()));
            }
            RangeSchema::Texts(texts) => {
                let texts = texts.iter().map(|text| Literal::from(text.as_str()).into());
                let range = BlankNode::new_unchecked(name("range"));
                let listed = self.list(range.as_str(), texts);
                self.add(range.clone(), rdf::TYPE, rdfs::DATATYPE);
                self.add(range.clone(), kgb::ONE_OF, listed);
                self.add(relation.clone(), rdfs::RANGE, range);
            }
        }
        Ok(())
    }

    fn class_itself(&mut self, class: &ClassSchema) -> Result<(), Error> {
        let iri = named("class", &class.iri)?;
        self.add(iri.clone(), rdf::TYPE, kgb::OWL_CLASS);
        if let Some(label) = &class.label {
            self.add(iri.clone(), rdfs::LABEL, Literal::from(label.as_str()));
        }
        for superclass in &class.superclasses {
            self.add(iri.clone(), rdfs::SUB_CLASS_OF, named("class", superclass)?);
        }
        Ok(())
    }
}

/// The quads of a schema.
pub(super) fn quads(schema: &Schema) -> Result<Vec<Quad>, Error> {
    let mut statements = Statements::default();
    for relation in &schema.relations {
        statements.relation(relation)?;
    }
    for class in &schema.classes {
        statements.class_itself(class)?;
    }
    Ok(statements.0)
}

#[cfg(test)]
mod tests;
