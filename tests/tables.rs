//! Ontologies and tables with mistakes, and the quickstart's own without.
//!
//! Each folder of `tests/data/tables` holds an ontology (`*.ttl`), entities (`entities*.csv`) and
//! gold facts (`gold*.csv`), where it needs them, and in `expected.txt` what is said of them.
//! `KGBUILD_BLESS=1 cargo nextest run --release --test tables` writes these files anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kgbuild::catalog::{Catalog, answer_space, subjects_of};
use kgbuild::diagnostic::{At, Diagnostics};
use kgbuild::facts::{Facts, ObjectsOf};
use kgbuild::ontology::Ontology;

/// The files of a folder whose names begin and end so, sorted.
fn files(folder: &Path, start: &str, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(start) && name.ends_with(end)
        })
        .collect();
    files.sort();
    files
}

/// Everything that is said of a folder's files, as far as reading them goes.
fn said_of(folder: &Path) -> Diagnostics {
    let mut said = Diagnostics::default();
    let mut take = |mut more: Diagnostics| said.0.append(&mut more.0);
    let ontology = Ontology::read(&files(folder, "", ".ttl"));
    let catalog = Catalog::read(&files(folder, "entities", ".csv"), "en");
    let objects =
        ontology.as_ref().map_or(ObjectsOf::Anything, |(read, _)| ObjectsOf::Ontology(read));
    let gold = Facts::read(&files(folder, "gold", ".csv"), objects);
    match (ontology, catalog, gold) {
        (Ok((ontology, a)), Ok((catalog, b)), Ok((gold, c))) => {
            [a, b, c].into_iter().for_each(&mut take);
            match ontology.select(None) {
                Err(mistakes) => take(mistakes),
                Ok(relations) => {
                    for relation in relations {
                        match answer_space(&ontology, relation, &catalog) {
                            Err(mistakes) => take(mistakes),
                            Ok((space, warnings)) => {
                                take(warnings);
                                let warning =
                                    gold.unreachable("gold facts", relation, &space, &catalog);
                                take(Diagnostics(warning.into_iter().collect()));
                            }
                        }
                    }
                }
            }
        }
        (ontology, catalog, gold) => {
            let rest = [ontology.err(), catalog.err(), gold.err()];
            rest.into_iter().flatten().for_each(take);
        }
    }
    said
}

/// The diagnostics as text, with the lines and columns of spans, and paths as in the folder.
fn text_of(said: Diagnostics, folder: &Path) -> String {
    let mut text = String::new();
    for mut diagnostic in said.0 {
        let mut span_text = String::new();
        if let Some(place) = &mut diagnostic.place {
            if let At::Span(span) = &place.at {
                let whole = fs::read_to_string(&place.file).unwrap();
                let before = &whole[..span.start];
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
                span_text = format!("\n  {line}:{column} `{}`", &whole[span.clone()]);
            }
            place.file = place.file.strip_prefix(folder).unwrap().to_owned();
        }
        text += &format!("{}{span_text}\n", Diagnostics::from(diagnostic));
    }
    text.replace(&format!("{}/", folder.display()), "")
}

#[test]
fn every_folder_is_said_what_is_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tables");
    let bless = std::env::var_os("KGBUILD_BLESS").is_some();
    let mut wrong = Vec::new();
    let cases: Vec<_> = files(&root, "", "").into_iter().filter(|path| path.is_dir()).collect();
    assert!(cases.len() >= 8, "the folders are missing");
    for case in cases {
        let said = text_of(said_of(&case), &case);
        let expected = case.join("expected.txt");
        if bless {
            fs::write(&expected, &said).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "not as in expected.txt:\n{}", wrong.join("\n"));
}

#[test]
fn the_quickstart_is_whole() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = |name| vec![root.join("pipelines/quickstart").join(name)];
    let (ontology, a) = Ontology::read(&[root.join("ontologies/world.ttl")]).unwrap();
    let (subjects, b) = Catalog::read(&table("subjects.csv"), "en").unwrap();
    let (candidates, c) = Catalog::read(&table("candidates.csv"), "en").unwrap();
    let (gold, d) = Facts::read(&table("gold.csv"), ObjectsOf::Ontology(&ontology)).unwrap();
    assert_eq!([a, b, c, d], [const { Diagnostics(Vec::new()) }; 4]);

    let relations = ontology.select(None).unwrap();
    assert!(relations.len() >= 5);
    assert!(subjects.len() >= 150);
    let mut questions = 0;
    let mut asked = BTreeSet::new();
    for relation in relations {
        let (space, warnings) = answer_space(&ontology, relation, &candidates).unwrap();
        assert_eq!(warnings, Diagnostics::default());
        assert!(space.len() >= 7, "{}", relation.name());
        assert_eq!(gold.unreachable("gold facts", relation, &space, &candidates), None);
        let most = relation.max_objects.map_or(usize::MAX, |most| most as usize);
        for subject in subjects_of(&ontology, relation, &subjects) {
            let objects = gold.objects(subjects.iri(subject), &relation.iri);
            let count = objects.map(<[String]>::len);
            let who = subjects.label(subject);
            assert!(count.is_some_and(|n| n <= most), "{} of {who}: {count:?}", relation.name());
            asked.insert(subject);
            questions += 1;
        }
    }
    assert_eq!(questions, gold.len(), "gold holds questions that are not asked");
    assert_eq!(asked.len(), subjects.len(), "some subjects are never asked about");
    let two_words = candidates.ids().filter(|id| candidates.label(*id).contains(' ')).count();
    assert!(two_words >= 30, "only {two_words} labels of several words");
    // A subject that is a candidate too has the same label there.
    for id in subjects.ids() {
        if let Some(candidate) = candidates.find(subjects.iri(id)) {
            assert_eq!(subjects.label(id), candidates.label(candidate));
        }
    }
}
