//! Numbers that follow a grammar instead of a list, and numbers that are right near the true one.

use kgbuild::catalog::Objects;
use kgbuild::diagnostic::Silent;
use kgbuild::lm::trie::{NumberTrie, UnwritableNumbers};
use kgbuild::lm::{AnswerSpace, Demand, Normalise, Rankings};
use kgbuild::pipeline::{self, Environment};
use kgbuild::shock::{Mixing, MixingRule};

use crate::exactness::{self, Shared};
use crate::support::{kgbuild, refuse, stderr};
use crate::values::{PREFIXES, Values};

const YEARS: &str = "ex:year a owl:FunctionalProperty ; rdfs:range xsd:integer ;
    kgb:minimum 1000 ; kgb:maximum 2100 ; kgb:template \"[X] ended in the year [Y].\" .
";

/// The same answers, bit for bit, of the base model and of mixtures.
#[test]
fn years_are_the_same_as_a_list_and_as_a_grammar() {
    let values = Values::of(&format!("{PREFIXES}{YEARS}"), "subject,relation,object\n");
    let environment = Environment::new(Silent);
    let job = pipeline::Job::open(&values.job.pipeline(), &environment).unwrap();
    let models = exactness::models(job.pipeline());
    let mut plan = job.plan().unwrap().into_plan();
    let Objects::Values(years) = plan.relations[0].candidates.clone() else { panic!("years") };
    assert_eq!(years.len(), 1101);
    let lambda = 0.4;
    let rules: [(&[usize], MixingRule); 4] = [
        (&[1], MixingRule::None),
        (&[0, 1], MixingRule::Linear { lambda }),
        (&[0, 1], MixingRule::LogLinear { lambda, mixing: Mixing::Candidate }),
        (&[0, 1], MixingRule::LogLinear { lambda, mixing: Mixing::Branching }),
    ];
    for normalise in [Normalise::None, Normalise::Trie] {
        let mut tokenise = |text: &str| {
            let candidate = plan.prompter.candidate(text, kgbuild::lm::Before::Space);
            Ok::<_, UnwritableNumbers>(candidate.unwrap().tokens)
        };
        let trie = NumberTrie::new(years.numbers().unwrap(), &mut tokenise).unwrap();
        let grammar = AnswerSpace::of_numbers(trie, vec![Vec::new()], normalise);
        let listed = Values::of(&format!("{PREFIXES}{YEARS}"), "subject,relation,object\n");
        listed.job.set(
            "prediction",
            "normalise",
            if normalise == Normalise::Trie { "trie" } else { "none" },
        );
        let job = pipeline::Job::open(&listed.job.pipeline(), &environment).unwrap();
        let listed = job.plan().unwrap().into_plan().relations.remove(0).space;
        let mut spaces = [listed, grammar];
        for (asked, rule) in rules {
            let answers = spaces.each_mut().map(|space| {
                let relation = &mut plan.relations[0];
                relation.correction = rule.into();
                relation.rankings = Rankings { mixed: Demand::best(5), best: true, keep: 0 };
                std::mem::swap(&mut relation.space, space);
                let anew: Vec<Shared> = asked.iter().map(|&model| models[model].anew()).collect();
                let answers = exactness::answers(&plan, &anew.iter().collect::<Vec<_>>());
                std::mem::swap(&mut plan.relations[0].space, space);
                answers
            });
            assert_eq!(answers[0], answers[1], "{normalise:?}, {rule:?}");
            assert!(!answers[0].is_empty() && answers[0].iter().all(|a| a.1.ranked.len() == 5));
        }
    }
}

const DEATHS: &str =
    "ex:deaths a owl:DatatypeProperty, owl:FunctionalProperty ; rdfs:range xsd:decimal ;
    kgb:minimum 0 ; kgb:maximum 100000000 ; kgb:decimals 1 ; kgb:tolerance 0.05 ;
    kgb:template \"The number of people who died in [X] is [Y].\" .
";

#[test]
fn numbers_that_are_not_listed_are_written_with_their_bounds() {
    let gold =
        "subject,relation,object\nhttp://example.org/ww2,http://example.org/deaths,60000000\n";
    let values = Values::of(&format!("{PREFIXES}{DEATHS}"), gold);
    let job = &values.job;
    job.run(&["--quiet"]);
    assert_eq!(job.report()["relations"][0]["candidates"], 1_000_000_001_u64);
    let found = job.query(
        "SELECT ?s { ?s <http://example.org/deaths> ?o {| kgb:confidence ?c ; kgb:lower ?l ; kgb:upper ?u |}
         FILTER(?l <= ?o && ?o <= ?u && ?o <= ?l * 1.0501 && ?u <= ?o * 1.0527 + 0.1
                && datatype(?l) = xsd:decimal && ?c > 0 && ?c <= 1) }",
    );
    assert_eq!(found["results"]["bindings"].as_array().unwrap().len(), 2, "{}", job.graph());
    // Whatever rides together.
    let graph = job.export("turtle");
    std::fs::remove_dir_all(job.output()).unwrap();
    job.set("runtime", "token_budget", 256);
    job.set("runtime", "workers", 2);
    job.run(&["--quiet"]);
    let without_times = |turtle: &str| -> Vec<String> {
        turtle.lines().filter(|line| !line.contains("AtTime")).map(str::to_owned).collect()
    };
    assert_eq!(without_times(&job.export("turtle")), without_times(&graph));
}

