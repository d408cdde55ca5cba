//! Classes that share no entity, by `owl:disjointWith` and `owl:AllDisjointClasses`.

use std::collections::{BTreeMap, BTreeSet};

use super::statements::{OWL, Statements, iri};
use super::{AnyOf, Ontology};

/// By class those that it is stated to be disjoint with.
pub(super) type Disjoint = BTreeMap<String, BTreeSet<String>>;

/// What the statements say, in both directions.
pub(super) fn disjoint(statements: &Statements) -> Disjoint {
    let mut disjoint = Disjoint::new();
    let mut add = |one: &str, other: &str| {
        // What is disjoint with itself has no entities, which is no reason to leave some out.
        if one != other {
            disjoint.entry(one.to_owned()).or_default().insert(other.to_owned());
            disjoint.entry(other.to_owned()).or_default().insert(one.to_owned());
        }
    };
    for (one, other, _) in statements.of("owl:disjointWith") {
        if let (Some(one), Some(other)) = (iri(one), iri(other)) {
            add(one, other);
        }
    }
    let all = format!("{OWL}AllDisjointClasses");
    for (node, head, _) in statements.of("owl:members") {
        let types = statements.objects(node, "rdf:type");
        if !types.iter().any(|(class, _)| iri(class) == Some(&all)) {
            continue;
        }
        let members: Vec<&str> =
            statements.list(head).unwrap_or_default().into_iter().filter_map(iri).collect();
        for (number, one) in members.iter().enumerate() {
            members[number + 1..].iter().for_each(|other| add(one, other));
        }
    }
    disjoint
}

impl Ontology {
    /// Why nothing can be of all these classes and what a domain or range asks for: one of them that fits,
    /// and another that is disjoint with it. Nothing where it can.
    pub fn contradiction<'a>(
        &self,
        wanted: &[AnyOf],
        classes: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<(&'a str, &'a str)> {
        if self.disjoint.is_empty() {
            return None;
        }
        let fits = |class: &&str| wanted.iter().flatten().any(|wanted| self.is_a(class, wanted));
        classes.clone().filter(fits).find_map(|one| {
            classes.clone().find(|other| self.are_disjoint(one, other)).map(|other| (one, other))
        })
    }

    /// Whether two classes, or any above them, are stated to be disjoint.
    fn are_disjoint(&self, one: &str, other: &str) -> bool {
        let above = self.with_superclasses(other);
        self.with_superclasses(one).iter().any(|class| {
            let disjoint = self.disjoint.get(*class);
            disjoint.is_some_and(|disjoint| above.iter().any(|other| disjoint.contains(*other)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disjointness_goes_down_to_subclasses() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("o.ttl");
        let text = "@prefix : <http://e/> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
            @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
            :Town rdfs:subClassOf :City . :Poet rdfs:subClassOf :Person . :City owl:disjointWith :Person .
            [] a owl:AllDisjointClasses ; owl:members ( :River :Person :Lake ) . :Odd owl:disjointWith :Odd .";
        std::fs::write(&file, text).unwrap();
        let (ontology, notes) = Ontology::read(&[file]).unwrap();
        assert!(notes.0.is_empty(), "{notes:?}");
        let found = |wanted: &str, classes: &[&str]| {
            let classes: Vec<String> = classes.iter().map(|c| format!("http://e/{c}")).collect();
            let wanted = [vec![format!("http://e/{wanted}")]];
            let found = ontology.contradiction(&wanted, classes.iter().map(String::as_str));
            found.map(|(one, other)| format!("{} {}", &one[9..], &other[9..]))
        };
        assert_eq!(found("City", &["Town", "Poet"]).as_deref(), Some("Town Poet"));
        assert_eq!(found("Person", &["Town", "Poet"]).as_deref(), Some("Poet Town"));
        // What is asked for has to be in it.
        assert_eq!(found("Lake", &["Town", "Poet"]), None);
        assert_eq!(found("River", &["River", "Lake"]).as_deref(), Some("River Lake"));
        assert_eq!(found("City", &["Town", "River"]), None);
        assert_eq!(found("Odd", &["Odd"]), None);
    }
}
