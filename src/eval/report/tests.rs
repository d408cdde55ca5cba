use std::path::PathBuf;

use oxigraph::io::RdfFormat;
use oxigraph::store::Store;
use proptest::prelude::*;

use super::*;

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let file = folder.path().join(name);
    std::fs::write(&file, text).unwrap();
    file
}

fn read_gold(folder: &tempfile::TempDir, name: &str, text: &str) -> Gold {
    Gold::read(&[file(folder, name, text)], Rules::LmKbc2022, None).unwrap().0
}

fn score_texts(gold: (&str, &str), predictions: &str, least: Option<f64>) -> EvalReport {
    score_by(Rules::LmKbc2022, None, gold, predictions, least)
}

fn score_by(
    rules: Rules,
    tolerance: Option<f64>,
    gold: (&str, &str),
    predictions: &str,
    least: Option<f64>,
) -> EvalReport {
    let folder = tempfile::tempdir().unwrap();
    let gold = Gold::read(&[file(&folder, gold.0, gold.1)], rules, tolerance).unwrap().0;
    let predictions = file(&folder, "predictions.jsonl", predictions);
    let predictions = Predictions::read(&predictions, gold.by).unwrap().0;
    EvalReport::new(&gold, &predictions, least).unwrap().0
}

const GOLD: &str = "subject,relation,object\n\
    e:a,e:r,e:1\ne:a,e:r,e:2\ne:b,e:r,e:3\ne:c,e:r,\ne:d,e:r,e:4\ne:a,e:s,e:1\n";

const PREDICTIONS: &str = r#"
    {"subject": "e:a", "relation": "e:r", "objects": [{"object": "e:9", "confidence": 0.6}, {"object": "e:2", "confidence": 0.5}]}
    {"subject": "e:b", "relation": "e:r", "objects": [{"object": "e:3", "confidence": 0.9, "uncalibrated": 0.8}]}
    {"subject": "e:c", "relation": "e:r", "objects": [{"object": "e:3", "confidence": 0.1}]}
    {"subject": "e:z", "relation": "e:r", "objects": [{"object": "e:3", "confidence": 0.1}]}
    {"subject": "e:a", "relation": "e:t", "objects": []}
"#;

#[test]
fn by_iri_worked_out_by_hand() {
    let report = score_texts(("gold.csv", GOLD), PREDICTIONS, None);
    let r = &report.relations[0];
    assert_eq!((r.name.as_str(), r.questions, r.without_object, r.answered), ("r", 4, 1, 3));
    // Ranks of a, b, d: 2, 1, absent.
    let ranking = r.ranking.unwrap();
    assert_eq!((ranking.questions, ranking.precision_at_1), (3, 1.0 / 3.0));
    assert_eq!(ranking.mean_reciprocal_rank, 0.5);
    assert_eq!(r.precision_at_1.unwrap().mean, 1.0 / 3.0);
    // a: P 1/2, R 1/2, F1 1/2; b: 1, 1, 1; c, without object: 0, 1, 0; d, unanswered: 1, 0, 0.
    let average = r.macro_average;
    assert_eq!((average.precision, average.recall, average.f1), (2.5 / 4.0, 2.5 / 4.0, 1.5 / 4.0));
    assert_eq!(r.counts, Counts { predicted: 4, gold: 4, found: 2 });
    assert_eq!((r.micro.precision, r.micro.recall, r.micro.f1), (0.5, 0.5, 0.5));
    assert_eq!(r.always_empty.f1, 0.25);
    // Wrong at 0.6, right at 0.5, right at 0.9, wrong at 0.1: each alone in its bin.
    let calibration = r.calibration.as_ref().unwrap();
    assert!((calibration.expected_calibration_error - (0.6 + 0.5 + 0.1 + 0.1) / 4.0).abs() < 1e-12);
    assert_eq!((calibration.predictions, calibration.accuracy), (4, 0.5));
    // Before calibration, 0.9 was 0.8.
    let before = r.before_calibration.as_ref().unwrap();
    assert!((before.expected_calibration_error - (0.6 + 0.5 + 0.2 + 0.1) / 4.0).abs() < 1e-12);

    // The best answers to a and c are wrong, d and the other a have none.
    let wrong: Vec<(&str, &str, usize)> = report
        .wrong
        .iter()
        .map(|question| (&*question.relation, &*question.subject, question.answers.len()))
        .collect();
    assert_eq!(wrong, [("e:r", "e:a", 2), ("e:r", "e:c", 1), ("e:r", "e:d", 0), ("e:s", "e:a", 0)]);
    assert_eq!(report.wrong[0].gold, ["e:1", "e:2"]);
    let right: Vec<bool> = report.wrong[0].answers.iter().map(|answer| answer.is_right).collect();
    assert_eq!(right, [false, true]);
    let table = String::from_utf8(report.wrong_table().unwrap()).unwrap();
    assert_eq!(table.lines().nth(1), Some("e:r,e:a,e:1|e:2,e:9|e:2,0.6000|0.5000"));

    let s = &report.relations[1];
    assert_eq!((s.answered, s.macro_average.f1, s.always_empty.f1), (0, 0.0, 0.0));
    assert_eq!((&s.calibration, &s.before_calibration), (&None, &None));
    assert_eq!(report.all.macro_average.f1, (1.5 / 4.0 + 0.0) / 2.0);
    assert_eq!(report.all.macro_f1.mean, report.all.macro_average.f1);
    assert_eq!(report.all.ranking.unwrap().precision_at_1, 0.25);
    assert_eq!(report.outside_gold, Outside { questions: 2, objects: 1 });
}

