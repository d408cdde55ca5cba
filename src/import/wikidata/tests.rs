use std::io::Write;

use super::*;
use crate::catalog::Catalog;
use crate::facts::{Facts, ObjectsOf};
use crate::ontology::{Datatype, Ontology};

fn item(id: u64, label: &str, class: u64, claims: &str) -> String {
    format!(
        "{{\"type\":\"item\",\"id\":\"Q{id}\",\"labels\":{{\"de\":{{\"language\":\"de\",\"value\":\"x\"}},\
         \"en\":{{\"language\":\"en\",\"value\":\"{label}\"}}}},\"aliases\":{{\"en\":[{{\"language\":\"en\",\
         \"value\":\"{label} too\"}}]}},\"claims\":{{\"P31\":[{}]{claims}}},\"sitelinks\":{{\"x\":[1,{{}}]}}}}",
        entity(class, "normal")
    )
}

fn entity(id: u64, rank: &str) -> String {
    format!(
        "{{\"rank\":\"{rank}\",\"mainsnak\":{{\"snaktype\":\"value\",\"datavalue\":{{\"type\":\
         \"wikibase-entityid\",\"value\":{{\"entity-type\":\"item\",\"numeric-id\":{id}}}}}}}}}"
    )
}

fn other(kind: &str, value: &str) -> String {
    format!(
        "{{\"rank\":\"normal\",\"mainsnak\":{{\"snaktype\":\"value\",\"datavalue\":{{\"type\":\"{kind}\",\
         \"value\":{value}}}}}}}"
    )
}

/// France, Germany and a city state; capitals, years and areas.
fn dump() -> Vec<String> {
    let none = "{\"rank\":\"normal\",\"mainsnak\":{\"snaktype\":\"novalue\"}}";
    let year = |time: &str| other("time", &format!("{{\"time\":\"{time}\",\"precision\":9}}"));
    let area =
        |amount: &str| other("quantity", &format!("{{\"amount\":\"{amount}\",\"unit\":\"1\"}}"));
    vec![
        "{\"type\":\"property\",\"id\":\"P36\",\"labels\":{\"en\":{\"language\":\"en\",\"value\":\"capital\"}},\
         \"aliases\":[],\"claims\":[]}"
            .to_owned(),
        item(90, "Paris", 515, ""),
        // Twice in the dump.
        item(90, "Paris", 515, ""),
        item(
            142,
            "France",
            6256,
            &format!(
                ",\"P36\":[{},{},{}],\"P571\":[{}],\"P2046\":[{}]",
                entity(90, "normal"),
                entity(91, "deprecated"),
                entity(91, "normal").replace("\"normal\"", "\"preferred\"").replace("91", "90"),
                year("+0843-00-00T00:00:00Z"),
                area("+543.5")
            ),
        ),
        item(
            183,
            "Germany",
            6256,
            &format!(
                ",\"P36\":[{},{}],\"P571\":[{}],\"P2046\":[{}]",
                entity(64, "normal"),
                entity(586, "normal"),
                year("-0044-00-00T00:00:00Z"),
                area("+357")
            ),
        ),
        item(235, "Monaco", 6256, &format!(",\"P36\":[{none}]")),
        item(64, "Berlin | capital", 515, "").replace("\"aliases\":{", "\"aliases\":{\"fr\":[],"),
        item(586, "Bonn", 515, "").replace("\"en\":{", "\"eo\":{"),
        item(6256, "country", 1, ""),
    ]
}

fn selection() -> Selection {
    Selection {
        types: vec![6256],
        relations: vec![36, 571, 2046],
        language: "en".to_owned(),
        partial: false,
    }
}

/// Imports lines as an array, compressed.
fn import_lines(
    lines: &[String],
    wanted: &Selection,
) -> (tempfile::TempDir, Result<Imported, Diagnostics>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.json.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(format!("[\n{}\n]\n", lines.join(",\n")).as_bytes()).unwrap();
    std::fs::write(&file, gzip.finish().unwrap()).unwrap();
    let imported = import(&file, wanted, folder.path());
    (folder, imported)
}

