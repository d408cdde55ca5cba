//! A server of a small graph, and requests to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kgbuild::graph::{Object, RangeSchema, Schema};

use crate::store::{class, relation, wd, wdt, write_graph};

/// Subject, object, their labels, confidence.
pub type Row<'a> = (&'a str, &'a str, &'a str, &'a str, f64);

/// What is served where a test names nothing else.
const FACTS: [Row<'static>; 4] = [
    ("Q142", "Q90", "France", "Paris", 0.93),
    ("Q1009", "Q3808", "Cameroon", "Yaoundé", 0.75),
    ("Q1", "Q2", "A <script>alert(1)</script> & \u{202e}long\tname", "Ω; b|c", 0.5),
    ("Q183", "Q64", "Germany", "Berlin", 0.9),
];

/// A served graph; the server ends with it.
pub struct Server {
    child: Child,
    /// As 127.0.0.1:40000.
    pub address: String,
    /// What the server prints after its address.
    said: BufReader<std::process::ChildStdout>,
    folder: tempfile::TempDir,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Server {
    pub fn start(arguments: &[&str]) -> Self {
        Self::of(&FACTS, arguments)
    }

    /// Serves a graph of these facts, capitals of countries.
    pub fn of(rows: &[Row<'_>], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let iris: Vec<[String; 2]> = rows.iter().map(|fact| [wd(fact.0), wd(fact.1)]).collect();
        let (country, city, capital) = (wd("Q6256"), wd("Q5119"), wdt("P36"));
        let (mut entities, mut facts) = (Vec::new(), Vec::new());
        for ([subject, object], fact) in iris.iter().zip(rows) {
            entities.push((subject.as_str(), fact.2, "", country.as_str()));
            entities.push((object.as_str(), fact.3, "another name", city.as_str()));
            facts.push((subject.as_str(), capital.as_str(), Object::Entity(object), fact.4));
        }
        let range = RangeSchema::Entities(vec![vec![wd("Q5119")]]);
        let schema = Schema {
            relations: vec![relation("P36", "capital", range)],
            classes: vec![class("Q5119", "capital city", &[])],
        };
        write_graph(folder.path(), schema, &entities, &facts);
        Self::serving(folder, arguments)
    }

    /// Serves a graph that is there.
    fn serving(folder: tempfile::TempDir, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kgbuild"))
            .arg("serve")
            .arg(folder.path())
            .args(["--port", "0"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
        Self { child, address, said, folder }
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    /// Ends it at once, as a power cut would, and starts another one of the same graph.
    pub fn again(mut self, arguments: &[&str]) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        Self::serving(folder, arguments)
    }

    /// The output folder that is served.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// What is answered to these bytes, up to the connection's end.
    pub fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        answer(&mut stream)
    }

    pub fn get(&self, path: &str, accept: &str) -> Answer {
        self.raw(
            format!(
                "GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
            )
            .as_bytes(),
        )
    }

    pub fn post(&self, path: &str, kind: &str, accept: &str, body: &str) -> Answer {
        let length = body.len();
        self.raw(
            format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\naccept: {accept}\r\n\
                 content-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .as_bytes(),
        )
    }

    /// A connection over which a query was sent.
    pub fn begin(&self, sparql: &str) -> TcpStream {
        let mut stream = self.connect();
        let length = sparql.len();
        write!(
            stream,
            "POST /sparql HTTP/1.1\r\nhost: x\r\ncontent-type: application/sparql-query\r\n\
             content-length: {length}\r\n\r\n{sparql}"
        )
        .unwrap();
        stream
    }

    /// The answer to a query as a program asks it.
    pub fn query(&self, sparql: &str, accept: &str) -> Answer {
        self.post("/sparql", "application/sparql-query", accept, sparql)
    }

    /// Sends a signal and waits for the end.
    pub fn end(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }

    /// Bytes of memory that the server has in use.
    pub fn memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// What comes from a connection until it ends.
pub fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A connection that breaks off has sent what it has.
    let _broken = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { joined(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

/// The chunks of a body without their lengths, up to where it breaks off.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let Ok(length) = usize::from_str_radix(length, 16) else { break };
        let Some(part) = rest.get(..length) else { break };
        body += part;
        chunks = rest[length..].trim_start_matches("\r\n");
    }
    body
}
