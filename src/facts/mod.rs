//! Known facts, for training or as gold: the objects that are known for a subject and a relation.
//!
//! Invariant: a question, a (subject, relation) pair, that is here has all its objects, each
//! once, or is known to have none. A question that is not here is one whose answer is unknown.

mod jsonl;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oxrdf::{NamedNode, NamedOrBlankNode, Quad, Term};

use crate::catalog::mistakes::Mistakes;
use crate::catalog::rdf;
use crate::catalog::table::{self, Columns, check_iri};
use crate::catalog::{Catalog, Objects};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Place, counted};
use crate::ontology::{Ontology, Relation, ValueRange};

const COLUMNS: Columns = Columns { required: &["subject", "relation", "object"], optional: &[] };

/// A fact as it stands in a file.
struct Row<'r> {
    subject: &'r str,
    relation: &'r str,
    /// Empty where the subject is known to have none.
    object: &'r str,
    /// The byte of the file at or before which it starts.
    offset: u64,
}

/// By relation, then by subject, the objects in byte order.
type ByRelation = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// Known facts, by the IRIs of their subjects, relations and objects.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    files: Vec<PathBuf>,
    facts: ByRelation,
    /// Whether a file of RDF is among them, which may say more than facts that are asked for.
    is_rdf: bool,
    /// By relation of which no ontology says it, whether its objects are entities.
    entities: BTreeMap<String, bool>,
}

/// What the objects of relations are.
#[derive(Clone, Copy, Debug)]
pub enum ObjectsOf<'a> {
    /// As an ontology says: entities, or values of a range.
    Ontology(&'a Ontology),
    /// As the first object of each relation is: an entity where that is an absolute IRI, else a value.
    Anything,
}

/// What an object must be.
enum Kind<'a> {
    Entity,
    Value(&'a ValueRange),
    Either,
}

impl<'a> ObjectsOf<'a> {
    fn kind(self, relation: &str) -> Kind<'a> {
        match self {
            Self::Anything => Kind::Either,
            Self::Ontology(ontology) => {
                let values = ontology.relation(relation).and_then(|known| known.values.as_ref());
                values.map_or(Kind::Entity, Kind::Value)
            }
        }
    }
}

/// A triple of RDF as a fact, if it can be one.
fn fact(quad: Quad, objects: ObjectsOf<'_>) -> Option<[String; 3]> {
    let NamedOrBlankNode::NamedNode(subject) = quad.subject else { return None };
    let object = match (quad.object, objects.kind(quad.predicate.as_str())) {
        (Term::NamedNode(object), Kind::Entity | Kind::Either) => object.into_string(),
        (Term::Literal(value), Kind::Value(_) | Kind::Either) => value.destruct().0,
        _ => return None,
    };
    let [subject, predicate] = [subject, quad.predicate].map(NamedNode::into_string);
    (!rdf::describes(&predicate)).then_some([subject, predicate, object])
}

impl Facts {
    /// Reads tables with the columns `subject`, `relation` and `object`, IRIs but for objects that are
    /// values, from files that end in `.jsonl` a JSON object a line with these keys, from files of RDF the
    /// triples whose objects are what `objects` says. An empty object says that the subject is known to
    /// have none. Gives the warnings with the facts.
    ///
    /// # Errors
    /// All mistakes of all files: missing columns, rows with too few or too many fields, bad
    /// IRIs and values, text that is not UTF-8, and questions that have both an object and none.
    pub fn read(
        files: &[PathBuf],
        objects: ObjectsOf<'_>,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut read = Self { files: files.to_vec(), ..Self::default() };
        let mut diagnostics = Diagnostics::default();
        for file in files {
            let mut mistakes = Mistakes::new(file);
            if let Some(format) = rdf::format_of(file) {
                read.is_rdf = true;
                rdf::read(file, format, &mut mistakes, |quad, m| {
                    let Some([subject, relation, object]) = fact(quad, objects) else { return };
                    // The same triple may stand in several graphs, or twice.
                    let known = read.objects(&subject, &relation);
                    if known.is_none_or(|objects| !objects.contains(&object)) {
                        let (subject, relation, object) = (&*subject, &*relation, &*object);
                        read.add(&Row { subject, relation, object, offset: 0 }, objects, m);
                    }
                });
            } else if is_jsonl(file) {
                jsonl::read(file, &mut mistakes, |row, m| read.add(&row, objects, m));
            } else {
                table::read(file, &COLUMNS, &mut mistakes, |row, m| {
                    let (subject, relation, object) = (row.get(0), row.get(1), row.get(2));
                    read.add(&Row { subject, relation, object, offset: row.offset }, objects, m);
                });
            }
            diagnostics.0.append(&mut mistakes.finish().0);
        }
        read.facts.values_mut().flat_map(BTreeMap::values_mut).for_each(|o| o.sort_unstable());
        diagnostics.or(read)
    }

