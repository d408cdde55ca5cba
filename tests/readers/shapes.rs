//! SHACL shapes held against graphs by pySHACL.

use std::fs;

use kgbuild::graph::{Object, RangeSchema, RelationSchema, Schema};

use crate::python::{python, run_script};
use crate::support::{class, export, relation, wd, wdt, write_graph};

const XSD: &str = "http://www.w3.org/2001/XMLSchema#";

/// Relations of every kind: of entities of one class and of several, functional and not, of numbers, years and
/// days within bounds, of truth, of texts of a list.
fn schema() -> Schema {
    let values = |datatype: &str, bounds: Option<[&str; 2]>| RangeSchema::Values {
        datatype: format!("{XSD}{datatype}"),
        bounds: bounds.map(|bounds| bounds.map(str::to_owned)),
    };
    let countries = || vec![vec![wd("Q6256")]];
    let cities = RangeSchema::Entities(vec![vec![wd("Q515")]]);
    let neighbours = RangeSchema::Entities(vec![vec![wd("Q6256"), wd("Q515")]]);
    let colours = RangeSchema::Texts(vec!["red".to_owned(), "blue".to_owned()]);
    Schema {
        relations: vec![
            RelationSchema {
                domain: countries(),
                max_objects: Some(1),
                ..relation("P36", "capital", cities)
            },
            RelationSchema {
                max_objects: Some(2),
                irreflexive: true,
                unit: None,
                tolerance: None,
                ..relation("P47", "shares border with", neighbours)
            },
            relation("P571", "inception", values("gYear", Some(["0400", "2030"]))),
            relation("P580", "start", values("date", Some(["1900-01-01", "2030-12-31"]))),
            relation("P1082", "population", values("integer", Some(["0", "1000000"]))),
            relation("P2046", "area", values("decimal", Some(["0.5", "99.5"]))),
            relation("P1", "exists", values("boolean", None)),
            relation("P462", "colour", colours),
        ],
        classes: vec![class("Q5119", "capital city", &["Q515"])],
    }
}

/// What SHACL calls a mistake, and Turtle that makes it.
const WRONG: [(&str, &str); 14] = [
    ("Class", "wd:Q183 wdt:P36 wd:Q142 ."),
    ("Class", "wd:Q64 wdt:P36 wd:Q64 ."),
    ("NodeKind", "wd:Q142 wdt:P47 [ a wd:Q515 ] ."),
    ("Or", "wd:Q142 wdt:P47 wd:Q7 . wd:Q7 a wd:Q9 ."),
    ("MaxCount", "wd:Q142 wdt:P36 wd:Q64 ."),
    ("MaxCount", "wd:Q142 wdt:P47 wd:Q90 , wd:Q64 ."),
    ("Disjoint", "wd:Q183 wdt:P47 wd:Q183 ."),
    ("Pattern", "wd:Q142 wdt:P571 \"0399\"^^xsd:gYear ."),
    ("Pattern", "wd:Q142 wdt:P571 \"2031\"^^xsd:gYear ."),
    ("MaxInclusive", "wd:Q142 wdt:P580 \"2031-01-01\"^^xsd:date ."),
    ("MinInclusive", "wd:Q142 wdt:P1082 -1 ."),
    ("MaxInclusive", "wd:Q142 wdt:P2046 99.6 ."),
    ("Datatype", "wd:Q142 wdt:P1 \"yes\" ."),
    ("In", "wd:Q142 wdt:P462 \"green\" ."),
];

#[test]
fn a_graph_is_valid_against_its_shapes_and_a_wrong_one_is_not() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [france, germany, paris, berlin] = ["Q142", "Q183", "Q90", "Q64"].map(wd);
    let [country, capital_city, city] = ["Q6256", "Q5119", "Q515"].map(wd);
    let entities = [
        (&*france, "France", "", &*country),
        (&*germany, "Germany", "Deutschland", &*country),
        // Of the class that is asked for by a class below it alone.
        (&*paris, "Paris", "", &*capital_city),
        (&*berlin, "Berlin", "", &*city),
    ];
    let value = |text: &'static str, datatype: &'static str| Object::Value {
        text: text.into(),
        datatype: Box::leak(format!("{XSD}{datatype}").into_boxed_str()),
        within: None,
    };
    let relations = ["P36", "P47", "P571", "P580", "P1082", "P2046", "P1", "P462"].map(wdt);
    let objects = [
        Object::Entity(&paris),
        Object::Entity(&germany),
        value("0843", "gYear"),
        value("1945-05-08", "date"),
        value("67000", "integer"),
        value("54.5", "decimal"),
        value("true", "boolean"),
        value("blue", "string"),
    ];
    let facts = relations.iter().zip(objects);
    let facts: Vec<_> =
        facts.map(|(relation, object)| (&*france, &**relation, object, 0.75)).collect();
    let graph = folder.path().join("graph");
    write_graph(&graph, schema(), &entities, &facts);
    let included = ["--annotations", "none", "--include", "schema,labels"];
    export(&graph, &included, &folder.path().join("data.ttl"));
    export(&graph, &["--shapes"], &folder.path().join("shapes.ttl"));
    let wrong: Vec<[String; 2]> = WRONG
        .iter()
        .map(|(component, added)| {
            let prefixes = format!("@prefix xsd: <{XSD}> .\n");
            [(*component).to_owned(), format!("\n{prefixes}{added}\n")]
        })
        .collect();
    fs::write(folder.path().join("wrong.json"), serde_json::json!(wrong).to_string()).unwrap();
    run_script(&python, "shapes.py", folder.path());
}
