//! The JSON Schema of a file, derived from its raw structs.
//!
//! It is written for TOML, which has no null, and without references, so that the walker can
//! follow it.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// The JSON Schema of `R`, as indented text that ends with a line feed.
pub(super) fn text<R: JsonSchema>() -> String {
    format!("{:#}\n", value::<R>())
}

/// The schema as a value.
pub(super) fn value<R: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize().with(|s| {
        s.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<R>().to_value();
    tidy(&mut schema);
    schema
}

/// Takes out what says nothing about TOML: nulls, number formats of Rust, empty defaults.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            // Under `properties` the keys are the file's own.
            for (key, inner) in map.iter_mut() {
                match (key.as_str(), inner) {
                    ("properties", Value::Object(properties)) => {
                        properties.values_mut().for_each(tidy);
                    }
                    ("default" | "enum" | "const" | "required", _) => {}
                    (_, inner) => tidy(inner),
                }
            }
            if map.contains_key("type") {
                map.remove("format");
            }
            if map.get("default").is_some_and(|d| d.is_null() || d == "" || d.is_object()) {
                map.remove("default");
            }
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|t| t != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
                choices.retain(|c| c.get("type").is_none_or(|t| t != "null"));
                if let [Value::Object(only)] = choices.as_mut_slice() {
                    let only = std::mem::take(only);
                    map.remove("anyOf");
                    for (key, inner) in only {
                        // The key's own description is nearer than its type's.
                        map.entry(key).or_insert(inner);
                    }
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::finetune::raw::RawFinetune;
    use super::super::raw::RawPipeline;
    use super::*;
    use std::collections::BTreeSet;

    fn all() -> [Value; 2] {
        [value::<RawPipeline>(), value::<RawFinetune>()]
    }

    fn keywords<'a>(schema: &'a Value, found: &mut BTreeSet<&'a str>) {
        for (key, inner) in schema.as_object().into_iter().flatten() {
            found.insert(key);
            match (key.as_str(), inner) {
                ("properties", Value::Object(properties)) => {
                    properties.values().for_each(|p| keywords(p, found));
                }
                ("anyOf" | "oneOf", Value::Array(choices)) => {
                    choices.iter().for_each(|c| keywords(c, found));
                }
                ("items" | "additionalProperties", inner) => keywords(inner, found),
                _ => {}
            }
        }
    }

    #[test]
    fn the_schema_says_nothing_that_the_walker_does_not_read() {
        let read = [
            "additionalProperties",
            "anyOf",
            "const",
            "enum",
            "exclusiveMaximum",
            "exclusiveMinimum",
            "items",
            "maximum",
            "minItems",
            "minLength",
            "minimum",
            "oneOf",
            "properties",
            "required",
            "type",
        ];
        // Says nothing about what is right; but for the pattern, which `resolve` checks.
        let told = ["$schema", "default", "description", "title", "pattern"];
        let schemas = all();
        let mut found = BTreeSet::new();
        schemas.iter().for_each(|schema| keywords(schema, &mut found));
        let known: BTreeSet<&str> = read.iter().chain(&told).copied().collect();
        assert_eq!(found.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    #[test]
    fn every_key_is_described_and_every_table_closed() {
        fn look(schema: &Value, path: &str) {
            if schema["type"] == "object" {
                assert!(!schema["additionalProperties"].is_null(), "{path} takes any key");
            }
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                assert!(inner["description"].is_string(), "{path}.{name} is not described");
                look(inner, &format!("{path}.{name}"));
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap();
                assert!(schema["properties"][name].is_object(), "{path} requires {name}");
            }
            for inner in schema["anyOf"].as_array().into_iter().flatten() {
                look(inner, path);
            }
            if schema["additionalProperties"].is_object() {
                look(&schema["additionalProperties"], &format!("{path}.*"));
            }
        }
        all().iter().for_each(|schema| look(schema, ""));
    }
}
