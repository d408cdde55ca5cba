//! How fast a dump of Wikidata and a graph are read, and in how much memory.
//! `cargo bench --profile release --bench import [-- MEGABYTES]`; needs nothing that is fetched.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bzip2::write::BzEncoder;
use kgbuild::catalog::Catalog;
use kgbuild::facts::{Facts, ObjectsOf};
use kgbuild::import::wikidata::{Selection, import};

const TRIPLES: usize = 1_000_000;

fn main() {
    let arguments: Vec<usize> =
        std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let megabytes = arguments.first().copied().unwrap_or(100);
    let folder = tempfile::tempdir().unwrap();
    wikidata(folder.path(), megabytes);
    triples(folder.path());
}

/// A dump of so many megabytes in which one entity of a hundred is a country with a capital.
fn wikidata(folder: &Path, megabytes: usize) {
    let dump = folder.join("dump.json");
    let mut out = BufWriter::new(File::create(&dump).unwrap());
    writeln!(out, "[").unwrap();
    let texts = |kind: &str, number: usize| -> String {
        let of = |language: usize| {
            format!(
                "\"l{language}\":{{\"language\":\"l{language}\",\"value\":\"{kind} {number} in {language}\"}}"
            )
        };
        let all: Vec<String> = (0..40).map(of).collect();
        all.join(",")
    };
    let (mut size, mut number) = (0, 1_usize);
    while size < megabytes << 20 {
        let (class, kind) = if number % 100 == 0 { (6256, "country") } else { (515, "city") };
        let link = |property: &str, id: usize| {
            format!(
                "\"{property}\":[{{\"mainsnak\":{{\"snaktype\":\"value\",\"property\":\"{property}\",\"datavalue\":\
                 {{\"value\":{{\"entity-type\":\"item\",\"numeric-id\":{id},\"id\":\"Q{id}\"}},\"type\":\
                 \"wikibase-entityid\"}},\"datatype\":\"wikibase-item\"}},\"type\":\"statement\",\"rank\":\"normal\"}}]"
            )
        };
        let line = format!(
            "{{\"type\":\"item\",\"id\":\"Q{number}\",\"labels\":{{\"en\":{{\"language\":\"en\",\"value\":\
             \"{kind} {number}\"}},{}}},\"descriptions\":{{{}}},\"aliases\":{{}},\"claims\":{{{},{},{}}},\
             \"sitelinks\":{{}}}},",
            texts(kind, number),
            texts("what is", number),
            link("P31", class),
            link("P36", number.saturating_sub(1).max(1)),
            link("P17", 7)
        );
        writeln!(out, "{line}").unwrap();
        size += line.len();
        number += 1;
    }
    writeln!(out, "]").unwrap();
    out.flush().unwrap();
    time_import("plain", &dump, folder, megabytes, number - 1);
    let packed = folder.join("dump.json.bz2");
    let mut out = BzEncoder::new(File::create(&packed).unwrap(), bzip2::Compression::best());
    std::io::copy(&mut File::open(&dump).unwrap(), &mut out).unwrap();
    out.finish().unwrap();
    time_import("bzip2", &packed, folder, megabytes, number - 1);
}

/// Imports a dump that has so many megabytes when it is not compressed.
fn time_import(name: &str, dump: &Path, folder: &Path, megabytes: usize, entities: usize) {
    let wanted = Selection {
        types: vec![6256],
        relations: vec![36],
        language: "en".to_owned(),
        partial: false,
    };
    let target = folder.join(name);
    fs::create_dir(&target).unwrap();
    let begin = Instant::now();
    let imported = import(dump, &wanted, &target)
        .unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)));
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "Wikidata, {name}: {megabytes} MB with {entities} entities in {seconds:.2} s, {:.0} MB/s (read twice); {} \
         imported; peak memory {}",
        megabytes as f64 / seconds,
        imported.entities,
        peak()
    );
}

/// A graph of a million triples: a type, a label and two facts an entity.
fn triples(folder: &Path) {
    let file = folder.join("graph.nt");
    let mut out = BufWriter::new(File::create(&file).unwrap());
    for number in 0..TRIPLES / 4 {
        let at = |n: usize| format!("<http://example.org/entity/{n}>");
        let own = at(number);
        writeln!(
            out,
            "{own} <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://example.org/City> ."
        )
        .unwrap();
        writeln!(out, "{own} <http://www.w3.org/2000/01/rdf-schema#label> \"City {number}\"@en .")
            .unwrap();
        for relation in ["near", "in"] {
            writeln!(out, "{own} <http://example.org/{relation}> {} .", at(number / 2)).unwrap();
        }
    }
    out.flush().unwrap();
    let files: Vec<PathBuf> = vec![file];
    let begin = Instant::now();
    let (catalog, _) =
        Catalog::read(&files, "en").unwrap_or_else(|mistakes| panic!("{}", mistakes.render(false)));
    let read = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let (facts, _) =
        Facts::read(&files, ObjectsOf::Anything).unwrap_or_else(|m| panic!("{}", m.render(false)));
    println!(
        "RDF: {TRIPLES} triples as {} entities in {read:.2} s, as {} facts in {:.2} s; peak memory {}",
        catalog.len(),
        facts.count(),
        begin.elapsed().as_secs_f64(),
        peak()
    );
}

/// The most memory that the process has held until now.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 =
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default();
    format!("{} MB", kilobytes / 1024)
}
