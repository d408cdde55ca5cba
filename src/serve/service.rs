//! What the service is, for programs (W3C, SPARQL 1.1 Service Description) and the graph that it serves (VoID).

use oxigraph::io::{RdfFormat, RdfSerializer};
use oxigraph::model::vocab::rdf;
use oxigraph::model::{BlankNode, NamedNode, NamedOrBlankNode, Term, Triple};
use oxigraph::store::{StorageError, Store};

use crate::graph::vocabulary as kgb;

const SD: &str = "http://www.w3.org/ns/sparql-service-description#";
const FORMATS: &str = "http://www.w3.org/ns/formats/";

/// In what results are given, by the names that the W3C has for formats.
const RESULTS: [&str; 10] = [
    "SPARQL_Results_JSON",
    "SPARQL_Results_XML",
    "SPARQL_Results_CSV",
    "SPARQL_Results_TSV",
    "Turtle",
    "N-Triples",
    "RDF_XML",
    "JSON-LD",
    "TriG",
    "N-Quads",
];

/// The description of the service at `endpoint`, in a format.
///
/// # Errors
/// Where the store cannot be read.
pub(super) fn describe(
    store: &Store,
    endpoint: &str,
    format: RdfFormat,
) -> Result<Vec<u8>, StorageError> {
    let mut triples = Vec::new();
    let node = |iri: &str| NamedNode::new_unchecked(iri.to_owned());
    let sd = |name: &str| NamedNode::new_unchecked(format!("{SD}{name}"));
    let service = NamedOrBlankNode::from(NamedNode::new_unchecked(endpoint.to_owned()));
    let mut say = |s: &NamedOrBlankNode, p: NamedNode, o: Term| {
        triples.push(Triple::new(s.clone(), p, o));
    };
    say(&service, rdf::TYPE.into(), sd("Service").into());
    say(&service, sd("endpoint"), node(endpoint).into());
    say(&service, sd("supportedLanguage"), sd("SPARQL11Query").into());
    for name in RESULTS {
        say(&service, sd("resultFormat"), node(&format!("{FORMATS}{name}")).into());
    }
    let dataset = NamedOrBlankNode::from(BlankNode::new_unchecked("dataset"));
    let graph = NamedOrBlankNode::from(BlankNode::new_unchecked("graph"));
    say(&service, sd("defaultDataset"), dataset.clone().into());
    say(&dataset, rdf::TYPE.into(), sd("Dataset").into());
    say(&dataset, sd("defaultGraph"), graph.clone().into());
    say(&graph, rdf::TYPE.into(), sd("Graph").into());
    for (number, name) in store.named_graphs().enumerate() {
        let NamedOrBlankNode::NamedNode(name) = name? else { continue };
        let entry = NamedOrBlankNode::from(BlankNode::new_unchecked(format!("named{number}")));
        say(&dataset, sd("namedGraph"), entry.clone().into());
        say(&entry, rdf::TYPE.into(), sd("NamedGraph").into());
        say(&entry, sd("name"), name.into());
    }
    // What the run counted of its graph.
    for quad in store.quads_for_pattern(None, None, None, Some(kgb::DESCRIPTION.into())) {
        triples.push(quad?.into());
    }
    let mut writer = serializer(format).for_writer(Vec::new());
    for triple in &triples {
        // A vector takes all, and nothing here is a triple within a triple.
        let _ = writer.serialize_triple(triple);
    }
    Ok(writer.finish().unwrap_or_default())
}

fn serializer(format: RdfFormat) -> RdfSerializer {
    let prefixes =
        [("sd", SD), ("void", kgb::VOID), ("dcat", kgb::DCAT), ("dcterms", kgb::DCTERMS)];
    prefixes.into_iter().fold(RdfSerializer::from_format(format), |serializer, (name, iri)| {
        serializer.clone().with_prefix(name, iri).unwrap_or(serializer)
    })
}
