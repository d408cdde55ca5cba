//! Gold: the questions whose answers are known.
//!
//! Invariant: a question stands once, with all its objects or none, and there is at least one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::jsonl;
use super::lm_kbc;
use super::name::{Comparison, Name, Naming, fold_relation};
use super::predictions::PredictedObject;
use super::rules::Rules;
use crate::catalog::mistakes::Mistakes;
use crate::diagnostic::{At, Diagnostic, Diagnostics};
use crate::facts::{Facts, ObjectsOf};

/// A question and what is known to be its answer.
#[derive(Clone, Debug, PartialEq)]
pub struct GoldQuestion {
    /// What is asked about.
    pub subject: Name,
    /// Empty where there is none.
    pub objects: Vec<Name>,
}

impl GoldQuestion {
    /// Whether an answer is right.
    pub(super) fn is_right(&self, answer: &PredictedObject, by: Comparison) -> bool {
        self.objects.iter().any(|gold| answer.name.answers(gold, by.tolerance))
    }
}

/// Gold questions by relation, in byte order of the relations' names.
#[derive(Clone, Debug, PartialEq)]
pub struct Gold {
    /// What answers are compared with it by.
    pub by: Comparison,
    /// Under the relation as it is written, an IRI or LM-KBC's name.
    pub relations: BTreeMap<String, Vec<GoldQuestion>>,
}

impl Gold {
    /// Reads facts tables ([`Facts::read`]) or LM-KBC's files, told apart by their first line. Without a
    /// tolerance, that of the rules holds.
    ///
    /// # Errors
    /// All mistakes of all files; files of both kinds; no question at all.
    pub fn read(
        files: &[PathBuf],
        rules: Rules,
        tolerance: Option<f64>,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let tolerance = tolerance.unwrap_or(rules.tolerance());
        let by = |naming| Comparison { naming, rules, tolerance };
        let (labelled, tables): (Vec<PathBuf>, Vec<PathBuf>) =
            files.iter().cloned().partition(|file| is_lm_kbc(file));
        let (gold, warnings) = match (tables.first(), labelled.first()) {
            (Some(table), Some(other)) => {
                let message = format!("{} names entities by label, others by IRI", other.display());
                return Err(Diagnostic::error("two-kinds-of-gold", message)
                    .at(table, At::File)
                    .help("score against one kind at a time")
                    .into());
            }
            (_, None) => {
                let (facts, warnings) = Facts::read(&tables, ObjectsOf::Anything)?;
                (Self::of_facts(&facts, by(Naming::Iri)), warnings)
            }
            (None, Some(_)) => Self::of_lm_kbc(&labelled, by(Naming::Label))?,
        };
        if gold.relations.is_empty() {
            let diagnostic =
                Diagnostic::error("empty-gold", "there is no gold fact to score against");
            let at = files.first().map(|file| diagnostic.clone().at(file, At::File));
            return Err(at.unwrap_or(diagnostic).into());
        }
        Ok((gold, warnings))
    }

    /// Gold by IRI.
    fn of_facts(facts: &Facts, by: Comparison) -> Self {
        let name = |iri: &str| Name::of_iri(iri, [], by);
        let mut relations = BTreeMap::new();
        for relation in facts.relations() {
            let questions = facts.questions(relation).map(|(subject, objects)| GoldQuestion {
                subject: name(subject),
                objects: objects.iter().map(|object| name(object)).collect(),
            });
            relations.insert(relation.to_owned(), questions.collect());
        }
        Self { by, relations }
    }

    fn of_lm_kbc(files: &[PathBuf], by: Comparison) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut diagnostics = Diagnostics::default();
        let mut relations: BTreeMap<String, Vec<GoldQuestion>> = BTreeMap::new();
        let mut seen = std::collections::HashSet::new();
        for file in files {
            let mut mistakes = Mistakes::new(file);
            jsonl::read(file, &mut mistakes, |line| {
                let found = lm_kbc::question(line, by.rules)?;
                if !seen.insert((fold_relation(&found.relation), found.subject.clone())) {
                    let message = format!("{} of {} stands twice", found.relation, found.shown);
                    return Err(Diagnostic::error("repeated-question", message)
                        .help("give all objects of a subject in one line")
                        .into());
                }
                let question = GoldQuestion { subject: found.subject, objects: found.objects };
                relations.entry(found.relation).or_default().push(question);
                Ok(())
            });
            diagnostics.0.append(&mut mistakes.finish().0);
        }
        diagnostics.or(Self { by, relations })
    }

    /// How many questions there are.
    pub fn questions(&self) -> usize {
        self.relations.values().map(Vec::len).sum()
    }

    /// Whether no gold object has an id, so that only labels can find one.
    pub(super) fn needs_labels(&self) -> bool {
        let mut objects = self.relations.values().flatten().flat_map(|question| &question.objects);
        objects.all(|object| object.id.is_none())
    }
}

/// Whether the first line of a file that is not blank is one of LM-KBC's.
fn is_lm_kbc(file: &Path) -> bool {
    let Ok(file) = File::open(file) else { return false };
    let mut lines = BufReader::new(file).lines().map_while(Result::ok);
    let first = lines.find(|line| !line.trim().is_empty()).unwrap_or_default();
    let first: Value =
        serde_json::from_str(first.trim_start_matches('\u{feff}')).unwrap_or_default();
    jsonl::is_lm_kbc(&first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Gold, Vec<(&'static str, At)>> {
        let folder = tempfile::tempdir().unwrap();
        let write = |&(name, text): &(&str, &str)| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            file
        };
        let files: Vec<PathBuf> = files.iter().map(write).collect();
        let found =
            |d: Diagnostics| d.0.into_iter().map(|d| (d.code, d.place.unwrap().at)).collect();
        Gold::read(&files, Rules::default(), None).map(|(gold, _)| gold).map_err(found)
    }

    #[test]
    fn tables_and_lm_kbc_are_told_apart() {
        let table = "subject,relation,object\ne:a,e:r,e:1\ne:a,e:r,e:2\ne:b,e:r,\n";
        let gold = read(&[("gold.csv", table)]).unwrap();
        assert_eq!((gold.by.naming, gold.questions()), (Naming::Iri, 2));
        assert_eq!(gold.relations["e:r"][0].objects.len(), 2);
        assert!(gold.relations["e:r"][1].objects.is_empty());

        let lines =
            "\n{\"SubjectEntity\": \"A\", \"Relation\": \"R\", \"ObjectEntities\": [[\"x\"]]}\n";
        let gold = read(&[("dev.jsonl", lines)]).unwrap();
        assert_eq!((gold.by.naming, gold.questions()), (Naming::Label, 1));
        assert!(gold.needs_labels());
        assert_eq!(
            read(&[("gold.csv", table), ("dev.jsonl", lines)]).unwrap_err(),
            [("two-kinds-of-gold", At::File)]
        );
    }

    #[test]
    fn mistakes_have_their_lines() {
        let line = "{\"SubjectEntity\": \"A\", \"Relation\": \"R\", \"ObjectEntities\": []}\n";
        let text = format!("{line}{{\"a\"\n\n{line}[]\n");
        let found = read(&[("dev.jsonl", &text)]).unwrap_err();
        let expected = [("bad-line", 2), ("repeated-question", 4), ("bad-line", 5)];
        assert_eq!(found, expected.map(|(code, line)| (code, At::Line(line))));
        let empty = read(&[("gold.csv", "subject,relation,object\n")]).unwrap_err();
        assert_eq!(empty, [("empty-gold", At::File)]);
    }
}
