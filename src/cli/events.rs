//! What work tells, on standard error: notes and warnings, and how far it is, as bars on a terminal
//! and as a line every half minute elsewhere. Standard output is for results.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam::channel::{RecvTimeoutError, Sender, bounded};
use indicatif::{
    HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};

use super::failure::show;
use super::streams::{clear_bars, show_bars, to_stderr};
use crate::diagnostic::{Diagnostics, Events, Work};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// Tells a person on standard error.
pub(super) struct Terminal {
    /// Whether only warnings are told.
    quiet: bool,
    shown: Mutex<Option<Shown>>,
}

/// The work that is going on.
enum Shown {
    Bars {
        stages: &'static [&'static str],
        bars: Vec<ProgressBar>,
    },
    /// The thread that writes the lines, until the sender is dropped.
    Lines {
        counts: Arc<Mutex<Counts>>,
        writer: Option<(Sender<()>, JoinHandle<()>)>,
    },
}

/// How much each stage has done.
struct Counts {
    work: Work,
    done: Vec<u64>,
    status: String,
    start: Instant,
}

impl Terminal {
    /// Tells notes and progress too, unless `quiet`.
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, shown: Mutex::new(None) }
    }

    fn shown(&self) -> MutexGuard<'_, Option<Shown>> {
        locked(&self.shown)
    }
}

impl Events for Terminal {
    fn note(&self, text: &str) {
        if !self.quiet {
            to_stderr(text);
        }
    }

    fn warn(&self, warnings: &Diagnostics) {
        show(warnings);
    }

    fn begin(&self, work: Work) {
        if !self.quiet {
            let shown = if io::stderr().is_terminal() { bars(work) } else { lines(work) };
            *self.shown() = Some(shown);
        }
    }

    fn advance(&self, stage: &'static str, by: u64) {
        let place = |stages: &[&str]| stages.iter().position(|name| *name == stage);
        match &*self.shown() {
            Some(Shown::Bars { stages, bars, .. }) => {
                if let Some(at) = place(stages) {
                    bars[at].inc(by);
                }
            }
            Some(Shown::Lines { counts, .. }) => {
                let mut counts = locked(counts);
                if let Some(at) = place(counts.work.stages) {
                    counts.done[at] += by;
                }
            }
            None => {}
        }
    }

    fn status(&self, text: &str) {
        match &*self.shown() {
            Some(Shown::Bars { bars, .. }) => {
                bars.iter().for_each(|bar| bar.set_message(text.to_owned()));
            }
            Some(Shown::Lines { counts, .. }) => text.clone_into(&mut locked(counts).status),
            None => {}
        }
    }

    fn end(&self) {
        match self.shown().take() {
            Some(Shown::Bars { bars, .. }) => {
                bars.iter().for_each(ProgressBar::finish_and_clear);
                clear_bars();
            }
            Some(Shown::Lines { writer: Some((stop, lines)), .. }) => {
                drop(stop);
                // A thread that could not write has nothing to say here either.
                let _ = lines.join();
            }
            _ => {}
        }
    }
}

/// What a thread that panicked left behind are counts all the same.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bars(work: Work) -> Shown {
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
    let bars = work.stages.iter().map(|name| {
        let bar = all.add(ProgressBar::new(work.total).with_style(style(&work)));
        bar.set_prefix(*name);
        bar.set_position(work.done);
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(500));
        bar
    });
    let bars = bars.collect();
    show_bars(&all);
    Shown::Bars { stages: work.stages, bars }
}

fn lines(work: Work) -> Shown {
    let counts = Counts {
        work,
        done: vec![work.done; work.stages.len()],
        status: String::new(),
        start: Instant::now(),
    };
    let counts = Arc::new(Mutex::new(counts));
    let (stop, stopped) = bounded(0);
    let told = Arc::clone(&counts);
    let writer = thread::spawn(move || {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LINE_EVERY) {
            let line = locked(&told).line();
            to_stderr(&line);
        }
    });
    Shown::Lines { counts, writer: Some((stop, writer)) }
}

impl Counts {
    fn line(&self) -> String {
        let Self { work, done, status, start } = self;
        let seconds = start.elapsed().as_secs_f64();
        let stages = work.stages.iter().zip(done).map(|(name, &done)| {
            let new = done.saturating_sub(work.done);
            let left = if new == 0 {
                "unknown time".to_owned()
            } else {
                let seconds = seconds / new as f64 * work.total.saturating_sub(done) as f64;
                HumanDuration(Duration::from_secs_f64(seconds)).to_string()
            };
            format!("{name} {done} ({:.1}/s, {left} left)", new as f64 / seconds)
        });
        let stages: Vec<String> = stages.collect();
        let status = if status.is_empty() { String::new() } else { format!("; {status}") };
        format!("of {} {}: {}{status}", work.total, work.unit, stages.join(", "))
    }
}

/// The bar takes the room that the words leave; in a narrow terminal there is none, and they wrap.
fn style(work: &Work) -> ProgressStyle {
    let unit = work.unit;
    let template = format!(
        "{{prefix:>7}} {{wide_bar:.cyan/dim}} {{pos}}/{{len}} {unit} {{rate:>7}}/s {{eta:>4}} left \
         {{msg}}"
    );
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            // A terminal that cannot be written to is no reason to stop.
            let _ = write!(out, "{:.1}", state.per_sec());
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_what_this_process_did() {
        let work = Work { stages: &["encode", "write"], unit: "prompts", total: 100, done: 40 };
        let start = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let counts = Counts { work, done: vec![60, 40], status: "loss 1.0".to_owned(), start };
        let line = counts.line();
        assert!(line.starts_with("of 100 prompts: encode 60 (2.0/s, 20 seconds left)"), "{line}");
        assert!(line.ends_with("write 40 (0.0/s, unknown time left); loss 1.0"), "{line}");
    }
}
