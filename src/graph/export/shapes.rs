//! SHACL shapes of what the ontology says of the relations: a graph that a run made is valid against them.
//!
//! They hold of a graph with its schema: of which class something is, `rdfs:subClassOf` says too.

mod years;

use oxigraph::model::vocab::{rdf, rdfs, xsd};
use oxigraph::model::{
    BlankNode, GraphName, Literal, NamedNode, NamedNodeRef, NamedOrBlankNode, Quad, Term,
};
use oxigraph::store::Store;

use super::format::ExportFormat;
use crate::graph::schema::{self, RangeSchema, RelationSchema};
use crate::graph::vocabulary as kgb;
use crate::graph::write::identifier;
use crate::graph::{Error, ledger};

/// Why a format that has no RDF has no shapes.
pub(super) fn no_table(format: ExportFormat) -> Error {
    Error::Format {
        problem: format!("`{}` has no place for shapes, which are RDF", format.name()),
        instead: "take `--format turtle`, or another format of RDF".to_owned(),
    }
}

/// A store in memory with the shapes of the relations of `store`.
///
/// # Errors
/// [`Error::Format`] where the format is no RDF, or the store has no schema.
pub(super) fn shapes(store: &Store, format: ExportFormat) -> Result<Store, Error> {
    if format.is_table() {
        return Err(no_table(format));
    }
    let schema = schema::read(store).map_err(Error::Read)?;
    if schema.relations.is_empty() {
        return Err(Error::Format {
            problem: "the graph does not say what its ontology has, so that there are no shapes"
                .to_owned(),
            instead:
                "it is of an earlier version of kgbuild: build it anew by `kgbuild run --fresh`"
                    .to_owned(),
        });
    }
    let base = ledger::base_iri(store).map_err(Error::Read)?;
    let made = Store::new().map_err(Error::Read)?;
    for relation in &schema.relations {
        let mut shape = Shape { base: &base, relation, blanks: 0, quads: Vec::new() };
        shape.write();
        made.extend(shape.quads).map_err(Error::Read)?;
    }
    Ok(made)
}

/// The shape of a relation's subjects, as it comes to be.
struct Shape<'a> {
    base: &'a str,
    relation: &'a RelationSchema,
    blanks: usize,
    quads: Vec<Quad>,
}