#[test]
fn a_least_confidence_empties_sets_and_leaves_rankings() {
    let report = score_texts(("gold.csv", GOLD), PREDICTIONS, Some(0.55));
    let r = &report.relations[0];
    assert_eq!(r.counts, Counts { predicted: 2, gold: 4, found: 1 });
    // a: 0, 0, 0; b: 1, 1, 1; c: 1, 1, 1; d: 1, 0, 0.
    assert_eq!(r.macro_average.f1, 0.5);
    assert_eq!(r.ranking.unwrap().mean_reciprocal_rank, 0.5);
    assert_eq!(r.calibration.as_ref().unwrap().predictions, 4);
}

const LABELS: &str = r#"
    {"SubjectEntity": "Acetone", "Relation": "HasPart", "ObjectEntities": [["Hydrogen", "H"], ["carbon"]], "WikidataID": 1}
    {"SubjectEntity": "Nothing", "Relation": "HasPart", "ObjectEntities": []}
"#;

#[test]
fn by_label_aliases_and_case_are_folded() {
    let predictions = r#"
        {"SubjectEntity": "ACETONE", "Relation": "HasPart", "ObjectEntities": ["h", "Hydrogen.", "lead"]}
        {"SubjectEntity": "nothing", "Relation": "HasPart", "ObjectEntities": [""]}"#;
    let report = score_texts(("dev.jsonl", LABELS), predictions, None);
    assert_eq!(report.outside_gold, Outside::default());
    let r = &report.relations[0];
    // Two names of one gold object find it once, but are two predictions.
    assert_eq!(r.counts, Counts { predicted: 3, gold: 2, found: 1 });
    let f1 = 2.0 * (1.0 / 3.0) * 0.5 / (1.0 / 3.0 + 0.5);
    assert!((r.macro_average.f1 - (f1 + 1.0) / 2.0).abs() < 1e-12);
    assert_eq!(r.always_empty.f1, 0.5);
    assert_eq!(r.calibration, None);
}

/// Two exchanges with aliases, a number, and a question without object.
const OF_2026: &str = r#"
    {"SubjectEntity": "Enbridge", "Relation": "tradesAt", "ObjectEntities": [["New York Stock Exchange", "NYSE", "Börse"], ["Toronto Stock Exchange", "Börse"]]}
    {"SubjectEntity": "Knipex", "Relation": "tradesAt", "ObjectEntities": []}
    {"SubjectEntity": "Molokaʻi", "Relation": "hasArea", "ObjectEntities": [["673.4"]]}
