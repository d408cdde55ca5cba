//! The entities that may be meant by a name, the likeliest first.
//!
//! Names are found by the index, compared, and the graph is asked about the hundred that are most alike: whether
//! they have the types, and whether their facts agree with the properties. A candidate is a match where its name,
//! or another that it has, is the same, nothing contradicts it, and that is so of no other.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use oxigraph::model::vocab::xsd;
use oxigraph::model::{Literal, NamedNodeRef, Term};
use oxigraph::store::Store;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::batch::{MOST, Property, Query, Value};
use super::likeness::{AGREES, Asked, UNKNOWN, WORTH, percent, score};
use super::{Item, expanded, iri, is_relation, item, with_subclasses};
use crate::graph;
use crate::serve::Served;
use crate::serve::index::{Alike, comparable};

/// About how many entities the graph is asked for one query.
const EXAMINED: usize = MOST;
/// How many objects of a property are compared with what is asked for.
const OBJECTS: usize = 200;

/// An entity that may be meant.
#[derive(Debug, Serialize)]
pub(super) struct Candidate {
    #[serde(flatten)]
    item: Item,
    /// By which of its other names it was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(rename = "type")]
    types: Vec<Item>,
    score: f64,
    #[serde(rename = "match")]
    is_match: bool,
    features: Vec<Feature>,
}

/// What a score is made of.
#[derive(Debug, Serialize)]
struct Feature {
    id: &'static str,
    value: Json,
}

/// A name that is alike, and how much.
struct Near<'a> {
    iri: &'a str,
    written: &'a str,
    likeness: f64,
}

/// How far facts agree with what is asked for.
struct Agreement {
    /// From 0 to 1.
    share: f64,
    /// Whether a property has other objects than those that are asked for.
    is_contradicted: bool,
}

/// A candidate, and what decides whether it is a match.
struct Examined {
    candidate: Candidate,
    is_same: bool,
    is_by_label: bool,
    is_contradicted: bool,
}

/// The entities that may be meant by a query.
///
/// # Errors
/// Where the graph cannot be read.
pub(super) fn candidates(served: &Served, query: &Query) -> Result<Vec<Candidate>, graph::Error> {
    let store = &served.store;
    let wanted = query.types.iter().map(|class| with_subclasses(store, class));
    let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
    let asked = Asked::new(&query.name);
    let alike = served.index.alike(asked.folded());
    let named = identified(store, &query.name)?;
    let near = match &named {
        Some(iri) => vec![Near { iri, written: iri, likeness: 1.0 }],
        None => ranked(&alike, &asked),
    };
    let mut found = Vec::new();
    let mut is_sure = named.is_some() || alike.has_all_same;
    for (number, near) in near.iter().enumerate() {
        // Others are less alike; only properties could put them before these.
        let is_enough = found.len() >= query.limit && query.properties.is_empty();
        if number == EXAMINED || is_enough && near.likeness < 1.0 {
            is_sure &= near.likeness < 1.0;
            break;
        }
        found.extend(examined(store, near, query, &wanted)?);
    }
    Ok(decided(found, is_sure, query.limit))
}

/// The candidates in their order, and which of them is the match.
fn decided(mut found: Vec<Examined>, is_sure: bool, limit: usize) -> Vec<Candidate> {
    let is_likely = |one: &Examined| one.is_same && !one.is_contradicted;
    let is_one = is_sure && found.iter().filter(|one| is_likely(one)).count() == 1;
    for one in &mut found {
        one.candidate.is_match = is_one && is_likely(one);
    }
    found.sort_by(|a, b| {
        let by_score = b.candidate.score.total_cmp(&a.candidate.score);
        let rest = |one: &Examined| (Reverse(one.candidate.is_match), Reverse(one.is_by_label));
        by_score
            .then_with(|| rest(a).cmp(&rest(b)))
            .then_with(|| a.candidate.item.id.cmp(&b.candidate.item.id))
    });
    found.into_iter().take(limit).map(|one| one.candidate).collect()
}

/// The IRI that a name is, where the graph has something of it.
fn identified(store: &Store, name: &str) -> Result<Option<String>, graph::Error> {
    match iri(name) {
        Some(iri) if graph::is_known(store, iri.as_ref())? => Ok(Some(iri.into_string())),
        _ => Ok(None),
    }
}

