//! Pages for people, and what others get at the same addresses.

use crate::server::Server;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[test]
fn pages_show_what_the_graph_says() {
    let server = Server::start(&[]);
    for (path, expected) in [
        ("/", &["4 facts about 8 entities", ">capital</a>", "/relation/wdt:P36"][..]),
        ("/entity/wd:Q142", &["<h1>France</h1>", ">Paris</a>", "0.930", "0.250", "0.125"]),
        ("/entity?iri=http://www.wikidata.org/entity/Q142", &["<h1>France</h1>"]),
        ("/entity/wd:Q90", &["<h1>Paris</h1>", "another name", ">France</a>", ">capital city</a>"]),
        ("/relation/wdt:P36", &["<h1>capital</h1>", "4 facts", ">Yaoundé</a>"]),
        ("/relation/wdt:P36", &["Facts by confidence", "The most frequent objects"]),
        ("/runs", &["correction", "linear"]),
        ("/search?q=yaounde", &["/entity/wd:Q3808"]),
        (
            "/query?query=SELECT%20*%20WHERE%20%7B%20?s%20wdt:P36%20?o%20%7D",
            &["4 rows", ">France</a>"],
        ),
        ("/query?query=ASK%20%7B%7D", &["Yes"]),
        ("/query?query=CONSTRUCT%20WHERE%20%7B?s%20wdt:P36%20?o%7D", &["wd:Q142 wdt:P36 wd:Q90"]),
    ] {
        let page = server.get(path, BROWSER);
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, Some("text/html; charset=utf-8"))
        );
        for text in expected {
            assert!(page.body.contains(text), "{path} has no {text}: {}", page.body);
        }
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!page.body.contains("style=") && !page.body.contains("<style"), "{path}");
    }
}

#[test]
fn text_of_others_stays_text() {
    let server = Server::start(&[]);
    let page = server.get("/entity/wd:Q1", BROWSER).body;
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(!page.contains("<script>alert") && !page.contains('\u{202e}'), "{page}");
    let searched = server.get("/search?q=%3Cscript%3E", BROWSER).body;
    assert!(!searched.contains("<script>"), "{searched}");
    let missing = server.get("/%3Cscript%3Ealert(1)%3C/script%3E", BROWSER);
    assert!(missing.status == 404 && !missing.body.contains("<script>alert"), "{}", missing.body);
}

#[test]
fn programs_get_triples_of_the_same_addresses() {
    let server = Server::start(&[]);
    let turtle = server.get("/entity/wd:Q142", "text/turtle");
    assert_eq!(turtle.status, 200);
    for said in ["wdt:P36 wd:Q90", "rdfs:label \"France\"", "kgb:confidence 0.93", "rdf:reifies"] {
        assert!(turtle.body.contains(said), "{said}: {}", turtle.body);
    }
    assert!(!turtle.body.contains("Q64"), "{}", turtle.body);
    let pointing = server.get("/entity/wd:Q90", "text/turtle").body;
    assert!(pointing.contains("wd:Q142 wdt:P36 wd:Q90"), "{pointing}");
    let json = server.get("/entity/wd:Q142", "application/ld+json");
    assert_eq!((json.status, json.header("vary")), (200, Some("accept")));
    assert!(json.body.contains("Q90") && !json.body.contains("reifies"), "{}", json.body);
    let link = server.get("/entity/wd:Q142?format=text/turtle", BROWSER);
    assert_eq!(link.header("content-type"), Some("text/turtle; charset=utf-8"));
    let class = server.get("/entity/wd:Q5119", "text/turtle").body;
    assert!(class.contains("\"capital city\""), "{class}");
    let suggested = server.get("/suggest?q=par", "application/json");
    assert!(
        suggested.body.contains("\"class\":\"capital city\",\"page\":\"/entity/wd:Q90\""),
        "{}",
        suggested.body
    );
}

#[test]
fn what_is_not_known_is_told_with_what_is_near() {
    let server = Server::start(&[]);
    let missing = server.get("/entity?iri=http://example.org/France", "*/*");
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("near to it: France"), "{}", missing.body);
    let near = server.get("/entity/wd:Q1420", "*/*");
    assert!(near.status == 404 && near.body.contains("Q142"), "{}", near.body);
    assert_eq!(server.get("/entity/none:Q1", "*/*").status, 404);
    assert_eq!(server.get("/entity?iri=not%20an%20iri", "*/*").status, 400);
    assert_eq!(server.get("/entity", "*/*").status, 400);
}

#[test]
fn files_are_the_programs_own() {
    let server = Server::start(&[]);
    let style = server.get("/static/style.css", "*/*");
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    let script = server.get("/static/search.js", "*/*");
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
    for text in [style.body, script.body] {
        assert!(!text.is_empty() && !text.contains("http://") && !text.contains("https://"));
    }
}