"#;

#[test]
fn by_the_rules_of_2026_worked_out_by_hand() {
    let predictions = r#"
        {"SubjectEntity": "enbridge", "Relation": "tradesAt", "ObjectEntities": ["N.Y.S.E", "nyse", "Borse"]}
        {"SubjectEntity": "Knipex", "Relation": "tradesAt", "ObjectEntities": ["None"]}
        {"SubjectEntity": "Moloka'i", "Relation": "hasArea", "ObjectEntities": ["700"]}"#;
    let score = |tolerance| {
        let gold = ("val.jsonl", OF_2026);
        score_by(Rules::LmKbc2026, tolerance, gold, predictions, None)
    };
    let report = score(None);
    assert_eq!((report.outside_gold, report.tolerance), (Outside::default(), 0.05));
    // "n y s e" is another name; "nyse" finds the one exchange, so that "borse" is left for the other.
    let trades = &report.relations[1];
    assert_eq!(trades.counts, Counts { predicted: 3, gold: 2, found: 2 });
    assert!((trades.macro_average.f1 - (0.8 + 1.0) / 2.0).abs() < 1e-12);
    assert_eq!(report.relations[0].counts.found, 1, "700 is 4 % away");
    // Over three questions, not over two relations.
    assert!((report.all.macro_average.f1 - (0.8 + 1.0 + 1.0) / 3.0).abs() < 1e-12);
    assert!((report.all.macro_f1.mean - report.all.macro_average.f1).abs() < 1e-12);
    assert!((report.all.always_empty.f1 - 1.0 / 3.0).abs() < 1e-12);
    assert!(report.wrong.iter().all(|question| question.relation == "tradesAt"));

    let stricter = score(Some(0.01));
    assert_eq!(stricter.relations[0].counts.found, 0);
    let wrong = stricter.wrong.iter().find(|question| question.relation == "hasArea").unwrap();
    assert_eq!((wrong.gold[0].as_str(), wrong.answers[0].object.as_str()), ("673.4", "700"));
}

#[test]
fn values_of_a_graph_are_numbers_or_dates() {
    let store = graph(
        "e:a e:born \"1890-03-12\"^^<http://www.w3.org/2001/XMLSchema#date> {| kgb:confidence 0.5 |} .
         e:a e:founded \"1900\"^^<http://www.w3.org/2001/XMLSchema#gYear> {| kgb:confidence 0.5 |} .
         e:a e:persons 1020 {| kgb:confidence 0.5 |} .",
    );
    let folder = tempfile::tempdir().unwrap();
    let table =
        "subject,relation,object\ne:a,e:born,1890\ne:a,e:founded,1890\ne:a,e:persons,1000\n";
    let file = file(&folder, "gold.csv", table);
    let right = |tolerance| {
        let gold = Gold::read(std::slice::from_ref(&file), Rules::LmKbc2022, tolerance).unwrap().0;
        let predictions = Predictions::of_graph(&store, &gold).unwrap();
        let relations = EvalReport::new(&gold, &predictions, None).unwrap().0.relations;
        relations.iter().map(|scores| scores.counts.found).collect::<Vec<_>>()
    };
    assert_eq!(right(None), [1, 0, 0]);
    assert_eq!(right(Some(0.05)), [1, 0, 1], "a year is no number");
}

fn graph(turtle: &str) -> Store {
    let prefixes = "PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> \
        PREFIX kgb: <https://w3id.org/kgbuild#> PREFIX e: <e:> \
        PREFIX wd: <http://www.wikidata.org/entity/>\n";
    let store = Store::new().unwrap();
    store.load_from_slice(RdfFormat::Turtle, format!("{prefixes}{turtle}").as_bytes()).unwrap();
    store
}

