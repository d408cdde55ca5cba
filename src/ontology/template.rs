//! Templates: sentences with a place for the subject and one for the object, and questions, whose
//! answer is the object.
//!
//! Invariant: a [`Template`] holds `[X]` (the subject) exactly once, and `[Y]` (the object) once
//! unless it is a question; nothing that a label contains is ever taken for a place.

use thiserror::Error;

use crate::diagnostic::Explain;

const SUBJECT: &str = "[X]";
const OBJECT: &str = "[Y]";

/// A sentence with a place for the subject, `[X]`, and one for the object, `[Y]`.
///
/// ```
/// use kgbuild::ontology::Template;
/// let template = Template::parse("The capital of [X] is [Y].")?;
/// assert_eq!(template.prompt("France"), "The capital of France is");
/// assert!(template.object_has_space());
/// assert_eq!(template.after_object("France"), ".");
/// # Ok::<(), kgbuild::ontology::TemplateError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    /// Byte offset of the subject's place in `text`.
    subject: usize,
    /// That of the object's; none in a question.
    object: Option<usize>,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A place, or both, do not occur.
    #[error("{places} missing")]
    Missing {
        /// `[X] is`, `[Y] is` or `[X] and [Y] are`.
        places: &'static str,
    },
    /// A place occurs several times.
    #[error("{place} occurs {times} times")]
    Repeated {
        /// `[X]` or `[Y]`.
        place: &'static str,
        /// How often it occurs.
        times: usize,
    },
    /// A question has a place for the object.
    #[error("[Y] has a place, but the object is the answer")]
    Answered,
}

impl Explain for TemplateError {}

