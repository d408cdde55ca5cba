//! From templates and labels to what a family of models reads.
//!
//! | family | a template "The capital of \[X\] is \[Y\]." | a question "What is the capital of \[X\]?" |
//! | --- | --- | --- |
//! | causal | the text before the object, which then follows | none |
//! | causal, asked by its chat template | the same, of relations without a question | as a user's turn, the object as the answer to it |
//! | masked | both texts, with masks in the object's place | none |
//! | encoder-decoder with sentinels (T5) | the encoder reads both texts around a sentinel, the decoder says the sentinel, the object, the next sentinel | the decoder says the object and ends |
//! | encoder-decoder with a mask (BART) | the encoder reads both texts around the mask, the decoder says the filled-in text | none |
//! | encoder-decoder with neither | none | the decoder says the object and ends |

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Prompt;
use super::chat::{Chat, ChatError};
use super::tokenizer::Tokenizer;
use crate::onnx::{Family, ModelFolder};
use crate::ontology::{Refusal, Template};

mod candidate;
mod error;

pub use candidate::{Before, TokenisedCandidate};
pub use error::PrompterError;

/// How a template's text after the object counts for a causal model. Of the others, a masked model
/// reads all of it, and a decoder ends as it has learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// As what it says of each candidate on average over some of the relation's subjects, without the
    /// punctuation at its end: whether a sentence ends behind a name says little of the name. Under
    /// `trie` as `words`.
    Mean,
    /// Question by question, without the punctuation at its end.
    Words,
    /// Question by question, all of it.
    All,
}

impl After {
    /// What counts of the text after an object.
    fn of(self, text: &str) -> &str {
        match self {
            Self::All => text,
            Self::Mean | Self::Words => text.trim_end_matches(|c: char| !c.is_alphanumeric()),
        }
    }
}

/// How one family is asked.
pub struct Prompter {
    tokenizer: Tokenizer,
    manner: Manner,
}

enum Manner {
    Causal,
    Chat(Box<Chat>),
    Masked {
        mask: String,
        id: u32,
    },
    Seq2Seq {
        /// What the decoder begins with.
        start: u32,
        /// What ends a text.
        end: u32,
        gap: Option<Gap>,
    },
}

/// What an encoder finds in the object's place.
enum Gap {
    /// With its number, and that of the next one.
    Sentinel {
        text: &'static str,
        id: u32,
        next: u32,
    },
    Mask {
        text: String,
    },
}

/// The first two sentinels, as the tokenizers of T5 and of mT5 spell them.
const SENTINELS: [[&str; 2]; 2] =
    [["<extra_id_0>", "<extra_id_1>"], ["▁<extra_id_0>", "▁<extra_id_1>"]];

