//! How far a training is: a bar on a terminal, a line every half minute elsewhere.
//!
//! Everything goes to standard error; standard output is for results.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::diagnostic::printable;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Share of the newest step in the loss that is shown, which is a running mean.
const NEWEST: f64 = 0.1;

/// Shows how far a training is.
pub struct Progress {
    shown: Shown,
    total: usize,
    /// Steps that earlier processes made.
    before: usize,
    tokens: usize,
    loss: Option<f64>,
    start: Instant,
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    /// When the last line was written.
    Lines(Instant),
}

impl Progress {
    /// For `total` steps of which `before` are made; nothing is shown where `quiet`.
    pub fn new(total: usize, before: usize, quiet: bool) -> Self {
        let shown = if quiet {
            Shown::Nothing
        } else if std::io::stderr().is_terminal() {
            let target = ProgressDrawTarget::stderr_with_hz(8);
            let bar = ProgressBar::with_draw_target(Some(total as u64), target).with_style(style());
            bar.set_position(before as u64);
            bar.set_message("measuring the held-out facts");
            bar.enable_steady_tick(Duration::from_millis(500));
            Shown::Bar(bar)
        } else {
            Shown::Lines(Instant::now())
        };
        Self { shown, total, before, tokens: 0, loss: None, start: Instant::now() }
    }

    /// A step was made: so many are now, with this loss and of so many tokens.
    pub fn step(&mut self, done: usize, loss: f64, tokens: usize) {
        self.tokens += tokens;
        let mean = self.loss.map_or(loss, |mean| mean + NEWEST * (loss - mean));
        self.loss = Some(mean);
        let said = || {
            let seconds = self.start.elapsed().as_secs_f64();
            let rate = self.tokens as f64 / seconds;
            let left = seconds / (done - self.before).max(1) as f64 * (self.total - done) as f64;
            let left = HumanDuration(Duration::from_secs_f64(left));
            format!("loss {mean:.3}, {rate:.0} tokens/s, {left:#} left")
        };
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                bar.set_message(said());
                bar.set_position(done as u64);
            }
            Shown::Lines(last) if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                write_line(&format!("step {done} of {}: {}", self.total, said()));
            }
            Shown::Lines(_) => {}
        }
    }

    /// Something worth a line of its own.
    pub fn note(&self, text: &str) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.suspend(|| write_line(text)),
            Shown::Lines(_) => write_line(text),
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn write_line(text: &str) {
    let _nobody_listens = writeln!(std::io::stderr(), "{}", printable(text));
}

/// The bar takes the room that the words leave; in a narrow terminal there is none, and they wrap.
fn style() -> ProgressStyle {
    ProgressStyle::with_template("{wide_bar:.cyan/dim} {pos}/{len} steps, {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
