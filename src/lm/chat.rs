//! A chat model's own template: how questions and answers are written for it.
//!
//! The templates are those of the field: Jinja, with the names that Hugging Face's tokenizers give to
//! them. What a template makes of a conversation is told once, with a mark in the last question's place: a
//! *frame*, into which each question is put.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value, context};
use minijinja_contrib::pycompat;
use sha2::{Digest, Sha256};

use crate::diagnostic::{Explain, causes};
use crate::onnx::Conversation;

/// In a frame, the place of the question: of Unicode's private letters, which no template has.
const PLACE: &str = "\u{e000}\u{e001}\u{e000}";
/// The answer in a conversation of which only the end is looked at.
const ANSWER: &str = "\u{e001}\u{e000}\u{e001}";
/// Steps that a template may take, so that one without an end is an error.
const FUEL: u64 = 10_000_000;

/// Why a model cannot be asked by its chat template.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// It has none.
    #[error("{model} has no chat template, by which `chat = true` asks it")]
    Missing {
        /// The model, as it is named.
        model: String,
    },
    /// It does not parse, or refuses a question.
    #[error("the chat template of {model} cannot be used: {problem}")]
    Unusable {
        /// The model, as it is named.
        model: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Explain for ChatError {
    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Missing { .. } => {
                "leave `chat` out, or name a model that has one: a GGUF file in its \
                 `tokenizer.chat_template`, a folder in tokenizer_config.json or chat_template.jinja"
            }
            Self::Unusable { .. } => {
                "leave `chat` out, or mend the template: it is in tokenizer_config.json or in the GGUF \
                 file's `tokenizer.chat_template`"
            }
        };
        Some(help.to_owned())
    }
}

/// A model's chat template.
#[derive(Debug)]
pub struct Chat {
    model: String,
    environment: Environment<'static>,
    conversation: Conversation,
    /// Of a question without others before it.
    frame: String,
    /// What opens an answer, and what is written between that and the answer, if anything is.
    opening: [String; 2],
    /// What ends an answer.
    end: String,
}

impl Chat {
    /// Takes a model's template and tries it; errors call the model so.
    ///
    /// # Errors
    /// See [`ChatError`].
    pub fn new(model: String, conversation: Conversation) -> Result<Self, ChatError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.unwrap_or_else(|_| unreachable!("it has no delimiters")));
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |why: String| -> Result<Value, _> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, why))
        });
        environment.add_function("strftime_now", |format: String| date(&format));
        let template = without_marks_of_answers(&conversation.template);
        if let Err(error) = environment.add_template_owned("chat", template) {
            return Err(ChatError::Unusable { model, problem: in_words(&error) });
        }
        let (frame, opening, end) = (String::new(), Default::default(), String::new());
        let mut chat = Self { model, environment, conversation, frame, opening, end };
        chat.frame = chat.frame(&[])?;
        let answered = chat.render(&[("user", PLACE), ("assistant", ANSWER)], false)?;
        let (before, end) = answered.split_once(ANSWER).ok_or_else(|| chat.lost("an answer"))?;
        let behind = |text: &str| text.split_once(PLACE).map(|(_, behind)| behind.to_owned());
        let opening = behind(&chat.frame).unwrap_or_default();
        let written = behind(before).unwrap_or_default();
        let between = written.strip_prefix(&opening).unwrap_or_default().to_owned();
        (chat.opening, chat.end) = ([opening, between], end.to_owned());
        Ok(chat)
    }

    /// A conversation of questions and their answers, with a place for the next question, that ends where the
    /// answer to it begins.
    ///
    /// # Errors
    /// Where the template refuses it.
    pub fn frame(&self, turns: &[(String, String)]) -> Result<String, ChatError> {
        let turns = turns.iter();
        let turns = turns.flat_map(|(asked, said)| [("user", &**asked), ("assistant", &**said)]);
        let messages: Vec<(&str, &str)> = turns.chain([("user", PLACE)]).collect();
        let frame = self.render(&messages, true)?;
        if frame.matches(PLACE).count() == 1 { Ok(frame) } else { Err(self.lost("a question")) }
    }

    /// The text that a question is asked by: in `frame`, or where that is empty without others before it.
    pub fn asked(&self, frame: &str, question: &str) -> String {
        let frame = if frame.is_empty() { &self.frame } else { frame };
        frame.replace(PLACE, question)
    }

    /// What stands before an answer since the question, and what the model itself writes before it, most often
    /// nothing.
    pub fn opening(&self) -> [&str; 2] {
        [&self.opening[0], &self.opening[1]]
    }

    /// How long the text around a question is that has no others before it, in bytes.
    pub fn length(&self) -> usize {
        self.frame.len()
    }

    /// What the model's answers end with.
    pub fn end(&self) -> &str {
        &self.end
    }

    /// What tells this template's questions from another's.
    pub fn identity(&self) -> String {
        hex::encode(Sha256::digest(&self.frame))
    }

    fn render(&self, messages: &[(&str, &str)], answer: bool) -> Result<String, ChatError> {
        let messages: Vec<Value> = messages
            .iter()
            .map(|(role, content)| context! { role => *role, content => *content })
            .collect();
        let Conversation { begin, end, .. } = &self.conversation;
        // Models that can think aloud first are asked to answer at once.
        let rendered = self.environment.get_template("chat").and_then(|template| {
            template.render(context! {
                messages => messages,
                add_generation_prompt => answer,
                bos_token => begin,
                eos_token => end,
                enable_thinking => false,
                tools => (),
                documents => (),
            })
        });
        rendered.map_err(|error| ChatError::Unusable {
            model: self.model.clone(),
            problem: in_words(&error),
        })
    }

    fn lost(&self, what: &str) -> ChatError {
        let problem = format!("it does not write {what} once and as it is");
        ChatError::Unusable { model: self.model.clone(), problem }
    }
}

