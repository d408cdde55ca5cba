//! A schema read back from the store.

use oxigraph::model::vocab::{rdf, rdfs};
use oxigraph::model::{
    GraphNameRef, NamedNode, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, Term, TermRef,
};
use oxigraph::store::{QuadIter, StorageError, Store};

use super::{ClassSchema, RangeSchema, RelationSchema, Schema};
use crate::graph::vocabulary as kgb;

/// The schema that a store has, as [`quads`](super::quads) wrote it, sorted; an empty one where it has none.
pub(in crate::graph) fn read(store: &Store) -> Result<Schema, StorageError> {
    Reader { store }.read()
}

/// Asks the graph of the schema.
struct Reader<'a> {
    store: &'a Store,
}

impl Reader<'_> {
    fn read(&self) -> Result<Schema, StorageError> {
        let mut schema = Schema::default();
        for kind in [kgb::OBJECT_PROPERTY, kgb::DATATYPE_PROPERTY] {
            for iri in self.of_type(kind)? {
                schema.relations.push(self.relation(&iri)?);
            }
        }
        schema.relations.sort_by(|a, b| a.iri.cmp(&b.iri));
        for iri in self.of_type(kgb::OWL_CLASS)? {
            let superclasses = self.objects(iri.as_ref(), rdfs::SUB_CLASS_OF)?;
            let mut superclasses: Vec<String> = superclasses.iter().filter_map(iri_of).collect();
            superclasses.sort_unstable();
            let label = self.label(&iri)?;
            schema.classes.push(ClassSchema { iri: iri.into_string(), label, superclasses });
        }
        schema.classes.sort_by(|a, b| a.iri.cmp(&b.iri));
        Ok(schema)
    }

    fn relation(&self, iri: &NamedNode) -> Result<RelationSchema, StorageError> {
        let is =
            |class| Ok::<_, StorageError>(self.objects(iri.as_ref(), rdf::TYPE)?.contains(&class));
        let functional = is(kgb::FUNCTIONAL_PROPERTY.into_owned().into())?;
        let most = self.objects(iri.as_ref(), kgb::MAX_OBJECTS)?;
        let most = most.iter().find_map(|most| text_of(most)?.parse().ok());
        Ok(RelationSchema {
            iri: iri.as_str().to_owned(),
            label: self.label(iri)?,
            domain: self.classes(&self.objects(iri.as_ref(), rdfs::DOMAIN)?)?,
            range: self.range(iri)?,
            max_objects: if functional { Some(1) } else { most },
            irreflexive: is(kgb::IRREFLEXIVE_PROPERTY.into_owned().into())?,
            unit: self.objects(iri.as_ref(), kgb::UNIT)?.first().and_then(iri_of),
            tolerance: self.text(iri, kgb::TOLERANCE)?,
        })
    }

    fn range(&self, relation: &NamedNode) -> Result<RangeSchema, StorageError> {
        let ranges = self.objects(relation.as_ref(), rdfs::RANGE)?;
        if self
            .objects(relation.as_ref(), rdf::TYPE)?
            .contains(&kgb::OBJECT_PROPERTY.into_owned().into())
        {
            return Ok(RangeSchema::Entities(self.classes(&ranges)?));
        }
        match ranges.first() {
            Some(Term::BlankNode(range)) => {
                let texts = self.list(self.objects(range.as_ref(), kgb::ONE_OF)?)?;
                Ok(RangeSchema::Texts(
                    texts.iter().filter_map(text_of).map(str::to_owned).collect(),
                ))
            }
            range => {
                let bounds =
                    self.text(relation, kgb::MINIMUM)?.zip(self.text(relation, kgb::MAXIMUM)?);
                let bounds = bounds.map(<[String; 2]>::from);
                Ok(match (self.text(relation, kgb::PRECISION)?, bounds) {
                    (Some(precision), Some(bounds)) => RangeSchema::Dates { bounds, precision },
                    (_, bounds) => {
                        let datatype = range.and_then(iri_of).unwrap_or_default();
                        RangeSchema::Values { datatype, bounds }
                    }
                })
            }
        }
    }

    /// The first text that a predicate gives a relation.
    fn text(
        &self,
        relation: &NamedNode,
        predicate: NamedNodeRef<'_>,
    ) -> Result<Option<String>, StorageError> {
        let texts = self.objects(relation.as_ref(), predicate)?;
        Ok(texts.first().and_then(text_of).map(str::to_owned))
    }

    /// Of each class expression the classes that it names, sorted.
    fn classes(&self, expressions: &[Term]) -> Result<Vec<Vec<String>>, StorageError> {
        let mut all = Vec::new();
        for expression in expressions {
            let members = match expression {
                Term::BlankNode(union) => {
                    self.list(self.objects(union.as_ref(), kgb::UNION_OF)?)?
                }
                class => vec![class.clone()],
            };
            all.push(members.iter().filter_map(iri_of).collect());
        }
        all.sort_unstable();
        Ok(all)
    }

    /// The members of the first of these lists.
    fn list(&self, heads: Vec<Term>) -> Result<Vec<Term>, StorageError> {
        let mut members = Vec::new();
        let mut head = heads.into_iter().next();
        while let Some(Term::BlankNode(node)) = head {
            members.extend(self.objects(node.as_ref(), rdf::FIRST)?);
            head = self.objects(node.as_ref(), rdf::REST)?.into_iter().next();
        }
        Ok(members)
    }

    fn label(&self, iri: &NamedNode) -> Result<Option<String>, StorageError> {
        let labels = self.objects(iri.as_ref(), rdfs::LABEL)?;
        Ok(labels.first().and_then(text_of).map(str::to_owned))
    }

    fn of_type(&self, class: NamedNodeRef<'_>) -> Result<Vec<NamedNode>, StorageError> {
        let quads = self.quads(None, rdf::TYPE, Some(class.into()));
        let named = quads.filter_map(|quad| match quad.map(|quad| quad.subject) {
            Ok(NamedOrBlankNode::NamedNode(iri)) => Some(Ok(iri)),
            Ok(NamedOrBlankNode::BlankNode(_)) => None,
            Err(error) => Some(Err(error)),
        });
        named.collect()
    }

    fn objects<'n>(
        &self,
        subject: impl Into<NamedOrBlankNodeRef<'n>>,
        predicate: NamedNodeRef<'_>,
    ) -> Result<Vec<Term>, StorageError> {
        self.quads(Some(subject.into()), predicate, None).map(|quad| Ok(quad?.object)).collect()
    }

    fn quads(
        &self,
        subject: Option<NamedOrBlankNodeRef<'_>>,
        predicate: NamedNodeRef<'_>,
        object: Option<TermRef<'_>>,
    ) -> QuadIter<'static> {
        let graph = Some(GraphNameRef::NamedNode(kgb::SCHEMA));
        self.store.quads_for_pattern(subject, Some(predicate), object, graph)
    }
}

fn iri_of(term: &Term) -> Option<String> {
    match term {
        Term::NamedNode(iri) => Some(iri.as_str().to_owned()),
        _ => None,
    }
}

fn text_of(term: &Term) -> Option<&str> {
    match term {
        Term::Literal(literal) => Some(literal.value()),
        _ => None,
    }
}