/// What is worth to be looked at, each entity once by its most alike name, the most alike first, of these the shorter
/// names.
fn ranked<'a>(alike: &Alike<'a>, asked: &Asked) -> Vec<Near<'a>> {
    let mut best: BTreeMap<&str, Near<'a>> = BTreeMap::new();
    for name in &alike.names {
        let likeness = asked.likeness(name.folded);
        let is_better = |near: &Near<'_>| likeness > near.likeness;
        if likeness >= WORTH && best.get(name.iri).is_none_or(is_better) {
            best.insert(name.iri, Near { iri: name.iri, written: name.written, likeness });
        }
    }
    let mut near: Vec<Near<'a>> = best.into_values().collect();
    near.sort_by(|a, b| {
        let by_likeness = b.likeness.total_cmp(&a.likeness);
        by_likeness.then_with(|| a.written.len().cmp(&b.written.len()))
    });
    near
}

/// Something as a candidate; none where it is a relation, or of another type than is asked for.
fn examined(
    store: &Store,
    near: &Near<'_>,
    query: &Query,
    wanted: &[HashSet<String>],
) -> Result<Option<Examined>, graph::Error> {
    let own = NamedNodeRef::new_unchecked(near.iri);
    if is_relation(store, own)? {
        return Ok(None);
    }
    let names = graph::names(store, own)?;
    let is_of = |classes: &HashSet<String>| names.types.iter().any(|own| classes.contains(own));
    let fits = if query.needs_all_types {
        wanted.iter().all(is_of)
    } else {
        wanted.is_empty() || wanted.iter().any(is_of)
    };
    if !fits {
        return Ok(None);
    }
    let types =
        names.types.iter().map(|class| item(store, class)).collect::<Result<Vec<_>, _>>()?;
    let agreement = agreement(store, own, &query.properties)?;
    let share = agreement.as_ref().map(|agreement| agreement.share);
    let is_same = near.likeness >= 1.0;
    let mut features = vec![
        Feature { id: "name_similarity", value: json!(percent(near.likeness)) },
        Feature { id: "same_name", value: json!(is_same) },
    ];
    features.extend(share.map(|share| Feature { id: "properties", value: json!(percent(share)) }));
    let is_by_label = names.label.as_deref() == Some(near.written);
    let is_iri = near.written == near.iri;
    let description = (!is_by_label && !is_iri).then(|| format!("also: {}", near.written));
    let name = names.label.unwrap_or_else(|| graph::shorten(near.iri));
    let candidate = Candidate {
        item: Item { id: near.iri.to_owned(), name },
        description,
        types,
        score: score(near.likeness, share),
        is_match: false,
        features,
    };
    let is_contradicted = agreement.is_some_and(|agreement| agreement.is_contradicted);
    Ok(Some(Examined { candidate, is_same, is_by_label, is_contradicted }))
}

/// How far the facts of an entity agree with properties; none where none are asked for.
fn agreement(
    store: &Store,
    subject: NamedNodeRef<'_>,
    properties: &[Property],
) -> Result<Option<Agreement>, graph::Error> {
    let mut all = Agreement { share: 0.0, is_contradicted: false };
    for property in properties {
        let objects = match &property.relation {
            Some(relation) => graph::objects(store, subject, relation.as_ref(), OBJECTS)?,
            None => Vec::new(),
        };
        if objects.is_empty() {
            all.share += UNKNOWN;
            continue;
        }
        let mut sum = 0.0;
        for value in &property.values {
            let mut best: f64 = 0.0;
            for object in &objects {
                best = best.max(agrees(store, object, value)?);
            }
            sum += best;
        }
        let share = sum / property.values.len() as f64;
        all.is_contradicted |= share < AGREES;
        all.share += share;
    }
    all.share /= properties.len().max(1) as f64;
    Ok((!properties.is_empty()).then_some(all))
}

/// How far an object is what is asked for, from 0 to 1.
fn agrees(store: &Store, object: &Term, value: &Value) -> Result<f64, graph::Error> {
    let or_not = |is: bool| if is { 1.0 } else { 0.0 };
    Ok(match (object, value) {
        (Term::NamedNode(object), Value::Entity(id)) => or_not(object.as_str() == id),
        (Term::NamedNode(object), Value::Text(text, asked)) => {
            if object.as_str() == expanded(text) {
                return Ok(1.0);
            }
            let names = graph::names(store, object.as_ref())?;
            let names = names.label.iter().chain(&names.others);
            names.map(|name| worth(asked, name)).fold(0.0, f64::max)
        }
        (Term::Literal(object), Value::Entity(id)) => or_not(object.value() == id),
        (Term::Literal(object), Value::Text(text, asked)) => {
            let is_text = object.language().is_some() || object.datatype() == xsd::STRING;
            if is_text { worth(asked, object.value()) } else { or_not(is_same_value(object, text)) }
        }
        _ => 0.0,
    })
}

