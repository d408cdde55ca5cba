//! What a graph says of one entity or relation: names, types, facts with what is said of each.

use oxigraph::model::vocab::{rdf, rdfs};
use oxigraph::model::{
    GraphNameRef, NamedNode, NamedNodeRef, NamedOrBlankNode, NamedOrBlankNodeRef, Term, TermRef,
    Triple,
};
use oxigraph::store::Store;

use super::error::Error;
use super::vocabulary as kgb;

/// What something is called and is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The first of its labels by the order of their bytes; none where it has none.
    pub label: Option<String>,
    /// Its other labels and names, in that order.
    pub others: Vec<String>,
    /// The IRIs of its classes.
    pub types: Vec<String>,
}

/// A fact, and what is said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// Its subject, relation and object.
    pub triple: Triple,
    /// What is said of it, an annotation each: most have one, what was known and not predicted has none.
    pub annotations: Vec<Annotation>,
}

/// What is said of a fact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotation {
    /// The confidence, 0 to 1.
    pub confidence: Option<f64>,
    /// The finetuned model's probability.
    pub finetuned: Option<f64>,
    /// The base model's probability.
    pub base: Option<f64>,
    /// Between which values the true one may be.
    pub within: Option<[String; 2]>,
    /// Whether the object shares its name with another candidate.
    pub ambiguous: bool,
    /// Whether a person judged it to be right.
    pub judged: bool,
    /// The facts that it follows from.
    pub derived_from: Vec<Triple>,
}

impl Fact {
    /// The highest confidence that is said of it.
    pub fn confidence(&self) -> Option<f64> {
        self.annotations.iter().filter_map(|said| said.confidence).reduce(f64::max)
    }
}

const GRAPH: Option<GraphNameRef<'static>> = Some(GraphNameRef::DefaultGraph);
/// How many triples are looked at for a list of facts: of more, the first in the store's order.
const LOOKED_AT: usize = 20_000;

/// The first of something's labels by the order of their bytes; none where it has none.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn label(store: &Store, iri: NamedNodeRef<'_>) -> Result<Option<String>, Error> {
    let mut first: Option<String> = None;
    for graph in [GraphNameRef::DefaultGraph, GraphNameRef::NamedNode(kgb::SCHEMA)] {
        for quad in store.quads_for_pattern(Some(iri.into()), Some(rdfs::LABEL), None, Some(graph))
        {
            if let Term::Literal(label) = quad.map_err(Error::Read)?.object {
                let label = label.destruct().0;
                first = Some(first.map_or(label.clone(), |first| first.min(label)));
            }
        }
    }
    Ok(first)
}

/// What the default graph, or the schema, calls something.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn names(store: &Store, iri: NamedNodeRef<'_>) -> Result<Names, Error> {
    let (mut labels, mut others, mut types) = (Vec::new(), Vec::new(), Vec::new());
    for graph in [GraphNameRef::DefaultGraph, GraphNameRef::NamedNode(kgb::SCHEMA)] {
        // A subject of many facts has few of these.
        let of = [rdfs::LABEL, kgb::ALT_LABEL, rdf::TYPE].into_iter().flat_map(|predicate| {
            store.quads_for_pattern(Some(iri.into()), Some(predicate), None, Some(graph))
        });
        for quad in of {
            let quad = quad.map_err(Error::Read)?;
            match (quad.predicate.as_ref(), quad.object) {
                (rdfs::LABEL, Term::Literal(label)) => labels.push(label.destruct().0),
                (kgb::ALT_LABEL, Term::Literal(name)) => others.push(name.destruct().0),
                (rdf::TYPE, Term::NamedNode(class)) => types.push(class.into_string()),
                _ => {}
            }
        }
    }
    for list in [&mut labels, &mut types] {
        list.sort_unstable();
        list.dedup();
    }
    let mut labels = labels.into_iter();
    let label = labels.next();
    others.extend(labels);
    others.sort_unstable();
    others.dedup();
    others.retain(|other| Some(other) != label.as_ref());
    Ok(Names { label, others, types })
}

/// Whether the default graph or the schema says anything of something, or of anything else by it.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn is_known(store: &Store, iri: NamedNodeRef<'_>) -> Result<bool, Error> {
    for graph in [GraphNameRef::DefaultGraph, GraphNameRef::NamedNode(kgb::SCHEMA)] {
        let patterns: [(Option<NamedOrBlankNodeRef<'_>>, _, Option<TermRef<'_>>); 3] = [
            (Some(iri.into()), None, None),
            (None, None, Some(iri.into())),
            (None, Some(iri), None),
        ];
        for (subject, predicate, object) in patterns {
            let mut found = store.quads_for_pattern(subject, predicate, object, Some(graph));
            if found.next().transpose().map_err(Error::Read)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The facts of a subject, by relation, those of more confidence first; at most so many. Of more than 20,000
/// triples the first are looked at, as for the other lists.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn facts_of(store: &Store, subject: NamedNodeRef<'_>, most: usize) -> Result<Vec<Fact>, Error> {
    facts(store, Some(subject.into()), None, None, most)
}

/// The facts that have an object, in the same order; at most so many.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn facts_to(store: &Store, object: TermRef<'_>, most: usize) -> Result<Vec<Fact>, Error> {
    facts(store, None, None, Some(object), most)
}