#[test]
fn numbers_that_cannot_be_searched_are_refused() {
    let values = Values::of(&format!("{PREFIXES}{DEATHS}"), "subject,relation,object\n");
    for (key, value) in [("method", "exhaustive"), ("normalise", "list")] {
        values.job.set("prediction", "method", "search");
        values.job.set("prediction", "normalise", "none");
        values.job.set("prediction", key, value);
        let said = refuse(kgbuild().arg("run").arg(values.job.pipeline()), 2);
        assert!(said.contains("error[unsearchable-numbers]") && said.contains(value), "{said}");
    }
    for (was, is, code) in [
        ("kgb:tolerance 0.05", "kgb:tolerance 1.5", "bad-tolerance"),
        ("kgb:tolerance 0.05", "kgb:unit \"km\"", "bad-unit"),
        ("kgb:maximum 100000000", "kgb:maximum 1000000000", "too-many-values"),
    ] {
        assert!(DEATHS.contains(was), "{was}");
        values.write("ontology.ttl", &format!("{PREFIXES}{}", DEATHS.replace(was, is)));
        let said = refuse(kgbuild().arg("check").arg(values.job.pipeline()), 2);
        assert!(said.contains(&format!("error[{code}]")), "{is}: {said}");
    }
    // A unit is an IRI.
    let unit = DEATHS.replace("kgb:decimals 1", "kgb:decimals 1 ; kgb:unit ex:people");
    values.write("ontology.ttl", &format!("{PREFIXES}{unit}"));
    let checked = kgbuild().arg("check").arg(values.job.pipeline()).output().unwrap();
    assert!(checked.status.success(), "{}", stderr(&checked));
}

const ENDS: &str =
    "ex:ended a owl:FunctionalProperty ; rdfs:range xsd:date ; kgb:precision \"year\" ;
    kgb:minimum \"1900-01-01\"^^xsd:date ; kgb:maximum \"1960-12-31\"^^xsd:date ;
    kgb:template \"[X] ended in [Y].\" .
";

/// The nearest date that reaches the threshold is written; a year is right for each of its days.
#[test]
fn dates_are_answered_as_nearly_as_they_are_known() {
    let gold = "subject,relation,object
http://example.org/ww2,http://example.org/ended,1945-09-02
http://example.org/ww1,http://example.org/ended,1918-11-11
";
    let values = Values::of(&format!("{PREFIXES}{ENDS}"), gold);
    let job = &values.job;
    let answers = |threshold: f64| -> Vec<(String, f64)> {
        job.set("selection", "threshold", threshold);
        if job.output().exists() {
            std::fs::remove_dir_all(job.output()).unwrap();
        }
        job.run(&["--quiet"]);
        let found = job.query(
            "SELECT ?o ?c { ?s <http://example.org/ended> ?o {| kgb:confidence ?c |} } ORDER BY ?s",
        );
        let bindings = found["results"]["bindings"].as_array().unwrap();
        let one = |binding: &serde_json::Value| {
            let object = &binding["o"];
            let datatype = object["datatype"].as_str().unwrap().rsplit('#').next().unwrap();
            let text = format!("{} {datatype}", object["value"].as_str().unwrap());
            (text, binding["c"]["value"].as_str().unwrap().parse().unwrap())
        };
        bindings.iter().map(one).collect()
    };
    // Each precision by a threshold that the nearer ones do not reach.
    let mut surest = 0.0;
    for precision in ["date", "gYearMonth", "gYear"] {
        let found = answers(surest + 0.0001);
        assert!(!found.is_empty(), "{precision}: nothing above {surest}");
        let ends = format!(" {precision}");
        assert!(found.iter().all(|(text, _)| text.ends_with(&ends)), "{precision}: {found:?}");
        assert!(found.iter().any(|(text, _)| text.starts_with("1945")), "{found:?}");
        surest = found.iter().map(|(_, confidence)| *confidence).fold(0.0, f64::max);
    }
    for (was, is) in
        [("\"year\"", "\"century\""), ("xsd:date ; kgb:precision", "xsd:gYear ; kgb:precision")]
    {
        values.write("ontology.ttl", &format!("{PREFIXES}{}", ENDS.replace(was, is)));
        let said = refuse(kgbuild().arg("check").arg(job.pipeline()), 2);
        assert!(said.contains("error[bad-precision]"), "{is}: {said}");
    }
}
