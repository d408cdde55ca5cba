//! How far a run is: a bar a stage on a terminal, a line every half minute elsewhere.
//!
//! Everything goes to standard error; standard output is for results.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    total: u64,
    done: [AtomicU64; 3],
    start: Instant,
}

enum Shown {
    Nothing,
    Bars([ProgressBar; 3]),
    /// When the last line was written.
    Lines(Mutex<Instant>),
}

impl Progress {
    /// For `total` prompts, on standard error; nothing is shown where `quiet`.
    pub fn new(total: usize, quiet: bool) -> Self {
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
            Shown::Lines(Mutex::new(Instant::now()))
        };
        Self { shown, total: total as u64, done: Default::default(), start: Instant::now() }
    }

    /// A stage has done so many prompts more.
    pub fn add(&self, stage: Stage, prompts: usize) {
        let before = self.done[stage as usize].fetch_add(prompts as u64, Ordering::Relaxed);
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bars(bars) => bars[stage as usize].set_position(before + prompts as u64),
            Shown::Lines(last) => self.line_if_due(last),
        }
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        if let Shown::Bars(bars) = &self.shown {
            bars.iter().for_each(ProgressBar::finish_and_clear);
        }
    }

    fn line_if_due(&self, last: &Mutex<Instant>) {
        // Another thread that holds the lock is writing the line.
        let Ok(mut last) = last.try_lock() else { return };
        if last.elapsed() < LINE_EVERY {
            return;
        }
        *last = Instant::now();
        let [encoded, predicted, written] = [0, 1, 2].map(|i| self.done[i].load(Ordering::Relaxed));
        let seconds = self.start.elapsed().as_secs_f64();
        let left = if written > 0 {
            let left = seconds / written as f64 * self.total.saturating_sub(written) as f64;
            HumanDuration(Duration::from_secs_f64(left)).to_string()
        } else {
            "unknown time".to_owned()
        };
        let _nobody_listens = writeln!(
            std::io::stderr(),
            "of {} prompts: encoded {encoded}, predicted {predicted}, written {written} \
             ({:.1} prompts/s, {left} left)",
            self.total,
            predicted as f64 / seconds,
        );
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
