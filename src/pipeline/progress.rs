//! How far a run is: a bar a stage on a terminal, a line every half minute elsewhere.
//!
//! Everything goes to standard error; standard output is for results.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::channel::{RecvTimeoutError, Sender, bounded};
use indicatif::{
    HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// A stage whose progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Tokenising.
    Encode,
    /// Asking the models.
    Predict,
    /// Writing to the graph.
    Write,
}

/// Shows how many prompts each stage has done. Shared by all threads.
pub struct Progress {
    shown: Shown,
    counts: Arc<Counts>,
}

enum Shown {
    Nothing,
    Bars([ProgressBar; 3]),
    /// The thread that writes the lines, until the sender is dropped.
    Lines(Mutex<Option<(Sender<()>, JoinHandle<()>)>>),
}

/// How many prompts each stage has done, of how many.
struct Counts {
    total: u64,
    done: [AtomicU64; 3],
    start: Instant,
}

impl Progress {
    /// For `total` prompts, on standard error; nothing is shown where `quiet`.
    pub fn new(total: usize, quiet: bool) -> Self {
        let counts = Arc::new(Counts {
            total: total as u64,
            done: Default::default(),
            start: Instant::now(),
        });
        let shown = if quiet {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
            Shown::Bars(["encode", "predict", "write"].map(|name| {
                let bar = all.add(ProgressBar::new(total as u64).with_style(style()));
                bar.set_prefix(name);
                bar.enable_steady_tick(Duration::from_millis(500));
                bar
            }))
        } else {
            let (stop, stopped) = bounded(0);
            let counts = Arc::clone(&counts);
            let lines = thread::spawn(move || {
                while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LINE_EVERY) {
                    counts.write_line();
                }
            });
            Shown::Lines(Mutex::new(Some((stop, lines))))
        };
        Self { shown, counts }
    }

    /// A stage has done so many prompts more.
    pub fn add(&self, stage: Stage, prompts: usize) {
        self.counts.done[stage as usize].fetch_add(prompts as u64, Ordering::Relaxed);
        if let Shown::Bars(bars) = &self.shown {
            bars[stage as usize].inc(prompts as u64);
        }
    }

    /// Takes the bars away; no line comes after it.
    pub fn finish(&self) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bars(bars) => bars.iter().for_each(ProgressBar::finish_and_clear),
            Shown::Lines(thread) => {
                let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some((stop, lines)) = thread {
                    drop(stop);
                    // A thread that could not write has nothing to say here either.
                    let _ = lines.join();
                }
            }
        }
    }
}

impl Counts {
    fn write_line(&self) {
        let seconds = self.start.elapsed().as_secs_f64();
        let stages =
            ["encoded", "predicted", "written"].iter().zip(&self.done).map(|(name, done)| {
                let done = done.load(Ordering::Relaxed);
                let left = if done == 0 {
                    "unknown time".to_owned()
                } else {
                    let seconds = seconds / done as f64 * self.total.saturating_sub(done) as f64;
                    HumanDuration(Duration::from_secs_f64(seconds)).to_string()
                };
                format!("{name} {done} ({:.1}/s, {left} left)", done as f64 / seconds)
            });
        let stages: Vec<String> = stages.collect();
        let _nobody_listens =
            writeln!(std::io::stderr(), "of {} prompts: {}", self.total, stages.join(", "));
    }
}

fn style() -> ProgressStyle {
    let template = "{prefix:>7} {wide_bar:.cyan/dim} {pos}/{len} prompts {rate:>7}/s {eta:>4} left";
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // A terminal that cannot be written to is no reason to stop.
            let _ = write!(out, "{:.1}", state.per_sec());
        })
}
