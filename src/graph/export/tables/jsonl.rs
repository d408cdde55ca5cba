//! JSON Lines: an object a line for each predicted triple.

use std::io::Write;

use oxigraph::model::{NamedNode, Term};
use serde_json::{Map, Number, Value, json};

use super::{Columns, Edge, NUMBERS, Relations, edges, node};
use crate::graph::Error;
use crate::graph::view::View;

/// Writes an object a line for each edge.
pub(in crate::graph::export) fn jsonl(
    view: &View<'_>,
    columns: Columns,
    out: &mut impl Write,
) -> Result<(), Error> {
    let mut relations = Relations::default();
    let entity = |iri: &NamedNode| -> Result<Value, Error> {
        let about = node(view, iri)?;
        let mut entity = json!({ "iri": iri.as_str() });
        if columns.labels {
            entity["label"] = about.label.into();
        }
        if columns.aliases {
            entity["aliases"] = about.aliases.into();
        }
        Ok(entity)
    };
    edges(view, &mut |Edge { subject, relation, object, numbers }| {
        let object = match &object {
            Term::NamedNode(iri) => entity(iri)?,
            Term::Literal(value) => {
                json!({ "value": value.value(), "datatype": value.datatype().as_str() })
            }
            other => json!({ "value": other.to_string() }),
        };
        let mut of = json!({ "iri": relation.as_str() });
        if columns.labels {
            of["label"] = relations.label(view, &relation)?.into();
        }
        let mut line = Map::new();
        line.insert("subject".to_owned(), entity(&subject)?);
        line.insert("relation".to_owned(), of);
        line.insert("object".to_owned(), object);
        for ((name, _), number) in NUMBERS.iter().zip(&numbers) {
            let number = number.as_ref().and_then(|text| text.parse().ok());
            if let Some(number) = number.and_then(Number::from_f64) {
                line.insert((*name).to_owned(), number.into());
            }
        }
        Ok(writeln!(out, "{}", Value::Object(line))?)
    })
}
