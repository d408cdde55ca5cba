//! Predictions to be scored, from a graph or from a file.
//!
//! Invariant: a question's objects are ranked best first, each once, and their confidences, where
//! they have one, are 0 to 1 and never ascend.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use oxigraph::store::Store;
use oxrdf::NamedNode;
use serde::Deserialize;
use serde_json::Value;

use super::assign::GoldIndex;
use super::gold::Gold;
use super::jsonl;
use super::lm_kbc;
use super::name::{Comparison, Name, Naming, fold_relation, local_name};
use super::report::Outside;
use crate::catalog::mistakes::Mistakes;
use crate::diagnostic::{At, Diagnostic, Diagnostics};
use crate::graph;

/// An object that is predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedObject {
    /// The answer.
    pub name: Name,
    /// From 0 to 1; none where the file has none.
    pub confidence: Option<f64>,
    /// The confidence before calibration, where that differs.
    pub uncalibrated: Option<f64>,
}

/// A question and its predicted objects, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictedQuestion {
    /// What was asked about.
    pub subject: Name,
    /// All that the relation is called: its IRI, or folded names.
    pub relation: Vec<String>,
    /// The answers; may be none.
    pub objects: Vec<PredictedObject>,
}

/// What is to be scored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// In the order of the file, or that of the graph.
    pub questions: Vec<PredictedQuestion>,
    /// The labels of relations, by what [`PredictedQuestion::relation`] calls them.
    pub relation_labels: BTreeMap<String, String>,
    /// Whether objects have labels.
    pub(super) has_labels: bool,
    /// What is predicted beside these, and not asked by gold.
    pub(super) outside: Outside,
}

impl Predictions {
    /// The predictions of a graph for the questions of gold: its triples with a confidence, the most confident
    /// first, in byte order of their IRIs where they are equally so. What gold does not ask is counted and not
    /// held.
    ///
    /// # Errors
    /// Where the store cannot be read or holds a confidence that is none.
    pub fn of_graph(store: &Store, gold: &Gold) -> Result<Self, graph::Error> {
        let mut of = OfGraph::new(store, gold);
        let mut triples: Vec<graph::Prediction> = Vec::new();
        graph::predictions(store, &mut |triple| {
            let is_same = |before: &graph::Prediction| {
                before.subject == triple.subject && before.relation == triple.relation
            };
            if triples.first().is_some_and(|before| !is_same(before)) {
                of.question(std::mem::take(&mut triples))?;
            }
            triples.push(triple);
            Ok(())
        })?;
        if !triples.is_empty() {
            of.question(triples)?;
        }
        Ok(of.found)
    }

    /// Reads a file with a question a line: `{"subject": IRI, "relation": IRI, "objects":
    /// [{"object": IRI, "confidence": 0.9}, …]}`, or LM-KBC's lines. An object may also have the
    /// confidence before calibration as `uncalibrated`.
    ///
    /// # Errors
    /// All mistakes: lines that are neither, IRIs that are none, confidences out of range or not
    /// best first, questions or objects that stand twice, labels where gold has IRIs.
    pub fn read(file: &Path, by: Comparison) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut mistakes = Mistakes::new(file);
        let mut read = Self::default();
        let mut seen = HashSet::new();
        jsonl::read(file, &mut mistakes, |line| {
            let key = question_key(&line);
            let question = if jsonl::is_lm_kbc(&line) {
                read.has_labels = true;
                labelled_question(line, by)?
            } else {
                question(line, by)?
            };
            if !seen.insert(key) {
                let message = "the question stands twice";
                return Err(Diagnostic::error("repeated-question", message)
                    .help("give all objects of a subject in one line")
                    .into());
            }
            read.questions.push(question);
            Ok(())
        });
        let mut diagnostics = mistakes.finish();
        if read.questions.is_empty() && !diagnostics.has_errors() {
            let empty = Diagnostic::warning("no-prediction", "the file predicts nothing");
            diagnostics.push(empty.at(file, At::File));
        }
        diagnostics.or(read)
    }

    /// Takes what is predicted elsewhere, too.
    pub fn extend(&mut self, other: Self) {
        self.questions.extend(other.questions);
        self.relation_labels.extend(other.relation_labels);
        self.has_labels |= other.has_labels;
        self.outside.questions += other.outside.questions;
        self.outside.objects += other.outside.objects;
    }
}

/// What is read of a graph, question by question.
struct OfGraph<'a> {
    store: &'a Store,
    by: Comparison,
    gold: GoldIndex<'a>,
    found: Predictions,
    /// By relation, what it is called.
    relations: HashMap<String, Vec<String>>,
    /// The last subject: the next question is often about the same.
    subject: Option<(String, Name)>,
}

