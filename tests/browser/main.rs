//! The served pages in a real browser, as wide as a screen and as a telephone, with scripts and without: walk.mjs walks
//! through them and looks at each. Pictures of all of them are left in the folder `browser` of cargo's folder for
//! temporary files, `tmp/` in the target folder.

mod install;
#[expect(dead_code, reason = "no Python is asked here")]
#[path = "../support/python.rs"]
mod python;
#[expect(dead_code, reason = "the browser alone asks the server")]
#[path = "../serve/server.rs"]
mod server;
#[expect(dead_code, reason = "exports are made elsewhere")]
#[path = "../readers/support.rs"]
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::install::Browser;
use crate::python::said;
use crate::server::{Row, Server};

/// What the steps expect to see: confidences of all sizes, a name that is code, and one that has no end.
const FACTS: [Row<'static>; 8] = [
    ("Q142", "Q90", "France", "Paris", 0.93),
    ("Q1009", "Q3808", "Cameroon", "Yaoundé", 0.75),
    ("Q1", "Q2", "A <script>alert(1)</script> & \u{202e}long\tname", "Ω; b|c", 0.5),
    ("Q183", "Q64", "Germany", "Berlin", 0.9),
    ("Q869", "Q1861", "Thailand", "Krungthepmahanakhonamonrattanakosinmahintharayutthaya", 0.62),
    ("Q38", "Q220", "Italy", "Rome", 0.97),
    ("Q252", "Q3630", "Indonesia", "Jakarta", 0.31),
    ("Q408", "Q3114", "Australia", "Canberra", 0.12),
];

/// A file of this test's.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser").join(name)
}

#[test]
fn people_find_their_way_through_the_pages() {
    let Some(browser) = Browser::installed() else { return };
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    if pictures.exists() {
        fs::remove_dir_all(&pictures).unwrap();
    }
    fs::create_dir_all(&pictures).unwrap();
    let mut server = Server::of(&FACTS, &["--review"]);
    let line = server.line();
    let token = line.strip_prefix("token: ").unwrap();
    let mut walk = Command::new("node");
    walk.arg(file("walk.mjs")).arg(format!("http://{}", server.address));
    walk.arg(&pictures).arg(browser.folder()).arg(token).stdin(Stdio::null());
    let output = walk.output().unwrap();
    let seen = said(&output);
    assert!(output.status.success(), "{seen}\npictures are in {}", pictures.display());
    println!("{seen}\npictures are in {}", pictures.display());
}

#[test]
fn the_lock_says_what_and_not_where_from() {
    let lock = fs::read_to_string(file("package-lock.json")).unwrap();
    let lock: serde_json::Value = serde_json::from_str(&lock).unwrap();
    let packages = lock["packages"].as_object().unwrap();
    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        let is_pinned =
            package["integrity"].as_str().is_some_and(|hash| hash.starts_with("sha512-"));
        assert!(is_pinned && package.get("resolved").is_none(), "{name}: {package}");
    }
    assert!(packages.contains_key("node_modules/@sparticuz/chromium"));
}
