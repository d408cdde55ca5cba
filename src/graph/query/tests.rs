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
    let options = QueryOptions { format, width, ..Default::default() };
    query(&store(), sparql, options, &mut out).unwrap();
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
    match query(&store(), sparql, QueryOptions::default(), &mut Vec::new()) {
        Err(QueryError::Syntax(e)) => assert_eq!((e.line, e.column), (1, 45)),
        other => panic!("{other:?}"),
    }
}

/// A pipe whose reader has gone.
struct Closed;
impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_is_told_as_one() {
    for format in [ResultFormat::Table, ResultFormat::Csv, ResultFormat::Tsv, ResultFormat::Json] {
        let options = QueryOptions { format, ..Default::default() };
        match query(&store(), CAPITALS, options, &mut Closed) {
            Err(QueryError::Output(e)) => assert_eq!(e.kind(), io::ErrorKind::BrokenPipe),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_service_elsewhere_is_refused() {
    let sparql = "SELECT * { SERVICE <http://example.org/> { ?s ?p ?o } }";
    let result = query(&store(), sparql, QueryOptions::default(), &mut Vec::new());
    assert!(matches!(result, Err(QueryError::Evaluation(_))), "{result:?}");
}

/// Brackets and signs as many as are accepted, and chains as long as the optimiser takes a second for:
/// before, each of them overflowed the stack.
#[test]
fn deep_queries_are_answered() {
    let brackets = |open: &str, inside: &str, close: &str| {
        let count = depth::MOST_BRACKETS - 10;
        format!("{}{inside}{}", open.repeat(count), close.repeat(count))
    };
    let chain = |link: &str| link.repeat(2_000);
    let signs = "!".repeat(depth::MOST_WORDS - 20);
    for pattern in [
        format!("FILTER({})", brackets("(", "1 = 1", ")")),
        format!("FILTER({})", brackets("ABS(", "1", ")")),
        brackets("{ ", "?s ?p ?o", " }"),
        format!("?s {} ?o", brackets("(", "wdt:P36", ")")),
        format!("FILTER(1 = 2 {})", chain("|| 1 = 1 ")),
        format!("FILTER(1 = 1 {})", chain("&& 1 = 1 ")),
        format!("{{}} {}", chain("UNION {} ")),
        format!("FILTER({signs}1)"),
    ] {
        let sparql = format!("ASK {{ {pattern} }}");
        assert_eq!(answer(&sparql, TABLE, None), "true\n", "{}", &pattern[..40]);
    }
}

const TABLE: ResultFormat = ResultFormat::Table;

#[test]
fn what_is_deeper_is_refused_before_it_is_parsed() {
    for (text, refusal) in [
        ("(".repeat(4_000), TooDeep::Brackets),
        (format!("1 = 1{}", " || 1 = 1".repeat(100_000)), TooDeep::Words),
    ] {
        let sparql = format!("ASK {{ FILTER({text}) }}");
        match query(&store(), &sparql, QueryOptions::default(), &mut Vec::new()) {
            Err(QueryError::TooDeep(found)) => assert_eq!(found, refusal),
            other => panic!("{other:?}"),
        }
    }
}

/// A query that would take for ever: by reading the store, and without.
const ENDLESS: [&str; 2] = [
    "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n ?o . ?p ?q ?r .
        ?s ?t ?u . ?v ?w ?x . ?y ?z ?aa . ?ab ?ac ?ad . ?ae ?af ?ag . ?ah ?ai ?aj }",
    "SELECT (COUNT(*) AS ?n) { VALUES ?a {0 1 2 3 4 5 6 7 8 9} VALUES ?b {0 1 2 3 4 5 6 7 8 9}
        VALUES ?c {0 1 2 3 4 5 6 7 8 9} VALUES ?d {0 1 2 3 4 5 6 7 8 9}
        VALUES ?e {0 1 2 3 4 5 6 7 8 9} VALUES ?f {0 1 2 3 4 5 6 7 8 9}
        VALUES ?g {0 1 2 3 4 5 6 7 8 9} VALUES ?h {0 1 2 3 4 5 6 7 8 9}
        VALUES ?i {0 1 2 3 4 5 6 7 8 9} FILTER(?a + ?b + ?c + ?d + ?e + ?f + ?g + ?h + ?i < 0) }",
];

#[test]
fn a_query_ends_when_its_time_is_over() {
    let streaming = ENDLESS[0].replace("(COUNT(*) AS ?n)", "*");
    for sparql in [ENDLESS[0], ENDLESS[1], &streaming] {
        let timeout = Some(Duration::from_millis(100));
        let options = QueryOptions { timeout, format: ResultFormat::Csv, ..Default::default() };
        let ended = query(&store(), sparql, options, &mut Vec::new());
        assert!(matches!(ended, Err(QueryError::TimedOut { .. })), "{ended:?}");
    }
    let options = QueryOptions { timeout: Some(Duration::MAX), ..Default::default() };
    query(&store(), CAPITALS, options, &mut Vec::new()).unwrap();
}

/// Rows are handed over while others are still looked for: of an endless result there is no last one.
#[test]
fn results_come_as_they_are_found() {
    let options = QueryOptions { format: ResultFormat::Csv, ..Default::default() };
    let endless = ENDLESS[0].replace("(COUNT(*) AS ?n)", "*");
    let ended = query(&store(), &endless, options, &mut Closed);
    assert!(matches!(ended, Err(QueryError::Output(_))), "{ended:?}");
}
