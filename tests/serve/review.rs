//! Judging: who may, what it makes of the graph, and what is left of it where the server is killed.

use std::io::Write as _;
use std::process::Command;

use crate::server::{Answer, Server, answer};

const FORM: &str = "application/x-www-form-urlencoded";
const FRANCE: &str = "http://www.wikidata.org/entity/Q142";
const PARIS: &str = "http://www.wikidata.org/entity/Q90";
const CAPITAL: &str = "http://www.wikidata.org/prop/direct/P36";

/// One who judges: what their browser keeps.
struct Person {
    cookie: String,
    secret: String,
}

/// A form, as a browser sends it.
fn send(server: &Server, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut stream = server.connect();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: x\r\naccept: text/html\r\ncookie: {cookie}\r\n\
         content-type: {FORM}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    answer(&mut stream)
}

fn page(server: &Server, path: &str, cookie: &str) -> Answer {
    let mut stream = server.connect();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\naccept: text/html\r\ncookie: {cookie}\r\n\
         connection: close\r\n\r\n"
    )
    .unwrap();
    answer(&mut stream)
}

impl Person {
    fn enter(server: &Server, token: &str, name: &str) -> Self {
        let entered = send(server, "/review/enter", "", &[("token", token), ("name", name)]);
        assert_eq!(entered.status, 303, "{}", entered.body);
        let cookie = entered.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let secret = value(&page(server, "/review", &cookie).body, "secret");
        Self { cookie, secret }
    }

