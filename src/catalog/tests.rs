use proptest::prelude::*;

use super::*;
use crate::diagnostic::{At, Diagnostic};
use crate::ontology::{Ontology, Relation};

fn read(tables: &[impl AsRef<[u8]>]) -> Result<(Catalog, Diagnostics), Diagnostics> {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..tables.len())
        .map(|i| {
            let file = folder.path().join(format!("{i}.csv"));
            std::fs::write(&file, &tables[i]).unwrap();
            file
        })
        .collect();
    Catalog::read(&files, "en")
}

fn line(diagnostic: &Diagnostic) -> (&'static str, Option<u64>) {
    let line = match diagnostic.place.as_ref().map(|place| &place.at) {
        Some(At::Line(line)) => Some(*line),
        _ => None,
    };
    (diagnostic.code, line)
}

fn lines(diagnostics: &Diagnostics) -> Vec<(&'static str, Option<u64>)> {
    diagnostics.0.iter().map(line).collect()
}

fn labels(catalog: &Catalog, ids: &[EntityId]) -> Vec<String> {
    ids.iter().map(|id| catalog.label(*id).to_owned()).collect()
}

#[test]
fn columns_stand_in_any_order() {
    let table = "\u{feff}types,label,iri,aliases\r\n\
        e:City | e:Place,Paris,e:paris,City of Light| |Lutetia\r\n,\"Rome, Italy\",e:rome,\r\n";
    let (catalog, warnings) = read(&[table]).unwrap();
    assert_eq!(warnings, Diagnostics::default());
    let paris = catalog.find("e:paris").unwrap();
    assert_eq!(paris, EntityId(0));
    assert_eq!(catalog.aliases(paris).collect::<Vec<_>>(), ["City of Light", "Lutetia"]);
    assert_eq!(catalog.types(paris).collect::<Vec<_>>(), ["e:City", "e:Place"]);
    let rome = catalog.find("e:rome").unwrap();
    assert_eq!(catalog.label(rome), "Rome, Italy");
    assert_eq!((catalog.aliases(rome).count(), catalog.types(rome).count()), (0, 0));
    assert_eq!(catalog.find("e:nowhere"), None);
}

#[test]
fn every_mistake_has_its_line() {
    let table = b"iri,label,types\r\n\r\ne:a,A,\r\nrelative,B,\r\ne:c,,\r\ne:d,D\r\n\
        e:e,\xff,\r\ne:f,F,e:T|no\r\n\"e:g\nx\",G,\r\ne:h,H,\r\n";
    let mistakes = read(&[table]).unwrap_err();
    assert_eq!(
        lines(&mistakes),
        [
            ("bad-iri", Some(4)),
            ("empty-label", Some(5)),
            ("wrong-number-of-fields", Some(6)),
            ("invalid-utf-8", Some(7)),
            ("bad-iri", Some(8)),
            ("bad-iri", Some(9)),
        ]
    );
}

#[test]
fn the_header_must_name_the_columns() {
    let mistakes = read(&["IRI,aliases,aliases\n"]).unwrap_err();
    let at_header =
        [("missing-column", Some(1)), ("missing-column", Some(1)), ("repeated-column", Some(1))];
    assert_eq!(lines(&mistakes), at_header);
    assert_eq!(mistakes.0[0].help.as_deref(), Some("rename the column IRI to iri"));
    let mistakes = read(&["iri;label\ne:a;A\n"]).unwrap_err();
    assert_eq!(mistakes.0[0].help.as_deref(), Some("separate the columns by commas"));
    assert_eq!(lines(&read(&["iri,label\n"]).unwrap_err()), [("empty-table", None)]);
    assert_eq!(lines(&read(&[""]).unwrap_err()), [("empty-table", None)]);
    let (_, warnings) = read(&["iri,label,note\ne:a,A,x\n"]).unwrap();
    assert_eq!(lines(&warnings), [("ignored-column", Some(1))]);
    assert_eq!(
        lines(&Catalog::read(&["/nowhere.csv".into()], "en").unwrap_err()),
        [("cannot-read", None)]
    );
}