/// Facts of a relation; at most so many.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn facts_by(
    store: &Store,
    relation: NamedNodeRef<'_>,
    most: usize,
) -> Result<Vec<Fact>, Error> {
    facts(store, None, Some(relation), None, most)
}

/// The facts of a subject by one relation, those of more confidence first; at most so many.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn facts_about(
    store: &Store,
    subject: NamedNodeRef<'_>,
    relation: NamedNodeRef<'_>,
    most: usize,
) -> Result<Vec<Fact>, Error> {
    facts(store, Some(subject.into()), Some(relation), None, most)
}

/// The objects of a subject's facts by one relation, without what is said of these, in the store's order; at
/// most so many.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn objects(
    store: &Store,
    subject: NamedNodeRef<'_>,
    relation: NamedNodeRef<'_>,
    most: usize,
) -> Result<Vec<Term>, Error> {
    if !is_of_facts(relation) {
        return Ok(Vec::new());
    }
    let quads = store.quads_for_pattern(Some(subject.into()), Some(relation), None, GRAPH);
    quads.take(most).map(|quad| Ok(quad.map_err(Error::Read)?.object)).collect()
}

fn facts(
    store: &Store,
    subject: Option<NamedOrBlankNodeRef<'_>>,
    relation: Option<NamedNodeRef<'_>>,
    object: Option<TermRef<'_>>,
    most: usize,
) -> Result<Vec<Fact>, Error> {
    let mut facts = Vec::new();
    if relation.is_some_and(|relation| !is_of_facts(relation)) {
        return Ok(facts);
    }
    for quad in store.quads_for_pattern(subject, relation, object, GRAPH).take(LOOKED_AT) {
        let triple = Triple::from(quad.map_err(Error::Read)?);
        if is_of_facts(triple.predicate.as_ref()) {
            facts.push(annotated_fact(store, triple)?);
        }
    }
    let confidence = |fact: &Fact| fact.confidence().unwrap_or(1.0);
    facts.sort_by(|a, b| {
        let by_relation = a.triple.predicate.as_str().cmp(b.triple.predicate.as_str());
        by_relation.then(confidence(b).total_cmp(&confidence(a)))
    });
    facts.truncate(most);
    Ok(facts)
}

/// The relations that are asked, by the schema, in the order of their IRIs.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn relations(store: &Store) -> Result<Vec<NamedNode>, Error> {
    let mut relations = Vec::new();
    let schema = Some(GraphNameRef::NamedNode(kgb::SCHEMA));
    for class in [kgb::OBJECT_PROPERTY, kgb::DATATYPE_PROPERTY] {
        for quad in store.quads_for_pattern(None, Some(rdf::TYPE), Some(class.into()), schema) {
            if let NamedOrBlankNode::NamedNode(relation) = quad.map_err(Error::Read)?.subject {
                relations.push(relation);
            }
        }
    }
    relations.sort_unstable();
    relations.dedup();
    Ok(relations)
}

/// A triple with what is said of it.
///
/// # Errors
/// [`Error::Read`] where the store cannot be read.
pub fn annotated_fact(store: &Store, triple: Triple) -> Result<Fact, Error> {
    let annotations = annotations(store, &triple)?;
    Ok(Fact { triple, annotations })
}

/// Whether a property is of facts: not of names and classes, nor of what is said about facts and runs.
pub fn is_of_facts(property: NamedNodeRef<'_>) -> bool {
    let names = [rdf::TYPE, rdf::REIFIES, rdfs::LABEL, kgb::ALT_LABEL];
    let about = [kgb::NAMESPACE, kgb::PROV];
    !names.contains(&property) && !about.iter().any(|of| property.as_str().starts_with(of))
}

/// What is said of a triple, an annotation a reifier.
fn annotations(store: &Store, triple: &Triple) -> Result<Vec<Annotation>, Error> {
    let term = Term::from(triple.clone());
    let mut annotations = Vec::new();
    for quad in store.quads_for_pattern(None, Some(rdf::REIFIES), Some(term.as_ref()), GRAPH) {
        let reifier = quad.map_err(Error::Read)?.subject;
        annotations.push(annotation(store, &reifier)?);
    }
    Ok(annotations)
}

fn annotation(store: &Store, reifier: &NamedOrBlankNode) -> Result<Annotation, Error> {
    let mut said = Annotation::default();
    let (mut lower, mut upper) = (None, None);
    for quad in store.quads_for_pattern(Some(reifier.as_ref()), None, None, GRAPH) {
        let quad = quad.map_err(Error::Read)?;
        let number = |term: &Term| match term {
            Term::Literal(literal) => literal.value().parse().ok(),
            _ => None,
        };
        let text = |term: &Term| match term {
            Term::Literal(literal) => Some(literal.value().to_owned()),
            _ => None,
        };
        let object = quad.object;
        match quad.predicate.as_ref() {
            kgb::CONFIDENCE => said.confidence = number(&object),
            kgb::FINETUNED_PROBABILITY => said.finetuned = number(&object),
            kgb::BASE_PROBABILITY => said.base = number(&object),
            kgb::LOWER => lower = text(&object),
            kgb::UPPER => upper = text(&object),
            kgb::AMBIGUOUS => said.ambiguous = true,
            kgb::JUDGED => said.judged = true,
            kgb::WAS_DERIVED_FROM => {
                let Term::NamedNode(origin) = object else { continue };
                said.derived_from.extend(reified(store, &origin)?);
            }
            _ => {}
        }
    }
    said.within = lower.zip(upper).map(|(lower, upper)| [lower, upper]);
    Ok(said)
}