    fn page(&self, server: &Server, path: &str) -> String {
        let answer = page(server, path, &self.cookie);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    fn send(&self, server: &Server, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields: Vec<_> = [("secret", &*self.secret)].iter().chain(fields).copied().collect();
        send(server, path, &self.cookie, &fields)
    }

    fn judge(&self, server: &Server, fact: [&str; 2], seen: &str, more: &[(&str, &str)]) -> Answer {
        let object = format!("<{}>", fact[1]);
        let mut fields =
            vec![("of-subject", fact[0]), ("of-relation", CAPITAL), ("of-object", &*object)];
        fields.extend([("seen", seen), ("order", "random")]);
        fields.extend(more);
        self.send(server, "/review/judge", &fields)
    }
}

/// The value of the first field of a name on a page.
fn value(page: &str, name: &str) -> String {
    let at = page.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{page}"));
    page[at..].split('"').nth(3).unwrap().to_owned()
}

fn reviewed() -> (Server, String) {
    let mut server = Server::start(&["--review"]);
    let token = server.line().strip_prefix("token: ").unwrap().to_owned();
    (server, token)
}

fn asks(server: &Server, pattern: &str) -> bool {
    let answer = server.query(&format!("ASK {{ {pattern} }}"), "text/csv");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body.trim() == "true"
}

#[test]
fn who_does_not_know_the_token_cannot_judge() {
    let (server, token) = reviewed();
    assert!(page(&server, "/review", "").body.contains("name=\"token\""));
    assert_eq!(send(&server, "/review/enter", "", &[("token", "no"), ("name", "A")]).status, 403);
    let ann = Person::enter(&server, &token, "Ann");
    let stranger = Person { cookie: "kgbuild-review=00".to_owned(), secret: ann.secret.clone() };
    let forged = Person { cookie: ann.cookie.clone(), secret: "another".to_owned() };
    for person in [&stranger, &forged] {
        let refused = person.judge(&server, [FRANCE, PARIS], "0", &[("verdict", "wrong")]);
        assert_eq!(refused.status, 403, "{}", refused.body);
    }
    let fact = format!("<{FRANCE}> <{CAPITAL}> <{PARIS}>");
    assert!(asks(&server, &fact));
    for [path, status] in [["/review", "404"], ["/review/precision", "404"]] {
        let read_only = Server::start(&[]);
        assert_eq!(read_only.get(path, "text/html").status.to_string(), status);
    }
    let left = ann.send(&server, "/review/leave", &[]);
    assert_eq!(left.status, 303);
    let gone = ann.judge(&server, [FRANCE, PARIS], "0", &[("verdict", "wrong")]);
    assert_eq!(gone.status, 403);
}

#[test]
fn judgements_are_in_the_graph_at_once() {
    let (server, token) = reviewed();
    let [ann, ben] = ["Ann", "Ben"].map(|name| Person::enter(&server, &token, name));
    let first = ann.page(&server, "/review?order=uncertain");
    let subject = value(&first, "of-subject");
    assert!(subject.ends_with("Q1"), "the least sure comes first: {subject}");
    assert_ne!(value(&ben.page(&server, "/review?order=uncertain"), "of-subject"), subject);
    let skipped = ann.send(&server, "/review/skip", &[]);
    assert_eq!(skipped.header("location"), Some("/review?order=uncertain"));
    assert_ne!(value(&ann.page(&server, "/review"), "of-subject"), subject);

    let fact = format!("<{FRANCE}> <{CAPITAL}> <{PARIS}>");
    let judged = ann.judge(&server, [FRANCE, PARIS], "0", &[("verdict", "right")]);
    assert_eq!(judged.status, 303, "{}", judged.body);
    assert!(asks(&server, &format!("{fact} ~ ?r {{| kgb:judged true ; kgb:confidence 1.0 |}}")));
    let of =
        "GRAPH kgb:judgements { ?j kgb:judgedBy \"Ann\" ; kgb:verdict \"right\" ; rdf:subject ?s }";
    assert!(asks(&server, of));
    // Ben has not seen that.
    let late = ben.judge(&server, [FRANCE, PARIS], "0", &[("verdict", "wrong")]);
    assert_eq!((late.status, late.body.contains("Ann judged")), (409, true), "{}", late.body);
    let seen = ben.judge(&server, [FRANCE, PARIS], "1", &[("verdict", "wrong")]);
    assert_eq!(seen.status, 303);
    assert!(!asks(&server, &fact));
    let page = ben.page(&server, "/review");
    assert!(page.contains("France") && page.contains("by all: 2"), "{page}");
    assert_eq!(ben.send(&server, "/review/take-back", &[]).status, 303);
    assert!(asks(&server, &fact));

    // By a name, and by one that nothing has.
    let berlin = ["http://www.wikidata.org/entity/Q183", "http://www.wikidata.org/entity/Q64"];
    let instead = |answer: &str| {
        ben.judge(&server, berlin, "0", &[("verdict", "instead"), ("answer", answer)])
    };
    assert_eq!(instead("Nowhere").status, 400);
    assert_eq!(instead("yaoundé").status, 303);
    let yaounde = "<http://www.wikidata.org/entity/Q3808>";
    assert!(asks(&server, &format!("<{}> <{CAPITAL}> {yaounde}", berlin[0])));
    let precision = ann.page(&server, "/review/precision");
    assert!(precision.contains("0.500"), "{precision}");
    let invented = ann.judge(&server, [FRANCE, FRANCE], "0", &[("verdict", "right")]);
    assert_eq!(invented.status, 404);
}

#[test]
fn all_that_was_answered_is_there_after_a_kill() {
    let (mut server, mut token) = reviewed();
    let mut made = 0_usize;
    for round in 0..5 {
        let ann = Person::enter(&server, &token, "Ann");
        for number in 0..20 {
            let verdict = if number % 2 == 0 { "wrong" } else { "right" };
            let seen = made.to_string();
            let judged = ann.judge(&server, [FRANCE, PARIS], &seen, &[("verdict", verdict)]);
            assert_eq!(judged.status, 303, "round {round}, {number}: {}", judged.body);
            made += 1;
        }
        server = server.again(&["--review"]);
        token = server.line().strip_prefix("token: ").unwrap().to_owned();
        let count = server.query(
            "SELECT (COUNT(*) AS ?n) { GRAPH kgb:judgements { ?j kgb:verdict ?v } }",
            "text/csv",
        );
        assert_eq!(count.body.lines().nth(1), Some(&*made.to_string()));
    }
    let folder = server.folder().to_owned();
    let run = Command::new(env!("CARGO_BIN_EXE_kgbuild"))
        .args(["judgements", "export"])
        .arg(&folder)
        .output()
        .unwrap();
    let expected =
        format!("{{\"object\":\"{PARIS}\",\"relation\":\"{CAPITAL}\",\"subject\":\"{FRANCE}\"}}\n");
    assert_eq!(String::from_utf8(run.stdout).unwrap(), expected);
}
