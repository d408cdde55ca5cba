//! Holds a parsed file against its JSON Schema: unknown and missing keys, types, words
//! and ranges, all of them with their place.
//!
//! What passes is handed on as JSON without what does not, so that the paths and combinations of
//! the rest can still be checked. The schema is known to use only the words that are read here
//! (a test of `schema.rs` sees to it).

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::diagnostic::{At, Diagnostic, Diagnostics, nearest};

/// Where keys and values stand, by their path from the root; list items by their index.
#[derive(Default)]
pub(super) struct Spans(HashMap<Vec<String>, Spot>);

struct Spot {
    key: Range<usize>,
    value: Range<usize>,
}

impl Spans {
    /// Whether the file has a key here, be its value right or wrong.
    pub(super) fn has(&self, path: &[&str]) -> bool {
        self.spot(path).is_some()
    }

    /// The value's place, or that of the nearest table around it.
    pub(super) fn value(&self, path: &[&str]) -> At {
        match (self.spot(path), path) {
            (Some(spot), _) => At::Span(spot.value.clone()),
            (None, [outer @ .., _]) => self.value(outer),
            (None, []) => At::File,
        }
    }

    /// The key's place, or that of the nearest table around it.
    pub(super) fn key(&self, path: &[&str]) -> At {
        self.spot(path).map_or_else(|| self.value(path), |spot| At::Span(spot.key.clone()))
    }

    fn spot(&self, path: &[&str]) -> Option<&Spot> {
        self.0.get(&path.iter().map(|&step| step.to_owned()).collect::<Vec<_>>())
    }
}

/// The part of `document` that agrees with `schema`, where everything stands, and the mistakes.
pub(super) fn walk(
    document: &DeTable<'_>,
    schema: &Value,
    file: &Path,
) -> (Value, Spans, Diagnostics) {
    let mut walker = Walker {
        root: schema,
        file,
        path: Vec::new(),
        spans: Spans::default(),
        found: Diagnostics::default(),
    };
    let value = walker.table(schema, document, At::File);
    (value, walker.spans, walker.found)
}

struct Walker<'a> {
    root: &'a Value,
    file: &'a Path,
    path: Vec<String>,
    spans: Spans,
    found: Diagnostics,
}

