//! Training learns, its result runs, and its card tells the truth.

use std::collections::BTreeSet;
use std::fs;

use crate::workplace::{CAPITAL, MIXTURE, Workplace};

fn gold(report: &serde_json::Value, model: &str) -> f64 {
    report["total"][format!("{model}_precision_at_1")].as_f64().unwrap()
}

/// Held-out facts are predicted better after training, and the trained ones are known by a run.
#[test]
fn a_mixture_is_learnt_and_a_run_takes_the_adapter() {
    let at = Workplace::new();
    at.append("finetune.toml", MIXTURE);
    let out = at.trained(&[]);
    assert!(out.contains("base = \"base\"\nfinetuned = \"out\""), "{out}");
    let card = at.card();
    let (first, best) = (card.evaluations[0], *card.best().unwrap());
    assert_eq!((first.step, card.best_step), (0, Some(best.step)));
    assert!(best.facts < 0.5 * first.facts, "{first:?} {best:?}");
    assert!(best.text.unwrap() < first.text.unwrap(), "{first:?} {best:?}");
    // 32 facts in batches of 6 are 6 steps, 8 times.
    assert_eq!((card.steps_per_epoch, card.steps.len()), (6, 48));
    let numbers: Vec<u64> = card.steps.iter().map(|step| step.step).collect();
    assert_eq!(numbers, (1..=48).collect::<Vec<_>>());
    for step in &card.steps {
        let mixed = 0.7 * step.facts + 0.3 * step.text.unwrap();
        assert!((step.loss - mixed).abs() < 1e-5 * mixed, "{step:?}");
        assert!(step.learning_rate > 0.0 && step.gradient_norm > 0.0);
    }
    let evaluated: Vec<u64> = card.evaluations.iter().map(|e| e.step).collect();
    assert_eq!(evaluated, [0, 6, 12, 18, 24, 30, 36, 42, 48]);
    assert!(!at.path("out/checkpoint").exists(), "the checkpoint is gone");

    let report = at.run();
    let (base, finetuned) = (gold(&report, "base"), gold(&report, "finetuned"));
    assert!(finetuned >= 0.9 && finetuned > base, "{base} {finetuned}");
}

#[test]
fn the_card_counts_what_was_trained() {
    let at = Workplace::new();
    at.edit("finetune.toml", "epochs = 8", "epochs = 1");
    at.append(
        "train.csv",
        "http://example.org/Chad0,http://example.org/capital,http://example.org/Rome\n",
    );
    at.append("train.csv", "http://example.org/Chad0,http://example.org/sea,\n");
    let ended = at.finetune(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("1 training question left out"), "{}", ended.err);
    assert!(ended.err.contains("step 0: held-out loss"), "{}", ended.err);
    let card = at.card();
    assert_eq!((card.trained_facts, card.held_out_facts), (33, 8));
    assert_eq!(card.count(CAPITAL, "http://example.org/Rome"), 9);
    assert_eq!(card.count(CAPITAL, "http://example.org/Paris"), 8);
    assert_eq!(card.count("http://example.org/sea", "http://example.org/Paris"), 0);
    assert!(card.is_trained("http://example.org/Italy0", CAPITAL));
    assert!(!card.is_trained("http://example.org/Italy9", CAPITAL));
    assert!(card.held_out[CAPITAL].contains("http://example.org/Italy9"));
    let roles: BTreeSet<&str> = card.data.keys().map(String::as_str).collect();
    assert_eq!(roles, BTreeSet::from(["entities", "held-out", "ontology", "train"]));
    assert_eq!(card.data["entities"].len(), 2);
    assert_eq!(card.base.source, "base");
    assert!(card.tokens > 0 && card.seconds > 0.0);
}

#[test]
fn all_weights_become_a_model_that_a_run_takes() {
    let at = Workplace::new();
    at.edit("finetune.toml", "epochs = 8", "method = \"all\"\nepochs = 8");
    at.trained(&["--quiet"]);
    let card = at.card();
    assert!(card.best().unwrap().facts < 0.5 * card.evaluations[0].facts);
    assert!(at.path("out/model.onnx").is_file() && at.path("out/tokenizer.json").is_file());
    let report = at.run();
    assert!(gold(&report, "finetuned") >= 0.9, "{report}");
}

