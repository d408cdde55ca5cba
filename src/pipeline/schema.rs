//! What the ontology says of what is asked, as the graph keeps it.

use std::collections::BTreeSet;

use super::Plan;
use crate::graph::{ClassSchema, RangeSchema, RelationSchema, Schema};
use crate::ontology::{Datatype, Ontology, Precision, Relation, ValueRange};

/// What the ontology says of the planned relations, and of all classes that it orders or that these name.
pub(super) fn describe(plan: &Plan) -> Schema {
    let ontology = &plan.ontology;
    let asked = plan.relations.iter().filter_map(|relation| ontology.relation(&relation.iri));
    let asked: Vec<&Relation> = asked.collect();
    Schema {
        relations: asked.iter().map(|relation| relation_schema(relation)).collect(),
        classes: classes(ontology, &asked),
    }
}

fn relation_schema(relation: &Relation) -> RelationSchema {
    RelationSchema {
        iri: relation.iri.clone(),
        label: relation.label.clone(),
        domain: relation.domain.clone(),
        range: match &relation.values {
            Some(values) => range_of_values(values),
            None => RangeSchema::Entities(relation.range.clone()),
        },
        max_objects: relation.max_objects,
        irreflexive: relation.irreflexive,
        unit: relation.values.as_ref().and_then(|values| values.unit.clone()),
        tolerance: relation.values.as_ref().and_then(ValueRange::tolerance).map(|t| t.to_string()),
    }
}

fn range_of_values(values: &ValueRange) -> RangeSchema {
    let last = values.len() - 1;
    match values.datatype {
        Datatype::Date if values.coarsest() > Precision::Day => RangeSchema::Dates {
            bounds: values.bounds(),
            precision: values.coarsest().name().to_owned(),
        },
        Datatype::String => {
            RangeSchema::Texts((0..=last).map(|number| values.lexical(number)).collect())
        }
        datatype => RangeSchema::Values {
            datatype: datatype.iri().to_owned(),
            bounds: (datatype != Datatype::Boolean).then(|| values.bounds()),
        },
    }
}

fn classes(ontology: &Ontology, relations: &[&Relation]) -> Vec<ClassSchema> {
    let mut superclasses = ontology.superclasses();
    let above = superclasses.values().flatten().copied();
    let mut all: BTreeSet<&str> = superclasses.keys().copied().chain(above).collect();
    for relation in relations {
        let named = relation.domain.iter().chain(&relation.range).flatten();
        all.extend(named.map(String::as_str));
    }
    let class = |iri: &str| ClassSchema {
        iri: iri.to_owned(),
        label: ontology.label(iri).map(str::to_owned),
        superclasses: superclasses
            .remove(iri)
            .unwrap_or_default()
            .into_iter()
            .map(str::to_owned)
            .collect(),
    };
    all.into_iter().map(class).collect()
}
