//! The Reconciliation Service API, asked as OpenRefine asks it.

use serde_json::{Value, json};

use crate::protocol::encoded;
use crate::server::{Answer, Server};
use crate::store::{wd, wdt};

const FORM: &str = "application/x-www-form-urlencoded";

fn parsed(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_str(&answer.body).unwrap()
}

/// What is answered to a batch in a form.
fn posted(server: &Server, batch: &Value) -> Value {
    let queries = format!("queries={}", encoded(&batch.to_string()));
    parsed(&server.post("/reconcile", FORM, "application/json", &queries))
}

/// What is answered to a batch, which is sent both ways.
fn reconciled(server: &Server, batch: &Value) -> Value {
    let posted = posted(server, batch);
    let queries = format!("queries={}", encoded(&batch.to_string()));
    let got = parsed(&server.get(&format!("/reconcile?{queries}"), "application/json"));
    assert_eq!(posted, got);
    posted
}

/// The identifiers of candidates or suggestions, in their order.
fn ids(answer: &Value) -> Vec<&str> {
    let result = answer["result"].as_array().unwrap();
    result.iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[test]
fn the_manifest_says_where_everything_is() {
    let server = Server::start(&[]);
    let manifest = parsed(&server.get("/reconcile", "application/json"));
    assert_eq!(manifest["versions"], json!(["0.2"]));
    for key in ["name", "identifierSpace", "schemaSpace"] {
        assert!(manifest[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
    }
    assert_eq!(manifest["view"]["url"], "http://x/entity?iri={{id}}");
    assert_eq!(manifest["preview"]["url"], "http://x/reconcile/preview?id={{id}}");
    assert!(manifest["preview"]["width"].is_u64() && manifest["preview"]["height"].is_u64());
    for kind in ["entity", "type", "property"] {
        assert_eq!(manifest["suggest"][kind]["service_url"], "http://x/reconcile");
        assert_eq!(manifest["suggest"][kind]["service_path"], format!("/suggest/{kind}"));
    }
    let types = manifest["defaultTypes"].as_array().unwrap();
    assert!(types.contains(&json!({ "id": wd("Q5119"), "name": "capital city" })), "{types:?}");
    let secure = "GET /reconcile HTTP/1.1\r\nhost: example.org\r\nx-forwarded-proto: https\r\n\
        connection: close\r\n\r\n";
    let manifest = parsed(&server.raw(secure.as_bytes()));
    assert_eq!(manifest["view"]["url"], "https://example.org/entity?iri={{id}}");
}

#[test]
fn names_are_linked_to_entities() {
    let server = Server::start(&[]);
    let answers = reconciled(
        &server,
        &json!({
            "same": { "query": " YAOUNDE ", "limit": 5, "type_strict": "should" },
            "misspelt": { "query": "Yaunde" },
            "begun": { "query": "Germ" },
            "typed": { "query": "France", "type": wd("Q6256"), "type_strict": "should" },
            "of another type": { "query": "France", "type": [wd("Q5119")] },
            "shared": { "query": "another name", "limit": 3 },
            "alias": { "query": "other names" },
            "iri": { "query": "wd:Q142" },
            "relation": { "query": "capital" },
            "unknown": { "query": "Atlantis" },
            "empty": { "query": "" },
        }),
    );
    let same = &answers["same"]["result"][0];
    assert_eq!((&same["id"], &same["name"]), (&json!(wd("Q3808")), &json!("Yaoundé")));
    assert_eq!((&same["score"], &same["match"]), (&json!(100.0), &json!(true)));
    assert_eq!(same["type"], json!([{ "id": wd("Q5119"), "name": "capital city" }]));
    let misspelt = &answers["misspelt"]["result"][0];
    assert_eq!((&misspelt["id"], &misspelt["match"]), (&json!(wd("Q3808")), &json!(false)));
    assert_eq!(misspelt["score"], json!(85.7));
    assert_eq!(ids(&answers["begun"]), [wd("Q183")]);
    assert_eq!(answers["typed"]["result"][0]["match"], json!(true));
    assert_eq!(ids(&answers["typed"]), [wd("Q142")]);
    assert!(ids(&answers["of another type"]).is_empty());
    let shared = answers["shared"]["result"].as_array().unwrap();
    assert_eq!(shared.len(), 3);
    for one in shared {
        assert_eq!((&one["score"], &one["match"]), (&json!(100.0), &json!(false)));
        assert_eq!(one["description"], "also: another name");
    }
    assert_eq!(ids(&answers["alias"]).len(), 4);
    assert_eq!(ids(&answers["iri"]), [wd("Q142")]);
    assert_eq!(answers["iri"]["result"][0]["match"], json!(true));
    for none in ["relation", "unknown", "empty"] {
        assert!(ids(&answers[none]).is_empty(), "{none}: {}", answers[none]);
    }
}

#[test]
fn properties_speak_for_candidates_and_against_them() {
    let server = Server::start(&[]);
    let with = |relation: &str, value: Value| {
        let properties = json!([{ "pid": relation, "v": value }]);
        let batch = json!({ "q0": { "query": "France", "properties": properties } });
        let answer = reconciled(&server, &batch);
        let first = &answer["q0"]["result"][0];
        assert_eq!(first["id"], json!(wd("Q142")));
        (first["score"].as_f64().unwrap(), first["match"].as_bool().unwrap())
    };
    assert_eq!(with(&wdt("P36"), json!({ "id": wd("Q90") })), (100.0, true));
    assert_eq!(with("wdt:P36", json!("paris")), (100.0, true));
    assert_eq!(with("wdt:P36", json!(["Paris", "Another name"])), (100.0, true));
    assert_eq!(with("wdt:P36", json!("Berlin")), (70.0, false));
    assert_eq!(with("wdt:P36", json!("")), (100.0, true));
    assert_eq!(with("wdt:P999", json!(7)), (85.0, true));
}

#[test]
fn suggestions_come_as_one_types() {
    let server = Server::start(&[]);
    let suggested = |path: &str| parsed(&server.get(&format!("/reconcile/suggest/{path}"), "*/*"));
    let entities = suggested("entity?prefix=par");
    assert_eq!(ids(&entities), [wd("Q90")]);
    let first = &entities["result"][0];
    assert_eq!((&first["name"], &first["description"]), (&json!("Paris"), &json!("capital city")));
    assert_eq!(first["notable"][0]["id"], json!(wd("Q5119")));
    assert_eq!(ids(&suggested("entity?prefix=wd:Q90")), [wd("Q90")]);
    assert_eq!(ids(&suggested("entity?prefix=another")).len(), 4);
    assert_eq!(ids(&suggested("entity?prefix=another&cursor=3")).len(), 1);
    assert!(ids(&suggested("entity?prefix=capital")).is_empty());
    let types = suggested("type?prefix=city");
    assert_eq!(ids(&types), [wd("Q5119")]);
    assert_eq!(types["result"][0]["description"], "4 entities");
    assert_eq!(ids(&suggested("type?prefix=")).len(), 2);
    let properties = suggested("property?prefix=capi");
    assert_eq!(ids(&properties), [wdt("P36")]);
    assert_eq!(properties["result"][0]["description"], "4 facts");
    assert_eq!(ids(&suggested("property?prefix=wdt:P36")), [wdt("P36")]);
    assert_eq!(server.get("/reconcile/suggest/fact?prefix=a", "*/*").status, 404);
    assert_eq!(server.get("/reconcile/suggest/type?cursor=-1", "*/*").status, 400);
}

#[test]
fn a_preview_may_be_shown_by_others_and_nothing_else_may() {
    let server = Server::start(&[]);
    let path = format!("/reconcile/preview?id={}", encoded(&wd("Q142")));
    let page = server.get(&path, "text/html");
    let kind = Some("text/html; charset=utf-8");
    assert_eq!((page.status, page.header("content-type")), (200, kind));
    for text in ["<h1>France</h1>", "capital", "Paris", "0.93", "/entity/wd:Q142"] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(!page.body.contains("<script") && !page.body.contains("<form"), "{}", page.body);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'") && policy.ends_with("frame-ancestors *"));
    assert_eq!(page.header("x-frame-options"), None);
    let hostile =
        server.get("/reconcile/preview?id=http://www.wikidata.org/entity/Q1", "text/html");
    assert!(hostile.body.contains("&lt;script&gt;") && !hostile.body.contains("<script"));
    let other = server.get("/entity/wd:Q142", "text/html");
    let policy = other.header("content-security-policy").unwrap();
    assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
    assert_eq!(server.get("/reconcile/preview?id=http://example.org/none", "*/*").status, 404);
    assert_eq!(server.get("/reconcile/preview", "*/*").status, 400);
}

#[test]
fn a_table_is_extended_by_what_the_graph_says() {
    let server = Server::start(&[]);
    let (france, capital) = (wd("Q142"), wdt("P36"));
    let asked = json!({
        "ids": [&france, "no iri"],
        "properties": [{ "id": &capital, "settings": {} }],
    });
    let form = format!("extend={}", encoded(&asked.to_string()));
    let answer = parsed(&server.post("/reconcile", FORM, "application/json", &form));
    assert_eq!(answer["meta"], json!([{ "id": &capital, "name": "capital" }]));
    let cells = &answer["rows"][&france][&capital];
    assert_eq!(cells, &json!([{ "id": wd("Q90"), "name": "Paris" }]));
    assert_eq!(answer["rows"]["no iri"][&capital], json!([]));
    let path = format!("/reconcile/properties?type={}&limit=5", encoded(&wd("Q6256")));
    let proposed = parsed(&server.get(&path, "*/*"));
    assert_eq!(proposed["properties"], json!([{ "id": &capital, "name": "capital" }]));
    assert_eq!((&proposed["type"], &proposed["limit"]), (&json!(wd("Q6256")), &json!(5)));
    let of_none = parsed(&server.get("/reconcile/properties?type=wd:Q5119", "*/*"));
    assert_eq!(of_none["properties"], json!([]));
}

#[test]
fn what_is_no_question_is_refused_with_its_reason() {
    let server = Server::start(&[]);
    let sent = |form: &str| server.post("/reconcile", FORM, "*/*", form);
    for (form, reason) in [
        ("queries=%7B", "JSON"),
        ("queries=[]", "JSON"),
        ("queries=%7B%22q0%22:%7B%22query%22:7%7D%7D", "JSON"),
        ("queries=%7B%7D&extend=%7B%7D", "not both"),
        ("extend=%7B%7D", "JSON"),
        ("", "no `queries`"),
        ("queries=%ff", "JSON"),
    ] {
        let answer = sent(form);
        assert_eq!(answer.status, 400, "{form}: {}", answer.body);
        assert!(answer.body.contains(reason), "{form}: {}", answer.body);
    }
    let deep = format!("queries={}", "[".repeat(500_000));
    assert_eq!(sent(&deep).status, 400);
    let many: Vec<String> = (0..201).map(|i| format!("\"q{i}\":{{\"query\":\"a\"}}")).collect();
    let many = sent(&format!("queries={}", encoded(&format!("{{{}}}", many.join(",")))));
    assert!(many.status == 413 && many.body.contains("at most 200"), "{}", many.body);
    assert_eq!(sent(&"a".repeat(2 << 20)).status, 413);
    assert_eq!(server.post("/reconcile", "application/json", "*/*", "{}").status, 415);
    let put =
        b"PUT /reconcile HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_eq!(server.raw(put).status, 405);
    let host = b"GET /reconcile HTTP/1.1\r\nhost: \"<x>\r\nconnection: close\r\n\r\n";
    assert_eq!(server.raw(host).status, 400);
    let long = json!({ "q0": { "query": "yaounde ".repeat(10_000) } });
    assert!(posted(&server, &long)["q0"]["result"].is_array());
}

#[test]
fn other_sites_may_reconcile_only_where_that_is_said() {
    let path = "/reconcile/suggest/entity?prefix=par&callback=read";
    let origin = |server: &Server| {
        let answer = server.get(path, "*/*");
        assert!(answer.body.starts_with('{'), "{}", answer.body);
        answer.header("access-control-allow-origin").map(str::to_owned)
    };
    assert_eq!(origin(&Server::start(&[])), None);
    let server = Server::start(&["--cors", "http://127.0.0.1:3333"]);
    assert_eq!(origin(&server).as_deref(), Some("http://127.0.0.1:3333"));
}