#[test]
fn an_iri_stands_once() {
    let first = "iri,label,types\ne:b,B,e:T|e:U\ne:a,A,\n\ne:b,B,e:U|e:T\n";
    let (catalog, warnings) = read(&[first, "iri,label\ne:c,C\ne:a,A\ne:d,D\n"]).unwrap();
    assert_eq!(lines(&warnings), [("repeated-row", Some(5)), ("repeated-row", Some(3))]);
    assert!(warnings.0[1].message.contains("0.csv:3 "), "{}", warnings.0[1].message);
    let ids: Vec<_> = catalog.ids().collect();
    assert_eq!(labels(&catalog, &ids), ["B", "A", "C", "D"]);
    for id in ids {
        assert_eq!(catalog.find(catalog.iri(id)), Some(id));
    }
    let (catalog, warnings) =
        read(&[first, "iri,label,types\ne:b,B,e:V|e:T\ne:a,A,e:V\n"]).unwrap();
    assert_eq!(warnings.0.len(), 3);
    let types = |iri| catalog.types(catalog.find(iri).unwrap()).collect::<Vec<_>>();
    assert_eq!((types("e:b"), types("e:a")), (vec!["e:T", "e:U", "e:V"], vec!["e:V"]));
    let mistakes = read(&["iri,label\ne:a,A\ne:a,B\ne:a,A\n"]).unwrap_err();
    assert_eq!(lines(&mistakes), [("repeated-iri", Some(3)), ("repeated-row", Some(4))]);
}

#[test]
fn only_some_of_many_mistakes_are_shown() {
    let table = format!("iri,label\n{}{}", "e:a,A\n".repeat(31), "bad,B\n".repeat(25));
    let mistakes = read(&[table]).unwrap_err();
    let more: Vec<_> = mistakes.0.iter().filter(|d| d.message.starts_with("and ")).collect();
    assert_eq!(mistakes.0.len(), 42);
    assert_eq!(more[0].message, "and 5 more of this kind");
    assert_eq!(more[1].message, "and 10 more of this kind");
}

fn relation(domain: &str, range: &str) -> (Ontology, Relation) {
    let file = tempfile::NamedTempFile::with_suffix(".ttl").unwrap();
    let text = format!(
        "@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
        <e:City> rdfs:subClassOf <e:Place> . <e:r> rdfs:range {range} ; {domain}
        <https://w3id.org/kgbuild#template> \"[X] [Y]\" ."
    );
    std::fs::write(&file, text).unwrap();
    let (ontology, _) = Ontology::read(&[file.path().to_owned()]).unwrap();
    let relation = ontology.relations()[0].clone();
    (ontology, relation)
}

#[test]
fn the_range_makes_the_answer_space() {
    let (ontology, relation) = relation("rdfs:domain <e:City> ;", "<e:Place>");
    let rows =
        ["e:9,Nine,e:Place", "e:2,Two,e:City", "e:5,Five,e:Person", "e:1,One,", "e:3,Two,e:Place"];
    let spaces = [rows.to_vec(), rows.into_iter().rev().collect()].map(|rows| {
        let (catalog, _) = read(&[format!("iri,label,types\n{}", rows.join("\n"))]).unwrap();
        let (space, warnings) = answer_space(&ontology, &relation, &catalog).unwrap();
        assert_eq!(lines(&warnings), [("shared-label", None)]);
        assert!(warnings.0[0].message.contains("\"Two\" is <e:2> and <e:3>"));
        assert_eq!(space.position(&catalog, "e:9"), Some(2));
        assert_eq!(space.position(&catalog, "e:3"), Some(1));
        assert_eq!(space.position(&catalog, "e:5"), None);
        let subjects = subjects_of(&ontology, &relation, &catalog);
        assert_eq!(labels(&catalog, &subjects), ["Two"]);
        (0..space.len()).map(|at| space.object(&catalog, at).into_owned()).collect::<Vec<_>>()
    });
    assert_eq!(spaces[0], ["e:2", "e:3", "e:9"]);
    assert_eq!(spaces[0], spaces[1]);
}

#[test]
fn a_range_without_candidate_names_the_classes_that_occur() {
    let (ontology, relation) = relation("", "<e:River>");
    let (catalog, _) =
        read(&["iri,label,types\ne:1,One,e:City\ne:2,Two,e:City|e:Place\n"]).unwrap();
    let mistake = answer_space(&ontology, &relation, &catalog).unwrap_err().0.remove(0);
    assert_eq!(mistake.code, "no-candidate");
    assert!(mistake.message.contains("<e:River>") && mistake.message.contains("<e:r>"));
    let help = "the classes that occur are <e:City> (2), <e:Place> (1)";
    assert_eq!(mistake.help.as_deref(), Some(help));
    assert_eq!(subjects_of(&ontology, &relation, &catalog).len(), 2);
}

