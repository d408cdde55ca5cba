//! Queries as they are sent: a batch of them in JSON, read and checked.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use oxigraph::model::NamedNode;
use serde::Deserialize;
use serde_json::Value as Json;

use super::likeness::Asked;
use super::{expanded, iri};
use crate::serve::problem::Problem;

/// How many queries a batch has at most; a manifest says so.
pub(super) const QUERIES: usize = 200;
/// How many candidates a query has at most, and where it does not say how many it wants.
pub(super) const MOST: usize = 100;
const USUAL: usize = 10;
/// How many types and how many properties' values a query may name.
const NAMED: usize = 20;

/// What is asked of one name.
#[derive(Debug)]
pub(super) struct Query {
    /// The name, or an IRI; empty where none is given.
    pub name: String,
    /// The IRIs of the types of which a candidate must have one. Empty: any.
    pub types: Vec<String>,
    /// Whether it must have all of them.
    pub needs_all_types: bool,
    /// How many candidates are wanted.
    pub limit: usize,
    /// What else is known of what is meant.
    pub properties: Vec<Property>,
}

/// What is known of a property of what is meant.
#[derive(Debug)]
pub(super) struct Property {
    /// The relation; none where what was sent is no IRI.
    pub relation: Option<NamedNode>,
    /// Its values, one at least.
    pub values: Vec<Value>,
}

/// A value of a property.
#[derive(Debug)]
pub(super) enum Value {
    /// An entity by its IRI.
    Entity(String),
    /// A text, a number or a truth value as a text, and that to be compared with names.
    Text(String, Asked),
}

/// A query as it is written.
#[derive(Deserialize)]
struct Written {
    query: Option<String>,
    #[serde(rename = "type")]
    types: Option<OneOrMore<Named>>,
    limit: Option<f64>,
    properties: Option<Vec<WrittenProperty>>,
    type_strict: Option<String>,
}

#[derive(Deserialize)]
struct WrittenProperty {
    pid: String,
    v: Json,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

/// Some clients name a type as a whole.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Id(String),
    Whole { id: String },
}

/// The queries of a batch by their names.
///
/// # Errors
/// Where it is none, or has too many.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, Query>, Problem> {
    let written: BTreeMap<String, Written> = serde_json::from_str(text).map_err(|error| {
        Problem::bad(format!("`queries` is no batch of reconciliation queries in JSON: {error}"))
    })?;
    if written.len() > QUERIES {
        let text =
            format!("there are {} queries, and a batch has at most {QUERIES}", written.len());
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text));
    }
    let checked = |(name, query): (String, Written)| match query.checked() {
        Ok(query) => Ok((name, query)),
        Err(why) => Err(Problem::bad(format!("query `{name}`: {why}"))),
    };
    written.into_iter().map(checked).collect()
}

impl Written {
    /// The query, or what is wrong with it.
    fn checked(self) -> Result<Query, String> {
        let needs_all_types = match self.type_strict.as_deref() {
            None | Some("any" | "should") => false,
            Some("all") => true,
            Some(_) => return Err("`type_strict` is any, should or all".to_owned()),
        };
        let types = match self.types {
            None => Vec::new(),
            Some(OneOrMore::One(one)) => vec![one],
            Some(OneOrMore::More(types)) => types,
        };
        let mut properties = Vec::new();
        for WrittenProperty { pid, v } in self.properties.unwrap_or_default() {
            let values = values(v)?;
            // Of an empty cell nothing is known.
            if !values.is_empty() {
                properties.push(Property { relation: iri(&pid), values });
            }
        }
        let count = properties.iter().map(|property| property.values.len()).sum::<usize>();
        if types.len() > NAMED || count > NAMED {
            return Err(format!("there are at most {NAMED} types and {NAMED} values"));
        }
        let types = types.into_iter().map(|(Named::Id(id) | Named::Whole { id })| expanded(&id));
        Ok(Query {
            name: self.query.unwrap_or_default(),
            types: types.filter(|id| !id.is_empty()).collect(),
            needs_all_types,
            limit: self.limit.map_or(USUAL, |limit| (limit as usize).clamp(1, MOST)),
            properties,
        })
    }
}