impl<'a> OfGraph<'a> {
    fn new(store: &'a Store, gold: &'a Gold) -> Self {
        let found = Predictions { has_labels: true, ..Predictions::default() };
        let relations = HashMap::new();
        let gold_index = GoldIndex::of(gold);
        Self { store, by: gold.by, gold: gold_index, found, relations, subject: None }
    }

    /// Takes the triples of one subject and relation, at least one, in byte order of their objects.
    fn question(&mut self, mut triples: Vec<graph::Prediction>) -> Result<(), graph::Error> {
        let graph::Prediction { subject: iri, relation, .. } = &triples[0];
        let subject = match self.subject.take() {
            Some((last, name)) if last == *iri => name,
            _ => self.name(iri)?,
        };
        self.subject = Some((iri.clone(), subject.clone()));
        let relation = self.relation(&relation.clone())?;
        if self.gold.asked(&subject, &relation).is_empty() {
            self.found.outside.add(triples.len());
            return Ok(());
        }
        // Stable: equals stay in byte order.
        triples.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        let mut objects = Vec::with_capacity(triples.len());
        for triple in &triples {
            objects.push(PredictedObject {
                name: match &triple.datatype {
                    Some(datatype) => Name::of_literal(&triple.object, datatype, self.by),
                    None => self.name(&triple.object)?,
                },
                confidence: Some(triple.confidence),
                uncalibrated: triple.corrected,
            });
        }
        self.found.questions.push(PredictedQuestion { subject, relation, objects });
        Ok(())
    }

    fn name(&self, iri: &str) -> Result<Name, graph::Error> {
        let labels = match self.by.naming {
            Naming::Iri => Vec::new(),
            Naming::Label => graph::labels(self.store, iri)?,
        };
        Ok(Name::of_iri(iri, labels.iter().map(String::as_str), self.by))
    }

    /// What a relation is called.
    fn relation(&mut self, iri: &str) -> Result<Vec<String>, graph::Error> {
        if let Some(called) = self.relations.get(iri) {
            return Ok(called.clone());
        }
        let labels = graph::labels(self.store, iri)?;
        let called = relation_names(iri, labels.iter().map(String::as_str), self.by.naming);
        if let Some(label) = labels.first() {
            let labelled = called.iter().map(|name| (name.clone(), label.clone()));
            self.found.relation_labels.extend(labelled);
        }
        self.relations.insert(iri.to_owned(), called.clone());
        Ok(called)
    }
}

/// What a line asks, as it is written.
fn question_key(line: &Value) -> [Value; 3] {
    let keys = match jsonl::is_lm_kbc(line) {
        true => ["SubjectEntity", "SubjectEntityID", "Relation"],
        false => ["subject", "", "relation"],
    };
    keys.map(|key| line[key].clone())
}

/// What a relation may be called by gold of this naming.
fn relation_names<'l>(
    iri: &str,
    labels: impl IntoIterator<Item = &'l str>,
    naming: Naming,
) -> Vec<String> {
    match naming {
        Naming::Iri => vec![iri.to_owned()],
        Naming::Label => {
            let mut names = vec![fold_relation(local_name(iri))];
            names.extend(labels.into_iter().map(fold_relation));
            names.dedup();
            names
        }
    }
}

#[derive(Deserialize)]
struct Line {
    subject: String,
    relation: String,
    objects: Vec<Object>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    object: String,
    confidence: Option<f64>,
    uncalibrated: Option<f64>,
}

fn question(line: Value, by: Comparison) -> Result<PredictedQuestion, Diagnostics> {
    let line: Line = serde_json::from_value(line).map_err(|error| {
        let example =
            r#"{"subject": IRI, "relation": IRI, "objects": [{"object": IRI, "confidence": 0.9}]}"#;
        jsonl::bad_line(&error).help(format!("a line is {example}, or one of LM-KBC's"))
    })?;
    // An object may be a value.
    for iri in [&line.subject, &line.relation] {
        if let Err(error) = NamedNode::new(iri) {
            let message = format!("\"{iri}\" is no absolute IRI: {error}");
            return Err(Diagnostic::error("bad-iri", message).into());
        }
    }
    let mut last = f64::INFINITY;
    let mut distinct = HashSet::new();
    for Object { object, confidence, uncalibrated } in &line.objects {
        if object.trim().is_empty() {
            return Err(Diagnostic::error("empty-object", "an object is empty").into());
        }
        if !distinct.insert(object) {
            let message = format!("<{object}> is predicted twice");
            return Err(Diagnostic::error("repeated-object", message).into());
        }
        for value in confidence.iter().chain(uncalibrated) {
            if !(0.0..=1.0).contains(value) {
                let message = format!("the confidence {value} is no number from 0 to 1");
                return Err(Diagnostic::error("bad-confidence", message).into());
            }
        }
        let Some(confidence) = *confidence else { continue };
        if confidence > last {
            let message = format!("the confidence {confidence} stands behind {last}");
            return Err(Diagnostic::error("bad-order", message)
                .help("give the best object first")
                .into());
        }
        last = confidence;
    }
    let objects = line.objects.iter().map(|object| PredictedObject {
        name: Name::of_iri(&object.object, [], by),
        confidence: object.confidence,
        uncalibrated: object.uncalibrated,
    });
    Ok(PredictedQuestion {
        subject: Name::of_iri(&line.subject, [], by),
        relation: relation_names(&line.relation, [], by.naming),
        objects: objects.collect(),
    })
}

