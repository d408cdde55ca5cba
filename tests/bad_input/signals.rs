//! Commands that are ended from outside: by a signal, or when their time is over.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use crate::workplace::{RUN, Workplace};

/// A result without an end.
const ENDLESS: &str = "SELECT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n ?o . ?p ?q ?r .
    ?s ?t ?u . ?v ?w ?x . ?y ?z ?aa . ?ab ?ac ?ad }";

const QUERY: [&str; 5] = ["query", "--format", "csv", "out", ENDLESS];

fn with_graph() -> Workplace {
    let at = Workplace::new();
    at.done(RUN);
    at
}

/// Starts a query and waits for its first row.
fn start(command: &mut Command) -> Child {
    let mut query = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    query.stdout.as_mut().unwrap().read_exact(&mut [0; 20]).unwrap();
    query
}

fn signal(name: &str, process: &Child) {
    let kill = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", process.id())).status();
    assert!(kill.unwrap().success());
}

/// The exit code of a query that was sent signals, which says nothing.
fn code(query: Child) -> Option<i32> {
    let output = query.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    output.status.code()
}

#[test]
fn a_signal_ends_a_query_with_its_exit_code() {
    let at = with_graph();
    for (name, expected) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let query = start(&mut at.command(&QUERY));
        signal(name, &query);
        assert_eq!(code(query), Some(expected), "{name}");
    }
}

/// `nohup`, and shells that start something in the background.
#[test]
fn a_signal_that_the_caller_ignores_stays_ignored() {
    let at = with_graph();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("trap '' HUP; exec \"$0\" \"$@\"").arg(env!("CARGO_BIN_EXE_kgbuild"));
    let query = start(shell.args(QUERY).current_dir(at.root()));
    signal("HUP", &query);
    signal("TERM", &query);
    assert_eq!(code(query), Some(143));
}

#[test]
fn a_query_ends_when_its_time_is_over() {
    let at = with_graph();
    let count = ENDLESS.replace('*', "(COUNT(*) AS ?count)");
    let ended = at.kgbuild(&["query", "--timeout", "0.2", "out", &count]);
    assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{}", ended.err);
    assert!(ended.err.contains("was not answered within 0.2 s"), "{}", ended.err);
    for timeout in ["0", "-1", "never", "1e30"] {
        let ended = at.kgbuild(&["query", "--timeout", timeout, "out", "ASK {}"]);
        assert_eq!(ended.code, Some(2), "{timeout}");
        assert!(ended.err.contains("a number of seconds above 0"), "{}", ended.err);
    }
}

#[test]
fn a_query_that_is_too_deep_is_refused() {
    let at = with_graph();
    let brackets = format!("ASK {{ FILTER({}1{}) }}", "(".repeat(4_000), ")".repeat(4_000));
    let terms = format!("ASK {{ FILTER(1 = 2{}) }}", " || 1 = 2".repeat(2_000));
    let ended = at.kgbuild(&["query", "out", &brackets]);
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("more than 1000 brackets within each other"), "{}", ended.err);
    assert_eq!(at.done(&["query", "out", &terms]), "false\n");
}