#[test]
fn a_graph_is_scored_by_iri_and_by_label() {
    let store = graph(
        "wd:Q1 e:P527 wd:Q556 {| kgb:confidence 0.75 |}, wd:Q2 {| kgb:confidence 0.5 |} .
         e:none e:P527 wd:Q2 {| kgb:confidence 0.25 |} .
         e:P527 rdfs:label \"has part\" . wd:Q556 rdfs:label \"hydrogen\" .
         wd:Q2 rdfs:label \"lead\" . wd:Q1 rdfs:label \"propanone\" . e:none rdfs:label \"Nothing\" .",
    );
    let folder = tempfile::tempdir().unwrap();
    let gold = read_gold(&folder, "dev.jsonl", LABELS);
    let predictions = Predictions::of_graph(&store, &gold).unwrap();
    let report = EvalReport::new(&gold, &predictions, None).unwrap().0;
    // Acetone is found by its number, nothing by its label.
    assert_eq!(report.outside_gold, Outside::default());
    assert_eq!(report.all.counts, Counts { predicted: 3, gold: 2, found: 1 });
    assert_eq!(report.all.ranking.unwrap().precision_at_1, 1.0);

    let table = "subject,relation,object\nhttp://www.wikidata.org/entity/Q1,e:P527,\
                 http://www.wikidata.org/entity/Q2\n";
    let gold = read_gold(&folder, "gold.csv", table);
    let predictions = Predictions::of_graph(&store, &gold).unwrap();
    let report = EvalReport::new(&gold, &predictions, None).unwrap().0;
    assert_eq!(report.all.ranking.unwrap().mean_reciprocal_rank, 0.5);
    assert_eq!(report.relations[0].name, "has part");
    assert_eq!(report.outside_gold, Outside { questions: 1, objects: 1 });
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let gold = read_gold(&folder, "dev.jsonl", LABELS);
    let predictions = file(&folder, "p.jsonl", PREDICTIONS);
    let predictions = Predictions::read(&predictions, gold.by).unwrap().0;
    assert_eq!(EvalReport::new(&gold, &predictions, None).unwrap_err().0[0].code, "no-labels");
}

#[test]
fn what_is_left_out_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let gold = read_gold(&folder, "gold.csv", GOLD);
    let predictions = file(&folder, "p.jsonl", PREDICTIONS);
    let predictions = Predictions::read(&predictions, gold.by).unwrap().0;
    let warnings = EvalReport::new(&gold, &predictions, None).unwrap().1;
    let messages: Vec<&str> = warnings.0.iter().map(|w| w.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "nothing is predicted for 1 of 2 gold relations: s",
            "left out, as gold does not ask it: 2 predicted questions with 1 object",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Predicting gold itself is perfect, and predicting nothing scores what is printed beside it.
    #[test]
    fn gold_is_perfect_and_nothing_is_always_empty(
        facts in prop::collection::btree_map((0..6_u8, 0..3_u8), 0..4_u8, 1..12),
    ) {
        let (mut gold, mut lines) = ("subject,relation,object\n".to_owned(), String::new());
        for ((subject, relation), objects) in &facts {
            if *objects == 0 {
                gold += &format!("e:s{subject},e:r{relation},\n");
            }
            let mut predicted = Vec::new();
            for object in 0..*objects {
                gold += &format!("e:s{subject},e:r{relation},e:o{object}\n");
                predicted.push(format!("{{\"object\": \"e:o{object}\", \"confidence\": 1}}"));
            }
            let predicted = predicted.join(", ");
            lines += &format!(
                "{{\"subject\": \"e:s{subject}\", \"relation\": \"e:r{relation}\", \
                 \"objects\": [{predicted}]}}\n"
            );
        }
        let all = score_texts(("gold.csv", &gold), &lines, None).all;
        prop_assert_eq!([all.macro_average.f1, all.micro.f1], [1.0, 1.0]);
        prop_assert!(all.ranking.is_none_or(|ranking| ranking.precision_at_1 == 1.0));
        prop_assert!(all.calibration.is_none_or(|c| c.expected_calibration_error == 0.0));
        let nothing = score_texts(("gold.csv", &gold), "", None).all;
        prop_assert_eq!(nothing.macro_average, nothing.always_empty);
        prop_assert_eq!(all.always_empty, nothing.always_empty);
    }
}
