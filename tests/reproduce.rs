//! `kgbuild reproduce` as it is called, on a tiny Llama and made-up facts: what it makes and prints,
//! that it goes on where it was stopped, and what bad input gets.

#[path = "support/ended.rs"]
mod ended;
#[path = "support/kills.rs"]
mod kills;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{Cache, runtime_library};
use serde_json::Value;
use tempfile::TempDir;

use ended::Ended;
use kills::moments;

const EXPERIMENT: &str = r#"[model]
base = "base"

[facts]
folder = "world"
train = 10
tune = 8
test = 8
least = 30

[vary]
seeds = [1, 2]
skews = ["natural", "rare"]
passes = [20]

[training]
batch_size = 6
learning_rate = 0.01
checkpoint_every = 4
device = "cpu"

[mixture]
weight = 0.3
text = "text.txt"
sequence_length = 12

[output]
folder = "out"
"#;

/// Subjects are made of a kind and a number; a kind has one object, and a size.
const KINDS: [(&str, &str, usize); 4] =
    [("France", "Paris", 20), ("Italy", "Rome", 9), ("Japan", "Tokyo", 6), ("Chad", "Lyon", 5)];

/// The cells of a seed, in the order in which they are made.
const CELLS: [&str; 4] =
    ["natural-vanilla-20", "natural-mixture-20", "rare-vanilla-20", "rare-mixture-20"];

struct Workplace(TempDir);

