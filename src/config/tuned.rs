//! The file of tuned numbers: written by `kgbuild tune`, taken by `kgbuild run`.
//!
//! Invariant of a [`TunedFile`] that was read: its numbers are in their ranges, so that it needs no
//! second check where it is used.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::diagnostic::{At, Diagnostic, Diagnostics};
use crate::shock::Calibration;

/// The code of a file that an earlier version wrote.
const EARLIER: &str = "earlier-numbers";

const HEAD: &str = "\
# Written by `kgbuild tune`, taken by `kgbuild run`. `[all]` is for relations without numbers of
# their own. `facts` says on how many held-out facts a relation's numbers rest.
";

/// Numbers that were chosen on held-out facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunedFile {
    /// What they were chosen for: with anything else they mean nothing.
    pub made_from: MadeFrom,
    /// For relations without numbers of their own; none where there were too few facts.
    pub all: Option<TunedNumbers>,
    /// By the relation's IRI.
    #[serde(default)]
    pub relations: BTreeMap<String, TunedNumbers>,
}

/// What tuned numbers belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeFrom {
    /// The version of kgbuild.
    pub kgbuild: String,
    /// SHA-256 of the base model.
    pub base_sha256: String,
    /// SHA-256 of the finetuned model.
    pub finetuned_sha256: String,
    /// The correction, by its name.
    pub correction: String,
    /// How probabilities are normalised, by its name.
    pub normalise: String,
    /// In what the models' weights are kept, where that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Whether questions are asked by the model's own chat template.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chat: bool,
    /// SHA-256 of the tables of examples, and how many of them are for which models; empty without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples_sha256: Vec<String>,
    /// SHA-256 of the tables of held-out facts.
    pub facts_sha256: Vec<String>,
}

/// The numbers of one relation, or of all together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunedNumbers {
    /// The questions with known answers that they rest on.
    pub facts: u64,
    /// The finetuned model's share, 0 to 1; none where nothing is mixed.
    pub lambda: Option<f64>,
    /// The share of the finetuned model's shift that is removed, 0 to 2; none without `prior`.
    pub tau: Option<f64>,
    /// The share of the mean prediction that is removed, 0 to 1.
    pub mean: f64,
    /// The weight of an answer's log-odds in its confidence's; above 0.
    pub share: f64,
    /// The weight of the mixture's own ln p of it; 0 or more.
    pub score: f64,
    /// Is added to them.
    pub bias: f64,
    /// Least confidence of a triple that is written, 0 to 1; none where the pipeline's own stands.
    pub threshold: Option<f64>,
}

impl TunedNumbers {
    /// What makes a probability a confidence.
    pub fn calibration(&self) -> Calibration {
        Calibration { share: self.share, score: self.score, bias: self.bias }
    }

    /// The names of the numbers that are outside their ranges.
    fn wrong(&self) -> Vec<&'static str> {
        let within = |x: f64, most: f64| (0.0..=most).contains(&x);
        let checks = [
            ("lambda", self.lambda.is_none_or(|x| within(x, 1.0))),
            ("tau", self.tau.is_none_or(|x| within(x, 2.0))),
            ("mean", within(self.mean, 1.0)),
            ("share", self.share.is_finite() && self.share > 0.0),
            ("score", self.score.is_finite() && self.score >= 0.0),
            ("bias", self.bias.is_finite()),
            ("threshold", self.threshold.is_none_or(|x| within(x, 1.0))),
        ];
        checks.into_iter().filter(|(_, right)| !right).map(|(name, _)| name).collect()
    }
}

impl TunedFile {
    /// Reads a file of tuned numbers.
    ///
    /// # Errors
    /// Where it is not there, is not what `kgbuild tune` writes, or has numbers that mean nothing.
    pub fn read(file: &Path) -> Result<Self, Diagnostics> {
        let tuned = Self::parse(file)?;
        let help = "`kgbuild tune` with the pipeline file writes it anew";
        let mut found = Diagnostics::default();
        let relations = tuned.relations.iter().map(|(iri, numbers)| (format!("<{iri}>"), numbers));
        for (name, numbers) in tuned.all.iter().map(|n| ("[all]".to_owned(), n)).chain(relations) {
            for number in numbers.wrong() {
                let message = format!("`{number}` of {name} is outside its range");
                found.push(Diagnostic::error("bad-number", message).at(file, At::File).help(help));
            }
        }
        found.or(tuned).map(|(tuned, _)| tuned)
    }