    fn add(&mut self, row: &Row<'_>, objects: ObjectsOf<'_>, mistakes: &mut Mistakes) {
        let Row { subject, relation, object, .. } = *row;
        let mut kind = objects.kind(relation);
        if matches!(kind, Kind::Either) && !object.is_empty() {
            let is_entity = || NamedNode::new(object).is_ok();
            let known = self.entities.get(relation).copied();
            if known.unwrap_or_else(is_entity) {
                kind = Kind::Entity;
            }
            if known.is_none() {
                self.entities.insert(relation.to_owned(), matches!(kind, Kind::Entity));
            }
        }
        let canonical = match kind {
            Kind::Value(values) if !object.is_empty() => values.canonical(object),
            _ => object.to_owned(),
        };
        // All three are checked, so that all that is wrong with a row is said at once.
        let sound = [
            check_iri(subject, "subject", row.offset, mistakes),
            check_iri(relation, "relation", row.offset, mistakes),
            object.is_empty() || check_object(row, &kind, mistakes),
        ];
        if sound.contains(&false) {
            return;
        }
        let of_relation = self.facts.entry(relation.to_owned()).or_default();
        let Some(objects) = of_relation.get_mut(subject) else {
            let objects = if object.is_empty() { vec![] } else { vec![canonical] };
            of_relation.insert(subject.to_owned(), objects);
            return;
        };
        if object.is_empty() != objects.is_empty() {
            let message = format!("<{subject}> has both no object and an object of <{relation}>");
            let diagnostic = Diagnostic::error("contradictory-fact", message)
                .help("drop the row with the empty object, or the others");
            mistakes.at_row(row.offset, diagnostic);
        } else if object.is_empty() || objects.contains(&canonical) {
            let diagnostic = Diagnostic::warning("repeated-fact", "the fact stands twice");
            mistakes.at_row(row.offset, diagnostic);
        } else {
            objects.push(canonical);
        }
    }

    /// The known objects in byte order, empty if there is none; nothing if that is not known.
    pub fn objects(&self, subject: &str, relation: &str) -> Option<&[String]> {
        self.facts.get(relation)?.get(subject).map(Vec::as_slice)
    }

    /// The questions of a relation in byte order of their subjects: subject and objects.
    pub fn questions(&self, relation: &str) -> impl Iterator<Item = (&str, &[String])> {
        let questions = self.facts.get(relation).into_iter().flatten();
        questions.map(|(subject, objects)| (subject.as_str(), objects.as_slice()))
    }

    /// The files that were read.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The IRIs of all relations, in byte order.
    pub fn relations(&self) -> impl Iterator<Item = &str> {
        self.facts.keys().map(String::as_str)
    }

    /// How many facts there are: a question has as many as it has objects.
    pub fn count(&self) -> usize {
        self.facts.values().flat_map(BTreeMap::values).map(Vec::len).sum()
    }

    /// How often each object occurs: by the relation's IRI, then the object's.
    pub fn object_counts(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut counts = BTreeMap::new();
        for (relation, questions) in &self.facts {
            let of_relation: &mut BTreeMap<String, u64> =
                counts.entry(relation.clone()).or_default();
            for object in questions.values().flatten() {
                *of_relation.entry(object.clone()).or_default() += 1;
            }
        }
        counts
    }

