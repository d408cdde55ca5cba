//! The gold questions that were answered wrongly or not at all.

use serde::Serialize;

use super::gold::GoldQuestion;
use super::name::Comparison;
use super::predictions::PredictedObject;
use super::report::EvalReport;

/// How many answers of a question are shown.
const SHOWN: usize = 5;

/// An answer to a question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GivenAnswer {
    /// What it is compared by: its IRI, Wikidata number or folded label.
    pub object: String,
    /// From 0 to 1, where the predictions have one.
    pub confidence: Option<f64>,
    /// Whether gold has it.
    pub is_right: bool,
}

/// A gold question whose best answer is not right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WrongQuestion {
    /// As gold names it.
    pub relation: String,
    /// What is asked about.
    pub subject: String,
    /// What is right; empty where nothing is.
    pub gold: Vec<String>,
    /// The best answers, best first; empty where there is none.
    pub answers: Vec<GivenAnswer>,
}

impl WrongQuestion {
    /// A question, if the best of its answers is wrong, or missing where gold has one.
    pub(super) fn of(
        relation: &str,
        question: &GoldQuestion,
        given: &[&PredictedObject],
        by: Comparison,
    ) -> Option<Self> {
        let is_wrong = match given.first() {
            Some(best) => !question.is_right(best, by),
            None => !question.objects.is_empty(),
        };
        let answer = |object: &&PredictedObject| GivenAnswer {
            object: object.name.key().to_owned(),
            confidence: object.confidence,
            is_right: question.is_right(object, by),
        };
        is_wrong.then(|| Self {
            relation: relation.to_owned(),
            subject: question.subject.key().to_owned(),
            gold: question.objects.iter().map(|gold| gold.key().to_owned()).collect(),
            answers: given.iter().take(SHOWN).map(answer).collect(),
        })
    }

    /// The headings of [`Self::row`].
    pub const HEADER: [&'static str; 5] = ["relation", "subject", "gold", "answers", "confidences"];

    /// As cells of a table, `|` between several objects.
    pub fn row(&self) -> Vec<String> {
        let answers: Vec<&str> = self.answers.iter().map(|given| given.object.as_str()).collect();
        let confidence = |given: &GivenAnswer| {
            given.confidence.map_or(String::new(), |confidence| format!("{confidence:.4}"))
        };
        let confidences: Vec<String> = self.answers.iter().map(confidence).collect();
        let [relation, subject] = [&self.relation, &self.subject].map(String::clone);
        vec![relation, subject, self.gold.join("|"), answers.join("|"), confidences.join("|")]
    }
}

impl EvalReport {
    /// The questions that were answered wrongly or not at all as CSV.
    ///
    /// # Errors
    /// None that can be thought of: it is written into memory.
    pub fn wrong_table(&self) -> std::io::Result<Vec<u8>> {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(WrongQuestion::HEADER)?;
        for question in &self.wrong {
            table.write_record(question.row())?;
        }
        table.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}
