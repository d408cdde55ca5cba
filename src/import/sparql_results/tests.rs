use std::path::PathBuf;

use super::*;
use crate::catalog::Catalog;
use crate::facts::{Facts, ObjectsOf};
use crate::ontology::{Datatype, Ontology};

const WD: &str = "http://www.wikidata.org/entity/";
const WDT: &str = "http://www.wikidata.org/prop/direct/";

fn selection() -> Selection {
    Selection { relation: None, language: "en".to_owned() }
}

type Found = (tempfile::TempDir, Result<(Imported, Diagnostics), Diagnostics>);

fn import_text(name: &str, text: &str, wanted: &Selection) -> Found {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    let imported = import(&file, wanted, folder.path());
    (folder, imported)
}

fn mistake(name: &str, text: &str) -> (&'static str, At) {
    let (folder, found) = import_text(name, text, &selection());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left");
    let mistake = found.unwrap_err().0.swap_remove(0);
    (mistake.code, mistake.place.unwrap().at)
}

/// A binding of JSON.
fn uri(variable: &str, iri: &str) -> String {
    format!("\"{variable}\":{{\"type\":\"uri\",\"value\":\"{iri}\"}}")
}

fn text(variable: &str, text: &str, language: &str) -> String {
    format!(
        "\"{variable}\":{{\"type\":\"literal\",\"value\":\"{text}\",\"xml:lang\":\"{language}\"}}"
    )
}

fn typed(variable: &str, text: &str, datatype: &str) -> String {
    format!(
        "\"{variable}\":{{\"type\":\"literal\",\"value\":\"{text}\",\"datatype\":\"http://www.w3.org/2001/XMLSchema#{datatype}\"}}"
    )
}

fn json(rows: &[&[String]]) -> String {
    let names: Vec<String> = VARIABLES.iter().map(|name| format!("\"{name}\"")).collect();
    let rows: Vec<String> = rows.iter().map(|row| format!("{{{}}}", row.join(","))).collect();
    format!(
        "{{\"head\":{{\"vars\":[{}]}},\"results\":{{\"bindings\":[{}]}}}}",
        names.join(","),
        rows.join(",\n")
    )
}

/// France and Germany with capitals, beginnings and what else a service answers.
fn results() -> String {
    let fr = || uri("subject", &format!("{WD}Q142"));
    let de = || uri("subject", &format!("{WD}Q183"));
    let country = || uri("subjectType", &format!("{WD}Q6256"));
    let capital = || uri("relation", &format!("{WDT}P36"));
    let since = || uri("relation", &format!("{WDT}P571"));
    let paris = || uri("object", &format!("{WD}Q90"));
    json(&[
        &[
            fr(),
            text("subjectLabel", "Frankreich", "de"),
            text("subjectLabel", "France", "en"),
            country(),
            text("subjectTypeLabel", "country", "en"),
            capital(),
            text("relationLabel", "capital", "en"),
            paris(),
            text("objectLabel", "Paris", "en"),
        ],
        // The same fact by an alias.
        &[
            fr(),
            text("subjectAltLabel", "FR", "en"),
            capital(),
            paris(),
            text("objectAltLabel", "Lutetia", "en"),
        ],
        &[fr(), since(), typed("object", "0843-01-01T00:00:00Z", "dateTime")],
        &[
            de(),
            text("subjectLabel", "Germany", "en"),
            country(),
            capital(),
            uri("object", &format!("{WD}Q64")),
        ],
        // No label but the id, as a label service says it.
        &[de(), capital(), uri("object", &format!("{WD}Q64")), text("objectLabel", "Q64", "en")],
        &[de(), since(), typed("object", "1871-01-18T00:00:00Z", "dateTime")],
        // Another kind than the relation's first object, and unknown.
        &[de(), since(), paris()],
        &[de(), capital(), uri("object", "http://www.wikidata.org/.well-known/genid/0ab")],
        // Without an object, and without a label.
        &[uri("subject", &format!("{WD}Q30")), text("subjectLabel", "US", "en"), country()],
        &[uri("subject", &format!("{WD}Q35")), capital(), paris()],
    ])
}

