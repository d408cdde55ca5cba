//! The SPARQL 1.1 protocol and the Graph Store protocol.

use kgbuild::graph::{self, GraphWriter, RunDescription};

use crate::server::Server;

const CAPITALS: &str =
    "SELECT ?c WHERE { ?s wdt:P36 ?o {| kgb:confidence ?c |} . ?s rdfs:label \"France\" }";

/// A text as a value within an address or a form.
pub fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn a_query_is_answered_in_every_way_and_format() {
    let server = Server::start(&[]);
    let get = format!("/sparql?query={}", encoded(CAPITALS));
    let form = format!("query={}", encoded(CAPITALS));
    for (kind, accept, expected) in [
        ("application/sparql-results+json", "*/*", "\"value\":\"0.93\""),
        ("application/sparql-results+json", "application/json", "\"value\":\"0.93\""),
        ("application/sparql-results+xml", "application/sparql-results+xml", ">0.93</literal>"),
        ("text/csv; charset=utf-8", "text/csv", "c\r\n0.93\r\n"),
        ("text/tab-separated-values; charset=utf-8", "text/tab-separated-values", "?c\n0.93\n"),
    ] {
        let answers = [
            server.get(&get, accept),
            server.query(CAPITALS, accept),
            server.post("/sparql", "application/x-www-form-urlencoded", accept, &form),
        ];
        for answer in answers {
            assert_eq!(answer.status, 200, "{accept}: {}", answer.body);
            assert_eq!(answer.header("content-type"), Some(kind), "{accept}");
            assert!(answer.body.contains(expected), "{accept}: {}", answer.body);
        }
    }
    let head = server
        .raw(format!("HEAD {get} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes());
    assert_eq!((head.status, &*head.body), (200, ""));
    let asked = server.query("ASK { ?s wdt:P36 ?o }", "application/sparql-results+xml");
    assert!(asked.body.contains("<boolean>true</boolean>"), "{}", asked.body);
    let format = server.get(&format!("{get}&format=text/csv"), "text/html");
    assert_eq!(format.body, "c\r\n0.93\r\n");
}

#[test]
fn triples_come_in_every_format_and_with_triple_terms() {
    let server = Server::start(&[]);
    let plain = "CONSTRUCT { ?s wdt:P36 ?o } WHERE { ?s wdt:P36 ?o . ?s rdfs:label \"France\" }";
    for (accept, kind, expected) in [
        ("text/turtle", "text/turtle; charset=utf-8", "wd:Q142 wdt:P36 wd:Q90"),
        ("application/n-triples", "application/n-triples", "/Q142> <http"),
        ("application/rdf+xml", "application/rdf+xml", "rdf:about="),
        ("application/ld+json", "application/ld+json", "\"@id\""),
        ("application/n-quads", "application/n-quads", "/Q142> <http"),
        ("application/trig", "application/trig", "wd:Q142 wdt:P36 wd:Q90"),
    ] {
        let answer = server.query(plain, accept);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)));
        assert!(answer.body.contains(expected), "{accept}: {}", answer.body);
    }
    let annotated = "CONSTRUCT WHERE { ?r rdf:reifies ?t ; kgb:confidence ?c }";
    let answer = server.query(annotated, "text/turtle; version=1.2");
    assert_eq!(answer.header("content-type"), Some("text/turtle; charset=utf-8; version=1.2"));
    assert!(answer.body.contains("<<( "), "{}", answer.body);
    let answer = server.query("SELECT ?t WHERE { ?r rdf:reifies ?t }", "application/json");
    assert!(answer.body.contains("\"type\":\"triple\""), "{}", answer.body);
}

#[test]
fn graphs_are_chosen_by_the_request() {
    let server = Server::start(&[]);
    let schema = encoded("https://w3id.org/kgbuild#schema");
    let count = encoded("SELECT (COUNT(*) AS ?n) WHERE { ?s wdt:P36 ?o }");
    let of = |graph: &str| server.get(&format!("/sparql?query={count}{graph}"), "text/csv").body;
    assert_eq!(of(""), "n\r\n4\r\n");
    assert_eq!(of(&format!("&default-graph-uri={schema}")), "n\r\n0\r\n");
    let named = encoded("ASK { GRAPH ?g { ?s a owl:ObjectProperty } }");
    let asked = |graph: &str| server.get(&format!("/sparql?query={named}{graph}"), "text/csv").body;
    assert_eq!(asked(&format!("&named-graph-uri={schema}")).trim(), "true");
    assert_eq!(asked("&named-graph-uri=http://example.org/none").trim(), "false");
    let whole = server.get("/store?default", "application/n-triples");
    assert!(whole.status == 200 && whole.body.contains("/Q90>"));
    let schema = server.get(&format!("/store?graph={schema}"), "text/turtle");
    assert!(schema.status == 200 && schema.body.contains("owl:ObjectProperty"), "{}", schema.body);
    assert_eq!(server.get("/store?graph=http://example.org/none", "*/*").status, 404);
    assert_eq!(server.get("/store", "*/*").status, 400);
    // Facts have triples within triples, which this format has not.
    assert_eq!(server.get("/store?default", "application/ld+json").status, 406);
}

#[test]
fn nothing_can_be_changed() {
    let server = Server::start(&[]);
    let form = "application/x-www-form-urlencoded";
    let update = server.post("/sparql", "application/sparql-update", "*/*", "DROP ALL");
    assert_eq!(update.status, 403);
    assert_eq!(server.post("/sparql", form, "*/*", "update=DROP+ALL").status, 403);
    assert_eq!(server.query("DROP ALL", "*/*").status, 400);
    assert_eq!(server.query("LOAD <http://example.org/>", "*/*").status, 400);
    let service = "SELECT * WHERE { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }";
    assert_eq!(server.query(service, "*/*").status, 400);
    for method in ["PUT", "DELETE", "POST", "PATCH"] {
        let text = format!(
            "{method} /store?default HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let answer = server.raw(text.as_bytes());
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET,HEAD")), "{method}");
    }
    let left = server.query("SELECT (COUNT(*) AS ?n) WHERE { ?s wdt:P36 ?o }", "text/csv");
    assert_eq!(left.body, "n\r\n4\r\n");
}

#[test]
fn no_run_changes_a_graph_that_is_served() {
    let server = Server::start(&[]);
    let base = "https://example.org/g/";
    let run = || GraphWriter::open(server.folder(), base, &RunDescription::default(), true);
    assert!(matches!(run(), Err(graph::Error::InUse { .. })));
    let others = graph::hold(server.folder());
    assert!(others.is_ok(), "others may read it");
}

#[test]
fn the_service_describes_itself() {
    let server = Server::start(&[]);
    let answer = server.get("/sparql", "text/turtle");
    assert_eq!(answer.status, 200);
    for said in ["sd:Service", "sd:SPARQL11Query", "<http://x/sparql>", "void:Dataset", "#schema"] {
        assert!(answer.body.contains(said), "{said}: {}", answer.body);
    }
    let page = server.get("/sparql", "text/html");
    assert_eq!((page.status, page.header("location")), (303, Some("/query")));
}

#[test]
fn other_sites_may_read_only_where_that_is_said() {
    let server = Server::start(&[]);
    let answer = server.query("ASK {}", "*/*");
    assert_eq!(answer.header("access-control-allow-origin"), None);
    let server = Server::start(&["--cors", "https://example.org"]);
    let answer = server.query("ASK {}", "*/*");
    let origin = Some("https://example.org");
    assert_eq!(answer.header("access-control-allow-origin"), origin);
    let asked = server.raw(b"OPTIONS /sparql HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (204, origin));
}
