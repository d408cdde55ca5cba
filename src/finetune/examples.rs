//! Facts as the tokens that a model is trained on.
//!
//! A fact in a template is encoded as a run encodes it: the prompt, then the object behind it, then
//! the template's text after the object. What is learnt is each token of the object and, where the
//! template goes on, the first token after it, which under `trie` is the probability that the object
//! ends there.

use super::inputs::TrainingInputs;
use crate::diagnostic::{Diagnostic, Diagnostics, counted};
use crate::facts::Facts;
use crate::lm::{Tokenizer, TokenizerError};
use crate::ontology::Template;

/// How many mistakes of a kind are named.
const SHOWN: usize = 10;

/// One fact in one template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The prompt and the object, without what no target follows.
    pub tokens: Vec<u32>,
    /// The tokens to learn: the first follows the prompt, each other one the token of `tokens`
    /// behind it, so that the last one follows the last of `tokens`.
    pub targets: Vec<u32>,
}

impl Example {
    /// Each target with the position in `tokens` of the token that it follows.
    pub fn targets(&self) -> impl Iterator<Item = (usize, u32)> {
        let first = self.tokens.len() - self.targets.len();
        self.targets.iter().enumerate().map(move |(i, &token)| (first + i, token))
    }
}

/// A fact in each template of its relation, in the ontology's order; at least one.
pub(super) type Fact = Vec<Example>;

/// The facts in byte order of relation, subject and object.
///
/// # Errors
/// All labels of which the tokenizer leaves nothing, and all facts longer than `context` tokens.
pub(super) fn encode(
    facts: &Facts,
    inputs: &TrainingInputs,
    tokenizer: &Tokenizer,
    context: usize,
) -> Result<Vec<Fact>, Diagnostics> {
    let mut encoder = Encoder { tokenizer, context, empty: Vec::new(), long: Vec::new() };
    let mut all = Vec::with_capacity(facts.count());
    for relation in facts.relations() {
        // Both are there: `TrainingInputs` holds nothing else.
        let templates = inputs.templates.get(relation).map_or(&[][..], Vec::as_slice);
        for (subject, objects) in facts.questions(relation) {
            for object in objects {
                let label = inputs.label_of_object(relation, object);
                let labels = [inputs.labels.get(subject).unwrap_or(subject), &label];
                let fact = format!("<{subject}> <{relation}> <{object}>");
                let encoded = templates
                    .iter()
                    .map(|template| encoder.example(template, labels, &fact))
                    .collect::<Result<Vec<Option<Example>>, TokenizerError>>();
                match encoded {
                    Ok(examples) => all.push(examples.into_iter().flatten().collect()),
                    Err(error) => {
                        return Err(Diagnostic::of("tokenizer", &error).into());
                    }
                }
            }
        }
    }
    let mistakes = encoder.mistakes();
    if mistakes.has_errors() { Err(mistakes) } else { Ok(all) }
}

struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    context: usize,
    /// Facts of whose prompt or object the tokenizer leaves nothing.
    empty: Vec<String>,
    /// Facts that are too long.
    long: Vec<String>,
}