impl Template {
    /// Reads a template. White space around the text is dropped.
    ///
    /// # Errors
    /// If `[X]` or `[Y]` does not occur exactly once.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let text = text.trim();
        match (text.find(SUBJECT), text.find(OBJECT)) {
            (None, None) => Err(TemplateError::Missing { places: "[X] and [Y] are" }),
            (None, Some(_)) => Err(TemplateError::Missing { places: "[X] is" }),
            (Some(_), None) => Err(TemplateError::Missing { places: "[Y] is" }),
            (Some(subject), Some(object)) => {
                for place in [SUBJECT, OBJECT] {
                    let times = text.matches(place).count();
                    if times > 1 {
                        return Err(TemplateError::Repeated { place, times });
                    }
                }
                Ok(Self { text: text.to_owned(), subject, object: Some(object) })
            }
        }
    }

    /// Reads a question. White space around the text is dropped.
    ///
    /// # Errors
    /// If `[X]` does not occur exactly once, or `[Y]` occurs.
    pub fn parse_question(text: &str) -> Result<Self, TemplateError> {
        let text = text.trim();
        if text.contains(OBJECT) {
            return Err(TemplateError::Answered);
        }
        match text.matches(SUBJECT).count() {
            0 => Err(TemplateError::Missing { places: "[X] is" }),
            1 => {
                let subject = text.find(SUBJECT).unwrap_or_default();
                Ok(Self { text: text.to_owned(), subject, object: None })
            }
            times => Err(TemplateError::Repeated { place: SUBJECT, times }),
        }
    }

    /// Whether it is a question, whose answer is the object.
    pub fn is_question(&self) -> bool {
        self.object.is_none()
    }

    /// The template as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the object's place stands before the subject's.
    pub fn object_first(&self) -> bool {
        self.object.is_some_and(|object| object < self.subject)
    }

    /// Whether its first word is the subject.
    pub fn begins_with_subject(&self) -> bool {
        self.subject == 0
    }

    /// Whether a space stands before the object's place, as before the answer to a question.
    /// [`Self::prompt`] leaves it out, since tokenizers make it part of the object's first token.
    pub fn object_has_space(&self) -> bool {
        self.object.is_none_or(|object| self.text[..object].ends_with(' '))
    }

    /// The text before the object, with the subject filled in, without the one space that
    /// [`Self::object_has_space`] tells of.
    pub fn prompt(&self, subject_label: &str) -> String {
        let end = match self.object {
            Some(object) => object - usize::from(self.object_has_space()),
            None => self.text.len(),
        };
        self.fill(0, end, subject_label)
    }

    /// The text after the object, with the subject filled in where it stands there.
    pub fn after_object(&self, subject_label: &str) -> String {
        let start = self.object.map_or(self.text.len(), |object| object + OBJECT.len());
        self.fill(start, self.text.len(), subject_label)
    }

    /// The text after the object up to the subject, where that follows, or to the end.
    pub fn between_object_and_subject(&self) -> &str {
        let Some(object) = self.object else { return "" };
        let end = if self.object_first() { self.subject } else { self.text.len() };
        &self.text[object + OBJECT.len()..end]
    }

    /// The template with both places filled in; a question with its answer behind it.
    pub fn filled(&self, subject_label: &str, object_label: &str) -> String {
        let space = if self.object_has_space() { " " } else { "" };
        let (before, after) = (self.prompt(subject_label), self.after_object(subject_label));
        format!("{before}{space}{object_label}{after}")
    }

    /// `text[start..end]` with the subject's place, if it lies there, filled in.
    fn fill(&self, start: usize, end: usize, subject_label: &str) -> String {
        if (start..end).contains(&self.subject) {
            let after = self.subject + SUBJECT.len();
            [&self.text[start..self.subject], subject_label, &self.text[after..end]].concat()
        } else {
            self.text[start..end].to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_at_the_object() {
        let template = Template::parse("  [X] shares a border with [Y], its neighbour ").unwrap();
        assert_eq!(template.text(), "[X] shares a border with [Y], its neighbour");
        assert_eq!(template.prompt("Chad"), "Chad shares a border with");
        assert_eq!(template.after_object("Chad"), ", its neighbour");
        assert!(template.object_has_space() && !template.object_first());
    }

    #[test]
    fn the_object_may_come_first() {
        let template = Template::parse("[Y] is the capital of [X].").unwrap();
        assert!(template.object_first() && !template.object_has_space());
        assert_eq!(template.prompt("France"), "");
        assert_eq!(template.after_object("France"), " is the capital of France.");
        assert_eq!(template.between_object_and_subject(), " is the capital of ");
    }

    #[test]
    fn adjoining_places_keep_their_text() {
        let template = Template::parse("[X] [Y]").unwrap();
        assert_eq!(template.prompt("a"), "a");
        let template = Template::parse("[X][Y]").unwrap();
        assert_eq!((template.prompt("a"), template.object_has_space()), ("a".to_owned(), false));
    }

    #[test]
    fn wrong_places_are_named() {
        let missing = |places| Err(TemplateError::Missing { places });
        assert_eq!(Template::parse("The capital of [X] is"), missing("[Y] is"));
        assert_eq!(Template::parse("It is [Y]"), missing("[X] is"));
        assert_eq!(Template::parse("It is [y]"), missing("[X] and [Y] are"));
        let twice = Err(TemplateError::Repeated { place: "[Y]", times: 2 });
        assert_eq!(Template::parse("[X] [Y] [Y]"), twice);
    }

    #[test]
    fn a_question_has_no_place_for_the_object() {
        let question = Template::parse_question(" What is the capital of [X]? ").unwrap();
        assert_eq!(question.prompt("France"), "What is the capital of France?");
        assert_eq!(question.after_object("France"), "");
        assert_eq!(question.filled("France", "Paris"), "What is the capital of France? Paris");
        assert!(question.is_question() && question.object_has_space() && !question.object_first());
        let wrong = |text| Template::parse_question(text).unwrap_err();
        assert_eq!(wrong("Is [Y] the capital of [X]?"), TemplateError::Answered);
        assert_eq!(wrong("Where is it?"), TemplateError::Missing { places: "[X] is" });
        assert_eq!(wrong("[X] [X]?"), TemplateError::Repeated { place: "[X]", times: 2 });
    }

    proptest! {
        /// Prompt, space, object and rest put together are the template with both places filled.
        #[test]
        fn the_parts_make_the_whole(
            parts in ["[a-z .]{0,8}", "[a-z .]{0,8}", "[a-z .]{0,8}"],
            object_first: bool,
            subject in "\\PC{0,6}|\\[Y\\]",
        ) {
            let [a, b, c] = parts;
            let (first, second) = if object_first { ("[Y]", "[X]") } else { ("[X]", "[Y]") };
            let template = Template::parse(&format!("{a}{first}{b}{second}{c}")).unwrap();
            let (a, c) = (a.trim_start(), c.trim_end());
            let (x, y) = (subject.as_str(), "OBJECT");
            let (first, second) = if object_first { (y, x) } else { (x, y) };
            prop_assert_eq!(template.filled(x, y), format!("{a}{first}{b}{second}{c}"));
        }
    }
}