/// The values that a property is said to have.
fn values(written: Json) -> Result<Vec<Value>, String> {
    let text = |text: String| {
        let asked = Asked::new(&text);
        Value::Text(text.trim().to_owned(), asked)
    };
    Ok(match written {
        Json::Null => Vec::new(),
        Json::String(empty) if empty.trim().is_empty() => Vec::new(),
        Json::String(value) => vec![text(value)],
        Json::Number(value) => vec![text(value.to_string())],
        Json::Bool(value) => vec![text(value.to_string())],
        Json::Object(entity) => match entity.get("id") {
            Some(Json::String(id)) => vec![Value::Entity(expanded(id))],
            _ => return Err("a value that is an entity has an `id`".to_owned()),
        },
        Json::Array(several) => {
            let mut all = Vec::new();
            for one in several {
                if one.is_array() {
                    return Err("a value is no list of lists".to_owned());
                }
                all.extend(values(one)?);
            }
            all
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Query {
        let mut queries = read(&format!("{{\"q0\":{text}}}")).unwrap();
        queries.remove("q0").unwrap()
    }

    #[test]
    fn a_query_is_read_with_all_that_it_may_have() {
        let full = one(r#"{"query":"Paris","type":"wd:Q5119","limit":3,"type_strict":"should",
            "properties":[{"pid":"wdt:P36","v":[{"id":"wd:Q142","name":"France"},"x",7,true]},
            {"pid":"no iri","v":"x"},{"pid":"wdt:P1","v":" "}]}"#);
        assert_eq!((&*full.name, full.limit, full.needs_all_types), ("Paris", 3, false));
        assert_eq!(full.types, ["http://www.wikidata.org/entity/Q5119"]);
        assert_eq!(full.properties.len(), 2);
        let first = &full.properties[0];
        assert!(first.relation.as_ref().is_some_and(|iri| iri.as_str().ends_with("/direct/P36")));
        assert!(matches!(&first.values[0], Value::Entity(id) if id.ends_with("/entity/Q142")));
        let texts = first.values.iter().filter_map(|value| match value {
            Value::Text(text, _) => Some(text.as_str()),
            Value::Entity(_) => None,
        });
        assert_eq!(texts.collect::<Vec<_>>(), ["x", "7", "true"]);
        assert!(full.properties[1].relation.is_none());
        let least = one("{}");
        assert!(least.name.is_empty() && least.limit == USUAL && least.types.is_empty());
        let several = one(r#"{"query":"a","type":["e:1",{"id":"e:2"}],"type_strict":"all"}"#);
        assert!(several.needs_all_types && several.types == ["e:1", "e:2"]);
        assert_eq!(one(r#"{"query":"a","limit":1e300}"#).limit, MOST);
        assert_eq!(one(r#"{"query":"a","limit":-1}"#).limit, 1);
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        for bad in [
            "",
            "[]",
            "{",
            r#"{"q0":"Paris"}"#,
            r#"{"q0":{"query":7}}"#,
            r#"{"q0":{"query":"a","type":7}}"#,
            r#"{"q0":{"query":"a","type_strict":"most"}}"#,
            r#"{"q0":{"query":"a","properties":[{"v":"x"}]}}"#,
            r#"{"q0":{"query":"a","properties":[{"pid":"x","v":{}}]}}"#,
            r#"{"q0":{"query":"a","properties":[{"pid":"x","v":[["y"]]}]}}"#,
        ] {
            assert_eq!(read(bad).unwrap_err().status, StatusCode::BAD_REQUEST, "{bad}");
        }
        let deep = format!("{{\"q0\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(&deep).unwrap_err().status, StatusCode::BAD_REQUEST);
        let many: Vec<String> = (0..=QUERIES).map(|i| format!("\"{i}\":{{}}")).collect();
        let many = format!("{{{}}}", many.join(","));
        assert_eq!(read(&many).unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
        let list = ["\"a\""; NAMED + 1].join(",");
        let types = format!("{{\"q0\":{{\"query\":\"a\",\"type\":[{list}]}}}}");
        assert_eq!(read(&types).unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}
