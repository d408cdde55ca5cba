//! Requests that are wrong, too large, too slow or too many, and what is answered after them.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::server::{Server, answer};

/// Pairs of pairs of pairs: more than any machine joins.
const ENDLESS: &str = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n ?o . ?p ?q ?r }";

fn is_well(server: &Server) {
    assert_eq!(server.query("ASK { ?s wdt:P36 ?o }", "text/csv").body.trim(), "true");
}

#[test]
fn a_wrong_query_is_told_with_its_place() {
    let server = Server::start(&[]);
    let answer = server.query("SELECT ?s\nWHERE { ?s wdt:P36 }", "*/*");
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert!(answer.body.contains("line 2, column 20"), "{}", answer.body);
    let hint = server.query("SELEC * WHERE {}", "*/*");
    assert!(hint.status == 400 && hint.body.contains("help"), "{}", hint.body);
    let page = server.get("/query?query=SELECT", "text/html");
    assert!(page.status == 400 && page.body.contains("line 1"), "{}", page.body);
    assert_eq!(server.query("ASK {}", "image/png").status, 406);
    let deep = format!("ASK {{ {}?s ?p ?o {} }}", "{".repeat(100_000), "}".repeat(100_000));
    assert_eq!(server.query(&deep, "*/*").status, 400);
    assert_eq!(server.query(&" ".repeat(2 << 20), "*/*").status, 413);
    is_well(&server);
}

#[test]
fn what_takes_too_long_or_gives_too_much_is_ended() {
    let server = Server::start(&["--timeout", "1", "--result", "1"]);
    let begin = Instant::now();
    let slow = server.query(ENDLESS, "*/*");
    assert_eq!((slow.status, slow.header("retry-after")), (503, None));
    assert!(slow.body.contains("within 1 s"), "{}", slow.body);
    assert!(begin.elapsed() < Duration::from_secs(10));
    let long = "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }";
    let long = server.query(long, "text/csv");
    // What was begun cannot be taken back, but it does not end as if it was whole.
    assert!(
        long.body.len() < 1_100_000 && long.status == 200,
        "{} {}",
        long.status,
        long.body.len()
    );
    is_well(&server);
}

#[test]
fn queries_beyond_the_bound_are_told_to_come_again() {
    let server = Server::start(&["--timeout", "3", "--queries", "1"]);
    thread::scope(|scope| {
        let slow = scope.spawn(|| server.query(ENDLESS, "*/*").status);
        thread::sleep(Duration::from_millis(700));
        let other = server.query("ASK {}", "*/*");
        assert_eq!((other.status, other.header("retry-after")), (503, Some("5")));
        assert_eq!(slow.join().unwrap(), 503);
    });
    is_well(&server);
}

#[test]
fn queries_that_take_too_much_memory_are_ended() {
    let server = Server::start(&["--memory", "400", "--timeout", "60"]);
    let sorted =
        "SELECT ?a ?d ?g ?j WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l } ORDER BY ?l ?c";
    // Each text is ten times as long as the one before: 10 TB in the end, without reading anything.
    let mut texts = String::from("BIND(\"0123456789\" AS ?t0) ");
    for number in 1..13 {
        let ten = vec![format!("?t{}", number - 1); 10].join(", ");
        texts += &format!("BIND(CONCAT({ten}) AS ?t{number}) ");
    }
    let texts = format!("SELECT (STRLEN(?t12) AS ?n) WHERE {{ {texts} }}");
    for query in [sorted, &texts] {
        let large = server.query(query, "*/*");
        assert_eq!(large.status, 503, "{}", large.body);
        assert!(large.body.contains("memory"), "{}", large.body);
        is_well(&server);
    }
    assert!(server.memory() < 400_000_000);
}

#[test]
fn a_query_ends_when_its_client_goes() {
    let server = Server::start(&["--timeout", "60", "--queries", "1"]);
    let stream = server.begin(ENDLESS);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(server.query("ASK {}", "*/*").status, 503);
    drop(stream);
    let begin = Instant::now();
    while server.query("ASK {}", "*/*").status != 200 {
        assert!(begin.elapsed() < Duration::from_secs(20), "the query goes on");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn long_addresses_hold_nobody_up() {
    let server = Server::start(&[]);
    let begin = Instant::now();
    let iri = format!("/entity?iri=http://x/{}", "a".repeat(50_000));
    let words = format!("/suggest?q={}", "a+".repeat(20_000));
    for path in [iri, words] {
        let status = server.get(&path, "*/*").status;
        assert!([200, 404].contains(&status), "{status}");
    }
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[test]
fn more_clients_than_are_taken_are_told_so() {
    let server = Server::start(&[]);
    let silent: Vec<_> = (0..512).map(|_| server.connect()).collect();
    thread::sleep(Duration::from_millis(300));
    let refused = server.get("/", "*/*");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("15")));
    assert!(refused.body.contains("as many clients"), "{}", refused.body);
    drop(silent);
    let begin = Instant::now();
    while server.query("ASK {}", "*/*").status != 200 {
        assert!(begin.elapsed() < Duration::from_secs(20), "nobody is let in");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn addresses_with_tricks_find_nothing() {
    let server = Server::start(&[]);
    for path in
        ["/static/../Cargo.toml", "/static/..%2f..%2fetc%2fpasswd", "//etc/passwd", "/%00", "/none"]
    {
        let answer = server.get(path, "*/*");
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.body.contains("root:"), "{path}");
    }
    is_well(&server);
}

#[test]
fn malformed_requests_and_silent_clients_hold_nobody_up() {
    let server = Server::start(&[]);
    let mut silent: Vec<_> = (0..100).map(|_| server.connect()).collect();
    for stream in &mut silent {
        stream.write_all(b"GET / HT").unwrap();
    }
    let broken: [&[u8]; 6] = [
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"\xff\xfe\x00GET / HTTP/1.1\r\n\r\n",
        b"POST /sparql HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /sparql HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n",
    ];
    for request in broken {
        let mut stream = server.connect();
        stream.write_all(request).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let status = answer(&mut stream).status;
        assert!([0, 400, 505].contains(&status), "{request:?}: {status}");
    }
    let long = format!("GET /?{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(200_000));
    let mut stream = server.connect();
    let _refused = stream.write_all(long.as_bytes());
    assert!([0, 414, 431].contains(&answer(&mut stream).status));
    is_well(&server);
}

#[test]
fn a_signal_ends_it_after_what_is_being_answered() {
    for signal in ["-INT", "-TERM"] {
        let server = Server::start(&["--timeout", "2"]);
        let mut stream = server.begin(ENDLESS);
        let asking = thread::spawn(move || answer(&mut stream).status);
        thread::sleep(Duration::from_millis(500));
        assert_eq!(server.end(signal), Some(0), "{signal}");
        assert_eq!(asking.join().unwrap(), 503, "{signal}");
    }
}
