//! What is wanted of an entity's line; the rest of it is passed over unparsed.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::INSTANCE_OF;
use super::value::Object;
use crate::import::tables::one_line;

/// An entity.
#[derive(Debug, Default)]
pub(super) struct Entity {
    /// As `Q142` or `P36`.
    pub id: String,
    /// In the wanted language.
    pub label: Option<String>,
    pub aliases: Vec<String>,
    /// What it is an instance of.
    pub types: Vec<u64>,
    /// The statements of the wanted properties.
    claims: BTreeMap<u64, Vec<Value>>,
}

impl Entity {
    /// Its number, if it is an item.
    pub(super) fn item(&self) -> Option<u64> {
        self.id.strip_prefix('Q')?.parse().ok()
    }

    /// Its number, if it is a property.
    pub(super) fn property(&self) -> Option<u64> {
        self.id.strip_prefix('P')?.parse().ok()
    }

    /// The best objects of a property: the preferred ones where there are some, else the others that are
    /// not deprecated. Unknown ones are left out, and one that says that there is none stands alone.
    pub(super) fn objects(&self, property: u64) -> Vec<Object> {
        let statements = self.claims.get(&property).map_or(&[][..], Vec::as_slice);
        let of_rank = |rank: &str| -> Vec<Object> {
            let own = statements.iter().filter(|statement| statement["rank"] == rank);
            own.filter_map(|statement| Object::of(&statement["mainsnak"])).collect()
        };
        let mut objects = of_rank("preferred");
        if objects.is_empty() {
            objects = of_rank("normal");
        }
        if objects.len() > 1 {
            objects.retain(|object| *object != Object::None);
        }
        let mut seen = Vec::new();
        objects.retain(|object| {
            let is_new = !seen.contains(object);
            seen.push(object.clone());
            is_new
        });
        objects
    }
}

/// What of an entity is wanted: how it becomes one.
pub(super) struct Wanted<'a> {
    pub language: &'a str,
    /// The numbers of the properties.
    pub relations: &'a [u64],
}

impl<'de> DeserializeSeed<'de> for &Wanted<'_> {
    type Value = Entity;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entity, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &Wanted<'_> {
    type Value = Entity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entity")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entity, A::Error> {
        let mut entity = Entity::default();
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "id" => entity.id = map.next_value()?,
                "labels" => {
                    let texts = map.next_value_seed(Of(Texts(self.language)))?;
                    entity.label = texts.into_iter().next();
                }
                "aliases" => entity.aliases = map.next_value_seed(Of(Texts(self.language)))?,
                "claims" => entity.claims = map.next_value_seed(Of(Claims(self.relations)))?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let types = entity.claims.get(&INSTANCE_OF).into_iter().flatten();
        entity.types = types
            .filter(|statement| statement["rank"] != "deprecated")
            .filter_map(|statement| match Object::of(&statement["mainsnak"])? {
                Object::Entity(class) => Some(class),
                _ => None,
            })
            .collect();
        entity.label = entity.label.map(|label| one_line(&label)).filter(|label| !label.is_empty());
        entity
            .aliases
            .retain(|alias| !alias.trim().is_empty() && Some(alias) != entity.label.as_ref());
        Ok(entity)
    }
}

/// An object by its keys; where there is nothing, PHP writes an empty array.
struct Of<T>(T);

/// The texts of one language.
struct Texts<'a>(&'a str);

/// The statements of some properties.
struct Claims<'a>(&'a [u64]);

impl<'de> DeserializeSeed<'de> for Of<Texts<'_>> {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<String>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Of<Texts<'_>> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts by language")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<String>, A::Error> {
        let mut texts = Vec::new();
        while let Some(language) = map.next_key::<String>()? {
            if language == self.0.0 {
                let value: Value = map.next_value()?;
                // A label is one, aliases are a list.
                let all = match value {
                    Value::Array(all) => all,
                    one => vec![one],
                };
                texts.extend(all.iter().filter_map(|one| Some(one["value"].as_str()?.to_owned())));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(texts)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }
}

impl<'de> DeserializeSeed<'de> for Of<Claims<'_>> {
    type Value = BTreeMap<u64, Vec<Value>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Of<Claims<'_>> {
    type Value = BTreeMap<u64, Vec<Value>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("statements by property")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut claims = BTreeMap::new();
        while let Some(property) = map.next_key::<String>()? {
            let number = property.strip_prefix('P').and_then(|number| number.parse().ok());
            let wanted = number.filter(|n| *n == INSTANCE_OF || self.0.0.contains(n));
            if let Some(number) = wanted {
                claims.insert(number, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(claims)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(BTreeMap::new())
    }
}
