//! Lock files: what may change is warned of, and what has changed is refused.

use std::fs;

use crate::workplace::{RUN, Workplace};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Makes the base model one of a hub, that the cache holds.
fn hub(at: &Workplace) {
    fs::create_dir(at.path("snapshots")).unwrap();
    let snapshot = at.path("snapshots").join(COMMIT);
    fs::rename(at.path("base"), &snapshot).unwrap();
    at.write("cache/hf/owner--name@main", snapshot.display().to_string());
    at.edit("pipeline.toml", "\"base\"", "\"hf:owner/name\"");
}

const FETCH_LOCK: &[&str] = &["fetch", "--lock", "pipeline.toml"];

#[test]
fn what_may_change_is_warned_of() {
    let at = Workplace::new();
    hub(&at);
    let checked = at.kgbuild(&["check", "pipeline.toml"]);
    assert_eq!((checked.code, checked.out.as_str()), (Some(0), "pipeline.toml is sound\n"));
    at.said("locking/unpinned", &checked.err).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(checked.err.contains("warning[unpinned-source]"));
}

#[test]
fn what_is_locked_stays_what_it_was() {
    let at = Workplace::new();
    hub(&at);
    at.done(FETCH_LOCK);
    let lock = at.read("pipeline.lock");
    assert!(lock.contains("source = \"hf:owner/name\"") && lock.contains(COMMIT), "{lock}");
    assert_eq!(at.kgbuild(&["check", "pipeline.toml"]).err, "");
    at.done(&["run", "--locked", "pipeline.toml"]);
    // The branch has gone on, which does not matter.
    at.write("cache/hf/owner--name@main", at.path("finetuned").display().to_string());
    assert!(at.done(&["fetch", "pipeline.toml"]).contains("base: hf:owner/name"));

    let config = format!("snapshots/{COMMIT}/config.json");
    at.edit(&config, "128", "127");
    let refused = at.kgbuild(RUN);
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""));
    assert!(refused.err.starts_with("error: `hf:owner/name` has SHA-256 "), "{}", refused.err);
    assert!(refused.err.contains("but pipeline.lock says "), "{}", refused.err);
    // Another lock file says that the change is wanted, and from what to what.
    at.write("cache/hf/owner--name@main", at.path("snapshots").join(COMMIT).display().to_string());
    let again = at.kgbuild(FETCH_LOCK);
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert!(again.err.contains("hf:owner/name has changed: its sha256 was"), "{}", again.err);
    assert_ne!(at.read("pipeline.lock"), lock);
    at.done(&["run", "--locked", "--fresh", "pipeline.toml"]);
}

#[test]
fn a_demanded_lock_file_must_be_there_and_fit() {
    let at = Workplace::new();
    hub(&at);
    at.refuses(&["run", "--locked", "pipeline.toml"], "locking/no-lock-file");
    for command in ["tune", "shock", "fetch"] {
        let refused = at.kgbuild(&[command, "--locked", "pipeline.toml"]);
        assert_eq!(refused.code, Some(2), "{command}: {}", refused.err);
        assert!(refused.err.contains("error[not-locked]: `hf:owner/name`"), "{}", refused.err);
    }
    at.done(FETCH_LOCK);
    at.edit("pipeline.toml", "\"hf:owner/name\"", "\"hf:owner/name@v2\"");
    at.refuses(&["run", "--locked", "pipeline.toml"], "locking/out-of-date");
}

#[test]
fn a_finetuning_has_a_lock_file_of_its_own() {
    let at = Workplace::new();
    hub(&at);
    at.write("facts.csv", "subject,relation,object\n");
    at.write(
        "finetune.toml",
        "[model]\nbase = \"hf:owner/name\"\n\
         [facts]\ntrain = \"facts.csv\"\n\
         [inputs]\nontology = \"world.ttl\"\nentities = \"subjects.csv\"\n\
         [output]\nfolder = \"adapter\"\n",
    );
    at.refuses(&["finetune", "--locked", "finetune.toml"], "locking/finetuning");
    at.done(&["fetch", "--lock", "finetune.toml"]);
    assert!(at.read("finetune.lock").contains(COMMIT));
    assert!(!at.path("pipeline.lock").exists());
    at.done(&["fetch", "--locked", "finetune.toml"]);
    let beyond = at.kgbuild(&["finetune", "--locked", "finetune.toml"]);
    assert!(!beyond.err.contains("locked"), "{}", beyond.err);
}

#[test]
fn a_file_of_the_lock_files_name_is_not_lost() {
    let at = Workplace::new();
    hub(&at);
    at.write("pipeline.lock", "not kgbuild's\n");
    at.refuses(FETCH_LOCK, "locking/something-else");
    at.refuses(RUN, "locking/something-else-beside-a-run");
}
