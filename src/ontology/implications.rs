//! What follows from a fact by the properties of its relation: `rdfs:subPropertyOf`, `owl:equivalentProperty`,
//! `owl:inverseOf` and `owl:SymmetricProperty`.
//!
//! All of these lead from one fact to one other, so that what follows from a fact, however many steps away,
//! depends on its relation alone. It is worked out once for each relation, until nothing is added; circles end
//! so.

use std::collections::{BTreeMap, BTreeSet};

use super::Ontology;
use super::read::{is_of_class, max_objects};
use super::statements::{Statements, iri};
use super::turtle::Node;
use crate::diagnostic::Diagnostics;

/// A relation of which a fact follows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Implied {
    /// Its IRI.
    pub relation: String,
    /// Whether subject and object change places.
    pub is_inverse: bool,
}

/// A relation of which facts follow from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consequence {
    /// Its IRI.
    pub relation: String,
    /// Of which relations, in which direction: their facts, with subject and object changed where it is the
    /// inverse, are facts of it. Never itself as it is. Sorted.
    pub from: Vec<Implied>,
    /// The most objects that a subject may have.
    pub max_objects: Option<u32>,
    /// Whether a subject is never its own object.
    pub irreflexive: bool,
}

/// Relations with a direction: whether subject and object are changed.
type Directed = (String, bool);

/// By relation, what follows of it in one step.
type Steps = BTreeMap<String, BTreeSet<Directed>>;

/// The relations of which facts follow from others, sorted by IRI. Mistakes in their bounds go to `notes`,
/// where no template told them.
pub(super) fn consequences(
    statements: &Statements,
    ontology: &Ontology,
    notes: &mut Diagnostics,
) -> Vec<Consequence> {
    let steps = steps(statements);
    let mut from: BTreeMap<&str, Vec<Implied>> = BTreeMap::new();
    let implied: Vec<(&String, BTreeSet<Directed>)> =
        steps.keys().map(|relation| (relation, closure(relation, &steps))).collect();
    for (relation, all) in &implied {
        for (of, is_inverse) in all {
            let source = Implied { relation: (*relation).clone(), is_inverse: *is_inverse };
            from.entry(of).or_default().push(source);
        }
    }
    let bounded = from.into_iter().map(|(relation, mut from)| {
        from.sort_unstable();
        let node = Node::Iri(relation.to_owned());
        let (max_objects, irreflexive) = match ontology.relation(relation) {
            Some(known) => (known.max_objects, known.irreflexive),
            None => (
                max_objects(&node, &[], statements, ontology, notes),
                is_of_class(&node, "IrreflexiveProperty", statements),
            ),
        };
        Consequence { relation: relation.to_owned(), from, max_objects, irreflexive }
    });
    bounded.collect()
}

/// What the statements say of one step.
fn steps(statements: &Statements) -> Steps {
    let mut steps = Steps::new();
    let mut add = |one: Option<Directed>, other: Option<Directed>| {
        if let (Some((one, changed)), Some((other, is_changed))) = (one, other) {
            steps.entry(one).or_default().insert((other, changed != is_changed));
        }
    };
    let directed = |node: &Node| directed(node, statements);
    let turned = |node: &Node| directed(node).map(|(relation, changed)| (relation, !changed));
    for (sub, property, _) in statements.of("rdfs:subPropertyOf") {
        add(directed(sub), directed(property));
    }
    for (one, other, _) in statements.of("owl:equivalentProperty") {
        add(directed(one), directed(other));
        add(directed(other), directed(one));
    }
    for (one, other, _) in statements.of("owl:inverseOf") {
        add(directed(one), turned(other));
        add(directed(other), turned(one));
    }
    for (property, class, _) in statements.of("rdf:type") {
        if iri(class).is_some_and(|class| class.ends_with("owl#SymmetricProperty")) {
            add(directed(property), turned(property));
        }
    }
    steps
}

/// A relation, or the inverse that a blank node stands for.
fn directed(node: &Node, statements: &Statements) -> Option<Directed> {
    if let Some(relation) = iri(node) {
        return Some((relation.to_owned(), false));
    }
    let inverse = iri(statements.object(node, "owl:inverseOf")?)?;
    Some((inverse.to_owned(), true))
}

