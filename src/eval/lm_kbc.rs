//! Lines of the LM-KBC challenge, as gold or as predictions.
//!
//! 2022: `{"SubjectEntity": "Acetone", "Relation": "ChemicalCompoundElement", "ObjectEntities":
//! [["hydrogen"], ["carbon", "C"]], "WikidataID": 49546}`, an object being its aliases. Later:
//! `{"SubjectEntity": …, "SubjectEntityID": "Q49546", "Relation": …, "ObjectEntities": ["hydrogen"],
//! "ObjectEntitiesID": ["Q556"]}`. An empty list says that there is no object.

use serde::Deserialize;
use serde_json::{Number, Value};

use super::jsonl::bad_line;
use super::name::{Name, wikidata_number};
use super::rules::Rules;
use crate::diagnostic::{Diagnostic, Diagnostics};

/// A question and its objects.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    pub subject: Name,
    /// The subject as it is written, for messages.
    pub shown: String,
    pub relation: String,
    pub objects: Vec<Name>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "SubjectEntity")]
    subject: Option<String>,
    #[serde(rename = "SubjectEntityID")]
    subject_id: Option<String>,
    #[serde(rename = "WikidataID")]
    number: Option<u64>,
    #[serde(rename = "Relation")]
    relation: String,
    #[serde(rename = "ObjectEntities")]
    objects: Option<Vec<Object>>,
    #[serde(rename = "ObjectEntitiesID")]
    object_ids: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an object is a label, a number or a list of aliases")]
enum Object {
    Label(String),
    Number(Number),
    Aliases(Vec<String>),
    Null(()),
}

/// The labels of each object.
fn labels(objects: Vec<Object>) -> Vec<Vec<String>> {
    let labels = objects.into_iter().map(|object| match object {
        Object::Label(label) => vec![label],
        Object::Number(number) => vec![number.to_string()],
        Object::Aliases(aliases) => aliases,
        Object::Null(()) => vec![],
    });
    labels.collect()
}

/// Reads a line. Objects without any name are left out.
pub(super) fn question(line: Value, rules: Rules) -> Result<Question, Diagnostics> {
    let line: Line = serde_json::from_value(line).map_err(|error| bad_line(&error))?;
    let id = line.subject_id.as_deref().and_then(wikidata_number);
    let id = id.or_else(|| line.number.map(|number| format!("Q{number}")));
    let subject = Name::new(id, line.subject.as_deref(), rules);
    let shown = line.subject.or(line.subject_id).unwrap_or_default();
    if subject.is_empty() {
        return Err(Diagnostic::error("bad-line", "the line names no subject").into());
    }
    let ids = line.object_ids.as_deref();
    let by_id = |ids: &[String]| ids.iter().map(|id| name(vec![], Some(id), rules)).collect();
    let mut objects: Vec<Name> = match (line.objects.map(labels), ids) {
        (None, None) => {
            let message = "the line has neither ObjectEntities nor ObjectEntitiesID";
            return Err(Diagnostic::error("bad-line", message)
                .help("write an empty list where there is no object")
                .into());
        }
        (None, Some(ids)) => by_id(ids),
        (Some(labels), None | Some([])) => {
            labels.into_iter().map(|l| name(l, None, rules)).collect()
        }
        (Some(labels), Some(ids)) if labels.len() == ids.len() => {
            labels.into_iter().zip(ids).map(|(labels, id)| name(labels, Some(id), rules)).collect()
        }
        // In the challenge's files of 2024, labels were cut at their commas: there are more of
        // them than objects, and only the IDs can be trusted.
        (Some(_), Some(ids)) => by_id(ids),
    };
    objects.retain(|object| !object.is_empty());
    Ok(Question { subject, shown, relation: line.relation, objects })
}

/// A number that is no Wikidata number, as of episodes, is a label.
fn name(labels: Vec<String>, id: Option<&String>, rules: Rules) -> Name {
    let number = id.and_then(|id| wikidata_number(id));
    let other = id.filter(|_| number.is_none());
    Name::new(number, labels.iter().chain(other).map(String::as_str), rules)
}

/// Whether a prediction says that there is no object, as the challenge allows it to.
pub(super) fn says_none(objects: &[Name]) -> bool {
    let [only] = objects else { return objects.is_empty() };
    only.id.is_none() && matches!(only.labels(), [label] if label == "none" || label == "null")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const RULES: Rules = Rules::LmKbc2022;

    #[test]
    fn both_shapes_are_read() {
        let of_2022 = json!({
            "SubjectEntity": "Acetone", "Relation": "Element", "WikidataID": 49546,
            "ObjectEntities": [["hydrogen", "H"], [], ["Carbon"]],
        });
        let found = question(of_2022, RULES).unwrap();
        assert_eq!(found.subject, Name::new(Some("Q49546".into()), ["acetone"], RULES));
        let carbon = Name::new(None, ["carbon"], RULES);
        assert_eq!(found.objects, [Name::new(None, ["h", "hydrogen"], RULES), carbon.clone()]);

        let of_2024 = json!({
            "SubjectEntity": "Acetone", "SubjectEntityID": "Q49546", "Relation": "Element",
            "ObjectEntities": ["carbon", 39], "ObjectEntitiesID": ["Q623", "39"],
        });
        let found = question(of_2024, RULES).unwrap();
        let carbon = Name::new(Some("Q623".into()), ["carbon"], RULES);
        assert_eq!(found.objects, [carbon, Name::new(None, ["39"], RULES)]);

        // "Washington, D.C.", cut at its comma.
        let cut = json!({
            "SubjectEntity": "a", "Relation": "r", "ObjectEntities": ["Washington", "D.C."],
            "ObjectEntitiesID": ["Q61"],
        });
        assert_eq!(
            question(cut, RULES).unwrap().objects,
            [Name::new(Some("Q61".into()), [], RULES)]
        );
        let of_ids = json!({"SubjectEntityID": "Q1", "Relation": "r", "ObjectEntitiesID": ["Q2"]});
        assert_eq!(
            question(of_ids, RULES).unwrap().objects,
            [Name::new(Some("Q2".into()), [], RULES)]
        );
    }

    #[test]
    fn broken_lines_say_what_is_wrong() {
        let cases = [
            (json!({"SubjectEntity": "a", "ObjectEntities": []}), "missing field `Relation`"),
            (json!({"SubjectEntity": "a", "Relation": "r"}), "neither ObjectEntities nor"),
            (json!({"Relation": "r", "ObjectEntities": []}), "names no subject"),
            (
                json!({"SubjectEntity": "a", "Relation": "r", "ObjectEntities": [{}]}),
                "an object is",
            ),
        ];
        for (line, expected) in cases {
            let message = question(line, RULES).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn none_alone_is_no_object() {
        let names = |labels: &[&str]| -> Vec<Name> {
            labels.iter().map(|label| Name::new(None, [*label], RULES)).collect()
        };
        assert!(
            says_none(&names(&[])) && says_none(&names(&["None"])) && says_none(&names(&["null"]))
        );
        assert!(!says_none(&names(&["none", "null"])) && !says_none(&names(&["a"])));
    }
}
