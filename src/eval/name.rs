//! What gold and predictions call an entity, and when they mean the same.

/// How gold names its entities, which predictions are then compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By IRI: facts tables.
    Iri,
    /// By label, and by Wikidata number where both sides have one: LM-KBC.
    Label,
}

/// What an entity is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Name {
    /// Its IRI or, under [`Naming::Label`], its Wikidata number, as in `Q142`.
    pub id: Option<String>,
    /// Its labels and aliases, [folded](fold), in byte order, each once.
    labels: Vec<String>,
}

impl Name {
    /// A name of these parts; labels that are empty are left out.
    pub fn new<'l>(id: Option<String>, labels: impl IntoIterator<Item = &'l str>) -> Self {
        let mut labels: Vec<String> = labels.into_iter().map(fold).collect();
        labels.retain(|label| !label.is_empty());
        labels.sort_unstable();
        labels.dedup();
        Self { id, labels }
    }

    /// The name of what has this IRI and these labels.
    pub fn of_iri<'l>(
        iri: &str,
        labels: impl IntoIterator<Item = &'l str>,
        naming: Naming,
    ) -> Self {
        match naming {
            Naming::Iri => Self::new(Some(iri.to_owned()), []),
            Naming::Label => Self::new(wikidata_number(local_name(iri)), labels),
        }
    }

    /// Whether it has neither an id nor a label.
    pub fn is_empty(&self) -> bool {
        self.id.is_none() && self.labels.is_empty()
    }

    /// The labels, folded.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// What tells gold entities apart: the id or, without one, the first label.
    pub fn key(&self) -> &str {
        self.id.as_deref().or(self.labels.first().map(String::as_str)).unwrap_or_default()
    }

    /// Whether both mean the same: by their ids where both have one, otherwise by a label that
    /// both have.
    pub fn means(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (Some(one), Some(two)) => one == two,
            _ => self.labels.iter().any(|label| other.labels.contains(label)),
        }
    }
}

/// A label as LM-KBC's scorer compares it: in lower case, without ASCII punctuation, and without
/// white space around it. A label of nothing but punctuation keeps it.
pub(super) fn fold(label: &str) -> String {
    let lower = label.to_lowercase();
    let letters: String = lower.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let folded = if letters.trim().is_empty() { lower.trim() } else { letters.trim() };
    folded.to_owned()
}

/// What relations are compared by where they have no IRI in common: [folded](fold), without white
/// space, so that `CompanyParentOrganization` is `company parent organization`.
pub(super) fn fold_relation(name: &str) -> String {
    fold(name).split_whitespace().collect()
}

/// The part of an IRI after its last `/`, `#` or `:`.
pub(super) fn local_name(iri: &str) -> &str {
    iri.rsplit(['/', '#', ':']).next().unwrap_or(iri)
}

/// The text, where it is a number of Wikidata such as `Q142`.
pub(super) fn wikidata_number(text: &str) -> Option<String> {
    let digits = text.strip_prefix('Q')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_folded_as_the_challenge_does() {
        assert_eq!(fold("  St. Louis "), "st louis");
        assert_eq!(fold("GUINEA-Bissau"), "guineabissau");
        assert_eq!(fold("Ångström"), "ångström");
        assert_eq!(fold("!!!"), "!!!");
        assert_eq!(fold_relation("Company parent-organization"), "companyparentorganization");
    }

    #[test]
    fn ids_decide_where_both_have_one() {
        let paris = Name::new(Some("Q90".into()), ["Paris"]);
        let other_paris = Name::new(Some("Q830149".into()), ["Paris"]);
        let by_label = Name::new(None, ["PARIS", "Lutetia", ""]);
        assert!(!paris.means(&other_paris));
        assert!(paris.means(&by_label) && by_label.means(&other_paris));
        assert!(!Name::default().means(&Name::default()) && Name::new(None, [" "]).is_empty());
    }

    #[test]
    fn iris_are_ids_or_have_a_number() {
        let iri = "http://www.wikidata.org/entity/Q90";
        assert_eq!(Name::of_iri(iri, ["Paris"], Naming::Iri), Name::new(Some(iri.into()), []));
        let number = Name::of_iri(iri, ["Paris"], Naming::Label);
        assert_eq!(number, Name::new(Some("Q90".into()), ["Paris"]));
        assert_eq!(Name::of_iri("http://e.org/x#Queen", [], Naming::Label).id, None);
        assert_eq!(local_name("urn:x:y"), "y");
    }
}
