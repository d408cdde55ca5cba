//! What gold and predictions call an entity or a value, and when they mean the same.

use super::rules::{Rules, fold_2022};
use super::value::Value;

/// How gold names its entities, which predictions are then compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By IRI: facts tables.
    Iri,
    /// By label, and by Wikidata number where both sides have one: LM-KBC.
    Label,
}

/// By what answers are compared with gold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// How gold names its entities.
    pub naming: Naming,
    /// The challenge's year.
    pub rules: Rules,
    /// The share of a gold number by which an answer may be away from it.
    pub tolerance: f64,
}

/// What an entity or a value is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Name {
    /// Its IRI, or the text of a value; under [`Naming::Label`] its Wikidata number, as in `Q142`.
    pub id: Option<String>,
    /// Its labels and aliases, [folded](Rules::fold), in byte order, each once.
    labels: Vec<String>,
    /// What it is as a value: for each name that is one.
    values: Vec<Value>,
}

impl Name {
    /// A name of these parts; labels that are empty are left out.
    pub fn new<'l>(
        id: Option<String>,
        labels: impl IntoIterator<Item = &'l str>,
        rules: Rules,
    ) -> Self {
        // A value stays as it is written: without its point it would be another.
        let fold = |label: &str| match Value::read(label) {
            Some(_) => label.trim().to_owned(),
            None => rules.fold(label),
        };
        let mut labels: Vec<String> = labels.into_iter().map(fold).collect();
        labels.retain(|label| !label.is_empty());
        labels.sort_unstable();
        labels.dedup();
        let values = labels.iter().filter_map(|label| Value::read(label)).collect();
        Self { id, labels, values }
    }

    /// The name of what has this IRI, or is this value, and has these labels.
    pub fn of_iri<'l>(
        iri: &str,
        labels: impl IntoIterator<Item = &'l str>,
        by: Comparison,
    ) -> Self {
        match by.naming {
            Naming::Iri => {
                let values = Value::read(iri).into_iter().collect();
                Self { id: Some(iri.to_owned()), labels: Vec::new(), values }
            }
            Naming::Label => Self::new(wikidata_number(local_name(iri)), labels, by.rules),
        }
    }

    /// The name of a literal of RDF.
    pub fn of_literal(text: &str, datatype: &str, by: Comparison) -> Self {
        let values = Value::of_literal(text, datatype).into_iter().collect();
        Self { values, ..Self::of_iri(text, [text], by) }
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

    /// Whether it is right where `gold` is: where both are values, by these alone, numbers within
    /// `tolerance`.
    pub fn answers(&self, gold: &Self, tolerance: f64) -> bool {
        if self.values.is_empty() || gold.values.is_empty() {
            return self.means(gold);
        }
        self.values.iter().any(|value| gold.values.iter().any(|g| value.fits(g, tolerance)))
    }
}

/// What relations are compared by where they have no IRI in common: [folded](fold_2022), without
/// white space, so that `CompanyParentOrganization` is `company parent organization`.
pub(super) fn fold_relation(name: &str) -> String {
    fold_2022(name).split_whitespace().collect()
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

    fn name<const N: usize>(id: Option<&str>, labels: [&str; N]) -> Name {
        Name::new(id.map(str::to_owned), labels, Rules::LmKbc2022)
    }

    #[test]
    fn relations_are_folded() {
        assert_eq!(fold_relation("Company parent-organization"), "companyparentorganization");
    }

    #[test]
    fn ids_decide_where_both_have_one() {
        let paris = name(Some("Q90"), ["Paris"]);
        let other_paris = name(Some("Q830149"), ["Paris"]);
        let by_label = name(None, ["PARIS", "Lutetia", ""]);
        assert!(!paris.means(&other_paris));
        assert!(paris.means(&by_label) && by_label.means(&other_paris));
        assert!(!Name::default().means(&Name::default()) && name(None, [" "]).is_empty());
    }

    #[test]
    fn iris_are_ids_or_have_a_number() {
        let iri = "http://www.wikidata.org/entity/Q90";
        let by = |naming| Comparison { naming, rules: Rules::LmKbc2022, tolerance: 0.0 };
        assert_eq!(Name::of_iri(iri, ["Paris"], by(Naming::Iri)), name(Some(iri), []));
        let number = Name::of_iri(iri, ["Paris"], by(Naming::Label));
        assert_eq!(number, name(Some("Q90"), ["Paris"]));
        assert_eq!(Name::of_iri("http://e.org/x#Queen", [], by(Naming::Label)).id, None);
        assert_eq!(local_name("urn:x:y"), "y");
    }

    #[test]
    fn values_are_compared_as_such() {
        let of_2026 = |label: &str| Name::new(None, [label], Rules::LmKbc2026);
        assert!(!of_2026("38,636").answers(&of_2026("38.636"), 0.05));
        assert!(of_2026("39").answers(&of_2026("38.636"), 0.05));
        assert!(of_2026("Élan").answers(&of_2026("elan"), 0.05));
        assert!(!of_2026("7").answers(&of_2026("Seven"), 0.05));
        let by = Comparison { naming: Naming::Iri, rules: Rules::LmKbc2022, tolerance: 0.0 };
        let gold = Name::of_iri("1890", [], by);
        let gold_day = Name::of_iri("1890-03-12", [], by);
        let xsd = |kind| format!("http://www.w3.org/2001/XMLSchema#{kind}");
        let day = Name::of_literal("1890-03-12", &xsd("date"), by);
        let year = Name::of_literal("1900", &xsd("gYear"), by);
        assert!(day.answers(&gold, 0.0) && day.answers(&gold_day, 0.0));
        assert!(!year.answers(&gold, 0.05), "years are no numbers");
        assert!(Name::of_literal("1900", &xsd("integer"), by).answers(&gold, 0.05));
    }
}
