//! What the rows tell together: entities, relations and facts, each once.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use oxrdf::{Literal, Term};

use super::Selection;
use super::literal::{Value, value};
use super::rows::{Of, Row};
use crate::catalog::rdf::fit;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::import::Imported;
use crate::import::kind::Kind;
use crate::import::ontology::{self, Found};
use crate::import::tables::{Tables, one_line};

/// Where Wikidata's query service puts what is known to be unknown.
const UNKNOWN: &str = "http://www.wikidata.org/.well-known/genid/";

/// Names of what has none in Wikidata's label service, and of entities in general, are the ends of their IRIs.
fn end(iri: &str) -> &str {
    iri.rsplit(['/', '#', ':']).next().unwrap_or(iri)
}

#[derive(Default)]
struct Entity {
    iri: String,
    /// How well its language fits, 0 best, and itself.
    label: Option<(u8, String)>,
    aliases: BTreeSet<String>,
    /// IRIs by their numbers.
    types: BTreeSet<u32>,
}

struct Relation {
    iri: String,
    label: Option<(u8, String)>,
    /// By its first object.
    kind: Option<Kind>,
}

/// By its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    Entity(u32),
    Value(u32),
}

/// Texts, each with a number, from 0 in the order in which they come.
#[derive(Default)]
struct Numbers(HashMap<String, u32>);

impl Numbers {
    /// The number of a text, and whether it is new.
    fn of(&mut self, text: &str) -> (u32, bool) {
        let next = self.0.len() as u32;
        match self.0.get(text) {
            Some(number) => (*number, false),
            None => (*self.0.entry(text.to_owned()).or_insert(next), true),
        }
    }

    /// The texts by their numbers.
    fn texts(&self) -> Vec<&str> {
        let mut texts = vec![""; self.0.len()];
        self.0.iter().for_each(|(text, number)| texts[*number as usize] = text);
        texts
    }
}

