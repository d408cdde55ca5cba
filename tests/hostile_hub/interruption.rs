//! Ctrl-C while a hub is waited for.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::ended::Ended;
use crate::hub::{FILES, Hub, LISTING, PATIENCE, Reply, Sound};
use crate::place::Place;
use crate::{WEIGHTS, hub_but};

const PIPELINE: &str = r#"[models]
base = "hf:owner/name"

[inputs]
ontology = "world.ttl"
subjects = "places.csv"
candidates = "places.csv"

[output]
folder = "out"
"#;

const ONTOLOGY: &str = r#"@prefix ex: <http://example.org/> .
@prefix kgb: <https://w3id.org/kgbuild#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .

ex:borders rdfs:label "borders" ;
    rdfs:domain ex:Place ;
    rdfs:range ex:Place ;
    kgb:template "[X] borders [Y]." .
"#;

const PLACES: &str = "iri,label,aliases,types
http://example.org/france,France,,http://example.org/Place
http://example.org/italy,Italy,,http://example.org/Place
";

/// Presses Ctrl-C when the hub was asked for `path`, and asserts that the run ends long before the
/// hub's time is over.
fn interrupted_at(hub: &Hub, path: &str) {
    let place = Place::new();
    let inputs = place.path("cache/inputs");
    fs::create_dir_all(&inputs).unwrap();
    for (name, text) in
        [("pipeline.toml", PIPELINE), ("world.ttl", ONTOLOGY), ("places.csv", PLACES)]
    {
        fs::write(inputs.join(name), text).unwrap();
    }
    let mut command = place.command(&hub.url(), &["run", "cache/inputs/pipeline.toml"]);
    let patience = (10 * PATIENCE.as_secs()).to_string();
    command.env("HF_HUB_DOWNLOAD_TIMEOUT", patience);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = command.spawn().unwrap();
    hub.wait_for(path);
    let pressed = Instant::now();
    let kill = Command::new("sh").arg("-c").arg(format!("kill -INT {}", run.id())).status();
    assert!(kill.unwrap().success());
    let Ended { code, err, .. } = run.wait_with_output().unwrap().into();
    assert!(pressed.elapsed() < PATIENCE / 2, "{:?}", pressed.elapsed());
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("interrupted; what was fetched is kept"), "{err}");
    assert!(!inputs.join("out").exists());
    place.is_clean();
}

#[test]
fn an_interruption_ends_a_wait_for_an_answer() {
    let hub = Hub::new(|_| Reply::Stall(Vec::new()));
    interrupted_at(&hub, LISTING);
}

#[test]
fn an_interruption_ends_a_file_in_the_middle() {
    let path = format!("{FILES}{WEIGHTS}");
    let at = path.clone();
    let hub = hub_but(&Sound::adapter(), move |request| {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1200000\r\n\r\nthe beginning".to_vec();
        (request.path == at).then_some(Reply::Stall(head))
    });
    interrupted_at(&hub, &path);
}