fn labelled_question(line: Value, by: Comparison) -> Result<PredictedQuestion, Diagnostics> {
    if by.naming == Naming::Iri {
        let message = "the line names entities by label, the gold facts by IRI";
        return Err(Diagnostic::error("labels-without-iris", message)
            .help("score it against LM-KBC's own file")
            .into());
    }
    let mut found = lm_kbc::question(line, by.rules)?;
    if lm_kbc::says_none(&found.objects) {
        found.objects.clear();
    }
    let mut distinct = HashSet::new();
    found.objects.retain(|object| distinct.insert(object.clone()));
    let objects = found.objects.into_iter().map(|name| PredictedObject {
        name,
        confidence: None,
        uncalibrated: None,
    });
    Ok(PredictedQuestion {
        subject: found.subject,
        relation: vec![fold_relation(&found.relation)],
        objects: objects.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Rules;

    fn read(text: &str, naming: Naming) -> Result<Predictions, Vec<(&'static str, At)>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        let found =
            |d: Diagnostics| d.0.into_iter().map(|d| (d.code, d.place.unwrap().at)).collect();
        let by = Comparison { naming, rules: Rules::LmKbc2022, tolerance: 0.0 };
        Predictions::read(file.path(), by).map(|(read, _)| read).map_err(found)
    }

    #[test]
    fn lines_by_iri_and_by_label() {
        let by_iri = r#"{"subject": "e:a", "relation": "e:r", "objects": [{"object": "e:1", "confidence": 0.9}, {"object": "e:2"}], "more": 1}"#;
        let found = read(by_iri, Naming::Iri).unwrap();
        let objects = &found.questions[0].objects;
        assert_eq!(found.questions[0].relation, ["e:r"]);
        assert_eq!(objects[0].name.id.as_deref(), Some("e:1"));
        assert_eq!([objects[0].confidence, objects[1].confidence], [Some(0.9), None]);

        let by_label = r#"{"SubjectEntity": "A", "Relation": "HasPart", "ObjectEntities": ["X", "x", "y"]}
            {"SubjectEntity": "B", "Relation": "HasPart", "ObjectEntities": ["None"]}"#;
        let found = read(by_label, Naming::Label).unwrap();
        assert_eq!(found.questions[0].relation, ["haspart"]);
        let counts: Vec<usize> = found.questions.iter().map(|q| q.objects.len()).collect();
        assert_eq!(counts, [2, 0]);
        let refused = read(by_label, Naming::Iri).unwrap_err();
        assert_eq!(refused[0], ("labels-without-iris", At::Line(1)));
    }

    #[test]
    fn mistakes_have_their_lines() {
        let question = |objects: &str| {
            format!(r#"{{"subject": "e:a", "relation": "e:r", "objects": [{objects}]}}"#)
        };
        let lines = [
            "{".to_owned(),
            r#"{"subject": "e:a", "relation": "e:r"}"#.to_owned(),
            question(r#"{"object": " "}"#),
            question(r#"{"object": "e:1", "confidence": 1.5}"#),
            question(
                r#"{"object": "e:1", "confidence": 0.5}, {"object": "e:2", "confidence": 0.6}"#,
            ),
            question(r#"{"object": "e:1"}, {"object": "e:1"}"#),
            question(r#"{"object": "e:1", "score": 1}"#),
            question(""),
            question(""),
        ];
        let codes = [
            "bad-line",
            "bad-line",
            "empty-object",
            "bad-confidence",
            "bad-order",
            "repeated-object",
            "bad-line",
        ];
        let mut expected: Vec<_> = (1..).zip(codes).map(|(n, code)| (code, At::Line(n))).collect();
        expected.push(("repeated-question", At::Line(9)));
        assert_eq!(read(&lines.join("\n"), Naming::Iri).unwrap_err(), expected);
    }
}