/// The triples that a reifier is of.
fn reified(store: &Store, reifier: &NamedNode) -> Result<Vec<Triple>, Error> {
    let of = Some(reifier.as_ref().into());
    let quads = store.quads_for_pattern(of, Some(rdf::REIFIES), None, GRAPH);
    let triples = quads.filter_map(|quad| match quad {
        Ok(quad) => match quad.object {
            Term::Triple(triple) => Some(Ok(*triple)),
            _ => None,
        },
        Err(error) => Some(Err(Error::Read(error))),
    });
    triples.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxigraph::io::RdfFormat;

    fn store() -> Store {
        let turtle = "PREFIX rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> \
            PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> \
            PREFIX skos: <http://www.w3.org/2004/02/skos/core#> \
            PREFIX prov: <http://www.w3.org/ns/prov#> \
            PREFIX kgb: <https://w3id.org/kgbuild#> PREFIX e: <e:>\n
            e:a a e:T ; rdfs:label \"b\", \"a\" ; skos:altLabel \"c\", \"a\" .
            e:a e:q e:1 ~ e:x {| kgb:confidence 0.5 ; prov:wasGeneratedBy e:run |} .
            e:a e:q e:2 {| kgb:confidence 0.75 ; kgb:baseProbability 0.25 ; kgb:ambiguous true |} .
            e:a e:p 7 {| kgb:confidence 0.5 ; kgb:lower 6 ; kgb:upper 8 |} .
            e:1 e:r e:a {| kgb:confidence 0.5 ; prov:wasDerivedFrom e:x |} .
            e:1 e:s e:a .";
        let store = Store::new().unwrap();
        store.load_from_slice(RdfFormat::Turtle, turtle.as_bytes()).unwrap();
        store
    }

    fn iri(name: &str) -> NamedNodeRef<'_> {
        NamedNodeRef::new(name).unwrap()
    }

    #[test]
    fn names_are_one_label_and_the_others() {
        let names = names(&store(), iri("e:a")).unwrap();
        assert_eq!(names.label.as_deref(), Some("a"));
        assert_eq!((names.others, names.types), (vec!["b".into(), "c".into()], vec!["e:T".into()]));
        assert_eq!(super::names(&store(), iri("e:none")).unwrap(), Names::default());
        assert!(is_known(&store(), iri("e:2")).unwrap() && is_known(&store(), iri("e:q")).unwrap());
        assert!(!is_known(&store(), iri("e:none")).unwrap());
    }

    #[test]
    fn facts_have_what_is_said_of_them() {
        let store = store();
        let facts = facts_of(&store, iri("e:a"), 10).unwrap();
        let of = |fact: &Fact| (fact.triple.object.to_string(), fact.confidence());
        let expected = [
            ("\"7\"^^<http://www.w3.org/2001/XMLSchema#integer>", 0.5),
            ("<e:2>", 0.75),
            ("<e:1>", 0.5),
        ];
        let expected = expected.map(|(object, confidence)| (object.to_owned(), Some(confidence)));
        assert_eq!(facts.iter().map(of).collect::<Vec<_>>(), expected);
        assert_eq!(facts[0].annotations[0].within, Some(["6".to_owned(), "8".to_owned()]));
        assert!(facts[1].annotations[0].ambiguous);
        assert_eq!(facts[1].annotations[0].base, Some(0.25));
        assert_eq!(facts_of(&store, iri("e:a"), 1).unwrap().len(), 1);
        let about = facts_about(&store, iri("e:a"), iri("e:q"), 10).unwrap();
        assert_eq!(about.iter().map(|fact| of(fact).0).collect::<Vec<_>>(), ["<e:2>", "<e:1>"]);
        let objects = |relation| objects(&store, iri("e:a"), relation, 10).unwrap();
        assert_eq!(objects(iri("e:q")).len(), 2);
        assert!(objects(rdfs::LABEL).is_empty() && objects(iri("e:none")).is_empty());
    }

    #[test]
    fn facts_that_point_to_something_are_found() {
        let facts = facts_to(&store(), iri("e:a").into(), 10).unwrap();
        let from: Vec<String> =
            facts.iter().map(|fact| fact.triple.predicate.to_string()).collect();
        assert_eq!(from, ["<e:r>", "<e:s>"]);
        assert_eq!(facts[0].annotations[0].derived_from[0].predicate.as_str(), "e:q");
        assert!(facts[1].annotations.is_empty());
    }
}