/// All that follows of a relation, but itself as it is.
fn closure(relation: &str, steps: &Steps) -> BTreeSet<Directed> {
    let start = (relation.to_owned(), false);
    let mut found = BTreeSet::from([start.clone()]);
    let mut open = vec![start.clone()];
    while let Some((relation, changed)) = open.pop() {
        for (next, is_changed) in steps.get(&relation).into_iter().flatten() {
            let next = (next.clone(), changed != *is_changed);
            if found.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    found.remove(&start);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Ontology {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("o.ttl");
        let prefixes = "@prefix ex: <http://e/> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
            @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix kgb: <https://w3id.org/kgbuild#> .\n";
        std::fs::write(&file, format!("{prefixes}{text}")).unwrap();
        let (ontology, notes) = Ontology::read(&[file]).unwrap();
        assert!(notes.0.is_empty(), "{notes:?}");
        ontology
    }

    /// As in `capital <- ^capitalOf`.
    fn shown(ontology: &Ontology) -> Vec<String> {
        let name = |iri: &str| iri.rsplit('/').next().unwrap().to_owned();
        let all = ontology.consequences().iter().map(|one| {
            let from = one.from.iter().map(|from| {
                format!("{}{}", if from.is_inverse { "^" } else { "" }, name(&from.relation))
            });
            format!("{} <- {}", name(&one.relation), from.collect::<Vec<_>>().join(" "))
        });
        all.collect()
    }

    #[test]
    fn steps_are_followed_to_their_end() {
        let chain = read(
            "ex:a rdfs:subPropertyOf ex:b . ex:b rdfs:subPropertyOf ex:c . ex:c owl:inverseOf ex:d .",
        );
        assert_eq!(shown(&chain), ["b <- a", "c <- a b ^d", "d <- ^a ^b ^c"]);
        let circle = read("ex:a rdfs:subPropertyOf ex:b . ex:b rdfs:subPropertyOf ex:a .");
        assert_eq!(shown(&circle), ["a <- b", "b <- a"]);
        let symmetric = read("ex:a a owl:SymmetricProperty ; rdfs:subPropertyOf ex:b .");
        assert_eq!(shown(&symmetric), ["a <- ^a", "b <- a ^a"]);
        let unnamed = read("ex:a rdfs:subPropertyOf [ owl:inverseOf ex:b ] .");
        assert_eq!(shown(&unnamed), ["b <- ^a"]);
        let same = read("ex:a owl:equivalentProperty ex:b . ex:c owl:inverseOf ex:c .");
        assert_eq!(shown(&same), ["a <- b", "b <- a", "c <- ^c"]);
    }

    #[test]
    fn bounds_are_those_of_the_relation_that_follows() {
        let ontology = read(
            "ex:a owl:inverseOf ex:b ; kgb:template \"[X] [Y]\" ; kgb:maxObjects 3 .
             ex:b a owl:FunctionalProperty, owl:IrreflexiveProperty .",
        );
        let bounds: Vec<_> =
            ontology.consequences().iter().map(|one| (one.max_objects, one.irreflexive)).collect();
        assert_eq!(bounds, [(Some(3), false), (Some(1), true)]);
    }

    proptest! {
        /// What follows is what ways lead to, whatever circles there are.
        #[test]
        fn what_follows_is_the_closure(edges in prop::collection::vec((0usize..5, 0usize..5, any::<bool>()), 0..12)) {
            let text: String = edges
                .iter()
                .map(|(a, b, inverse)| match inverse {
                    true => format!("ex:p{a} owl:inverseOf ex:p{b} .\n"),
                    false => format!("ex:p{a} rdfs:subPropertyOf ex:p{b} .\n"),
                })
                .collect();
            let ontology = read(&text);
            // Nodes are relations with a direction.
            let mut reach = [[false; 10]; 10];
            (0..10).for_each(|i| reach[i][i] = true);
            for (a, b, inverse) in &edges {
                for turned in 0..2 {
                    reach[a * 2 + turned][b * 2 + (turned ^ usize::from(*inverse))] = true;
                    if *inverse {
                        reach[b * 2 + turned][a * 2 + (turned ^ 1)] = true;
                    }
                }
            }
            for k in 0..10 {
                for i in 0..10 {
                    for j in 0..10 {
                        reach[i][j] |= reach[i][k] && reach[k][j];
                    }
                }
            }
            let mut expected = BTreeSet::new();
            for (from, row) in reach.iter().enumerate().filter(|(from, _)| from % 2 == 0) {
                for (to, _) in row.iter().enumerate().filter(|(to, reached)| **reached && *to != from) {
                    expected.insert((to / 2, from / 2, to % 2 == 1));
                }
            }
            let number = |iri: &str| iri.rsplit('p').next().unwrap().parse::<usize>().unwrap();
            let found: BTreeSet<_> = ontology
                .consequences()
                .iter()
                .flat_map(|one| one.from.iter().map(|from| (number(&one.relation), number(&from.relation), from.is_inverse)))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
