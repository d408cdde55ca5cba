use super::*;

fn store() -> Store {
    let store = Store::new().unwrap();
    let turtle = "PREFIX wd: <http://www.wikidata.org/entity/>
        PREFIX wdt: <http://www.wikidata.org/prop/direct/>
        PREFIX kgb: <https://w3id.org/kgbuild#>
        PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
        wd:Q142 rdfs:label \"France\" ; wdt:P36 wd:Q90 {| kgb:confidence 0.93 |} .
        wd:Q183 rdfs:label \"Deutschland\"@de ; wdt:P36 wd:Q64 {| kgb:confidence 0.5 |} .";
    store.load_from_slice(RdfFormat::Turtle, turtle.as_bytes()).unwrap();
    store
}

fn answer(sparql: &str, format: ResultFormat, width: Option<usize>) -> String {
    let mut out = Vec::new();
    query(&store(), sparql, format, width, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const CAPITALS: &str =
    "SELECT ?s ?capital ?c { ?s wdt:P36 ?capital {| kgb:confidence ?c |} } ORDER BY ?s";

#[test]
fn a_table_shortens_iris_and_counts_rows() {
    assert_eq!(
        answer(CAPITALS, ResultFormat::Table, None),
        " s        capital  c
────────────────────────
 wd:Q142  wd:Q90   0.93
 wd:Q183  wd:Q64    0.5
2 rows
"
    );
}

#[test]
fn results_for_tools() {
    let labels = "SELECT ?s ?l { ?s rdfs:label ?l } ORDER BY ?s LIMIT 1";
    assert_eq!(
        answer(labels, ResultFormat::Csv, None),
        "s,l\r\nhttp://www.wikidata.org/entity/Q142,France\r\n"
    );
    assert_eq!(
        answer(labels, ResultFormat::Tsv, None),
        "?s\t?l\n<http://www.wikidata.org/entity/Q142>\t\"France\"\n"
    );
    let json: serde_json::Value =
        serde_json::from_str(&answer(labels, ResultFormat::Json, None)).unwrap();
    assert_eq!(json["results"]["bindings"][0]["l"]["value"], "France");
    assert_eq!(answer("ASK { wd:Q142 ?p ?o }", ResultFormat::Table, None), "true\n");
    assert!(answer("ASK { wd:Q1 ?p ?o }", ResultFormat::Json, None).contains("false"));
}

#[test]
fn no_rows_is_an_answer() {
    assert!(
        answer("SELECT ?x { ?x a owl:Class }", ResultFormat::Table, None).ends_with("0 rows\n")
    );
    assert!(answer("SELECT * {}", ResultFormat::Table, None).ends_with("1 row\n"));
}

#[test]
fn construct_gives_turtle_with_prefixes() {
    let turtle = answer("CONSTRUCT WHERE { ?s rdfs:label ?l }", ResultFormat::Table, None);
    assert!(turtle.contains("wd:Q142 rdfs:label \"France\""), "{turtle}");
    assert!(answer("DESCRIBE wd:Q183", ResultFormat::Csv, None).contains("@de"));
}

#[test]
fn prefixes_of_the_query_are_used_and_win() {
    let sparql = "# PREFIX x: <http://x/>\nBASE <http://www.wikidata.org/>\n\
        prefix e: <http://www.wikidata.org/entity/Q1>\nPREFIX : <http://www.wikidata.org/prop/>\n\
        SELECT ?p { e:42 ?p <entity/Q90> }";
    assert_eq!(
        declared_prefixes(sparql),
        [("e", "http://www.wikidata.org/entity/Q1"), ("", "http://www.wikidata.org/prop/")]
    );
    assert!(answer(sparql, ResultFormat::Table, None).contains("wdt:P36"));
}

#[test]
fn long_results_come_in_blocks_of_one_shape() {
    let sparql = "SELECT ?n ?t { VALUES ?a {0 1 2 3 4 5 6 7 8 9} VALUES ?b {0 1 2 3 4 5 6 7 8 9}
        VALUES ?c {0 1 2 3 4 5 6 7 8 9} VALUES ?d {0 1 2}
        BIND(?a + 10 * ?b + 100 * ?c + 1000 * ?d AS ?n) BIND('text' AS ?t) } ORDER BY ?n";
    let text = answer(sparql, ResultFormat::Table, Some(40));
    let rows: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(rows.len(), 3001);
    assert_eq!(rows[0], "   0  text");
    assert_eq!(rows[999], " 999  text");
    assert_eq!(rows[2999], " 2999  text");
    assert_eq!(rows[3000], "3000 rows");
}

#[test]
fn a_table_fits_its_width_and_loses_nothing() {
    let sparql =
        "SELECT ?long ?n { BIND('one two three four five six seven' AS ?long) BIND(42 AS ?n) }";
    let text = answer(sparql, ResultFormat::Table, Some(20));
    assert!(text.lines().all(|l| l.chars().count() <= 20), "{text}");
    for word in ["one", "four", "seven", "42"] {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn labels_do_not_steer_the_terminal() {
    let table = answer("SELECT ('\\u001b[2J\\n' AS ?x) {}", ResultFormat::Table, None);
    assert!(table.contains("\\u{1b}[2J\\n"), "{table}");
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let sparql = "PREFIX e: <http://e.org/> SELECT * { e:a ?p x:b }";
    match query(&store(), sparql, ResultFormat::Table, None, &mut Vec::new()) {
        Err(QueryError::Syntax(e)) => assert_eq!((e.line, e.column), (1, 45)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_closed_pipe_is_told_as_one() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for format in [ResultFormat::Table, ResultFormat::Csv, ResultFormat::Tsv, ResultFormat::Json] {
        match query(&store(), CAPITALS, format, None, &mut Closed) {
            Err(QueryError::Output(e)) => assert_eq!(e.kind(), io::ErrorKind::BrokenPipe),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_service_elsewhere_is_refused() {
    let sparql = "SELECT * { SERVICE <http://example.org/> { ?s ?p ?o } }";
    let result = query(&store(), sparql, ResultFormat::Csv, None, &mut Vec::new());
    assert!(matches!(result, Err(QueryError::Evaluation(_))), "{result:?}");
}