pub(super) struct Reading<'a> {
    wanted: &'a Selection,
    numbers: Numbers,
    entities: Vec<Entity>,
    relation_numbers: Numbers,
    relations: Vec<Relation>,
    values: Numbers,
    classes: Numbers,
    class_labels: BTreeMap<String, (u8, String)>,
    /// Subject, relation and object.
    facts: BTreeSet<(u32, u32, Object)>,
    /// Subject, relation and object as it is written.
    unfit: HashSet<(u32, u32, String)>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(wanted: &'a Selection) -> Self {
        Self {
            wanted,
            numbers: Numbers::default(),
            entities: Vec::new(),
            relation_numbers: Numbers::default(),
            relations: Vec::new(),
            values: Numbers::default(),
            classes: Numbers::default(),
            class_labels: BTreeMap::new(),
            facts: BTreeSet::new(),
            unfit: HashSet::new(),
        }
    }

    /// Whether a row told a fact.
    pub(super) fn has_facts(&self) -> bool {
        !self.facts.is_empty()
    }

    /// Whether some object that is an entity has a label, or none is an entity.
    pub(super) fn has_named_objects(&self) -> bool {
        let mut entities = self.facts.iter().filter_map(|(_, _, object)| match object {
            Object::Entity(number) => Some(&self.entities[*number as usize]),
            Object::Value(_) => None,
        });
        let mut some = false;
        entities.any(|entity| {
            some = true;
            entity.label.is_some()
        }) || !some
    }

    /// Takes a row.
    pub(super) fn row(&mut self, row: &Row) -> Result<(), Box<Diagnostic>> {
        let Some(subject) = row.iri(Of::Subject)? else {
            let help = "rows tell of a ?subject; leave those out that have none";
            return Err(Box::new(
                Diagnostic::error("no-subject", "?subject is not bound").help(help),
            ));
        };
        let subject = self.entity(
            subject,
            row,
            [Of::SubjectLabel, Of::SubjectAltLabel, Of::SubjectType, Of::SubjectTypeLabel],
        )?;
        // A subject without an object is there to be asked about.
        let Some(object) = row.get(Of::Object) else { return Ok(()) };
        let relation = self.relation(row)?;
        let (kind, object) = match object {
            Term::NamedNode(iri) if !iri.as_str().starts_with(UNKNOWN) => {
                let names =
                    [Of::ObjectLabel, Of::ObjectAltLabel, Of::ObjectType, Of::ObjectTypeLabel];
                (Kind::Entities, Object::Entity(self.entity(iri.as_str(), row, names)?))
            }
            Term::Literal(literal) => match value(literal, &self.wanted.language) {
                Value::Of(kind, text) => (kind, Object::Value(self.values.of(&text).0)),
                Value::Foreign => return Ok(()),
                Value::Unfit => {
                    self.unfit.insert((subject, relation, literal.to_string()));
                    return Ok(());
                }
            },
            unknown => {
                self.unfit.insert((subject, relation, unknown.to_string()));
                return Ok(());
            }
        };
        let known = &mut self.relations[relation as usize].kind;
        match known {
            None => *known = Some(kind),
            Some(known) if known.is_like(&kind) => known.join(kind),
            Some(_) => {
                self.unfit.insert((subject, relation, row_object(row)));
                return Ok(());
            }
        }
        self.facts.insert((subject, relation, object));
        Ok(())
    }

    /// The number of an entity; what the row says of it is kept.
    fn entity(
        &mut self,
        iri: &str,
        row: &Row,
        [label, alias, class, class_label]: [Of; 4],
    ) -> Result<u32, Box<Diagnostic>> {
        let language = &self.wanted.language;
        let (number, is_new) = self.numbers.of(iri);
        if is_new {
            self.entities.push(Entity { iri: iri.to_owned(), ..Entity::default() });
        }
        let entity = &mut self.entities[number as usize];
        better(&mut entity.label, row.text(label).and_then(|text| named(text, language, iri)));
        if let Some((_, alias)) = row.text(alias).and_then(|text| named(text, language, iri)) {
            entity.aliases.insert(alias);
        }
        if let Some(class) = row.iri(class)? {
            entity.types.insert(self.classes.of(class).0);
            if let Some(text) = row.text(class_label).and_then(|text| named(text, language, class))
            {
                let known = self.class_labels.remove(class);
                let mut best = known;
                better(&mut best, Some(text));
                best.and_then(|best| self.class_labels.insert(class.to_owned(), best));
            }
        }
        Ok(number)
    }

    /// The number of the row's relation.
    fn relation(&mut self, row: &Row) -> Result<u32, Box<Diagnostic>> {
        let iri = match (row.iri(Of::Relation)?, &self.wanted.relation) {
            (Some(_), Some(_)) => {
                let message = "?relation is bound, and --relation given too";
                let mistake = Diagnostic::error("two-relations", message)
                    .help("leave one of them out: the variable, or the option");
                return Err(Box::new(mistake));
            }
            (Some(iri), None) => iri,
            (None, Some(iri)) => iri,
            (None, None) => {
                let help =
                    "bind ?relation in the query, or name the relation of all rows: --relation IRI";
                let mistake = Diagnostic::error("no-relation", "?relation is not bound");
                return Err(Box::new(mistake.help(help)));
            }
        };
        let (number, is_new) = self.relation_numbers.of(iri);
        if is_new {
            self.relations.push(Relation { iri: iri.to_owned(), label: None, kind: None });
        }
        let text = row.text(Of::RelationLabel);
        let text = text.and_then(|text| named(text, &self.wanted.language, iri));
        better(&mut self.relations[number as usize].label, text);
        Ok(number)
    }

    /// Writes the tables; gives what was written, and the ontology of it.
    pub(super) fn write(&self, tables: &mut Tables) -> Result<(Imported, String), Diagnostics> {
        let mut imported = Imported { unfit: self.unfit.len() as u64, ..Imported::default() };
        let (classes, values) = (self.classes.texts(), self.values.texts());
        let (mut found, counts, roles) = self.found(&classes);
        for (number, entity) in (0_u32..).zip(&self.entities) {
            let Some((_, label)) = &entity.label else {
                imported.leave_out(&entity.iri);
                continue;
            };
            imported.entities += 1;
            let aliases = entity.aliases.iter().filter(|alias| *alias != label).cloned();
            let types = entity.types.iter().map(|class| classes[*class as usize].to_owned());
            let roles = roles.get(&number).into_iter().flatten().cloned();
            let (aliases, types): (Vec<_>, Vec<_>) =
                (aliases.collect(), types.chain(roles).collect());
            tables.entity([&entity.iri, label], &aliases, &types)?;
        }
        for (subject, relation, object) in &self.facts {
            let subject = &self.entities[*subject as usize];
            if subject.label.is_some() {
                let object = match object {
                    Object::Entity(number) => &self.entities[*number as usize].iri,
                    Object::Value(number) => values[*number as usize],
                };
                tables.fact([&subject.iri, &self.relations[*relation as usize].iri, object])?;
            }
        }
        let mut labels: BTreeMap<String, String> = BTreeMap::new();
        for (class, (_, label)) in &self.class_labels {
            labels.insert(class.clone(), label.clone());
        }
        for (relation, facts) in found.iter_mut().zip(counts) {
            for (class, role) in
                [(subject_of(&relation.iri), "subject"), (object_of(&relation.iri), "object")]
            {
                if relation.domain.contains_key(&class) || relation.range.contains_key(&class) {
                    labels.insert(class, format!("{role} of {}", relation.name));
                }
            }
            imported.relations.push((relation.name.clone(), facts));
        }
        let text = ontology::ontology("a query", &found, &labels);
        Ok((imported, text))
    }

    /// The relations as an ontology is to describe them, how many facts each has, and the types that
    /// entities without one have by their places.
    fn found(&self, classes: &[&str]) -> (Vec<Found>, Vec<u64>, HashMap<u32, BTreeSet<String>>) {
        let mut found: Vec<Found> = self.relations.iter().map(Relation::found).collect();
        let mut counts = vec![0; found.len()];
        let mut roles: HashMap<u32, BTreeSet<String>> = HashMap::new();
        let (mut subjects, mut objects) = (HashSet::new(), HashSet::new());
        let mut types = |number: u32, role: &dyn Fn() -> String| -> Vec<String> {
            let entity = &self.entities[number as usize];
            if entity.types.is_empty() {
                roles.entry(number).or_default().insert(role());
                return vec![role()];
            }
            entity.types.iter().map(|class| classes[*class as usize].to_owned()).collect()
        };
        for (subject, relation, object) in &self.facts {
            if self.entities[*subject as usize].label.is_none() {
                continue;
            }
            counts[*relation as usize] += 1;
            let own = &mut found[*relation as usize];
            if subjects.insert((*subject, *relation)) {
                own.subjects += 1;
                for class in types(*subject, &|| subject_of(&own.iri)) {
                    *own.domain.entry(class).or_default() += 1;
                }
            }
            if let Object::Entity(object) = object
                && objects.insert((*object, *relation))
            {
                own.objects += 1;
                for class in types(*object, &|| object_of(&own.iri)) {
                    *own.range.entry(class).or_default() += 1;
                }
            }
        }
        (found, counts, roles)
    }
}