impl Walker<'_> {
    fn table(&mut self, schema: &Value, table: &DeTable<'_>, at: At) -> Value {
        let properties = schema["properties"].as_object();
        let any = Some(&schema["additionalProperties"]).filter(|s| s.is_object());
        let mut kept = Map::new();
        for (key, value) in table {
            let name: &str = key.get_ref();
            self.path.push(name.to_owned());
            if let Some(schema) = properties.and_then(|p| p.get(name)).or(any) {
                let spot = Spot { key: key.span(), value: value.span() };
                self.spans.0.insert(self.path.clone(), spot);
                if let Some(value) = self.value(schema, value) {
                    kept.insert(name.to_owned(), value);
                }
            } else if let Some(mistake) = super::removed::mistake(&self.path) {
                self.push(mistake, At::Span(key.span()));
            } else if let Some((meant, value)) = self.unknown_key(schema, table, key, value) {
                kept.insert(meant, value);
            }
            self.path.pop();
        }
        for name in strings(&schema["required"]) {
            self.path.push(name.to_owned());
            if !self.spans.0.contains_key(&self.path) {
                self.missing_key(&schema["properties"][name], at.clone());
            }
            self.path.pop();
        }
        Value::Object(kept)
    }

    /// `self.path` ends in the key. Where another key is surely meant that is not there, gives it
    /// and its value, checked: what is wrong inside is said now, and nothing says that it is
    /// missing.
    fn unknown_key(
        &mut self,
        schema: &Value,
        table: &DeTable<'_>,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<(String, Value)> {
        let name: &str = key.get_ref();
        let outer = &self.path[..self.path.len() - 1];
        let known = keys(schema);
        let meant = nearest(name, known.iter().copied());
        let help = match (meant, self.home(name, outer)) {
            (Some(meant), _) if table.contains_key(meant) => {
                format!("did you mean `{meant}`, which is there already?")
            }
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, Some(home)) => format!("`{name}` belongs in `[{home}]`"),
            (None, None) => format!("known keys here: {}", list(&known)),
        };
        let place = if outer.is_empty() {
            "at the top level".to_owned()
        } else {
            format!("in `{}`", dotted(outer))
        };
        let message = format!("unknown key `{name}` {place}");
        let at = At::Span(key.span());
        self.push(Diagnostic::error("unknown-key", message).help(help), at);
        let meant = meant.filter(|meant| !table.contains_key(*meant))?;
        if let Some(last) = self.path.last_mut() {
            meant.clone_into(last);
        }
        let spot = Spot { key: key.span(), value: value.span() };
        self.spans.0.insert(self.path.clone(), spot);
        Some((meant.to_owned(), self.value(&schema["properties"][meant], value)?))
    }

    /// The table like `outer` in another section, in which `name` is a key.
    fn home(&self, name: &str, outer: &[String]) -> Option<String> {
        let inner = outer.get(1..).unwrap_or_default();
        keys(self.root).into_iter().find_map(|section| {
            let start = &self.root["properties"][section];
            let schema =
                inner.iter().fold(start, |schema, step| match &schema["properties"][step] {
                    Value::Null => &schema["additionalProperties"],
                    property => property,
                });
            let mut path = vec![section.to_owned()];
            path.extend_from_slice(inner);
            keys(schema).contains(&name).then(|| dotted(&path))
        })
    }

    /// `self.path` ends in the key.
    fn missing_key(&mut self, schema: &Value, at: At) {
        let name = self.path.last().map_or("", String::as_str);
        let path = dotted(&self.path);
        let diagnostic = if schema["type"] == "object" {
            let inner: Vec<&str> = match strings(&schema["required"]).collect::<Vec<_>>() {
                // Without those that have a value of their own.
                required if required.is_empty() => {
                    let told = |key: &&str| schema["properties"][*key]["default"].is_null();
                    keys(schema).into_iter().filter(told).collect()
                }
                required => required,
            };
            Diagnostic::error("missing-key", format!("the table `[{path}]` is missing"))
                .help(format!("add `[{path}]` with {}", list(&inner)))
        } else {
            let description = schema["description"].as_str().unwrap_or_default();
            Diagnostic::error("missing-key", format!("`{path}` is missing"))
                .label(format!("this table needs `{name}`"))
                .help(format!(
                    "add `{name} = …` ({})",
                    description.trim_end_matches('.').replace('\n', " ")
                ))
        };
        self.push(diagnostic, at);
    }

    /// `self.path` is the value's.
    fn value(&mut self, schema: &Value, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let at = At::Span(value.span());
        if let Some(choices) = schema["anyOf"].as_array() {
            return match choices.iter().find(|choice| fits(choice, value.get_ref())) {
                Some(choice) => self.value(choice, value),
                None => self.wrong_type(schema, value),
            };
        }
        if !fits(schema, value.get_ref()) {
            return self.wrong_type(schema, value);
        }
        match value.get_ref() {
            DeValue::String(text) => self.text(schema, text, at),
            DeValue::Integer(number) => {
                let whole = i64::from_str_radix(number.as_str(), number.radix()).ok();
                // Every bound is far from where f64 stops telling whole numbers apart.
                let float = whole.map(|n| n as f64).filter(|n| within(schema, *n));
                match (whole, float) {
                    (Some(n), Some(_)) if schema["type"] == "integer" => Some(json!(n)),
                    (_, Some(n)) => Some(json!(n)),
                    _ => self.out_of_range(schema, number, at),
                }
            }
            DeValue::Float(number) => {
                let float = number.as_str().parse().ok();
                match float.filter(|n: &f64| n.is_finite() && within(schema, *n)) {
                    Some(n) => Some(json!(n)),
                    None => self.out_of_range(schema, number, at),
                }
            }
            DeValue::Boolean(truth) => Some(json!(truth)),
            DeValue::Datetime(time) => Some(json!(time.to_string())),
            DeValue::Array(items) => self.list(schema, items, at),
            DeValue::Table(table) => Some(self.table(schema, table, at)),
        }
    }

    fn text(&mut self, schema: &Value, text: &str, at: At) -> Option<Value> {
        let words = words(schema);
        if !words.is_empty() && !words.contains(&text) {
            let help = super::removed::instead(&self.path, text, &words);
            let message = format!("{} cannot be `{text}`", self.name());
            self.push(Diagnostic::error("unknown-word", message).help(help), at);
            return None;
        }
        if text.is_empty() && schema["minLength"].as_u64() > Some(0) {
            return self.empty(at);
        }
        Some(json!(text))
    }

    fn list(&mut self, schema: &Value, items: &[Spanned<DeValue<'_>>], at: At) -> Option<Value> {
        if items.is_empty() && schema["minItems"].as_u64() > Some(0) {
            return self.empty(at);
        }
        let mut kept: Vec<Value> = Vec::new();
        for item in items {
            self.path.push(kept.len().to_string());
            if let Some(value) = self.value(&schema["items"], item) {
                let spot = Spot { key: item.span(), value: item.span() };
                self.spans.0.insert(self.path.clone(), spot);
                kept.push(value);
            }
            self.path.pop();
        }
        Some(Value::Array(kept))
    }

    fn wrong_type(&mut self, schema: &Value, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let expected: Vec<&str> = match schema["anyOf"].as_array() {
            Some(choices) => choices.iter().map(|c| kind(type_of(c))).collect(),
            None => vec![kind(type_of(schema))],
        };
        let message = format!("{} must be {}", self.name(), expected.join(" or "));
        let label = match value.get_ref() {
            DeValue::Integer(number) => format!("this is {number}"),
            DeValue::Float(number) => format!("this is {number}"),
            DeValue::Boolean(truth) => format!("this is {truth}"),
            DeValue::Datetime(_) => "this is a date or a time".to_owned(),
            other => format!("this is {}", kind(json_type(other))),
        };
        let mut diagnostic = Diagnostic::error("wrong-type", message).label(label);
        let words = words(schema);
        if !words.is_empty() {
            diagnostic = diagnostic.help(format!("allowed: {}", list(&words)));
        }
        self.push(diagnostic, At::Span(value.span()));
        None
    }

    fn out_of_range(&mut self, schema: &Value, number: &impl Display, at: At) -> Option<Value> {
        let message = format!("{} must be {}", self.name(), range(schema));
        let label = format!("this is {number}");
        self.push(Diagnostic::error("out-of-range", message).label(label), at);
        None
    }

    fn empty(&mut self, at: At) -> Option<Value> {
        let message = format!("{} must not be empty", self.name());
        self.push(Diagnostic::error("empty", message), at);
        None
    }

    /// The value at `self.path`, for a message.
    fn name(&self) -> String {
        match self.path.split_last() {
            Some((last, outer)) if last.parse::<usize>().is_ok() => {
                format!("an item of `{}`", dotted(outer))
            }
            _ => format!("`{}`", dotted(&self.path)),
        }
    }

    fn push(&mut self, diagnostic: Diagnostic, at: At) {
        self.found.push(diagnostic.at(self.file, at));
    }
}

