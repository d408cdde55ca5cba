//! SIGKILL and Ctrl-C at any moment, then the same command again: the same bits as without.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kgbuild::finetune::Card;

use crate::ended::Ended;
use crate::kills::moments;
use crate::workplace::{MIXTURE, Workplace};

/// A training of some seconds with many checkpoints.
fn workplace() -> Workplace {
    let at = Workplace::new();
    at.append("finetune.toml", MIXTURE);
    at.edit(
        "finetune.toml",
        "epochs = 8",
        "checkpoint_every = 4\nevaluate_every = 0.5\nepochs = 200",
    );
    at
}

/// The card without what is another each time.
fn timeless(card: Card) -> Card {
    Card { seconds: 0.0, ..card }
}

fn signal(name: &str, process: &Child) {
    let kill = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", process.id())).status();
    assert!(kill.unwrap().success());
}

fn has_checkpoint(at: &Workplace) -> bool {
    at.path("out/checkpoint/latest.safetensors").exists()
}

/// A training that says nothing on the way.
const TRAIN: &[&str] = &["finetune", "finetune.toml"];

/// Trains until there is a checkpoint, and kills the training.
pub fn kill_after_a_checkpoint(at: &Workplace) {
    let mut process =
        at.command(TRAIN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_a_checkpoint(at, &mut process);
    process.kill().unwrap();
    process.wait().unwrap();
}

/// Waits until the process has a checkpoint, and panics if it ends before.
fn wait_for_a_checkpoint(at: &Workplace, process: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !has_checkpoint(at) {
        assert!(process.try_wait().unwrap().is_none(), "the training has ended already");
        assert!(Instant::now() < deadline, "no checkpoint in a minute");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn kills_leave_no_trace() {
    let alone = workplace();
    alone.trained(&["--quiet"]);

    let at = workplace();
    let (mut kills, mut resumed) = (0, 0);
    for moment in moments(20) {
        let mut command = at.command(&["finetune", "finetune.toml"]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let killed = moment.kill(&mut process, &at.path("out"));
        let ended: Ended = process.wait_with_output().unwrap().into();
        resumed += usize::from(ended.err.contains("continuing after step"));
        if !killed {
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            break;
        }
        kills += 1;
    }
    at.trained(&["--quiet"]);
    assert!(kills >= 10 && resumed >= 5, "{kills} kills, {resumed} times it went on");
    assert!(at.adapter() == alone.adapter(), "the weights differ");
    assert_eq!(timeless(at.card()), timeless(alone.card()));
    let mut names: Vec<String> = fs::read_dir(at.path("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [".lock", "adapter_config.json", "adapter_model.safetensors", "training.json"];
    assert_eq!(names, expected, "nothing half written is left");
}

#[test]
fn an_interrupt_writes_a_checkpoint_and_the_same_command_goes_on() {
    let alone = workplace();
    alone.trained(&["--quiet"]);

    let at = workplace();
    let args = ["finetune", "finetune.toml"];
    let mut process =
        at.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_a_checkpoint(&at, &mut process);
    // It stands still while a second training is refused.
    signal("STOP", &process);
    for options in [&[][..], &["--fresh"]] {
        let second = at.finetune(options);
        assert_eq!(second.code, Some(2));
        assert!(second.err.contains("another training is writing to out"), "{}", second.err);
    }
    signal("INT", &process);
    signal("CONT", &process);
    let ended: Ended = process.wait_with_output().unwrap().into();
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    assert!(ended.err.contains("the same command goes on from there"), "{}", ended.err);
    assert!(has_checkpoint(&at) && !at.path("out/training.json").exists());

    let on = at.finetune(&[]);
    assert_eq!(on.code, Some(0), "{}", on.err);
    let step = ended.err.rsplit("stopped after step ").next().unwrap();
    let step = step.split(';').next().unwrap();
    assert!(on.err.contains(&format!("continuing after step {step}")), "{} {}", step, on.err);
    assert!(at.adapter() == alone.adapter(), "the weights differ");
    assert_eq!(timeless(at.card()), timeless(alone.card()));
}

/// Puts a pipe in the place of a file: a program that opens it waits until it is written to.
fn make_pipe(at: &Workplace, name: &str) {
    fs::remove_file(at.path(name)).unwrap();
    assert!(Command::new("mkfifo").arg(at.path(name)).status().unwrap().success());
}

/// Waits until the program opens the pipe.
fn wait_for_reader(at: &Workplace, name: &str) -> File {
    File::options().write(true).open(at.path(name)).unwrap()
}

/// Interrupts a program that reads from a pipe, has it read on, and gives how it ends.
fn interrupted(mut process: Child, mut pipe: File, content: &[u8]) -> Ended {
    signal("INT", &process);
    let mut err = BufReader::new(process.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("stopping when") {
        assert!(err.read_line(&mut said).unwrap() > 0, "it ended at once: {said}");
    }
    pipe.write_all(content).unwrap();
    drop(pipe);
    err.read_to_string(&mut said).unwrap();
    let ended: Ended = process.wait_with_output().unwrap().into();
    Ended { err: said, ..ended }
}

/// Before a step, or a chunk, is made: while the sources are fetched.
#[test]
fn an_early_interrupt_is_heeded() {
    let at = workplace();
    let start = |args: &[&str]| {
        at.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let text = fs::read(at.path("text.txt")).unwrap();
    make_pipe(&at, "text.txt");
    let process = start(TRAIN);
    let pipe = wait_for_reader(&at, "text.txt");
    fs::remove_file(at.path("text.txt")).unwrap();
    at.write("text.txt", &text);
    let ended = interrupted(process, pipe, &text);
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    assert!(ended.err.contains("stopped before the first step"), "{}", ended.err);
    assert!(!at.path("out").exists());

    at.write(
        "pipeline.toml",
        "[models]\nbase = \"base\"\n[inputs]\nontology = \"world.ttl\"\n\
         subjects = \"countries.csv\"\ncandidates = \"cities.csv\"\ngold = \"train.csv\"\n\
         [output]\nfolder = \"graph\"\n",
    );
    let gold = fs::read(at.path("train.csv")).unwrap();
    make_pipe(&at, "train.csv");
    let process = start(&["run", "pipeline.toml"]);
    let mut first = wait_for_reader(&at, "train.csv");
    // It is read again where the run is described, after all models are located.
    make_pipe(&at, "train.csv");
    first.write_all(&gold).unwrap();
    drop(first);
    let ended = interrupted(process, wait_for_reader(&at, "train.csv"), &gold);
    assert_eq!(ended.code, Some(130), "{}", ended.err);
    assert!(ended.err.contains("goes on where this run stopped"), "{}", ended.err);
    assert!(!at.path("graph").exists());
}

/// Whatever it waits for.
#[test]
fn a_second_signal_ends_it_at_once_with_its_own_exit_code() {
    let at = workplace();
    make_pipe(&at, "text.txt");
    let mut process =
        at.command(TRAIN).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let pipe = wait_for_reader(&at, "text.txt");
    signal("INT", &process);
    let mut err = BufReader::new(process.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("stopping when") {
        assert!(err.read_line(&mut said).unwrap() > 0, "it ended at once: {said}");
    }
    signal("TERM", &process);
    err.read_to_string(&mut said).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(143), "{said}");
    assert!(said.contains("stopped; the same command goes on"), "{said}");
    drop(pipe);
}

/// A checkpoint is not continued with other data, and is still there afterwards.
#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let at = workplace();
    kill_after_a_checkpoint(&at);
    let checkpoint = || fs::read(at.path("out/checkpoint/latest.safetensors")).unwrap();
    let before = checkpoint();
    at.append(
        "train.csv",
        "http://example.org/Chad0,http://example.org/capital,http://example.org/Rome\n",
    );
    at.edit("finetune.toml", "learning_rate = 0.02", "learning_rate = 0.01");
    let refused = at.finetune(&["--quiet"]);
    assert_eq!(refused.code, Some(2));
    for part in ["a checkpoint of a training that differs", "train: was ", "--fresh"] {
        assert!(refused.err.contains(part), "{}", refused.err);
    }
    assert!(refused.err.contains("training.learning_rate: was 0.02, is 0.01"), "{}", refused.err);
    assert!(checkpoint() == before);
}

/// A disk that takes no more: what was written before stays whole, and training goes on from it.
#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_one_before() {
    let alone = workplace();
    alone.trained(&["--quiet"]);

    let at = workplace();
    kill_after_a_checkpoint(&at);
    let checkpoint = || fs::read(at.path("out/checkpoint/latest.safetensors")).unwrap();
    let before = checkpoint();
    // Files of 512 bytes a block may not grow beyond the checkpoint's own size.
    let blocks = before.len() / 512 / 2;
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -f {blocks}; exec \"$0\" \"$@\""));
    shell.arg(env!("CARGO_BIN_EXE_kgbuild"));
    let full: Ended = at.like(shell, TRAIN).output().unwrap().into();
    assert_eq!(full.code, Some(2), "{}", full.err);
    assert!(full.err.contains("cannot write out/checkpoint/latest.safetensors"), "{}", full.err);
    assert!(checkpoint() == before);
    let entries = fs::read_dir(at.path("out/checkpoint")).unwrap().count();
    assert_eq!(entries, 1, "nothing half written is left");
    at.trained(&["--quiet"]);
    assert!(at.adapter() == alone.adapter(), "the weights differ");
}