/// A template without the marks by which trainers find the answers: they write nothing.
fn without_marks_of_answers(template: &str) -> String {
    let mut text = template.to_owned();
    for mark in ["generation", "endgeneration"] {
        // White space is dropped as the mark would have it dropped.
        for [before, after] in [["", ""], ["-", ""], ["", "-"], ["-", "-"]] {
            let mark = format!("{{%{before} {mark} {after}%}}");
            text = text.replace(&mark, &format!("{{#{before}{after}#}}"));
        }
    }
    text
}

/// The date of templates that tell one: always the same, so that a graph does not depend on its day.
fn date(format: &str) -> String {
    let parts = [
        ("%d", "01"),
        ("%B", "January"),
        ("%b", "Jan"),
        ("%m", "01"),
        ("%Y", "2025"),
        ("%A", "Wednesday"),
    ];
    parts.iter().fold(format.to_owned(), |text, (part, value)| text.replace(part, value))
}

/// What a template's engine says, with its causes.
fn in_words(error: &minijinja::Error) -> String {
    let causes = causes(error).into_iter();
    std::iter::once(error.to_string()).chain(causes).collect::<Vec<String>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(template: &str) -> Result<Chat, ChatError> {
        let [template, begin, end] = [template, "<s>", "</s>"].map(str::to_owned);
        Chat::new("m".to_owned(), Conversation { template, begin, end })
    }

    /// The manner of many models, written for this test.
    const MARKED: &str = "{{ bos_token }}{% for message in messages %}\n\
        {{- '<|' + message['role'] + '|>' + '\\n' + message.content.strip() + '<|end|>' + '\\n' }}\
        {% endfor %}\n{% if add_generation_prompt %}\n  {{- '<|assistant|>\\n' }}{% endif %}";

    #[test]
    fn questions_are_put_into_the_models_own_frame() {
        let chat = parse(MARKED).unwrap();
        let alone = "<s><|user|>\nWho?<|end|>\n<|assistant|>\n";
        assert_eq!(chat.asked("", "Who?"), alone);
        assert_eq!((chat.opening(), chat.end()), (["<|end|>\n<|assistant|>\n", ""], "<|end|>\n"));
        let turns = [("What?".to_owned(), "That.".to_owned())];
        let frame = chat.frame(&turns).unwrap();
        let behind = "<s><|user|>\nWhat?<|end|>\n<|assistant|>\nThat.<|end|>\n<|user|>\nWho?<|end|>\n\
                      <|assistant|>\n";
        assert_eq!(chat.asked(&frame, "Who?"), behind);
    }

    #[test]
    fn what_trainers_and_calendars_want_is_written_too() {
        let chat = parse(
            "{% if tools is not none %}no{% endif %}{{ strftime_now('%d %B %Y') }}\n{% for m in messages %}\
             {% if m.role == 'user' %}Q: {{ m.content }}\n{% else %}A:{% generation %} {{ m.content }}.\
             {%- endgeneration %}{% endif %}{% endfor %}{% if add_generation_prompt %}A:{% endif %}",
        )
        .unwrap();
        assert_eq!(chat.asked("", "Who?"), "01 January 2025\nQ: Who?\nA:");
        assert_eq!((chat.opening(), chat.end()), (["\nA:", " "], "."));
    }

    #[test]
    fn a_template_that_cannot_be_used_says_why() {
        for (template, part) in [
            ("{% for m in messages %}{{ m.content }}", "syntax error"),
            ("{{ raise_exception('no system role') }}", "no system role"),
            ("{% for m in messages %}{{ m.content | upcase }}{% endfor %}", "upcase"),
            ("hello", "it does not write a question once"),
            ("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", "a question"),
            (
                "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
                "fuel",
            ),
            (
                "{% if messages[1] %}{{ messages[0].content }}{% else %}{{ messages[0].content }}{% endif %}",
                "an answer",
            ),
        ] {
            let message = parse(template).unwrap_err().to_string();
            assert!(message.contains(part), "{template}: {message}");
        }
    }
}