#[test]
fn results_become_tables_and_an_ontology_that_read_without_a_word() {
    let (folder, found) = import_text("results.json", &results(), &selection());
    let (imported, notes) = found.unwrap();
    assert!(notes.0.is_empty(), "{notes:?}");
    let relations: Vec<(&str, u64)> =
        imported.relations.iter().map(|(name, facts)| (&**name, *facts)).collect();
    assert_eq!(relations, [("capital", 2), ("P571", 2)]);
    assert_eq!((imported.entities, imported.unlabelled, imported.unfit), (4, 2, 2));
    assert_eq!(imported.examples, [format!("{WD}Q64"), format!("{WD}Q35")]);

    let at = |name: &str| vec![folder.path().join(name)];
    let (ontology, notes) = Ontology::read(&at("ontology.ttl")).unwrap();
    assert!(notes.0.is_empty(), "{notes:?}");
    let capital = ontology.relation(&format!("{WDT}P36")).unwrap();
    assert_eq!(capital.domain, [[format!("{WD}Q6256")]]);
    let cities = format!("urn:kgbuild:object-of:{WDT}P36");
    assert_eq!(capital.range, [[cities.clone()]]);
    assert_eq!(ontology.label(&cities), Some("object of capital"));
    assert_eq!(ontology.label(&format!("{WD}Q6256")), Some("country"));
    let years = ontology.relation(&format!("{WDT}P571")).unwrap().values.clone().unwrap();
    assert_eq!((years.datatype, years.lexical(0)), (Datatype::Year, "0843".to_owned()));

    let (catalog, notes) = Catalog::read(&at("entities.csv"), "en").unwrap();
    assert!(notes.0.is_empty(), "{notes:?}");
    let france = catalog.find(&format!("{WD}Q142")).unwrap();
    assert_eq!(catalog.label(france), "France");
    assert_eq!(catalog.aliases(france).collect::<Vec<_>>(), ["FR"]);
    let paris = catalog.find(&format!("{WD}Q90")).unwrap();
    assert_eq!(catalog.types(paris).collect::<Vec<_>>(), [cities]);
    let (facts, notes) = Facts::read(&at("facts.csv"), ObjectsOf::Ontology(&ontology)).unwrap();
    assert!(notes.0.is_empty(), "{notes:?}");
    let of = |id: &str, relation: &str| {
        facts.objects(&format!("{WD}{id}"), &format!("{WDT}{relation}")).map(<[String]>::to_vec)
    };
    assert_eq!(of("Q142", "P571"), Some(vec!["0843".to_owned()]));
    assert_eq!(of("Q183", "P36"), Some(vec![format!("{WD}Q64")]));
    assert_eq!(of("Q35", "P36"), None, "its subject has no label");

    let again = import(&folder.path().join("results.json"), &selection(), folder.path());
    assert_eq!(again.unwrap_err().0[0].code, "exists");
}

/// The three formats tell the same, compressed or not.
#[test]
fn formats_agree() {
    let csv = "subject,subjectLabel,object,objectLabel,objectType,note\n\
               http://e/fr,France,http://e/paris,\"Paris, the city\",http://e/City,x\n\
               http://e/de,Germany,http://e/berlin,Berlin,http://e/City,\n";
    let tsv = "?subject\t?subjectLabel\t?object\t?objectLabel\t?objectType\t?note\n\
               <http://e/fr>\t\"France\"@en\t<http://e/paris>\t\"Paris, the city\"@en\t<http://e/City>\t\"x\"\n\
               <http://e/de>\t\"Germany\"\t<http://e/berlin>\t\"Berlin\"@en\t<http://e/City>\t\n";
    let json = json(&[
        &[
            uri("subject", "http://e/fr"),
            text("subjectLabel", "France", "en"),
            uri("object", "http://e/paris"),
            text("objectLabel", "Paris, the city", "en"),
            uri("objectType", "http://e/City"),
        ],
        &[
            uri("subject", "http://e/de"),
            text("subjectLabel", "Germany", "en"),
            uri("object", "http://e/berlin"),
            text("objectLabel", "Berlin", "en"),
            uri("objectType", "http://e/City"),
        ],
    ]);
    let wanted = Selection { relation: Some("http://e/capital".to_owned()), ..selection() };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, csv.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    let mut all: Vec<[String; 3]> = Vec::new();
    for (name, bytes, warned) in [
        ("r.csv", csv.as_bytes(), 1),
        ("r.csv.gz", &packed, 1),
        ("r.tsv", tsv.as_bytes(), 1),
        ("r.json", json.as_bytes(), 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file: PathBuf = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let (imported, notes) = import(&file, &wanted, folder.path()).unwrap();
        assert_eq!((imported.entities, notes.0.len()), (4, warned), "{name}: {notes:?}");
        all.push(
            ["ontology.ttl", "entities.csv", "facts.csv"]
                .map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap()),
        );
    }
    assert!(all.iter().all(|one| *one == all[0]), "{all:#?}");
    assert!(all[0][1].contains("\"Paris, the city\""), "{}", all[0][1]);
}