/// A path as TOML writes it.
fn dotted(path: &[String]) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let steps = path.iter().map(|step| {
        let is_bare = !step.is_empty() && step.chars().all(bare);
        if is_bare { step.clone() } else { format!("{step:?}") }
    });
    steps.collect::<Vec<_>>().join(".")
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

pub(super) fn list(words: &[&str]) -> String {
    words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
}

/// The keys that a table may have.
fn keys(schema: &Value) -> Vec<&str> {
    schema["properties"]
        .as_object()
        .map_or_else(Vec::new, |p| p.keys().map(String::as_str).collect())
}

/// The only words that a text may be, or nothing where it may be any.
fn words(schema: &Value) -> Vec<&str> {
    match schema["oneOf"].as_array() {
        Some(choices) => choices.iter().filter_map(|c| c["const"].as_str()).collect(),
        None => strings(&schema["enum"]).collect(),
    }
}

fn type_of(schema: &Value) -> &str {
    if words(schema).is_empty() { schema["type"].as_str().unwrap_or_default() } else { "string" }
}

fn json_type(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "date-time",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}

fn fits(schema: &Value, value: &DeValue<'_>) -> bool {
    match (type_of(schema), json_type(value)) {
        ("number", "integer") => true,
        (expected, found) => expected == found,
    }
}

fn kind(json_type: &str) -> &'static str {
    match json_type {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        _ => "something else",
    }
}

fn within(schema: &Value, number: f64) -> bool {
    let bound = |name: &str| schema[name].as_f64();
    bound("minimum").is_none_or(|b| number >= b)
        && bound("maximum").is_none_or(|b| number <= b)
        && bound("exclusiveMinimum").is_none_or(|b| number > b)
        && bound("exclusiveMaximum").is_none_or(|b| number < b)
}

/// As in "at least 0 and at most 1".
fn range(schema: &Value) -> String {
    let bounds = [
        ("minimum", "at least"),
        ("exclusiveMinimum", "above"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "below"),
    ];
    let said: Vec<String> = bounds
        .iter()
        .filter(|(name, _)| schema[name].is_number())
        .map(|(name, words)| format!("{words} {}", schema[name]))
        .collect();
    if said.is_empty() { "a finite number".to_owned() } else { said.join(" and ") }
}
