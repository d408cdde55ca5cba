//! Which questions were asked, and which candidates their answers were chosen of.

use std::collections::HashMap;
use std::path::Path;

use oxigraph::model::{GraphNameRef, NamedNode, NamedNodeRef};
use oxigraph::store::Store;
use serde::Deserialize;

use super::error::Error;
use super::kept::{listed, question_print};
use super::ledger;
use super::vocabulary as kgb;

/// Where the ledger has what was asked: by what tells a question from others its chunk.
#[derive(Debug, Default)]
pub struct AskedQuestions {
    chunks: Vec<NamedNode>,
    places: HashMap<u64, u32>,
}

/// What a question was answered with, written or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Considered {
    /// The best candidates, the best first.
    pub found: Vec<Candidate>,
    /// What all others have at most, together, of what [`Candidate::mixed`] is; none where nothing is left.
    pub open: Option<f64>,
}

/// A candidate with natural logarithms of its probabilities; none where one is of 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The IRI of an entity, the text of a value.
    pub object: String,
    /// The mixture's, less what is removed of its mean prediction: what candidates are ranked by. It may be above 0.
    pub mixed: Option<f64>,
    /// The finetuned model's.
    pub finetuned: Option<f64>,
    /// The base model's.
    pub base: Option<f64>,
}

/// The object, then what [`Candidate`] has, in its order.
type WrittenCandidate = (String, Option<f64>, Option<f64>, Option<f64>);

/// As the ledger has it.
#[derive(Deserialize)]
struct Written {
    found: Vec<WrittenCandidate>,
    open: Option<f64>,
}

impl AskedQuestions {
    /// Those of a store; none where nothing is kept of them.
    ///
    /// # Errors
    /// [`Error::Ledger`] and [`Error::Storage`] where the ledger cannot be read.
    pub fn of(store: &Store) -> Result<Self, Error> {
        let mut asked = Self::default();
        for found in listed(store, Path::new("the graph"), None) {
            let (chunk, questions) = found?;
            let number = asked.chunks.len() as u32;
            asked.places.extend(questions.into_iter().map(|(question, _)| (question, number)));
            asked.chunks.push(chunk);
        }
        Ok(asked)
    }

    /// What is kept of a question; nothing where it was not asked, or nothing is.
    ///
    /// # Errors
    /// [`Error::Read`] where the store cannot be read.
    pub fn considered(
        &self,
        store: &Store,
        subject: NamedNodeRef<'_>,
        relation: NamedNodeRef<'_>,
    ) -> Result<Option<Considered>, Error> {
        let question = question_print(subject.as_str(), relation.as_str(), "");
        let Some(&place) = self.places.get(&question) else { return Ok(None) };
        let chunk = Some(self.chunks[place as usize].as_ref().into());
        let graph = Some(GraphNameRef::NamedNode(kgb::LEDGER));
        let mut quads = store.quads_for_pattern(chunk, Some(kgb::CANDIDATES), None, graph);
        let Some(quad) = quads.next().transpose().map_err(Error::Read)? else { return Ok(None) };
        let all: HashMap<String, Written> =
            serde_json::from_str(ledger::text(&quad.object)).unwrap_or_default();
        let own = all.into_iter().find(|(own, _)| own == subject.as_str());
        Ok(own.map(|(_, Written { found, open })| {
            let candidate =
                |(object, mixed, finetuned, base)| Candidate { object, mixed, finetuned, base };
            Considered { found: found.into_iter().map(candidate).collect(), open }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::KeptQuestion;
    use crate::graph::kept::quads;

    #[test]
    fn candidates_are_found_by_their_question() {
        let store = Store::new().unwrap();
        let [chunk, relation] = ["e:chunk", "e:r"].map(|iri| NamedNode::new(iri).unwrap());
        let question = question_print("e:s", "e:r", "");
        store.extend(quads(&chunk, &[KeptQuestion { question, prompts: vec![] }])).unwrap();
        let said = serde_json::json!({
            "e:s": {"found": [["e:o", -0.5, null, -0.25]], "open": -3.0},
            "e:t": {"found": [], "open": null},
        });
        store.extend(ledger::candidates(&chunk, &relation, &said)).unwrap();
        let asked = AskedQuestions::of(&store).unwrap();
        let of = |subject| {
            let subject = NamedNodeRef::new(subject).unwrap();
            asked.considered(&store, subject, relation.as_ref()).unwrap()
        };
        let object = "e:o".to_owned();
        let found =
            vec![Candidate { object, mixed: Some(-0.5), finetuned: None, base: Some(-0.25) }];
        assert_eq!(of("e:s"), Some(Considered { found, open: Some(-3.0) }));
        assert_eq!(of("e:u"), None);
    }
}
