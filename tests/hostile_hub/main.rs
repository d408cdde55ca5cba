//! Models fetched from hubs that answer wrongly, never, or send elsewhere, and from a sound one.
//!
//! All hubs are ports of this machine. Whatever they do, nothing is written outside the caches or
//! over what is there, and the program ends soon with words that say what is wrong.

#[path = "../support/ended.rs"]
mod ended;
mod hub;
mod interruption;
mod place;
mod sound;

use std::fs;

use hub::{FILES, Hub, LISTING, Reply, Sound, git_hash, redirect, reply, sha256};
use place::Place;

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// A hub that is sound but for what `unsound` answers.
fn hub_but(
    sound: &Sound,
    unsound: impl Fn(&hub::Request) -> Option<Reply> + Send + 'static,
) -> Hub {
    let sound = sound.clone();
    Hub::new(move |request| unsound(request).unwrap_or_else(|| sound.answer(request)))
}

/// One that answers so to whatever is asked of a file.
fn hub_but_for(name: &str, unsound: impl Fn() -> Reply + Send + 'static) -> Hub {
    let path = format!("{FILES}{name}");
    hub_but(&Sound::adapter(), move |request| (request.path == path).then(&unsound))
}

#[test]
fn an_etag_that_is_a_path_is_refused() {
    let unhashed = Sound { says_hashes: false, ..Sound::adapter() };
    let place = Place::new();
    let absolute = place.sentinel().display().to_string();
    for header in ["ETag", "X-Linked-Etag"] {
        for etag in [&*absolute, "../../../outside/sentinel", "..", "a\\..\\b"] {
            let quoted = format!("\"{etag}\"");
            let hub = hub_but(&unhashed, move |request| {
                let length = ("Content-Length", "9");
                let of_file = request.path.starts_with(FILES);
                of_file.then(|| reply("200 OK", &[(header, &*quoted), length], b"malicious"))
            });
            let shown = etag.escape_debug().to_string();
            place.refuses(&hub, &["the ETag", &format!("`{shown}`")]);
        }
    }
    assert_eq!(place.blobs(), [""; 0]);
}

#[test]
fn an_etag_is_not_heeded_where_the_listing_has_the_hash() {
    let place = Place::new();
    let sound = Sound::adapter();
    let content = sound.content(CONFIG).to_vec();
    let etag = place.sentinel().display().to_string();
    let hub = hub_but_for(CONFIG, move || reply("200 OK", &[("ETag", &*etag)], &content));
    place.fetches(place.fetch(&hub));
}

#[test]
fn a_file_name_that_leads_elsewhere_is_refused() {
    for name in [
        "onnx/model.onnx_data/../../../../../../outside/sentinel",
        "onnx/model.onnx_data//outside",
        "onnx/model.onnx_data\\..\\outside",
        "onnx/model.onnx_\0",
        "onnx/model.onnx_data/.",
    ] {
        let mut sound = Sound::adapter();
        sound.files = ["tokenizer.json", "onnx/model.onnx", name]
            .map(|name| (name.to_owned(), b"malicious".to_vec()))
            .to_vec();
        let hub = hub_but(&sound, |_| None);
        let shown = name.escape_debug().to_string();
        let place = Place::new();
        place.refuses(&hub, &[&format!("`{shown}`"), "not a plain path"]);
        assert_eq!(hub.requests().len(), 1, "no file is asked for");
    }
}

#[test]
fn a_commit_or_hash_that_is_a_path_is_refused() {
    let place = Place::new();
    let up = "../../../outside";
    let hub = hub_but(&Sound::adapter(), move |request| {
        let mut listing = Sound::adapter().listing();
        listing["sha"] = up.into();
        (request.path == LISTING).then(|| reply("200 OK", &[], listing.to_string().as_bytes()))
    });
    place.refuses(&hub, &[up, "not a commit"]);
    let hub = hub_but(&Sound::adapter(), move |request| {
        let mut listing = Sound::adapter().listing();
        listing["siblings"][2]["lfs"]["sha256"] = up.into();
        (request.path == LISTING).then(|| reply("200 OK", &[], listing.to_string().as_bytes()))
    });
    place.refuses(&hub, &[up, "not the hash"]);
}

#[test]
fn redirects_end() {
    let place = Place::new();
    let hub = hub_but_for(WEIGHTS, || redirect(&format!("{FILES}{WEIGHTS}")));
    place.refuses(&hub, &[WEIGHTS, "in a circle"]);

    let hub = hub_but(&Sound::adapter(), |request| match &*request.path {
        "/a" => Some(redirect("/b")),
        "/b" => Some(redirect("/a")),
        path => path.ends_with(WEIGHTS).then(|| redirect("/a")),
    });
    place.refuses(&hub, &["in a circle"]);

    let hub = hub_but(&Sound::adapter(), |request| {
        (request.path != LISTING).then(|| redirect(&format!("{}/on", request.path)))
    });
    place.refuses(&hub, &["more than 10 redirects"]);
    assert!(hub.requests().len() < 20);
}

#[test]
fn a_redirect_to_nowhere_is_refused() {
    let place = Place::new();
    for headers in [&[][..], &[("Location", "")]] {
        let hub = hub_but_for(WEIGHTS, move || reply("302 Found", headers, b""));
        place.refuses(&hub, &[WEIGHTS, "without saying where"]);
    }
    for location in ["file:///etc/passwd", "http://", "a b"] {
        let hub = hub_but_for(WEIGHTS, move || redirect(location));
        place.refuses(&hub, &[WEIGHTS, "no address"]);
    }
    let hub = Hub::new(|_| reply("307 Temporary Redirect", &[], b""));
    place.refuses(&hub, &["without saying where"]);
}