#[test]
fn a_dump_becomes_tables_and_an_ontology_that_read_without_a_word() {
    let (folder, imported) = import_lines(&dump(), &selection());
    let imported = imported.unwrap();
    let relations: Vec<(&str, u64)> =
        imported.relations.iter().map(|(name, facts)| (&**name, *facts)).collect();
    // Paris once, Berlin, Bonn, and that Monaco has none.
    assert_eq!(relations, [("capital", 4), ("P571", 2), ("P2046", 2)]);
    assert_eq!((imported.entities, imported.unlabelled), (5, 1));
    assert_eq!((imported.examples, imported.missing), (vec!["Q586".to_owned()], 0));
    let ids =
        |ids: &[&str]| numbers(&ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>(), 'Q');
    assert_eq!(ids(&["Q5", " Q6256", "Q5"]).unwrap(), [5, 6256]);
    assert_eq!(ids(&["P5"]).unwrap_err().0[0].code, "bad-id");

    let at = |name: &str| vec![folder.path().join(name)];
    let (ontology, notes) = Ontology::read(&at("ontology.ttl")).unwrap();
    assert!(notes.0.is_empty(), "{notes:?}");
    let relation = |number: u64| ontology.relation(&format!("{DIRECT}P{number}")).unwrap();
    assert_eq!(relation(36).domain, [[format!("{ENTITY}Q6256")]]);
    assert_eq!(relation(36).range, [[format!("{ENTITY}Q515")]]);
    assert_eq!(ontology.label(&format!("{ENTITY}Q6256")), Some("country"));
    let years = relation(571).values.clone().unwrap();
    assert_eq!(
        (years.datatype, years.lexical(0), years.len()),
        (Datatype::Year, "-0043".into(), 887)
    );
    let areas = relation(2046).values.clone().unwrap();
    assert_eq!(
        (areas.datatype, areas.lexical(0), areas.len()),
        (Datatype::Decimal, "357".into(), 1866)
    );

    let (catalog, notes) = Catalog::read(&at("entities.csv"), "en").unwrap();
    assert!(notes.0.is_empty(), "{notes:?}");
    let berlin = catalog.find(&format!("{ENTITY}Q64")).unwrap();
    assert_eq!(catalog.label(berlin), "Berlin / capital");
    assert_eq!(catalog.aliases(berlin).collect::<Vec<_>>(), ["Berlin / capital too"]);
    let (facts, notes) = Facts::read(&at("facts.csv"), ObjectsOf::Ontology(&ontology)).unwrap();
    assert!(notes.0.is_empty(), "{notes:?}");
    let of = |subject: u64, relation: u64| {
        facts.objects(&format!("{ENTITY}Q{subject}"), &format!("{DIRECT}P{relation}")).unwrap()
    };
    assert_eq!(of(142, 36), [format!("{ENTITY}Q90")], "the preferred one");
    assert_eq!(of(183, 571), ["-0043"], "44 BC");
    assert!(of(235, 36).is_empty(), "known to have none");

    // Nothing is written over.
    let again = import(&folder.path().join("dump.json.gz"), &selection(), folder.path());
    assert_eq!(again.unwrap_err().0[0].code, "exists");
}

/// A dump as several streams of bzip2, each of a few lines.
fn bzip2(lines: &[String]) -> Vec<u8> {
    let streams = lines.chunks(2).map(|lines| {
        let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        out.write_all(format!("{}\n", lines.join("\n")).as_bytes()).unwrap();
        out.finish().unwrap()
    });
    streams.collect::<Vec<_>>().concat()
}

#[test]
fn bzip2_is_read_in_several_streams_and_told_where_it_breaks_off() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.json.bz2");
    let whole = bzip2(&dump());
    std::fs::write(&file, &whole).unwrap();
    let (_gz, expected) = import_lines(&dump(), &selection());
    let of_whole = import(&file, &selection(), folder.path()).unwrap();
    assert_eq!(of_whole.entities, expected.as_ref().unwrap().entities);
    assert_eq!(of_whole.relations, expected.unwrap().relations);

    std::fs::write(&file, &whole[..whole.len() - 9]).unwrap();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let broken = import(&file, &selection(), &out).unwrap_err();
    assert_eq!(broken.0[0].code, "broken-off");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0, "nothing is left");
    let partial = Selection { partial: true, ..selection() };
    assert_eq!(import(&file, &partial, &out).unwrap().entities, 5);
    std::fs::write(&file, "no bzip2").unwrap();
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    assert_eq!(import(&file, &partial, &other).unwrap_err().0[0].code, "cannot-read");
}

#[test]
fn what_breaks_off_is_taken_only_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dump.json");
    let whole = dump().join("\n");
    std::fs::write(&file, &whole[..whole.len() - 40]).unwrap();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let broken = import(&file, &selection(), &out).unwrap_err();
    assert_eq!(broken.0[0].code, "broken-off");
    assert_eq!(broken.0[0].place, Some(place(&file, 9)));
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0, "nothing is left");
    let imported = import(&file, &Selection { partial: true, ..selection() }, &out).unwrap();
    assert_eq!(imported.entities, 5);

    for (line, code) in [("{\"id\":", "bad-line"), ("not JSON", "bad-line")] {
        std::fs::write(&file, format!("{line}\n{}\n", dump()[1])).unwrap();
        let other = folder.path().join(code);
        std::fs::create_dir_all(&other).unwrap();
        assert_eq!(import(&file, &selection(), &other).unwrap_err().0[0].code, code);
    }
    let nobody = Selection { types: vec![5], ..selection() };
    let (_, found) = import_lines(&dump(), &nobody);
    assert_eq!(found.unwrap_err().0[0].code, "nothing-found");
}