impl Encoder<'_> {
    /// Nothing where the fact cannot be trained, which is kept for [`Self::mistakes`].
    fn example(
        &mut self,
        template: &Template,
        [subject, object]: [&str; 2],
        fact: &str,
    ) -> Result<Option<Example>, TokenizerError> {
        let space = if template.object_has_space() { " " } else { "" };
        let mut tokens = self.tokenizer.prompt(&template.prompt(subject))?;
        let object = self.tokenizer.continuation(&format!("{space}{object}"))?;
        // What is left of a label of which nothing is left.
        if tokens.is_empty() || object.is_empty() || object == self.tokenizer.continuation(space)? {
            self.empty.push(fact.to_owned());
            return Ok(None);
        }
        let after = self.tokenizer.continuation(&template.after_object(""))?;
        let mut targets = object;
        match after.first() {
            Some(&end) => {
                tokens.extend(&targets);
                targets.push(end);
            }
            None => tokens.extend(&targets[..targets.len() - 1]),
        }
        if tokens.len() > self.context {
            self.long.push(fact.to_owned());
            return Ok(None);
        }
        Ok(Some(Example { tokens, targets }))
    }

    fn mistakes(mut self) -> Diagnostics {
        let mut found = Diagnostics::default();
        let mut push = |code, facts: &mut Vec<String>, what: &str, help: &str| {
            // A fact stands here once for each template.
            facts.dedup();
            if facts.is_empty() {
                return;
            }
            let shown: String =
                facts.iter().take(SHOWN).map(|fact| format!("\n     {fact}")).collect();
            let more = match facts.len().saturating_sub(SHOWN) {
                0 => String::new(),
                more => format!("\n     and {more} more"),
            };
            let facts = counted(facts.len(), "fact");
            let message = format!("{what} {facts}:{shown}{more}");
            found.push(Diagnostic::error(code, message).help(help));
        };
        push(
            "fact-without-tokens",
            &mut self.empty,
            "the tokenizer leaves nothing of a label in",
            "give their entities labels in the model's alphabet, or take them out",
        );
        let context = format!("the model takes {} tokens, and there are more in", self.context);
        push("fact-too-long", &mut self.long, &context, "shorten labels or templates");
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn tokenizer() -> Tokenizer {
        let file = "tests/data/models/llama/checkpoint/tokenizer.json";
        Tokenizer::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
    }

    fn encoder(tokenizer: &Tokenizer, context: usize) -> Encoder<'_> {
        Encoder { tokenizer, context, empty: Vec::new(), long: Vec::new() }
    }

    #[test]
    fn prompt_object_and_end_are_the_tokens_of_a_run() {
        let tokenizer = tokenizer();
        let template = Template::parse("The capital of [X] is [Y].").unwrap();
        let mut encoder = encoder(&tokenizer, 64);
        let example = encoder.example(&template, ["France", "Paris"], "").unwrap().unwrap();
        let prompt = tokenizer.prompt("The capital of France is").unwrap();
        let object = tokenizer.continuation(" Paris").unwrap();
        let end = tokenizer.continuation(".").unwrap();
        assert_eq!(example.tokens, [prompt.clone(), object.clone()].concat());
        assert_eq!(example.targets, [object.clone(), end[..1].to_vec()].concat());
        // The token behind the prompt is the object's first, and so on to the end.
        for (position, token) in example.targets() {
            let follows = example.tokens.get(position + 1).copied().unwrap_or(end[0]);
            assert_eq!(token, follows);
        }
        assert_eq!(example.targets().next().unwrap(), (prompt.len() - 1, object[0]));
    }

    #[test]
    fn without_text_after_the_object_its_last_token_is_the_last_target() {
        let tokenizer = tokenizer();
        let template = Template::parse("[X] speaks [Y]").unwrap();
        let mut encoder = encoder(&tokenizer, 64);
        let example = encoder.example(&template, ["Chad", "French"], "").unwrap().unwrap();
        let object = tokenizer.continuation(" French").unwrap();
        assert_eq!(example.targets, object);
        let prompt = tokenizer.prompt("Chad speaks").unwrap();
        assert_eq!(example.tokens.len(), prompt.len() + object.len() - 1);
        assert_eq!(example.targets().last().unwrap().0, example.tokens.len() - 1);
    }

    #[test]
    fn what_cannot_be_trained_is_counted() {
        let tokenizer = tokenizer();
        let template = Template::parse("[X] speaks [Y].").unwrap();
        let mut encoder = encoder(&tokenizer, 8);
        let long = "a very long name of a country";
        for fact in ["one", "one", "two"] {
            assert_eq!(encoder.example(&template, [long, "French"], fact).unwrap(), None);
        }
        assert_eq!(encoder.example(&template, ["Chad", ""], "three").unwrap(), None);
        let found = encoder.mistakes();
        let messages: Vec<&str> = found.0.iter().map(|d| d.message.as_str()).collect();
        assert!(
            messages[0].starts_with("the tokenizer leaves nothing of a label in 1 fact:"),
            "{messages:?}"
        );
        assert!(
            messages[1].starts_with("the model takes 8 tokens, and there are more in 2 facts:"),
            "{messages:?}"
        );
    }
}
