//! Names that would steer a terminal, through every command that shows them: escape sequences,
//! 8-bit controls, and marks that turn or hide the text around them.

use crate::terminal::on_terminals;
use crate::workplace::{RUN, Workplace};

/// Clears the screen, turns text about, is not seen.
const HOSTILE: &str = "\u{1b}[2J\u{9b}2J\u{202e}\u{200b}";
/// The same as it is shown.
const SHOWN: &str = r"\u{1b}[2J\u{9b}2J\u{202e}\u{200b}";

const OBJECTS: &str = "SELECT ?label WHERE { ?s a ex:Country ; rdfs:label ?label } ORDER BY ?label";

/// A workplace whose subjects and relation have such labels, after its run; and what the run said.
fn hostile() -> (Workplace, String) {
    let at = Workplace::new();
    at.edit("subjects.csv", ",France,", &format!(",France{HOSTILE},"));
    let label = r#"rdfs:label "capital\u001b[2J\u009b2J\u202e\u200b""#;
    at.edit("world.ttl", "rdfs:label \"capital\"", label);
    let ended = at.kgbuild(RUN);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    (at, ended.out + &ended.err)
}

/// Asserts that the hostile part of some name is shown, and not sent.
#[track_caller]
fn shown(text: &str) {
    assert!(text.contains(SHOWN), "{text:?}");
    let steers = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200b}".contains(c);
    assert!(!text.contains(steers), "{text:?}");
}

#[test]
fn results_are_shown_on_a_terminal_and_whole_in_a_pipe() {
    let (at, said) = hostile();
    shown(&said);
    let query = format!("PREFIX ex: <http://example.org/> {OBJECTS}");
    for format in ["table", "csv", "tsv", "json"] {
        let args = ["query", "out", "--format", format, &query];
        let [out, err] = on_terminals(&mut at.command(&args));
        // A line of CSV ends in a carriage return of its own; JSON escapes the escape character.
        shown(&out.replace("\r\n", "\n").replace(r"\u001b", r"\u{1b}"));
        assert_eq!(err, "");
        let piped = at.done(&args);
        match format {
            "table" => shown(&piped),
            "json" => assert!(piped.contains(&HOSTILE.replace('\u{1b}', r"\u001b")), "{piped:?}"),
            _ => assert!(piped.contains(&format!("France{HOSTILE}")), "{piped:?}"),
        }
    }
    let [out, _] = on_terminals(&mut at.command(&["export", "out"]));
    // So does Turtle.
    shown(&out.replace(r"\u001B", r"\u{1b}"));
    assert!(at.done(&["export", "out"]).contains('\u{202e}'));
}

#[test]
fn errors_show_paths_and_lines_and_keep_their_own_colours() {
    let at = Workplace::new();
    let path = r#"ontology = "world\u001b[2J\u009b2J\u202e\u200b""#;
    at.edit("pipeline.toml", "ontology = \"world.ttl\"", path);
    at.write("subjects.csv", format!("iri,label,aliases,types\nQ1,France{HOSTILE},,\n"));
    let ended = at.kgbuild(RUN);
    assert_eq!(ended.code, Some(2));
    shown(&ended.err);

    at.write("pipeline.toml", crate::workplace::PIPELINE);
    let ended = at.kgbuild(&["check", "pipeline.toml"]);
    assert_eq!(ended.code, Some(2));
    // A source line keeps its length: each such character is one other.
    assert!(ended.err.contains("France\u{fffd}[2J\u{fffd}2J\u{fffd}\u{fffd}"), "{}", ended.err);

    let [out, err] = on_terminals(at.command(&["check", HOSTILE]).env("TERM", "xterm"));
    assert_eq!(out, "");
    assert!(err.contains("\u{1b}[") && err.contains(SHOWN), "{err:?}");
    assert!(!err.contains("\u{1b}[2J") && !err.contains('\u{9b}'), "{err:?}");
    shown(&console::strip_ansi_codes(&err));
}