    /// The questions that `other` answers too, as (relation, subject) in byte order.
    pub fn overlap<'a>(&'a self, other: &Self) -> Vec<(&'a str, &'a str)> {
        let all =
            self.facts.iter().flat_map(|(relation, of)| of.keys().map(move |s| (relation, s)));
        all.filter(|(relation, subject)| other.objects(subject, relation).is_some())
            .map(|(relation, subject)| (relation.as_str(), subject.as_str()))
            .collect()
    }

    /// The questions of which `first` says so, by relation, subject and objects, and the others.
    #[must_use]
    pub fn split(self, first: impl Fn(&str, &str, &[String]) -> bool) -> (Self, Self) {
        let mut sides = [ByRelation::new(), ByRelation::new()];
        for (relation, questions) in self.facts {
            for (subject, objects) in questions {
                let side = usize::from(!first(&relation, &subject, &objects));
                let of_relation = match sides[side].get_mut(&relation) {
                    Some(of_relation) => of_relation,
                    None => sides[side].entry(relation.clone()).or_default(),
                };
                of_relation.insert(subject, objects);
            }
        }
        let [yes, no] = sides;
        let Self { files, is_rdf, entities, .. } = self;
        let side = |facts| Self { files: files.clone(), facts, is_rdf, entities: entities.clone() };
        (side(yes), side(no))
    }

    /// How many questions are answered.
    pub fn len(&self) -> usize {
        self.facts.values().map(BTreeMap::len).sum()
    }

    /// Whether no question is.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    /// Warnings about questions that are never asked: relations that are not predicted, and subjects
    /// that no relation asks about. `role` is what the facts are, as in `gold facts`; `asked` says whether a relation asks about a subject, nothing
    /// where the relation is not predicted.
    pub fn unasked(
        &self,
        role: &str,
        asked: impl Fn(&str, &str) -> Option<bool>,
    ) -> Vec<Diagnostic> {
        let mut warnings = Vec::new();
        for (relation, questions) in &self.facts {
            let unasked: Vec<&str> = questions
                .keys()
                .map(String::as_str)
                .filter(|subject| asked(relation, subject) == Some(false))
                .collect();
            let predicted = questions.keys().all(|subject| asked(relation, subject).is_some());
            let message = if !predicted && self.is_rdf {
                continue;
            } else if !predicted {
                format!("the {role} of <{relation}> are of no use: it is not predicted")
            } else if let Some(first) = unasked.first() {
                let count = counted(unasked.len(), "subject");
                format!("not asked about: {count} of the {role} of <{relation}>, as <{first}>")
            } else {
                continue;
            };
            let place = self.files.first().map(|file| Place { file: file.clone(), at: At::File });
            let warning = Diagnostic::warning("unasked-facts", message)
                .help("compare the IRIs with the ontology's and with the table of subjects");
            warnings.push(Diagnostic { place, ..warning });
        }
        warnings
    }

    /// A warning if some of the relation's objects are no candidates, so that no model can
    /// predict them. `role` is as in [`Self::unasked`].
    pub fn unreachable(
        &self,
        role: &str,
        relation: &Relation,
        space: &Objects,
        catalog: &Catalog,
    ) -> Option<Diagnostic> {
        let objects = || self.questions(&relation.iri).flat_map(|(_, objects)| objects);
        let mut outside: Vec<&str> = objects()
            .map(String::as_str)
            .filter(|object| space.position(catalog, object).is_none())
            .collect();
        if outside.is_empty() {
            return None;
        }
        let facts = outside.len();
        outside.sort_unstable();
        outside.dedup();
        let shown = |object: &&str| match relation.values {
            Some(_) => format!("{object:?}"),
            None => format!("<{object}>"),
        };
        let mut examples: Vec<String> = outside.iter().take(SHOWN).map(shown).collect();
        if outside.len() > SHOWN {
            examples.push(format!("and {} more", outside.len() - SHOWN));
        }
        let message = format!(
            "{facts} of the {} {role} of {} cannot be predicted: their objects are no \
             candidates: {}",
            objects().count(),
            relation.name_and_iri(),
            examples.join(", ")
        );
        let place = self.files.first().map(|file| Place { file: file.clone(), at: At::File });
        let diagnostic = Diagnostic::warning("unreachable-facts", message).help(match relation.values {
            Some(_) => "they lie outside of the values that its rdfs:range, kgb:minimum and kgb:maximum give",
            None => "candidates need a type of the relation's range",
        });
        Some(Diagnostic { place, ..diagnostic })
    }
}