/// How alike a text is; 0 where it is another one altogether.
fn worth(asked: &Asked, text: &str) -> f64 {
    let likeness = asked.likeness(&comparable(text));
    if likeness < WORTH { 0.0 } else { likeness }
}

/// Whether a number or a date is what a text says, a date to the precision of the coarser one.
fn is_same_value(object: &Literal, text: &str) -> bool {
    let value = object.value();
    let number = |text: &str| text.parse::<f64>().ok();
    if let (Some(one), Some(other)) = (number(value), number(text)) {
        return one == other;
    }
    let begins = |whole: &str, part: &str| {
        let rest = whole.strip_prefix(part);
        !part.is_empty() && rest.is_some_and(|rest| rest.starts_with(['-', 'T']))
    };
    value == text || begins(value, text) || begins(text, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxigraph::io::RdfFormat;
    use oxigraph::model::NamedNode;

    fn store() -> Store {
        let turtle = "PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> \
            PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> PREFIX e: <e:> \
            e:paris e:in e:france ; e:people 2100000 ; e:founded \"1900-05-01\"^^xsd:date ; \
              e:motto \"Fluctuat nec mergitur\" . e:france rdfs:label \"France\" .";
        let store = Store::new().unwrap();
        store.load_from_slice(RdfFormat::Turtle, turtle.as_bytes()).unwrap();
        store
    }

    fn property(relation: &str, value: Value) -> Property {
        Property { relation: NamedNode::new(relation).ok(), values: vec![value] }
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned(), Asked::new(text))
    }

    fn of(properties: &[Property]) -> Option<(f64, bool)> {
        let paris = NamedNodeRef::new("e:paris").unwrap();
        let agreement = agreement(&store(), paris, properties).unwrap();
        agreement.map(|agreement| (agreement.share, agreement.is_contradicted))
    }

    #[test]
    fn facts_agree_with_properties_or_contradict_them() {
        let right = Some((1.0, false));
        for (relation, value) in [
            ("e:in", Value::Entity("e:france".to_owned())),
            ("e:in", text("FRANCE")),
            ("e:in", text("e:france")),
            ("e:people", text("2100000.0")),
            ("e:founded", text("1900")),
            ("e:founded", text("1900-05-01")),
            ("e:motto", text("fluctuat nec mergitur")),
        ] {
            assert_eq!(of(&[property(relation, value)]), right, "{relation}");
        }
        for (relation, value) in [
            ("e:in", Value::Entity("e:texas".to_owned())),
            ("e:in", text("Germany")),
            ("e:people", text("2100001")),
            ("e:founded", text("1901")),
            ("e:founded", text("190")),
        ] {
            assert_eq!(of(&[property(relation, value)]), Some((0.0, true)), "{relation}");
        }
        assert_eq!(of(&[property("e:none", text("x"))]), Some((UNKNOWN, false)));
        assert_eq!(of(&[property("none", text("x"))]), Some((UNKNOWN, false)));
        let both = [property("e:in", text("France")), property("e:none", text("x"))];
        assert_eq!(of(&both), Some((0.75, false)));
        assert_eq!(of(&[]), None);
    }

    fn one(id: &str, score: f64, is_same: bool, is_contradicted: bool) -> Examined {
        let item = Item { id: id.to_owned(), name: id.to_owned() };
        let (types, features) = (Vec::new(), Vec::new());
        let description = None;
        let candidate = Candidate { item, description, types, score, is_match: false, features };
        Examined { candidate, is_same, is_by_label: true, is_contradicted }
    }

    #[test]
    fn a_match_is_the_only_one_that_is_the_same() {
        let matched = |found: Vec<Examined>, is_sure: bool| {
            let found = decided(found, is_sure, 10).into_iter();
            found.filter(|one| one.is_match).map(|one| one.item.id).collect::<Vec<_>>()
        };
        let near = || one("near", 90.0, false, false);
        let same = || one("same", 100.0, true, false);
        assert_eq!(matched(vec![near(), same()], true), ["same"]);
        assert!(matched(vec![near(), same()], false).is_empty());
        assert!(matched(vec![near()], true).is_empty());
        assert!(matched(vec![same(), one("other", 100.0, true, false)], true).is_empty());
        let contradicted = || one("other", 70.0, true, true);
        assert_eq!(matched(vec![contradicted(), same()], true), ["same"]);
        assert!(matched(vec![contradicted()], true).is_empty());
        let order = decided(vec![contradicted(), near(), same()], true, 2);
        assert_eq!(order.iter().map(|one| &*one.item.id).collect::<Vec<_>>(), ["same", "near"]);
    }
}