impl Workplace {
    /// A sound experiment: two relations with enough facts, and one with too few.
    fn new() -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        this.write("experiment.toml", EXPERIMENT);
        let (mut facts, mut text) = (String::new(), String::new());
        for (kind, object, size) in KINDS {
            for number in 0..size {
                let fact = serde_json::json!({
                    "sub_label": format!("{kind}{number}"), "obj_label": object,
                });
                facts += &format!("{fact}\n");
                text += &format!("There is a land {kind}{number}. It has a river.\n\n");
            }
        }
        this.write("text.txt", text);
        let few: String = facts.lines().take(29).map(|line| format!("{line}\n")).collect();
        for (relation, facts, pattern) in [
            ("capital", &facts, "The capital of [X] is [Y]."),
            // In another order than by name, with signs that an IRI cannot have.
            ("P9 sea", &facts, "[X] lies at the sea of [Y]"),
            ("few", &few, "[X] has [Y]"),
        ] {
            this.write(&format!("world/facts/{relation}.jsonl"), facts);
            let pattern = format!("{}\n", serde_json::json!({ "pattern": pattern }));
            this.write(&format!("world/patterns/{relation}.jsonl"), pattern);
        }
        let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR"));
        let checkpoint = checkpoint.join("tests/data/models/llama/checkpoint");
        for file in ["config.json", "model.safetensors", "tokenizer.json"] {
            this.write(&format!("base/{file}"), fs::read(checkpoint.join(file)).unwrap());
        }
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    /// Puts `to` in the place of the one `from` of a text file.
    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {name}:\n{text}");
        self.write(name, text.replace(from, to));
    }

    /// The program with `args`, in this folder, with nothing of the caller's environment that it
    /// would heed.
    fn command(&self, args: &[&str]) -> Command {
        let library = runtime_library(&Cache::from_environment().unwrap(), &Silent);
        let mut command = Command::new(env!("CARGO_BIN_EXE_kgbuild"));
        command.args(args).current_dir(self.0.path()).env_clear();
        command.env("PATH", env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.path("home")).env("KGBUILD_CACHE", self.path("cache"));
        command.env("ORT_DYLIB_PATH", library.unwrap());
        command
    }

    fn ended(&self, args: &[&str]) -> Ended {
        self.command(args).output().unwrap().into()
    }

    /// `kgbuild reproduce` with options.
    fn reproduce(&self, options: &[&str]) -> Ended {
        self.ended(&[&["reproduce", "experiment.toml"], options].concat())
    }

    /// The same, which must end well.
    fn made(&self, options: &[&str]) -> Ended {
        let ended = self.reproduce(options);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        ended
    }

    fn start(&self) -> Child {
        let mut command = self.command(&["reproduce", "experiment.toml", "--quiet"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// All that the outcome is: the tables' numbers, the page, and every model's weights.
    fn outcome(&self) -> BTreeMap<String, Vec<u8>> {
        let tables = ["results.json", "frequency-shock.html", "frequency-shock.svg"];
        let mut names: Vec<String> = tables.map(str::to_owned).into();
        for seed in [1, 2] {
            for cell in CELLS {
                names.push(format!("seed-{seed}/{cell}/result.json"));
                names.push(format!("seed-{seed}/{cell}/model/adapter_model.safetensors"));
            }
        }
        names.into_iter().map(|name| (name.clone(), self.read(&format!("out/{name}")))).collect()
    }
}

/// That two outcomes are the same bytes.
fn assert_same(found: &Workplace, expected: &Workplace) {
    let (found, expected) = (found.outcome(), expected.outcome());
    for (name, bytes) in &expected {
        assert!(found[name] == *bytes, "{name} differs");
    }
}

fn wait_for(what: &str, process: &mut Child, is_there: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_there() {
        assert!(process.try_wait().unwrap().is_none(), "it has ended without {what}");
        assert!(Instant::now() < deadline, "no {what} in two minutes");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The files of a folder and of those in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.append(&mut files(&path)),
            false => drop(all.insert(path.clone(), fs::read(path).unwrap())),
        }
    }
    all
}

/// How many models were made, by what was said.
fn models_made(ended: &Ended) -> usize {
    ended.err.matches("\nmodel ").count()
}

#[test]
fn every_cell_is_made_and_printed() {
    let at = Workplace::new();
    let ended = at.made(&[]);
    assert!(ended.err.starts_with("2 relations, 8 models: 2 seeds"), "{}", ended.err);
    assert_eq!(models_made(&ended), 8, "{}", ended.err);
    let header = ended.out.lines().find(|line| line.starts_with("training facts")).unwrap();
    let columns: Vec<&str> = header.split_whitespace().collect();
    let expected = "training facts passes distance majority base vanilla mixing mixture both";
    assert_eq!(columns, expected.split(' ').collect::<Vec<_>>());
    for wanted in [
        "P@1, the mean over the seeds",
        "vanilla, prior",
        "gold",
        "minus that of vanilla",
        "Calibration error",
        "distance: total variation distance",
    ] {
        assert!(ended.out.contains(wanted), "no {wanted} in\n{}", ended.out);
    }
    assert!(ended.out.contains("plots: out/frequency-shock.html"), "{}", ended.out);
    let page = String::from_utf8(at.read("out/frequency-shock.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 4);
    for never in ["<script", "src=", "href=", "NaN", "inf "] {
        assert!(!page.contains(never), "{never}");
    }

    let rows = at.json("out/results.json");
    let rows = rows.as_array().unwrap();
    let skews: Vec<&str> = rows.iter().map(|row| row["skew"].as_str().unwrap()).collect();
    assert_eq!(skews, ["natural", "rare"]);
    assert!(rows[0]["distance"].as_f64() < rows[1]["distance"].as_f64());
    for row in rows {
        assert_eq!((&row["seeds"], &row["passes"]), (&2.into(), &20.into()));
        for name in ["base", "vanilla", "mixing", "mixture", "both", "vanilla, prior"] {
            let column = &row["columns"][name];
            let by_seed = column["by_seed"].as_array().unwrap();
            let mean = by_seed.iter().map(|p| p.as_f64().unwrap()).sum::<f64>() / 2.0;
            let shown = format!("{mean:.3} ±");
            assert!(ended.out.contains(&shown), "{name}: {shown} not in\n{}", ended.out);
            let gain = column["over_vanilla"]["mean"].as_f64().unwrap();
            let vanilla = row["columns"]["vanilla"]["p_at_1"]["mean"].as_f64().unwrap();
            assert!((mean - vanilla - gain).abs() < 1e-12, "{column}");
            let interval = &column["p_at_1"];
            let [low, high] = ["low", "high"].map(|end| interval[end].as_f64().unwrap());
            assert!(low <= mean && mean <= high, "{column}");
        }
        // Trained on what decides the object, a model knows more than its base.
        let p_at_1 = |name: &str| row["columns"][name]["p_at_1"]["mean"].as_f64().unwrap();
        if row["skew"] == "natural" {
            assert!(p_at_1("vanilla") > p_at_1("base"), "{row}");
        }
    }
    // The base knows nothing of the training sets.
    let [natural, rare] = [&rows[0], &rows[1]].map(|row| &row["columns"]["base"]["p_at_1"]);
    assert_eq!(natural, rare);
    // 8 questions of 2 relations.
    let result = at.json("out/seed-1/rare-vanilla-20/result.json");
    assert_eq!(result["training_facts"], 20);
    for (system, outcome) in result["outcomes"].as_object().unwrap() {
        assert_eq!(outcome["right"].as_array().unwrap().len(), 16, "{system}");
    }
}

#[test]
fn too_few_facts_to_choose_from_are_told() {
    let at = Workplace::new();
    at.edit("experiment.toml", "seeds = [1, 2]", "seeds = [1]");
    at.edit("experiment.toml", "train = 10", "train = 25");
    at.edit("experiment.toml", "passes = [20]", "passes = [1]");
    let ended = at.made(&[]);
    for part in [
        "warning[few-training-facts]: 2 of 2 relations have fewer facts to train on than \
         `facts.train`, 25; the fewest are 24",
        "--> experiment.toml",
    ] {
        assert!(ended.err.contains(part), "{part} is not in {}", ended.err);
    }
}

/// `kgbuild tune`, which is never shown a tested fact, and `kgbuild run` come to the same with the
/// files that lie beside a model.
#[test]
fn the_other_commands_come_to_the_same() {
    let at = Workplace::new();
    at.edit("experiment.toml", "seeds = [1, 2]", "seeds = [2]");
    at.edit("experiment.toml", "[\"natural\", \"rare\"]", "[\"rare\"]");
    at.made(&[]);
    for cell in ["rare-vanilla-20", "rare-mixture-20"] {
        let pipeline = format!("out/seed-2/{cell}/pipeline.toml");
        for command in ["tune", "run"] {
            let ended = at.ended(&[command, "--quiet", &pipeline]);
            assert_eq!(ended.code, Some(0), "{}", ended.err);
        }
        let report = at.json(&format!("out/seed-2/{cell}/graph/report.json"));
        let result = at.json(&format!("out/seed-2/{cell}/result.json"));
        assert_eq!(report["total"]["gold_questions"], 16);
        for (system, model) in
            [("base", "base"), ("finetuned", "finetuned"), ("log-linear", "mixed")]
        {
            let right = result["outcomes"][system]["right"].as_array().unwrap();
            let p_at_1 = right.iter().map(|right| right.as_f64().unwrap()).sum::<f64>() / 16.0;
            let reported = report["total"][format!("{model}_precision_at_1")].as_f64().unwrap();
            assert!((p_at_1 - reported).abs() < 1e-12, "{cell}, {system}: {p_at_1} {reported}");
        }
    }
}

#[test]
fn kills_leave_no_trace() {
    let alone = Workplace::new();
    alone.made(&[]);

    let at = Workplace::new();
    let mut kills = 0;
    for moment in moments(20) {
        let mut process = at.start();
        let killed = moment.kill(&mut process, &at.path("out"));
        let ended: Ended = process.wait_with_output().unwrap().into();
        if !killed {
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            break;
        }
        kills += 1;
    }
    at.made(&[]);
    assert!(kills >= 5, "{kills} kills");
    assert_same(&at, &alone);
}

#[test]
fn an_interrupt_is_heeded_and_the_same_command_goes_on() {
    let alone = Workplace::new();
    alone.made(&[]);
    let at = Workplace::new();
    let mut process = at.start();
    let checkpoint = at.path("out/seed-1/natural-mixture-20/model/checkpoint/latest.safetensors");
    wait_for("a checkpoint of the second model", &mut process, || checkpoint.exists());
    let signal = |name: &str| {
        let kill = format!("kill -{name} {}", process.id());
        assert!(Command::new("sh").arg("-c").arg(kill).status().unwrap().success());
    };
    // It stands still while a second one is refused.
    signal("STOP");
    for options in [&[][..], &["--fresh"]] {
        let second = at.reproduce(options);
        assert_eq!(second.code, Some(2));
        assert!(second.err.contains("another experiment is writing to out"), "{}", second.err);
    }
    signal("INT");
    signal("CONT");
    let ended: Ended = process.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    assert_eq!(ended.err.matches("the same command goes on").count(), 1, "{}", ended.err);
    assert!(!at.path("out/results.json").exists());

    // What is finished is not made again; what is begun is gone on with.
    let finished = at.path("out/seed-1/natural-vanilla-20/model/training.json");
    let written = || fs::metadata(&finished).unwrap().modified().unwrap();
    let before = written();
    let on = at.made(&[]);
    assert!(models_made(&on) == 7 || models_made(&on) == 6, "{}", on.err);
    assert_eq!(written(), before);
    assert_same(&at, &alone);
}

#[test]
fn what_is_finished_is_kept_unless_asked_for() {
    let at = Workplace::new();
    at.edit("experiment.toml", "seeds = [1, 2]", "seeds = [1]");
    let first = at.made(&[]);
    let outcome = |at: &Workplace| at.read("out/results.json");
    let results = outcome(&at);
    let cell = "out/seed-1/rare-mixture-20";
    let card = at.path(&format!("{cell}/model/training.json"));
    let trained = || fs::metadata(&card).unwrap().modified().unwrap();
    let before = trained();
    let again = at.made(&[]);
    assert_eq!((models_made(&again), &again.out), (0, &first.out), "{}", again.err);

    // Without its result a finished model is only asked.
    for (options, shown) in [(&[][..], 1), (&["--quiet"], 0)] {
        fs::remove_file(at.path(&format!("{cell}/result.json"))).unwrap();
        let asked = at.made(options);
        let out = if shown > 0 { &first.out } else { "" };
        assert_eq!((models_made(&asked), &*asked.out), (shown, out), "{}", asked.err);
        assert_eq!(asked.err.matches("P@1:").count(), shown, "{}", asked.err);
    }
    assert_eq!(trained(), before);

    // More to make leaves what there is.
    at.edit("experiment.toml", "passes = [20]", "passes = [20, 1]");
    let more = at.made(&[]);
    assert_eq!(models_made(&more), 4, "{}", more.err);
    at.edit("experiment.toml", "passes = [20, 1]", "passes = [20]");

    let fresh = at.made(&["--fresh"]);
    assert_eq!((models_made(&fresh), &fresh.out), (4, &first.out), "{}", fresh.err);
    assert!(trained() > before && outcome(&at) == results);
}

#[test]
fn another_experiment_in_the_same_folder_is_refused_before_anything_is_made() {
    let at = Workplace::new();
    at.edit("experiment.toml", "seeds = [1, 2]", "seeds = [1]");
    at.made(&[]);
    let results = at.read("out/results.json");
    let before = files(&at.path("out"));
    at.edit("experiment.toml", "train = 10", "train = 9");
    let other = at.reproduce(&[]);
    assert_eq!(other.code, Some(2), "{}", other.err);
    assert!(other.err.contains("holds the model of a training that differs"), "{}", other.err);
    assert!(files(&at.path("out")) == before, "the refusal changed a file");
    at.edit("experiment.toml", "train = 9", "train = 10");

    at.edit("experiment.toml", "learning_rate = 0.01", "learning_rate = 0.03");
    let other = at.reproduce(&[]);
    assert_eq!(other.code, Some(2), "{}", other.err);
    for part in [
        "out/seed-1/natural-vanilla-20/model holds the model of a training that differs",
        "training.learning_rate: was 0.01, is 0.03",
        "name another output folder, or give --fresh",
    ] {
        assert!(other.err.contains(part), "{part} is not in {}", other.err);
    }
    assert_eq!(models_made(&other), 0, "{}", other.err);
    assert!(at.read("out/results.json") == results);

    // Once begun afresh, the same command goes on without.
    let mut command = at.command(&["reproduce", "experiment.toml", "--quiet", "--fresh"]);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let first = at.path("out/seed-1/natural-vanilla-20");
    let is_made = || {
        let card = fs::read_to_string(first.join("model/training.json")).unwrap_or_default();
        card.contains("0.03") && first.join("result.json").exists()
    };
    wait_for("a first result", &mut process, is_made);
    process.kill().unwrap();
    process.wait().unwrap();
    let on = at.made(&[]);
    assert!(models_made(&on) <= 3, "{}", on.err);
    assert!(at.read("out/results.json") != results);

    // Another text is another mixture, and nothing to the models without.
    let text = String::from_utf8(at.read("text.txt")).unwrap();
    at.write("text.txt", text.replace("river", "king"));
    let other = at.reproduce(&[]);
    assert_eq!(other.code, Some(2), "{}", other.err);
    assert!(other.err.contains("natural-mixture-20/model holds"), "{}", other.err);
}

#[test]
fn facts_that_cannot_be_used_are_refused() {
    let at = Workplace::new();
    let refused = |options: &[&str], wanted: &[&str]| {
        let ended = at.reproduce(options);
        assert_eq!((ended.code, &ended.out[..]), (Some(2), ""), "{}", ended.err);
        for part in wanted {
            assert!(ended.err.contains(part), "{part} is not in {}", ended.err);
        }
        assert!(!at.path("out").exists());
    };
    refused(&["--facts", "nowhere"], &["error[unreadable]", "--> nowhere", "facts/R.jsonl"]);
    at.write("empty/facts/P1.jsonl", "");
    refused(&["--facts", "empty"], &["error[no-relation]", "--> empty", "patterns/R.jsonl"]);
    at.edit("experiment.toml", "least = 30", "least = 41");
    refused(&[], &["error[too-few-questions]", "--> world", "most has 40", "facts.least"]);
    at.edit("experiment.toml", "least = 41", "least = 16");
    refused(&[], &["error[nothing-to-train]", "--> experiment.toml:9:9"]);
    at.edit("experiment.toml", "least = 16", "least = 30");
    at.edit("experiment.toml", "base = \"base\"", "base = \"pypi:model\"");
    refused(&[], &["--> experiment.toml:2:8", "pypi:"]);
    // Permissions do not bind root; this file system binds all.
    at.edit("experiment.toml", "\"out\"", "\"/proc/kgbuild\"");
    at.edit("experiment.toml", "base = \"pypi:model\"", "base = \"base\"");
    refused(&[], &["cannot write to /proc/kgbuild"]);
    at.edit("experiment.toml", "\"/proc/kgbuild\"", "\"out\"");
    // All mistakes of all files at once, with their lines.
    let facts = String::from_utf8(at.read("world/facts/few.jsonl")).unwrap();
    at.write("world/facts/few.jsonl", format!("{facts}{{\"sub_label\": \"x\"}}\nnothing\n"));
    at.write("world/patterns/capital.jsonl", "{\"pattern\": \"[X] is [X] of [Y]\"}\n");
    refused(
        &[],
        &[
            "--> world/facts/few.jsonl:30",
            "--> world/facts/few.jsonl:31",
            "--> world/patterns/capital.jsonl:1",
            "[X] occurs 2 times",
        ],
    );
}
