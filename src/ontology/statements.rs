//! All that the Turtle files state, by predicate.

use std::collections::{BTreeMap, BTreeSet};

use super::turtle::Node;
use super::{AnyOf, KGB};
use crate::diagnostic::Place;

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const RDFS: &str = "http://www.w3.org/2000/01/rdf-schema#";
pub(super) const OWL: &str = "http://www.w3.org/2002/07/owl#";

/// The part of the name after the namespace, for each predicate that is read.
pub(super) fn local(predicate: &str) -> Option<(&'static str, &str)> {
    [(KGB, "kgb"), (RDFS, "rdfs"), (OWL, "owl"), (RDF, "rdf")]
        .into_iter()
        .find_map(|(namespace, prefix)| Some((prefix, predicate.strip_prefix(namespace)?)))
}

/// What one predicate says: for each subject its objects, in the order of the files, each with
/// its place.
pub(super) type Objects = BTreeMap<Node, Vec<(Node, Place)>>;

/// All statements of all files by their predicate, as `prefix:name`.
#[derive(Default)]
pub(super) struct Statements {
    pub by_predicate: BTreeMap<String, Objects>,
    /// Where each subject is first named.
    pub first_places: BTreeMap<String, Place>,
    /// For each property the restrictions on it, each with the class that it is stated for.
    pub restrictions: BTreeMap<Node, Vec<(String, Node)>>,
}

impl Statements {
    /// Subject, object and the object's place.
    pub(super) fn of(&self, predicate: &str) -> impl Iterator<Item = (&Node, &Node, &Place)> {
        let all = self.by_predicate.get(predicate).into_iter().flatten();
        all.flat_map(|(s, objects)| objects.iter().map(move |(o, place)| (s, o, place)))
    }

    pub(super) fn objects(&self, subject: &Node, predicate: &str) -> &[(Node, Place)] {
        let objects = self.by_predicate.get(predicate).and_then(|all| all.get(subject));
        objects.map_or(&[], Vec::as_slice)
    }

    pub(super) fn object(&self, subject: &Node, predicate: &str) -> Option<&Node> {
        self.objects(subject, predicate).first().map(|(object, _)| object)
    }

    /// The members of an RDF list, or nothing if it is none. Lists that bite their tail end.
    pub(super) fn list(&self, head: &Node) -> Option<Vec<&Node>> {
        let nil = Node::Iri(format!("{RDF}nil"));
        let mut members = Vec::new();
        let mut seen = BTreeSet::new();
        let mut node = head;
        while *node != nil {
            if !seen.insert(node) {
                return None;
            }
            members.push(self.object(node, "rdf:first")?);
            node = self.object(node, "rdf:rest")?;
        }
        Some(members)
    }

    /// The classes that a class expression names: itself, or the members of an `owl:unionOf`.
    pub(super) fn any_of(&self, expression: &Node) -> Option<AnyOf> {
        if let Node::Iri(class) = expression {
            return Some(vec![class.clone()]);
        }
        let head = self.object(expression, "owl:unionOf")?;
        let classes: Option<Vec<_>> = self.list(head)?.into_iter().map(iri).collect();
        let mut classes: Vec<String> = classes?.into_iter().map(str::to_owned).collect();
        classes.sort_unstable();
        classes.dedup();
        (!classes.is_empty()).then_some(classes)
    }
}

pub(super) fn iri(node: &Node) -> Option<&str> {
    match node {
        Node::Iri(iri) => Some(iri),
        _ => None,
    }
}