/// Cells as a person may write them: commas, quotes and line ends included.
fn label() -> impl Strategy<Value = String> {
    "[a-zé,\"\n ]{0,6}[a-zß][a-zé,\"\n ]{0,6}".prop_map(|s| s.trim().to_owned())
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        rows in prop::collection::btree_map("[a-z]{1,4}", (
            label(),
            prop::collection::vec("[a-z,\"]{1,4}", 0..3),
            prop::collection::btree_set("e:[A-C]", 0..3),
        ), 1..20)
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["types", "aliases", "label", "iri"]).unwrap();
        for (name, (label, aliases, types)) in &rows {
            let types = types.iter().cloned().collect::<Vec<_>>().join("|");
            let iri = format!("e:{name}");
            writer.write_record([&types, &aliases.join("|"), label, &iri]).unwrap();
        }
        let (catalog, _) = read(&[writer.into_inner().unwrap()]).unwrap();
        prop_assert_eq!(catalog.len(), rows.len());
        for (id, (name, (label, aliases, types))) in catalog.ids().zip(&rows) {
            prop_assert_eq!(catalog.iri(id), format!("e:{name}"));
            prop_assert_eq!(catalog.label(id), label);
            prop_assert!(catalog.aliases(id).eq(aliases.iter().map(String::as_str)));
            let mut read: Vec<_> = catalog.types(id).collect();
            read.sort_unstable();
            prop_assert!(read.into_iter().eq(types.iter().map(String::as_str)));
            prop_assert_eq!(catalog.find(catalog.iri(id)), Some(id));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        header in prop::bool::ANY,
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b','), Just(b'\n'), Just(b'"')], 0..60),
    ) {
        let header: &[u8] = if header { b"iri,label,aliases,types\n" } else { b"" };
        match read(&[[header, &bytes].concat()]) {
            Ok((catalog, _)) => prop_assert!(!catalog.is_empty()),
            Err(mistakes) => prop_assert!(mistakes.has_errors()),
        }
    }
}

/// `cargo nextest run --release --run-ignored only a_million_rows --no-capture`
#[test]
#[ignore = "measures time and memory: takes seconds and prints"]
fn a_million_rows_fit() {
    use std::fmt::Write as _;
    let mut table = String::from("iri,label,aliases,types\n");
    for i in 0..1_000_000u32 {
        let scattered = i.wrapping_mul(2_654_435_761);
        writeln!(
            table,
            "http://www.wikidata.org/entity/Q{scattered},Some entity {i},Entity {i}|E{i},\
             http://www.wikidata.org/entity/Q5|http://www.wikidata.org/entity/Q{}",
            i % 1000
        )
        .unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, &table).unwrap();
    let bytes = table.len();
    drop(table);
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned()
    };
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = peak();
    let start = std::time::Instant::now();
    let (catalog, _) = Catalog::read(&[file.path().to_owned()], "en").unwrap();
    let read = start.elapsed();
    let (ontology, relation) = relation("", "<http://www.wikidata.org/entity/Q5>");
    let (space, _) = answer_space(&ontology, &relation, &catalog).unwrap();
    assert_eq!(space.len(), 1_000_000);
    println!("{bytes} bytes read in {read:?}, with answer space {:?}", start.elapsed());
    println!("before: {before}, after: {}", peak());
}

#[test]
fn what_is_of_disjoint_classes_is_left_out_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        vec![file]
    };
    let turtle = "@prefix : <http://e/> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
        @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> . @prefix kgb: <https://w3id.org/kgbuild#> .
        :City owl:disjointWith :Person . :Town rdfs:subClassOf :City .
        :r rdfs:domain :Person ; rdfs:range :City ; kgb:template \"[X] [Y]\" .";
    let (ontology, _) = Ontology::read(&write("o.ttl", turtle)).unwrap();
    let table = "iri,label,types\nhttp://e/rome,Rome,http://e/City\n\
                 http://e/paris,Paris,http://e/Person|http://e/Town\nhttp://e/ann,Ann,http://e/Person\n";
    let (catalog, _) = Catalog::read(&write("c.csv", table), "en").unwrap();
    let relation = &ontology.relations()[0];
    let (space, warnings) = answer_space(&ontology, relation, &catalog).unwrap();
    assert_eq!((space.len(), &*space.object(&catalog, 0)), (1, "http://e/rome"));
    let [warning] = &warnings.0[..] else { panic!("{warnings:?}") };
    assert_eq!(warning.code, "disjoint-types");
    assert_eq!(warning.place.as_ref().unwrap().at, At::Line(3));
    let subjects = subjects_of(&ontology, relation, &catalog);
    assert_eq!(subjects.iter().map(|id| catalog.iri(*id)).collect::<Vec<_>>(), ["http://e/ann"]);
    let told = contradictions(&ontology, &relation.domain, &catalog);
    assert!(
        told.0[0].message.contains("1 entity also of <http://e/Town>"),
        "{}",
        told.0[0].message
    );
}