#[test]
fn values_of_several_kinds_have_their_ranges() {
    let row = |relation: &str, object: &str| format!("http://e/a,A,http://e/{relation},{object}\n");
    let csv = "subject,subjectLabel,relation,object\n".to_owned()
        + &row("area", "12.25")
        + &row("area", "7")
        + &row("born", "1890-03-12")
        + &row("big", "true")
        + &row("colour", "red")
        + &row("colour", "blue")
        + &row("colour", "http://e/green");
    let (folder, found) = import_text("r.csv", &csv, &selection());
    assert_eq!(found.unwrap().0.unfit, 1);
    let (ontology, notes) = Ontology::read(&[folder.path().join("ontology.ttl")]).unwrap();
    assert!(notes.0.is_empty(), "{notes:?}");
    let range = |name: &str| {
        let values =
            ontology.relation(&format!("http://e/{name}")).unwrap().values.clone().unwrap();
        (values.datatype, values.lexical(0), values.len())
    };
    assert_eq!(range("area"), (Datatype::Decimal, "7".to_owned(), 526));
    assert_eq!(range("born"), (Datatype::Date, "1890-03-12".to_owned(), 1));
    assert_eq!(range("big").0, Datatype::Boolean);
    assert_eq!(range("colour"), (Datatype::String, "blue".to_owned(), 2));
}

#[test]
fn mistakes_have_their_places() {
    let header = "subject,subjectLabel,relation,object,objectLabel\n";
    let sound = "http://e/a,A,http://e/r,http://e/b,B\n";
    let csv = |rows: &str| mistake("r.csv", &format!("{header}{sound}{rows}"));
    assert_eq!(csv("http://e/a,A,http://e/r\n"), ("wrong-number-of-fields", At::Line(3)));
    assert_eq!(csv(",A,http://e/r,http://e/b,B\n"), ("no-subject", At::Line(3)));
    assert_eq!(csv("a b,A,http://e/r,http://e/b,B\n"), ("bad-iri", At::Line(3)));
    assert_eq!(csv("http://e/a,A,,http://e/b,B\n"), ("no-relation", At::Line(3)));
    assert_eq!(mistake("r.csv", "subject,object\n").0, "missing-column");
    assert_eq!(mistake("r.csv", header), ("nothing-found", At::File));
    let unnamed = "subject,subjectLabel,relation,object\nhttp://e/a,A,http://e/r,http://e/b\n";
    assert_eq!(mistake("r.csv", unnamed), ("no-object-label", At::File));

    let tsv = "?subject\t?subjectLabel\t?relation\t?object\n<http://e/a>\t\"A\"\t<http://e/r>\t5\n";
    assert_eq!(mistake("r.tsv", &format!("{tsv}oops\t1\t2\t3\n")), ("broken-results", At::Line(3)));
    assert_eq!(
        mistake("r.tsv", &format!("{tsv}\"a\"\t\"A\"\t<http://e/r>\t5\n")),
        ("bad-iri", At::Line(3))
    );
    assert_eq!(mistake("r.tsv", "?subject\t?subjectlabel\t?object\n").0, "missing-variable");
    assert_eq!(mistake("r.json", "[{\"subject\":\"http://e/a\"}]").0, "broken-results");
    let cut = results();
    assert_eq!(mistake("r.json", &cut[..cut.len() - 40]).0, "broken-results");
    assert_eq!(mistake("r.json", "{\"head\":{},\"boolean\":true}").0, "no-rows");
    assert_eq!(mistake("r.xml", ""), ("unknown-format", At::File));
    let both = Selection { relation: Some("http://e/r".to_owned()), ..selection() };
    let (_, found) = import_text("r.csv", &format!("{header}{sound}"), &both);
    assert_eq!(found.unwrap_err().0[0].code, "two-relations");
}

#[test]
fn terms_within_each_other_end_no_process() {
    let depth = 100_000;
    let open = "{\"type\":\"triple\",\"value\":{\"subject\":{\"type\":\"uri\",\"value\":\"http://e/a\"},\"predicate\":\
                {\"type\":\"uri\",\"value\":\"http://e/b\"},\"object\":";
    let nested = format!(
        "{}{{\"type\":\"uri\",\"value\":\"http://e/c\"}}{}",
        open.repeat(depth),
        "}}".repeat(depth)
    );
    let text = format!(
        "{{\"head\":{{\"vars\":[\"subject\",\"subjectLabel\",\"object\"]}},\"results\":{{\"bindings\":[{{\"object\":{nested}}}]}}}}"
    );
    assert_eq!(mistake("r.json", &text).0, "cannot-read");
    let inner =
        "<<( <http://e/a> <http://e/b> ".repeat(depth) + "<http://e/c>" + &" )>>".repeat(depth);
    let tsv = format!("?subject\t?subjectLabel\t?object\n<http://e/a>\t\"A\"\t{inner}\n");
    assert_eq!(mistake("r.tsv", &tsv).0, "broken-results");
}
