//! Entities of several names, and names of several entities.

use crate::support::{CAPITAL, Job, kgbuild, refuse, stderr};

const CITY: &str = "http://www.wikidata.org/entity/Q5119";

/// The capital of France among Paris, its namesake in Texas, and Rome.
fn job(alias: &str) -> (Job, std::path::PathBuf) {
    let job = Job::small(&[CAPITAL], 1);
    job.untune();
    job.set("prediction", "method", "search");
    job.set("selection", "threshold", 0.0);
    job.set("selection", "max_objects", 3);
    let table = format!(
        "iri,label,aliases,types\n\
         http://www.wikidata.org/entity/Q90,Paris,,{CITY}\n\
         http://www.wikidata.org/entity/Q830149,Paris,{alias},{CITY}\n\
         http://www.wikidata.org/entity/Q220,Rome,,{CITY}\n"
    );
    let candidates = job.output().with_file_name("candidates.csv");
    std::fs::write(&candidates, table).unwrap();
    job.set("inputs", "candidates", candidates.to_str().unwrap());
    let country = "http://www.wikidata.org/entity/Q6256";
    job.set_subjects(&format!(
        "iri,label,types\nhttp://www.wikidata.org/entity/Q142,France,{country}\n"
    ));
    (job, candidates)
}

/// Runs into an empty folder.
fn anew(job: &Job) {
    if job.output().exists() {
        std::fs::remove_dir_all(job.output()).unwrap();
    }
    job.run(&["--quiet"]);
}

fn marked(job: &Job) -> usize {
    let found = job.query("SELECT ?o { ?s wdt:P36 ?o {| kgb:ambiguous true |} }");
    found["results"]["bindings"].as_array().unwrap().len()
}

#[test]
fn namesakes_share_a_name_and_are_marked() {
    let (job, candidates) = job("");
    let warned = stderr(&job.run(&[]));
    assert!(warned.contains("warning[shared-label]"), "{warned}");
    // The relation has one object a subject, so that one of the two is written.
    assert_eq!(marked(&job), 1);

    // With a name of its own, one of them is told apart.
    let table = std::fs::read_to_string(&candidates)
        .unwrap()
        .replace("Q90,Paris,,", "Q90,Paris,Paris in France,");
    std::fs::write(&candidates, table).unwrap();
    job.set("prediction", "names", "all");
    anew(&job);
    let right =
        "ASK { ?s wdt:P36 wd:Q90 FILTER NOT EXISTS { ?s wdt:P36 wd:Q90 {| kgb:ambiguous ?a |} } }";
    assert_eq!(job.query(right)["boolean"], true);
}

/// The mass of a name that two have is halved, and that of two names is added.
#[test]
fn probabilities_of_names_are_added() {
    let base = |job: &Job| -> f64 {
        anew(job);
        let found = job.query(
            "SELECT ?p { ?s wdt:P36 ?o {| kgb:baseProbability ?p |} FILTER(?o != wd:Q220) }",
        );
        found["results"]["bindings"][0]["p"]["value"].as_str().unwrap().parse().unwrap()
    };
    let (job, candidates) = job("");
    let shared = base(&job);
    let table = std::fs::read_to_string(&candidates).unwrap();
    let alone: String = table
        .lines()
        .filter(|line| !line.contains("Q830149"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&candidates, &alone).unwrap();
    let whole = base(&job);
    assert!((2.0 * shared - whole).abs() < 2e-4 * whole, "{shared} of {whole}");

    std::fs::write(&candidates, alone.replace("Paris,,", "Paris,the city of Paris|Lutetia,"))
        .unwrap();
    assert_eq!(base(&job), whole, "aliases count where they are asked for");
    job.set("prediction", "names", "all");
    let all = base(&job);
    assert!(all > whole, "{all} with other names, {whole} without");
    let one = toml::Table::from_iter([("names".to_owned(), toml::Value::from("label"))]);
    let relations = toml::Table::from_iter([(CAPITAL.to_owned(), one.into())]);
    job.set("prediction", "relations", relations);
    assert_eq!(base(&job), whole, "a relation's own table is above the general one");
    job.set("prediction", "names", "some");
    let said = refuse(kgbuild().arg("check").arg(job.pipeline()), 2);
    assert!(said.contains("names"), "{said}");
}