#[test]
fn a_stall_ends() {
    let place = Place::new();
    let hub = Hub::new(|_| Reply::Stall(Vec::new()));
    place.refuses(&hub, &["sends nothing for 1 seconds"]);
    let hub = Hub::new(|_| Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-".to_vec()));
    place.refuses(&hub, &["sends nothing for 1 seconds"]);
    let hub = Hub::new(|_| Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec()));
    place.refuses(&hub, &["sends nothing for 1 seconds"]);
    let hub = hub_but_for(WEIGHTS, || {
        Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 1200000\r\n\r\nmalicious".to_vec())
    });
    place.refuses(&hub, &[WEIGHTS, "sends nothing for 1 seconds"]);
    assert_eq!(place.blobs(), [git_hash(Sound::adapter().content(CONFIG))]);
}

#[test]
fn a_short_body_is_refused() {
    let place = Place::new();
    // Less than the reply itself promises.
    let hub = hub_but_for(CONFIG, || reply("200 OK", &[("Content-Length", "49")], b"{"));
    place.refuses(&hub, &[CONFIG, "disconnected"]);
    // Less than the listing promises.
    let hub = hub_but_for(CONFIG, || reply("200 OK", &[], b"{"));
    place.refuses(&hub, &[CONFIG, "only 1 of the 49 bytes"]);
    let hub = hub_but_for(CONFIG, || Reply::Bytes(b"HTTP/1.1 200 OK\r\n\r\n{".to_vec()));
    place.refuses(&hub, &[CONFIG, "only 1 of the 49 bytes"]);
    assert_eq!(place.blobs(), [""; 0]);
}

#[test]
fn a_body_without_end_is_refused() {
    let place = Place::new();
    let hub = hub_but_for(CONFIG, || Reply::Flood(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()));
    place.refuses(&hub, &["more than the 49 bytes", CONFIG]);
    assert_eq!(place.blobs(), [""; 0]);
}

#[test]
fn another_content_than_the_published_is_refused() {
    let sound = Sound::adapter();
    for name in [CONFIG, WEIGHTS] {
        let place = Place::new();
        let mut content = sound.content(name).to_vec();
        let published = if name == CONFIG { git_hash(&content) } else { sha256(&content) };
        content[0] ^= 1;
        let found = if name == CONFIG { git_hash(&content) } else { sha256(&content) };
        let altered = content.clone();
        let hub = hub_but_for(name, move || reply("200 OK", &[], &altered));
        place.refuses(&hub, &[name, &published, &found]);
        assert!(!place.file(name).exists() && !place.blobs().contains(&published));
        // What is wrong is not gone on with.
        let hub = hub_but(&sound, |_| None);
        place.fetches(place.fetch(&hub));
    }
}

#[test]
fn another_part_than_the_wanted_is_refused() {
    let place = Place::new();
    let hub = hub_but_for(CONFIG, || reply("206 Partial Content", &[], b"malicious"));
    place.refuses(&hub, &[CONFIG, "206"]);
}

#[test]
fn a_listing_without_end_is_refused() {
    let place = Place::new();
    let hub = Hub::new(|_| Reply::Flood(b"HTTP/1.1 200 OK\r\n\r\n{\"sha\": \"".to_vec()));
    place.refuses(&hub, &["lists more than"]);
    let hub = Hub::new(|_| reply("200 OK", &[], b"<html>"));
    place.refuses(&hub, &["not a model's listing"]);
    let hub = Hub::new(|_| Reply::Flood(b"HTTP/1.1 200 OK\r\nX: ".to_vec()));
    place.refuses(&hub, &["header"]);
}

#[test]
fn a_file_of_unknown_hash_and_size_is_refused() {
    let unhashed = Sound { says_hashes: false, ..Sound::adapter() };
    let place = Place::new();
    let hub = hub_but(&unhashed, |request| {
        let of_file = request.path.starts_with(FILES);
        of_file.then(|| Reply::Bytes(b"HTTP/1.1 200 OK\r\n\r\nmalicious".to_vec()))
    });
    place.refuses(&hub, &["neither the hash nor the size", CONFIG]);
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let hub = hub_but(&Sound::adapter(), |_| None);
    let place = Place::new();
    let blob = place.model("blobs").join(git_hash(Sound::adapter().content(CONFIG)));
    for theirs in [place.file(CONFIG), blob] {
        fs::create_dir_all(theirs.parent().unwrap()).unwrap();
        fs::write(&theirs, "theirs").unwrap();
        place.refuses(&hub, &[&theirs.display().to_string(), "6 bytes", "delete it"]);
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
        fs::remove_file(theirs).unwrap();
    }
    fs::create_dir_all(place.model("refs/main")).unwrap();
    let output = place.fetch(&hub).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("refs/main is not the name of a commit"), "{said}");
    assert!(place.model("refs/main").is_dir());
}

#[test]
fn a_refusal_is_told_with_what_helps() {
    let place = Place::new();
    let hub = Hub::new(|_| reply("401 Unauthorized", &[], b""));
    place.refuses(&hub, &["401 Unauthorized", "HF_TOKEN"]);
    let hub = Hub::new(|_| reply("404 Not Found", &[], b""));
    place.refuses(&hub, &["404 Not Found", LISTING.split('?').next().unwrap()]);
}