/// A finished training is told, not repeated; another one does not take its place unasked.
#[test]
fn what_is_finished_is_kept() {
    let at = Workplace::new();
    at.edit("finetune.toml", "epochs = 8", "epochs = 1");
    let first = at.trained(&[]);
    let (adapter, card) = (at.adapter(), at.card());
    // How the machine is used makes no other training.
    at.edit("finetune.toml", "seed = 1", "seed = 1\nthreads = 1\ncheckpoint_every = 3");
    let again = at.finetune(&[]);
    assert_eq!((again.code, &again.out), (Some(0), &first));
    assert!(again.err.contains("is finished"), "{}", again.err);
    assert_eq!(at.card(), card);
    let quiet = at.finetune(&["--quiet"]);
    assert_eq!((quiet.code, &*quiet.out, &*quiet.err), (Some(0), "", ""));

    at.edit("finetune.toml", "seed = 1", "seed = 2");
    let other = at.finetune(&["--quiet"]);
    assert_eq!(other.code, Some(2));
    assert!(other.err.contains("training.seed: was 1, is 2"), "{}", other.err);
    assert!(at.adapter() == adapter);
    at.trained(&["--quiet", "--fresh"]);
    assert!(at.adapter() != adapter);

    // The first one's bits, on one thread.
    at.edit("finetune.toml", "seed = 2", "seed = 1");
    at.trained(&["--quiet", "--fresh"]);
    assert!(at.adapter() == adapter);
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let at = Workplace::new();
    at.append("finetune.toml", MIXTURE);
    at.edit("finetune.toml", "epochs = 8", "templates = \"all\"\nepochs = 8");
    let out = at.trained(&["--dry-run"]);
    let counted = |what: &str| -> usize {
        let line = out.lines().find(|line| line.starts_with(what)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!((counted("training facts"), counted("held-out facts")), (32, 8));
    // Two templates a fact: 64 in batches of 6.
    assert_eq!((counted("steps an epoch"), counted("steps  ")), (11, 88));
    assert_eq!(counted("tokens  "), 8 * counted("tokens an epoch"));
    assert!(!at.path("out").exists());
}

#[test]
fn what_made_it_worse_is_told_and_a_model_beside_its_file_is_named() {
    let at = Workplace::new();
    at.edit("finetune.toml", "folder = \"out\"", "folder = \".\"");
    at.edit("finetune.toml", "epochs = 8", "epochs = 1\nkeep = \"last\"\nmethod = \"all\"");
    at.edit("finetune.toml", "learning_rate = 0.02", "learning_rate = 1");
    let out = at.trained(&[]);
    assert!(out.contains("The held-out loss is larger than the base model's"), "{out}");
    assert!(out.contains("\nfinetuned = \".\"") && out.contains("mean nats a fact"), "{out}");
}

/// Held-out facts that contradict the training ones get ever less probable: training stops, and the
/// weights are those before.
#[test]
fn training_stops_when_it_no_longer_helps() {
    let at = Workplace::new();
    let held_out = fs::read_to_string(at.path("held-out.jsonl")).unwrap();
    at.write(
        "held-out.jsonl",
        held_out.replace("Paris", "x").replace("Tokyo", "Paris").replace("/x", "/Tokyo"),
    );
    at.edit("finetune.toml", "epochs = 8", "patience = 2\nepochs = 40");
    let out = at.trained(&[]);
    let card = at.card();
    assert!(card.stopped_early && card.steps.len() < 240, "{} steps", card.steps.len());
    assert!(out.contains("fell no more"), "{out}");
    let last = card.evaluations.last().unwrap();
    let best = card.best().unwrap();
    assert_eq!(card.written_step, best.step);
    assert!(last.facts > best.facts);
    assert_eq!(last.step - best.step, 2 * card.steps_per_epoch);

    let best = at.adapter();
    at.edit("finetune.toml", "patience = 2", "patience = 2\nkeep = \"last\"");
    let out = at.trained(&["--fresh"]);
    assert!(!out.contains("larger than the base model's"), "{out}");
    assert_eq!(at.card().written_step, last.step);
    assert!(at.adapter() != best);
}

/// A share is taken from the training facts, whole questions and always the same.
#[test]
fn a_share_of_the_questions_is_held_out() {
    let at = Workplace::new();
    at.edit("finetune.toml", "held_out = \"held-out.jsonl\"", "held_out_share = 0.25");
    at.edit("finetune.toml", "epochs = 8", "epochs = 1");
    at.trained(&["--quiet"]);
    let card = at.card();
    let (trained, held_out) = (&card.trained[CAPITAL], &card.held_out[CAPITAL]);
    assert!(trained.is_disjoint(held_out));
    assert_eq!(trained.len() + held_out.len(), 32);
    assert!((3..16).contains(&held_out.len()), "{held_out:?}");
    at.trained(&["--quiet", "--fresh"]);
    assert_eq!(&at.card().held_out, &card.held_out);
}
