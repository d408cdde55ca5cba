//! A hub that does nothing wrong: what is fetched from it, who learns the token, what is reused.

use std::fs;

use crate::hub::{COMMIT, FILES, Hub, Reply, Request, Sound, git_hash, redirect, reply, sha256};
use crate::place::Place;
use crate::{CONFIG, WEIGHTS, hub_but};

const TOKEN: &str = "hf_secret";

/// Two hosts: a hub, and the one to which it sends for large files.
fn hub_with_elsewhere(says_hashes: bool) -> (Sound, Hub, Hub) {
    let sound = Sound { says_hashes, ..Sound::adapter() };
    let at = sound.clone();
    let elsewhere = Hub::new(move |request| at.answer_elsewhere(request));
    let sound = Sound { elsewhere: Some(elsewhere.url()), ..sound };
    let hub = hub_but(&sound, |_| None);
    (sound, hub, elsewhere)
}

fn authorised(request: &Request) -> bool {
    request.header("Authorization") == Some(&format!("Bearer {TOKEN}"))
}

#[test]
fn large_files_come_from_another_host_which_learns_no_token() {
    for says_hashes in [true, false] {
        let (sound, hub, elsewhere) = hub_with_elsewhere(says_hashes);
        let place = Place::new();
        let mut command = place.fetch(&hub);
        command.env("HF_TOKEN", TOKEN);
        place.fetches(command);
        for name in [CONFIG, WEIGHTS] {
            assert_eq!(fs::read(place.file(name)).unwrap(), sound.content(name));
        }
        assert!(!place.file("README.md").exists(), "not needed");
        let asked = hub.requests();
        assert!(asked.len() >= 3 && asked.iter().all(authorised));
        let asked = elsewhere.requests();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].header("Authorization"), None);
    }
}

#[test]
fn a_token_in_a_file_does_not_follow_to_another_port() {
    let sound = Sound::adapter();
    let other = hub_but(&sound, |_| None);
    let to = other.url();
    let hub = Hub::new(move |request| redirect(&format!("{to}{}", request.path)));
    let place = Place::new();
    let home = place.path("cache/huggingface");
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("token"), format!("{TOKEN}\n")).unwrap();
    let mut command = place.fetch(&hub);
    command.env("HF_HOME", home);
    place.fetches(command);
    assert!(hub.requests().iter().all(authorised));
    let asked = other.requests();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|request| request.header("Authorization").is_none()));
}

#[test]
fn a_token_does_not_follow_to_another_name() {
    // One server under two names.
    let by_name = |request: &Request| request.header("Host").unwrap().starts_with("localhost:");
    let hub = hub_but(&Sound::adapter(), move |request| {
        let host = request.header("Host").unwrap().replace("localhost", "127.0.0.1");
        by_name(request).then(|| redirect(&format!("http://{host}{}", request.path)))
    });
    let place = Place::new();
    let mut command = place.fetch(&hub);
    command.env("HF_TOKEN", TOKEN);
    command.env("HF_ENDPOINT", hub.url().replace("127.0.0.1", "localhost"));
    place.fetches(command);
    let asked = hub.requests();
    assert_eq!(asked.len(), 6);
    assert!(asked.iter().all(|request| authorised(request) == by_name(request)));
}

#[test]
fn what_was_fetched_needs_no_hub() {
    let (_, hub, elsewhere) = hub_with_elsewhere(true);
    let place = Place::new();
    place.fetches(place.fetch(&hub));
    // Nothing listens at the port `discard` of this machine.
    let gone = || place.command("http://127.0.0.1:9", &["models", "inspect", "hf:owner/name"]);
    drop((hub, elsewhere));
    place.fetches(gone());

    // Without kgbuild's own note, what the hub's cache holds is enough when offline.
    fs::remove_dir_all(place.path("cache")).unwrap();
    let mut command = gone();
    command.env("HF_HUB_OFFLINE", "1");
    place.fetches(command);
    let mut command = place.command("http://127.0.0.1:9", &["models", "inspect"]);
    command.arg(format!("hf:owner/name@{COMMIT}")).env("HF_HUB_OFFLINE", "1");
    place.fetches(command);

    fs::remove_file(place.file(WEIGHTS)).unwrap();
    let output = gone().env("HF_HUB_OFFLINE", "1").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("HF_HUB_OFFLINE is set") && said.contains("not enough"), "{said}");
}

#[test]
fn the_cache_is_laid_out_as_other_programs_want_it() {
    let (sound, hub, _elsewhere) = hub_with_elsewhere(true);
    let place = Place::new();
    place.fetches(place.fetch(&hub));
    assert_eq!(fs::read_to_string(place.model("refs/main")).unwrap(), COMMIT);
    let mut hashes = [git_hash(sound.content(CONFIG)), sha256(sound.content(WEIGHTS))];
    let link = fs::read_link(place.file(CONFIG)).unwrap();
    assert_eq!(link.display().to_string(), format!("../../blobs/{}", hashes[0]));
    hashes.sort();
    assert_eq!(place.blobs(), hashes);
}

#[test]
fn what_other_programs_fetched_is_not_fetched_again() {
    let (sound, hub, elsewhere) = hub_with_elsewhere(true);
    let place = Place::new();
    fs::create_dir_all(place.model("blobs")).unwrap();
    let weights = sound.content(WEIGHTS);
    fs::write(place.model("blobs").join(sha256(weights)), weights).unwrap();
    fs::create_dir_all(place.file("")).unwrap();
    fs::write(place.file(CONFIG), sound.content(CONFIG)).unwrap();
    place.fetches(place.fetch(&hub));
    assert_eq!(hub.requests().len(), 1, "the listing");
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn another_attempt_goes_on_where_one_ended() {
    let sound = Sound::adapter();
    let weights = sound.content(WEIGHTS).to_vec();
    let breaks_off = hub_but(&sound, move |request| {
        let length = weights.len().to_string();
        let part = &weights[..weights.len() / 2];
        let path = format!("{FILES}{WEIGHTS}");
        (request.path == path).then(|| reply("200 OK", &[("Content-Length", &length)], part))
    });
    let place = Place::new();
    place.refuses(&breaks_off, &["disconnected"]);
    let hub = hub_but(&sound, |_| None);
    place.fetches(place.fetch(&hub));
    let asked = hub.requests();
    assert_eq!(asked.last().unwrap().header("Range"), Some("bytes=600000-"));
    assert_eq!(fs::read(place.file(WEIGHTS)).unwrap(), sound.content(WEIGHTS));

    // A hub that knows no parts sends the whole.
    let place = Place::new();
    place.refuses(&breaks_off, &["disconnected"]);
    let weights = sound.content(WEIGHTS).to_vec();
    let hub = hub_but(&sound, move |request| -> Option<Reply> {
        request.path.ends_with(WEIGHTS).then(|| reply("200 OK", &[], &weights))
    });
    place.fetches(place.fetch(&hub));
    assert_eq!(fs::read(place.file(WEIGHTS)).unwrap(), sound.content(WEIGHTS));
}
