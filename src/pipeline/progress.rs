//! How far a run is: a bar a stage on a terminal, a line every half minute elsewhere.
//!
//! Everything goes to standard error; standard output is for results.

use std::fmt;
use std::io::IsTerminal;
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
    bars: Option<[ProgressBar; 3]>,
    total: u64,
    done: [AtomicU64; 3],
    start: Instant,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// For `total` prompts, on standard error; nothing is shown where `quiet`.
    pub fn new(total: usize, quiet: bool) -> Self {
        let bars = (std::io::stderr().is_terminal() && !quiet).then(|| {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
            ["encode", "predict", "write"].map(|name| {
                let bar = all.add(ProgressBar::new(total as u64).with_style(style()));
                bar.set_prefix(name);
                bar.enable_steady_tick(Duration::from_millis(500));
                bar
            })
        });
        let now = Instant::now();
        // A quiet run's first line would be due in a hundred years.
        let last_line = if quiet { now + Duration::from_secs(3_000_000_000) } else { now };
        Self {
            bars,
            total: total as u64,
            done: Default::default(),
            start: now,
            last_line: Mutex::new(last_line),
        }
    }

    /// A stage has done so many prompts more.
    pub fn add(&self, stage: Stage, prompts: usize) {
        let before = self.done[stage as usize].fetch_add(prompts as u64, Ordering::Relaxed);
        match &self.bars {
            Some(bars) => bars[stage as usize].set_position(before + prompts as u64),
            None => self.line_if_due(),
        }
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        self.bars.iter().flatten().for_each(ProgressBar::finish_and_clear);
    }

    fn line_if_due(&self) {
        // Another thread that holds the lock is writing the line.
        let Ok(mut last) = self.last_line.try_lock() else { return };
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
        eprintln!(
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
