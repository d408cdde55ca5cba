//! What is drawn around an entity.

use serde_json::{Value, json};

use crate::server::Server;

fn around(server: &Server, id: &str) -> Value {
    let path = format!("/neighbours?iri=http://www.wikidata.org/entity/{id}");
    let answer = server.get(&path, "*/*");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    serde_json::from_str(&answer.body).unwrap()
}

#[test]
fn neighbours_are_told_in_both_directions() {
    let server = Server::start(&[]);
    let (france, paris) =
        ("http://www.wikidata.org/entity/Q142", "http://www.wikidata.org/entity/Q90");
    let edge = json!({
        "source": france, "target": paris, "label": "capital",
        "relation": "http://www.wikidata.org/prop/direct/P36", "confidence": 0.93, "known": false,
    });
    let node = |iri: &str, label: &str, page: &str| json!({ "id": iri, "label": label, "kind": "entity", "page": page });
    let (one, other) =
        (node(france, "France", "/entity/wd:Q142"), node(paris, "Paris", "/entity/wd:Q90"));
    assert_eq!(
        around(&server, "Q142"),
        json!({ "nodes": [one, other], "edges": [edge], "more": 0 })
    );
    assert_eq!(
        around(&server, "Q90"),
        json!({ "nodes": [other, one], "edges": [edge], "more": 0 })
    );
}

#[test]
fn labels_of_others_are_text_in_a_drawing() {
    let server = Server::start(&[]);
    let around = around(&server, "Q1");
    let label = around["nodes"][0]["label"].as_str().unwrap();
    assert_eq!(label, r"A <script>alert(1)</script> & \u{202e}long\tname");
}

#[test]
fn what_has_no_neighbours_is_a_problem_with_its_reason() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/neighbours", "*/*").status, 400);
    assert_eq!(server.get("/neighbours?iri=not%20an%20iri", "*/*").status, 400);
    let missing = server.get("/neighbours?iri=http://example.org/France", "*/*");
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("near to it: France"), "{}", missing.body);
}

#[test]
fn the_page_of_an_entity_has_a_place_for_it() {
    let server = Server::start(&[]);
    let page = server.get("/entity/wd:Q142", "text/html").body;
    let address =
        "data-neighbours=\"/neighbours?iri=http%3A%2F%2Fwww.wikidata.org%2Fentity%2FQ142\"";
    for text in [address, " hidden", "src=\"/static/drawing.js\""] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // What draws comes when it is wanted.
    assert!(!page.contains("cytoscape"), "{page}");
    let own = server.get("/static/drawing.js", "*/*");
    assert!(own.body.contains("/static/cytoscape.js") && !own.body.contains("http"));
    let library = server.get("/static/cytoscape.js", "*/*");
    assert_eq!(library.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert!(library.body == include_str!("../../src/serve/static/cytoscape.min.js"));
    assert!(!server.get("/relation/wdt:P36", "text/html").body.contains("drawing.js"));
}