impl Relation {
    fn found(&self) -> Found {
        let label = self.label.as_ref().map(|(_, label)| label.clone());
        Found {
            iri: self.iri.clone(),
            name: label.unwrap_or_else(|| end(&self.iri).to_owned()),
            kind: self.kind.clone(),
            ..Found::default()
        }
    }
}

/// The class of a relation's subjects of which no type is told.
fn subject_of(relation: &str) -> String {
    format!("urn:kgbuild:subject-of:{relation}")
}

/// The class of a relation's objects of which no type is told.
fn object_of(relation: &str) -> String {
    format!("urn:kgbuild:object-of:{relation}")
}

/// A name in the language or in none, and how well it fits. What is only the end of the IRI, as `Q142`, is
/// what a label service gives where there is no label.
fn named(text: &Literal, language: &str, iri: &str) -> Option<(u8, String)> {
    let fit = fit(text, language)?;
    let name = one_line(text.value());
    let is_id = name == end(iri) && name.len() > 1 && name[1..].bytes().all(|b| b.is_ascii_digit());
    (!name.is_empty() && !is_id).then_some((fit, name))
}

/// Keeps the name that fits best; of several, the first.
fn better(known: &mut Option<(u8, String)>, name: Option<(u8, String)>) {
    if let Some(name) = name
        && known.as_ref().is_none_or(|(fit, _)| name.0 < *fit)
    {
        *known = Some(name);
    }
}

fn row_object(row: &Row) -> String {
    row.get(Of::Object).map(Term::to_string).unwrap_or_default()
}