    /// Refuses to write numbers over a file that does not hold such numbers: it is someone's work,
    /// named by mistake. Numbers that mean nothing may be replaced by better ones.
    ///
    /// # Errors
    /// Where the file is there and is not what `kgbuild tune` writes.
    pub fn replaceable(file: &Path) -> Result<(), Diagnostics> {
        if !file.is_file() {
            return Ok(());
        }
        match Self::parse(file) {
            Err(mistakes) if mistakes.0.iter().all(|mistake| mistake.code == EARLIER) => Ok(()),
            found => found.map(drop),
        }
    }

    /// A file's numbers, whatever they are.
    fn parse(file: &Path) -> Result<Self, Diagnostics> {
        let wrong = |code, message: String, at| {
            let help = "name another file under `[tuning]`, or move this one away: `kgbuild tune` \
                        with the pipeline file then writes it anew";
            Diagnostics::from(Diagnostic::error(code, message).at(file, at).help(help))
        };
        let text = fs::read_to_string(file).map_err(|error| {
            wrong("unreadable", format!("the tuned numbers cannot be read: {error}"), At::File)
        })?;
        if text.lines().any(|line| line.starts_with("temperature = ")) {
            let message =
                "these numbers were tuned by a kgbuild that ranked and calibrated otherwise";
            let mistake = Diagnostic::error(EARLIER, message).at(file, At::File);
            return Err(mistake
                .help("`kgbuild tune` with the pipeline file writes them anew")
                .into());
        }
        toml::from_str(&text).map_err(|error| {
            let message = format!("this is no file of tuned numbers: {}", error.message());
            wrong("bad-tuned-file", message, error.span().map_or(At::File, At::Span))
        })
    }

    /// The file's text.
    ///
    /// # Errors
    /// Where a number has no form in TOML, which none that was tuned lacks.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        Ok(format!("{HEAD}\n{}", toml::to_string(self)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(lambda: f64) -> TunedNumbers {
        TunedNumbers {
            facts: 40,
            lambda: Some(lambda),
            tau: None,
            mean: 0.25,
            share: 0.75,
            score: 0.0,
            bias: -0.25,
            threshold: Some(0.4),
        }
    }

    fn tuned(lambda: f64) -> TunedFile {
        TunedFile {
            made_from: MadeFrom {
                kgbuild: "0.1.0".into(),
                base_sha256: "aa".into(),
                finetuned_sha256: "bb".into(),
                correction: "linear".into(),
                normalise: "trie".into(),
                precision: None,
                chat: false,
                examples_sha256: Vec::new(),
                facts_sha256: vec!["cc".into()],
            },
            all: Some(numbers(0.5)),
            relations: BTreeMap::from([("http://e/r".to_owned(), numbers(lambda))]),
        }
    }

    fn read(text: &str) -> Result<TunedFile, Diagnostics> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tuned.toml");
        fs::write(&file, text).unwrap();
        TunedFile::read(&file)
    }

    #[test]
    fn what_is_written_reads_back() {
        let written = tuned(0.35);
        assert_eq!(read(&written.to_text().unwrap()).unwrap(), written);
    }

    #[test]
    fn numbers_outside_their_ranges_are_refused() {
        let mistakes = read(&tuned(1.5).to_text().unwrap()).unwrap_err();
        assert_eq!(mistakes.0.len(), 1);
        assert_eq!(mistakes.0[0].message, "`lambda` of <http://e/r> is outside its range");
        let unknown = tuned(0.5).to_text().unwrap().replace("bias", "bais");
        assert_eq!(read(&unknown).unwrap_err().0[0].code, "bad-tuned-file");
    }

    #[test]
    fn only_tuned_numbers_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tuned.toml");
        assert!(TunedFile::replaceable(&file).is_ok());
        fs::write(&file, tuned(1.5).to_text().unwrap()).unwrap();
        assert!(TunedFile::replaceable(&file).is_ok());
        let earlier = tuned(0.5).to_text().unwrap().replace("share = ", "temperature = ");
        fs::write(&file, earlier).unwrap();
        assert!(TunedFile::replaceable(&file).is_ok(), "an earlier version's numbers");
        assert_eq!(TunedFile::read(&file).unwrap_err().0[0].code, EARLIER);
        fs::write(&file, "mine = true\n").unwrap();
        assert_eq!(TunedFile::replaceable(&file).unwrap_err().0[0].code, "bad-tuned-file");
    }
}
