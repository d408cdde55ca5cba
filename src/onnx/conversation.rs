//! How a model's files say that its conversations are written.

use serde_json::{Map, Value};

/// The key of the template, and the file that may have it alone.
pub(super) const TEMPLATE: &str = "chat_template";
pub(super) const TEMPLATE_FILE: &str = "chat_template.jinja";

/// A model's chat template, and what it writes where texts begin and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Jinja, with the names that Hugging Face's tokenizers give to it.
    pub template: String,
    /// The token that texts begin with; empty where there is none.
    pub begin: String,
    /// The token that texts end with; empty where there is none.
    pub end: String,
}

impl Conversation {
    /// What settings say of it, where they have a template; of several, the one that is meant for
    /// conversations.
    pub(super) fn of(settings: &Map<String, Value>) -> Option<Self> {
        let template = settings.get(TEMPLATE)?;
        let listed = template.as_array().map_or(&[][..], Vec::as_slice);
        let default = listed.iter().find(|own| own["name"] == "default");
        let template = default.map_or(template, |own| &own["template"]).as_str()?.to_owned();
        let token = |key: &str| text(settings, key).unwrap_or_default();
        Some(Self { template, begin: token("bos_token"), end: token("eos_token") })
    }
}

/// A text among settings; of a token that is described, its content.
pub(super) fn text(settings: &Map<String, Value>, key: &str) -> Option<String> {
    let value = settings.get(key)?;
    Some(value.as_str().or_else(|| value["content"].as_str())?.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_is_a_text_or_one_of_a_list() {
        let of = |settings: Value| Conversation::of(settings.as_object().unwrap());
        let plain = of(json!({"chat_template": "a", "bos_token": {"content": "<s>"}})).unwrap();
        assert_eq!((&*plain.template, &*plain.begin, &*plain.end), ("a", "<s>", ""));
        let listed =
            json!([{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]);
        let found = of(json!({"chat_template": listed, "eos_token": "</s>"})).unwrap();
        assert_eq!((&*found.template, &*found.end), ("d", "</s>"));
        for settings in [json!({}), json!({"chat_template": null}), json!({"chat_template": []})] {
            assert_eq!(of(settings), None);
        }
    }
}