/// Whether an object is what it must be.
fn check_object(row: &Row<'_>, kind: &Kind<'_>, mistakes: &mut Mistakes) -> bool {
    match kind {
        Kind::Either => true,
        Kind::Entity => check_iri(row.object, "object", row.offset, mistakes),
        Kind::Value(values) => {
            let reads = values.reads(row.object);
            if !reads {
                let datatype = values.datatype.iri();
                let message = format!("the object {:?} is no <{datatype}>", row.object);
                let help = "write it as XML Schema does, as in 1234.5, 1890 or 1890-03-12";
                mistakes.at_row(row.offset, Diagnostic::error("bad-value", message).help(help));
            }
            reads
        }
    }
}

/// Whether a file holds an object a line rather than a table.
fn is_jsonl(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("jsonl"))
}

/// How many examples a message shows.
const SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::answer_space;
    use crate::ontology::Ontology;
    fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
        let file = folder.join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    fn read(text: &str) -> Result<(Facts, Diagnostics), Diagnostics> {
        let folder = tempfile::tempdir().unwrap();
        let ontology = Ontology::default();
        let objects = ObjectsOf::Ontology(&ontology);
        Facts::read(&[write(folder.path(), "gold.csv", text)], objects)
    }

    fn lines(diagnostics: &Diagnostics) -> Vec<(&'static str, At)> {
        diagnostics.0.iter().map(|d| (d.code, d.place.clone().unwrap().at)).collect()
    }

    #[test]
    fn triples_between_iris_are_facts() {
        let folder = tempfile::tempdir().unwrap();
        let trig = "@prefix : <http://e/> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
            :fr :capital :paris ; a :Country ; rdfs:label \"France\" ; rdfs:seeAlso :x ; :population 7 .
            :g { :fr :capital :paris . :de :capital :berlin, :bonn . _:b :capital :rome }";
        let file = write(folder.path(), "gold.trig", trig);
        let ontology = Ontology::default();
        let objects = ObjectsOf::Ontology(&ontology);
        let (facts, notes) = Facts::read(&[file], objects).unwrap();
        assert!(notes.0.is_empty(), "{notes:?}");
        assert_eq!(facts.relations().collect::<Vec<_>>(), ["http://e/capital"]);
        let of = |subject: &str| facts.objects(subject, "http://e/capital").map(<[String]>::len);
        assert_eq!((of("http://e/fr"), of("http://e/de"), facts.len()), (Some(1), Some(2), 2));
        // What else a graph says is no mistake.
        assert!(facts.unasked("gold facts", |_, _| None).is_empty());
    }

    #[test]
    fn without_an_ontology_a_relations_first_object_says_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let table =
            "subject,relation,object\ne:a,e:r,e:1\ne:b,e:r,oops\ne:a,e:s,1889\ne:b,e:s,1945\n";
        let file = write(folder.path(), "gold.csv", table);
        let found = Facts::read(&[file], ObjectsOf::Anything).unwrap_err();
        assert_eq!(lines(&found), [("bad-iri", At::Line(3))]);
    }

    #[test]
    fn objects_are_told_apart_from_none() {
        let table = "relation,object,subject\ne:r,e:z,e:a\ne:r,,e:b\ne:r,e:y,e:a\ne:r,e:z,e:a\n";
        let (gold, warnings) = read(table).unwrap();
        assert_eq!(gold.objects("e:a", "e:r").unwrap(), ["e:y", "e:z"]);
        assert_eq!(gold.objects("e:b", "e:r").unwrap(), [""; 0]);
        assert_eq!(gold.objects("e:c", "e:r"), None);
        assert_eq!(gold.len(), 2);
        assert_eq!(lines(&warnings), [("repeated-fact", At::Line(5))]);
    }

    #[test]
    fn mistakes_have_their_lines() {
        let table = "subject,relation,object\ne:a,e:r,\ne:a,e:r,e:b\nx,,y\ne:a,e:r\n";
        let found = [
            ("contradictory-fact", At::Line(3)),
            ("bad-iri", At::Line(4)),
            ("bad-iri", At::Line(4)),
            ("bad-iri", At::Line(4)),
            ("wrong-number-of-fields", At::Line(5)),
        ];
        assert_eq!(lines(&read(table).unwrap_err()), found);
        let missing = read("subject,predicate,object\n").unwrap_err();
        assert_eq!(lines(&missing), [("missing-column", At::Line(1))]);
    }

    #[test]
    fn sides_of_a_split_are_disjoint_and_make_the_whole() {
        let table = "subject,relation,object\ne:a,e:r,e:1\ne:a,e:r,e:2\ne:b,e:r,e:1\n\
                     e:a,e:s,\ne:c,e:s,e:3\n";
        let facts = read(table).unwrap().0;
        assert_eq!((facts.len(), facts.count()), (4, 4));
        assert_eq!(facts.relations().collect::<Vec<_>>(), ["e:r", "e:s"]);
        let (some, others) = facts.clone().split(|_, subject, _| subject == "e:a");
        assert_eq!((some.len(), some.count()), (2, 2));
        assert_eq!(others.relations().collect::<Vec<_>>(), ["e:r", "e:s"]);
        assert_eq!(some.overlap(&others), []);
        assert_eq!(facts.overlap(&some), [("e:r", "e:a"), ("e:s", "e:a")]);
        assert_eq!(facts.overlap(&facts).len(), 4);
        let counts = facts.object_counts();
        assert_eq!(counts["e:r"], BTreeMap::from([("e:1".to_owned(), 2), ("e:2".to_owned(), 1)]));
        // A relation of which nothing is left is not there.
        let (none, all) = facts.split(|_, _, objects| objects.len() > 9);
        assert!(none.is_empty() && all.len() == 4);
    }

    #[test]
    fn questions_that_nobody_asks_are_told() {
        let facts = "subject,relation,object\ne:a,e:r,e:1\ne:b,e:r,e:1\ne:a,e:s,e:1\n";
        let gold = read(facts).unwrap().0;
        let asked = |relation: &str, subject: &str| (relation == "e:r").then(|| subject == "e:a");
        let warnings = gold.unasked("gold facts", asked);
        let messages: Vec<&str> = warnings.iter().map(|w| w.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "not asked about: 1 subject of the gold facts of <e:r>, as <e:b>",
                "the gold facts of <e:s> are of no use: it is not predicted",
            ]
        );
        assert_eq!(gold.unasked("gold facts", |_, _| Some(true)), []);
    }

    #[test]
    fn objects_out_of_reach_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let turtle = "<e:r> <http://www.w3.org/2000/01/rdf-schema#range> <e:T> ;
            <https://w3id.org/kgbuild#template> \"[X] [Y]\" .";
        let ontology = write(folder.path(), "o.ttl", turtle);
        let (ontology, _) = Ontology::read(&[ontology]).unwrap();
        let candidates = "iri,label,types\ne:1,One,e:T\ne:2,Two,e:U\n";
        let catalog = write(folder.path(), "c.csv", candidates);
        let (catalog, _) = Catalog::read(&[catalog], "en").unwrap();
        let relation = &ontology.relations()[0];
        let (space, _) = answer_space(&ontology, relation, &catalog).unwrap();
        let facts = "subject,relation,object\ne:a,e:r,e:1\ne:b,e:r,e:2\ne:c,e:r,e:2\ne:d,e:r,\n";
        let warning = read(facts).unwrap().0;
        let warning = warning.unreachable("gold facts", relation, &space, &catalog).unwrap();
        assert!(warning.message.starts_with("2 of the 3 gold facts"), "{}", warning.message);
        assert!(warning.message.ends_with("<e:2>"));
        let reachable = read("subject,relation,object\ne:a,e:r,e:1\n").unwrap().0;
        assert_eq!(reachable.unreachable("facts", relation, &space, &catalog), None);
    }
}