impl Prompter {
    /// Reads a model's tokenizer and what else says how it is asked.
    ///
    /// # Errors
    /// Where the tokenizer cannot be read, or lacks a token that the family needs.
    pub fn new(model: &ModelFolder) -> Result<Self, PrompterError> {
        let tokenizer = Tokenizer::read(&model.tokenizer)?;
        let mask = || {
            let known = ["[MASK]", "<mask>"].map(str::to_owned);
            let texts = model.setting("mask_token").into_iter().chain(known);
            texts.filter_map(|text| Some((tokenizer.id(&text)?, text))).next()
        };
        let manner = match model.family {
            Family::Causal => Manner::Causal,
            Family::Masked => {
                let Some((id, mask)) = mask() else {
                    let tokenizer = model.tokenizer.display().to_string();
                    return Err(PrompterError::NoMask { tokenizer });
                };
                Manner::Masked { mask, id }
            }
            Family::EncoderDecoder => {
                let token = |key: &'static str| {
                    let config = model.config.as_deref().unwrap_or(Path::new("config.json"));
                    let config = config.display().to_string();
                    model.token(key).ok_or(PrompterError::NoToken { config, key })
                };
                let sentinel = SENTINELS.iter().find_map(|[first, next]| {
                    let (id, next) = (tokenizer.id(first)?, tokenizer.id(next)?);
                    Some(Gap::Sentinel { text: first, id, next })
                });
                let gap = sentinel.or_else(|| mask().map(|(_, text)| Gap::Mask { text }));
                let (start, end) = (token("decoder_start_token_id")?, token("eos_token_id")?);
                Manner::Seq2Seq { start, end, gap }
            }
        };
        Ok(Self { tokenizer, manner })
    }

    /// The same of a model that is asked questions by its own chat template; errors call it so.
    ///
    /// # Errors
    /// Where the model has no usable one.
    pub fn chatting(model: &ModelFolder, named: &str) -> Result<Self, PrompterError> {
        if model.family != Family::Causal {
            return Err(PrompterError::NoChat { family: model.family });
        }
        let named = named.to_owned();
        let Some(conversation) = model.conversation() else {
            return Err(ChatError::Missing { model: named }.into());
        };
        let tokenizer = Tokenizer::read(&model.tokenizer)?;
        Ok(Self { tokenizer, manner: Manner::Chat(Box::new(Chat::new(named, conversation)?)) })
    }

    /// What tells a model's manner of being asked from another's, where it has one of its own.
    pub fn identity(&self) -> Option<String> {
        match &self.manner {
            Manner::Chat(chat) => Some(chat.identity()),
            _ => None,
        }
    }

    /// How long the text around a question is where no examples stand before it, in bytes.
    pub fn around(&self) -> usize {
        match &self.manner {
            Manner::Chat(chat) => chat.length(),
            _ => 0,
        }
    }

    /// Of a relation's templates, those that are asked: of a chat model the questions, where there are any.
    pub fn asked<'t>(&self, templates: &'t [Template]) -> Vec<&'t Template> {
        let chats = matches!(self.manner, Manner::Chat(_));
        let questions = chats && templates.iter().any(Template::is_question);
        templates.iter().filter(|template| !questions || template.is_question()).collect()
    }

    /// Examples, subjects and objects by label, as what stands before a prompt: a line each, in the
    /// relation's templates by turns; turns of a conversation, where the templates are questions that are
    /// asked so. All templates have the same in front, so that it is computed once.
    ///
    /// # Errors
    /// Where a chat template refuses them.
    pub fn examples(
        &self,
        templates: &[Template],
        examples: &[(String, String)],
    ) -> Result<String, PrompterError> {
        let by_turns = examples.iter().zip(templates.iter().cycle());
        match &self.manner {
            Manner::Chat(chat) if templates.iter().all(Template::is_question) => {
                let turn = |((subject, object), template): (&(String, String), &Template)| {
                    (template.prompt(subject), object.clone())
                };
                Ok(match examples {
                    [] => String::new(),
                    _ => chat.frame(&by_turns.map(turn).collect::<Vec<_>>())?,
                })
            }
            _ => {
                let line = |((subject, object), template): (&(String, String), &Template)| {
                    template.filled(subject, object) + "\n"
                };
                Ok(by_turns.map(line).collect())
            }
        }
    }

    /// What stands before the object of a template: see [`Self::candidate`].
    pub fn before_object(&self, template: &Template) -> Before {
        if matches!(self.manner, Manner::Chat(_)) && template.is_question() {
            Before::Opening
        } else if template.object_has_space() {
            Before::Space
        } else {
            Before::Text
        }
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What stands in the object's place of what a masked model or an encoder reads, for people.
    pub fn place_of_object(&self) -> Option<String> {
        match &self.manner {
            Manner::Causal | Manner::Chat(_) => None,
            Manner::Masked { mask, id } => Some(format!("the mask {mask} ({id})")),
            Manner::Seq2Seq { gap, .. } => Some(match gap {
                Some(Gap::Sentinel { text, id, .. }) => format!("the sentinel {text} ({id})"),
                Some(Gap::Mask { text }) => format!("the mask {text}"),
                None => "no sentinel and no mask: only a kgb:question can be asked".to_owned(),
            }),
        }
    }

    /// The mask of a masked model.
    pub fn mask(&self) -> Option<u32> {
        match &self.manner {
            Manner::Masked { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// Why this family cannot use a template; none where it can.
    pub fn refusal(&self, template: &Template) -> Option<Refusal> {
        match &self.manner {
            Manner::Causal => Refusal::by_causal(template),
            Manner::Chat(_) if template.is_question() => None,
            Manner::Chat(_) => Refusal::by_causal(template),
            Manner::Masked { .. } => template.is_question().then_some(Refusal {
                code: "question",
                problem: "has no place for the object",
                reason: "a masked model says the object where [Y] stands",
                instead: "write a kgb:template",
            }),
            Manner::Seq2Seq { gap: Some(Gap::Mask { .. }), .. } => {
                template.is_question().then_some(Refusal {
                    code: "question",
                    problem: "has no place for the object",
                    reason: "a model that fills in a mask has not learnt to answer",
                    instead: "write a kgb:template",
                })
            }
            Manner::Seq2Seq { gap: Some(Gap::Sentinel { .. }), .. } => None,
            Manner::Seq2Seq { gap: None, .. } => (!template.is_question()).then_some(Refusal {
                code: "no-sentinel",
                problem: "has a place for the object",
                reason: "the model's tokenizer has neither a sentinel nor a mask for it",
                instead: "write a kgb:question",
            }),
        }
    }

    /// A template's prompt for a subject, behind `examples`, which may be empty.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn prompt(
        &self,
        template: &Template,
        subject: &str,
        examples: &str,
    ) -> Result<Prompt, PrompterError> {
        let before = format!("{examples}{}", template.prompt(subject));
        let after = template.after_object(subject);
        let encode = |text: &str| self.tokenizer.prompt(text);
        Ok(match &self.manner {
            Manner::Chat(chat) if template.is_question() => {
                let text = chat.asked(examples, &template.prompt(subject));
                Prompt::before(self.tokenizer.whole(&text)?)
            }
            Manner::Causal | Manner::Chat(_) => Prompt::before(encode(&before)?),
            Manner::Masked { mask, id } => {
                let text = format!("{before}{mask}{after}");
                let mut tokens = encode(&text)?;
                let mut places = tokens.iter().enumerate().filter(|(_, token)| *token == id);
                let (Some((place, _)), None) = (places.next(), places.next()) else {
                    return Err(PrompterError::LostMask { text });
                };
                let after = tokens.split_off(place + 1);
                tokens.pop();
                Prompt { encoder: Vec::new(), before: tokens, after }
            }
            Manner::Seq2Seq { start, gap, .. } => {
                let (encoder, mut decoder) = match gap {
                    Some(Gap::Sentinel { text, id, .. }) if !template.is_question() => {
                        (encode(&format!("{before}{text}{after}"))?, vec![*id])
                    }
                    Some(Gap::Mask { text }) => {
                        let filled = format!("{before}{text}{after}");
                        (encode(&filled)?, self.tokenizer.opening(&before)?)
                    }
                    _ => (encode(&before)?, Vec::new()),
                };
                decoder.insert(0, *start);
                Prompt { encoder, before: decoder, after: Vec::new() }
            }
        })
    }

    /// The tokens that a left-to-right reader finds after the object.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn suffix(&self, template: &Template, counted: After) -> Result<Vec<u32>, PrompterError> {
        // What holds the subject differs from prompt to prompt, and is not scored.
        let after = template.between_object_and_subject();
        let subject_follows = template.object_first();
        Ok(match &self.manner {
            // Whether a model ends its answer behind a name says as little of the name as a full stop.
            Manner::Chat(chat) if template.is_question() => match counted {
                After::All => {
                    let mut tokens = self.tokenizer.whole(chat.end())?;
                    tokens.truncate(1);
                    tokens
                }
                After::Mean | After::Words => Vec::new(),
            },
            Manner::Causal | Manner::Chat(_) => self.tokenizer.continuation(counted.of(after))?,
            Manner::Masked { .. } => Vec::new(),
            Manner::Seq2Seq { end, gap, .. } => match gap {
                Some(Gap::Sentinel { next, .. }) if !template.is_question() => vec![*next],
                Some(Gap::Mask { .. }) if !after.trim().is_empty() => {
                    let mut tokens = self.tokenizer.continuation(after)?;
                    tokens.truncate(1);
                    tokens
                }
                Some(Gap::Mask { .. }) if subject_follows => Vec::new(),
                _ => vec![*end],
            },
        })
    }

    /// Whether the text after the object is scored as what follows it, and not read before.
    pub fn counts_text(&self) -> bool {
        matches!(self.manner, Manner::Causal | Manner::Chat(_))
    }

    /// The largest token that the model is asked for beside its tokenizer's own.
    pub fn largest_token(&self) -> Option<u32> {
        match &self.manner {
            Manner::Causal | Manner::Chat(_) | Manner::Masked { .. } => None,
            Manner::Seq2Seq { start, end, .. } => Some(*start.max(end)),
        }
    }

    /// The tokens of a candidate in the object's place.
    ///
    /// # Errors
    /// Where the tokenizer fails.
    pub fn candidate(
        &self,
        label: &str,
        before: Before,
    ) -> Result<TokenisedCandidate, PrompterError> {
        let reads_on = matches!(self.manner, Manner::Causal | Manner::Chat(_));
        Ok(match (before, &self.manner) {
            (Before::Opening, Manner::Chat(chat)) => {
                let [opening, between] = chat.opening();
                self.tokenizer.words_behind(opening, &format!("{between}{label}"))?
            }
            (Before::Space, _) => self.tokenizer.words(&format!(" {label}"))?,
            _ if reads_on => self.tokenizer.words(label)?,
            // Nothing, a sentinel or a mark of punctuation is before it.
            _ => self.tokenizer.beginning(label)?,
        })
    }
}