impl Shape<'_> {
    fn write(&mut self) {
        let property = NamedNode::new_unchecked(&self.relation.iri);
        let (subjects, objects) = (self.iri("shape"), self.iri("property-shape"));
        self.say(&subjects, rdf::TYPE, kgb::NODE_SHAPE);
        self.say(&subjects, kgb::TARGET_SUBJECTS_OF, property.clone());
        self.say(&subjects, kgb::SHAPE_PROPERTY, objects.clone());
        self.say(&objects, rdf::TYPE, kgb::PROPERTY_SHAPE);
        self.say(&objects, kgb::PATH, property.clone());
        if let Some(label) = &self.relation.label {
            self.say(&subjects, rdfs::LABEL, Literal::from(label.as_str()));
            self.say(&objects, kgb::SHAPE_NAME, Literal::from(label.as_str()));
        }
        self.classes(&subjects, &self.relation.domain.clone());
        if let Some(most) = self.relation.max_objects {
            self.say(&objects, kgb::MAX_COUNT, integer(most));
        }
        self.range(&objects);
        if self.relation.irreflexive {
            // What is the same as the subject, itself above all, is none of its objects.
            let (itself, path) = (self.blank(), self.blank());
            self.say(&subjects, kgb::SHAPE_PROPERTY, itself.clone());
            self.say(&itself, kgb::PATH, path.clone());
            self.say(&path, kgb::ZERO_OR_ONE_PATH, kgb::SAME_AS);
            self.say(&itself, kgb::DISJOINT, property);
        }
    }

    fn range(&mut self, objects: &NamedNode) {
        match self.relation.range.clone() {
            RangeSchema::Entities(classes) => {
                self.say(objects, kgb::NODE_KIND, kgb::KIND_IRI);
                self.classes(objects, &classes);
            }
            RangeSchema::Values { datatype, bounds } => {
                let datatype = NamedNode::new_unchecked(datatype);
                self.say(objects, kgb::SHAPE_DATATYPE, datatype.clone());
                if let (true, Some([first, last])) = (datatype == xsd::G_YEAR, &bounds) {
                    if let Some(pattern) = years::pattern(first, last) {
                        self.say(objects, kgb::PATTERN, Literal::from(pattern));
                    }
                    return;
                }
                let predicates = [kgb::MIN_INCLUSIVE, kgb::MAX_INCLUSIVE];
                for (predicate, bound) in predicates.into_iter().zip(bounds.iter().flatten()) {
                    let bound = Literal::new_typed_literal(bound, datatype.clone());
                    self.say(objects, predicate, bound);
                }
            }
            RangeSchema::Dates { bounds, precision } => {
                let date = self.blank();
                self.say(&date, kgb::SHAPE_DATATYPE, xsd::DATE);
                let predicates = [kgb::MIN_INCLUSIVE, kgb::MAX_INCLUSIVE];
                for (predicate, bound) in predicates.into_iter().zip(bounds) {
                    self.say(&date, predicate, Literal::new_typed_literal(bound, xsd::DATE));
                }
                let coarser = [xsd::G_YEAR_MONTH, xsd::G_YEAR];
                let coarser = &coarser[..if precision == "month" { 1 } else { 2 }];
                let mut alternatives = vec![date.into()];
                for datatype in coarser {
                    let alternative = self.blank();
                    self.say(&alternative, kgb::SHAPE_DATATYPE, *datatype);
                    alternatives.push(alternative.into());
                }
                let list = self.list(alternatives);
                self.say(objects, kgb::OR, list);
            }
            RangeSchema::Texts(texts) => {
                self.say(objects, kgb::SHAPE_DATATYPE, xsd::STRING);
                let texts = texts.iter().map(|text| Literal::from(text.as_str()).into());
                let list = self.list(texts.collect());
                self.say(objects, kgb::IN, list);
            }
        }
    }

    /// That something is of one class at least of each list.
    fn classes(&mut self, shape: &NamedNode, all: &[Vec<String>]) {
        // Of these classes everything is, whether it is said or not.
        let everything =
            |class: &String| class == kgb::THING.as_str() || class == rdfs::RESOURCE.as_str();
        for any_of in all.iter().filter(|any_of| !any_of.iter().any(everything)) {
            if let [class] = &any_of[..] {
                self.say(shape, kgb::SHAPE_CLASS, NamedNode::new_unchecked(class));
                continue;
            }
            let mut alternatives = Vec::new();
            for class in any_of {
                let alternative = self.blank();
                self.say(&alternative, kgb::SHAPE_CLASS, NamedNode::new_unchecked(class));
                alternatives.push(alternative.into());
            }
            let list = self.list(alternatives);
            self.say(shape, kgb::OR, list);
        }
    }

    fn list(&mut self, members: Vec<Term>) -> Term {
        let mut rest = Term::from(rdf::NIL.into_owned());
        for member in members.into_iter().rev() {
            let node = self.blank();
            self.say(&node, rdf::FIRST, member);
            self.say(&node, rdf::REST, rest);
            rest = node.into();
        }
        rest
    }

    fn iri(&self, kind: &str) -> NamedNode {
        let hash = identifier([self.relation.iri.as_str()]);
        NamedNode::new_unchecked(format!("{}{kind}:{hash}", self.base))
    }

    fn blank(&mut self) -> BlankNode {
        self.blanks += 1;
        let hash = identifier([self.relation.iri.as_str()]);
        BlankNode::new_unchecked(format!("b{hash}-{}", self.blanks))
    }

    fn say<S: Clone + Into<NamedOrBlankNode>>(
        &mut self,
        subject: &S,
        predicate: NamedNodeRef<'_>,
        object: impl Into<Term>,
    ) {
        self.quads.push(Quad::new(subject.clone(), predicate, object, GraphName::DefaultGraph));
    }
}

fn integer(number: u32) -> Literal {
    Literal::new_typed_literal(number.to_string(), xsd::INTEGER)
}
