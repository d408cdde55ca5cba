use super::*;
use oxigraph::store::Store;

fn relation(iri: &str, range: RangeSchema) -> RelationSchema {
    RelationSchema {
        iri: format!("http://example.org/{iri}"),
        label: Some(iri.to_owned()),
        domain: Vec::new(),
        range,
        max_objects: None,
        irreflexive: false,
        unit: None,
        tolerance: None,
    }
}

fn classes(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("http://example.org/{name}")).collect()
}

/// Every kind of relation.
fn schema() -> Schema {
    let values = |datatype: &str, bounds: Option<[&str; 2]>| RangeSchema::Values {
        datatype: format!("http://www.w3.org/2001/XMLSchema#{datatype}"),
        bounds: bounds.map(|bounds| bounds.map(str::to_owned)),
    };
    let texts = ["red", "green", "a \"blue\""].map(str::to_owned).to_vec();
    Schema {
        relations: vec![
            relation("any", RangeSchema::Entities(Vec::new())),
            RelationSchema {
                domain: vec![classes(&["A", "B"]), classes(&["C"])],
                max_objects: Some(1),
                irreflexive: true,
                unit: None,
                tolerance: None,
                ..relation("both", RangeSchema::Entities(vec![classes(&["A", "B", "C"])]))
            },
            RelationSchema { label: None, ..relation("colour", RangeSchema::Texts(texts)) },
            RelationSchema { max_objects: Some(3), ..relation("is", values("boolean", None)) },
            relation("year", values("gYear", Some(["-0043", "2030"]))),
        ],
        classes: vec![
            ClassSchema {
                iri: "http://example.org/A".to_owned(),
                label: Some("a".to_owned()),
                superclasses: classes(&["B", "C"]),
            },
            ClassSchema {
                iri: "http://example.org/B".to_owned(),
                label: None,
                superclasses: Vec::new(),
            },
        ],
    }
}

#[test]
fn a_schema_is_read_as_it_was_written() {
    let store = Store::new().unwrap();
    let written = quads(&schema()).unwrap();
    assert_eq!(written, quads(&schema()).unwrap());
    store.extend(written).unwrap();
    assert_eq!(read(&store).unwrap(), schema());
    assert_eq!(read(&Store::new().unwrap()).unwrap(), Schema::default());
}

#[test]
fn what_is_no_iri_is_told() {
    let wrong = Schema {
        relations: vec![RelationSchema {
            iri: "not one".to_owned(),
            ..relation("a", RangeSchema::Entities(Vec::new()))
        }],
        classes: Vec::new(),
    };
    assert!(matches!(quads(&wrong), Err(Error::Iri { role: "relation", .. })));
}
