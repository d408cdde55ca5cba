//! Threads and bounded channels: items flow source -> encode -> predict -> write.
//!
//! Invariants: at most [`Workers::in_flight`] items exist at any time, however slow the writer;
//! when a stage fails or panics, every other stage ends and the first error is returned; when
//! `stop` is set, what a predict worker has begun is still predicted and written, nothing else.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::diagnostic::{Explain, Fault};

/// How many workers and how much waiting room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Threads that encode.
    pub encode: usize,
    /// Items that may wait between two stages.
    pub capacity: usize,
}

impl Workers {
    /// The most items that exist at once: one in the source's hand, three full channels, one with
    /// every worker, one with the writer.
    pub fn in_flight(&self, predictors: usize) -> usize {
        1 + self.capacity + self.encode + self.capacity + predictors + self.capacity + 1
    }
}

/// The system gives no thread for a stage.
#[derive(Debug, thiserror::Error)]
#[error("the system does not start one more thread")]
pub struct NoThread(#[from] io::Error);

impl Explain for NoThread {
    fn fault(&self) -> Fault {
        Fault::Machine
    }

    fn help(&self) -> Option<String> {
        Some("take fewer `workers` under [run], or allow more processes (ulimit -u)".to_owned())
    }
}

/// Runs all stages until the source is empty, `stop` is set, or one fails.
///
/// Writing happens on the calling thread. One predict thread is started for each of `predict`.
///
/// # Errors
/// The first error of any stage, [`NoThread`] where one could not be started.
///
/// # Panics
/// Where a stage panics, with its panic.
pub fn run<T: Send, U: Send, V: Send, E: Send + From<NoThread>>(
    source: impl Iterator<Item = T> + Send,
    workers: Workers,
    encode: impl Fn(T) -> Result<U, E> + Sync,
    predict: Vec<impl FnMut(U) -> Result<V, E> + Send>,
    mut write: impl FnMut(V) -> Result<(), E>,
    stop: &AtomicBool,
) -> Result<(), E> {
    let halt = AtomicBool::new(false);
    let (to_encode, encode_in) = bounded::<T>(workers.capacity);
    let (to_predict, predict_in) = bounded::<U>(workers.capacity);
    let (to_write, write_in) = bounded::<V>(workers.capacity);
    let (report, errors) = bounded::<E>(1);
    let (halt, encode) = (&halt, &encode);
    thread::scope(|scope| {
        let mut started = spawn(scope, "source".to_owned(), move || {
            let _bomb = Bomb { halt };
            for item in source {
                if stopped(halt, stop) || to_encode.send(item).is_err() {
                    break;
                }
            }
        });
        for number in 0..workers.encode {
            let (from, to, report) = (encode_in.clone(), to_predict.clone(), report.clone());
            let body = move || work(&from, &to, encode, &report, halt, stop);
            started = started.and_then(|()| spawn(scope, format!("encode-{number}"), body));
        }
        for (number, predict) in predict.into_iter().enumerate() {
            let (from, to, report) = (predict_in.clone(), to_write.clone(), report.clone());
            let body = move || work(&from, &to, predict, &report, halt, stop);
            started = started.and_then(|()| spawn(scope, format!("predict-{number}"), body));
        }
        // Only the workers' own ends are left, so that a stage that is gone is seen by the next.
        drop((encode_in, predict_in, to_predict, to_write));
        if let Err(error) = started {
            fail(error.into(), &report, halt);
        }
        let _bomb = Bomb { halt };
        for item in &write_in {
            if halt.load(Ordering::Relaxed) {
                break;
            }
            if let Err(error) = write(item) {
                fail(error, &report, halt);
                break;
            }
        }
        drop(write_in);
    });
    errors.try_recv().map_or(Ok(()), Err)
}

fn work<T, U, E>(
    from: &Receiver<T>,
    to: &Sender<U>,
    mut stage: impl FnMut(T) -> Result<U, E>,
    report: &Sender<E>,
    halt: &AtomicBool,
    stop: &AtomicBool,
) {
    let _bomb = Bomb { halt };
    for item in from {
        if stopped(halt, stop) {
            return;
        }
        match stage(item) {
            Ok(item) => {
                if to.send(item).is_err() {
                    return;
                }
            }
            Err(error) => return fail(error, report, halt),
        }
    }
}

fn stopped(halt: &AtomicBool, stop: &AtomicBool) -> bool {
    halt.load(Ordering::Relaxed) || stop.load(Ordering::Relaxed)
}

/// Keeps the first error and lets the other stages end.
fn fail<E>(error: E, report: &Sender<E>, halt: &AtomicBool) {
    halt.store(true, Ordering::Relaxed);
    // Full: another stage failed first.
    let _ = report.try_send(error);
}

/// Halts the other stages when its thread panics.
struct Bomb<'a> {
    halt: &'a AtomicBool,
}

impl Drop for Bomb<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.halt.store(true, Ordering::Relaxed);
        }
    }
}

fn spawn<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: String,
    body: impl FnOnce() + Send + 'scope,
) -> Result<(), NoThread> {
    thread::Builder::new().name(name).spawn_scoped(scope, body)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;
    use std::time::{Duration, Instant};

    impl From<NoThread> for String {
        fn from(error: NoThread) -> Self {
            error.to_string()
        }
    }

    fn pipeline(
        items: usize,
        predictors: usize,
        workers: Workers,
        predict: impl Fn(usize) -> Result<usize, String> + Send + Sync + Copy,
        write: impl FnMut(usize) -> Result<(), String>,
        stop: &AtomicBool,
    ) -> (Result<(), String>, usize) {
        let pulled = AtomicUsize::new(0);
        let source = (0..items).inspect(|_| {
            pulled.fetch_add(1, Ordering::SeqCst);
        });
        let result = run(source, workers, Ok, vec![predict; predictors], write, stop);
        (result, pulled.load(Ordering::SeqCst))
    }

    const WORKERS: Workers = Workers { encode: 2, capacity: 3 };

    #[test]
    fn everything_arrives_once() {
        let seen = Mutex::new(Vec::new());
        let write = |x| {
            seen.lock().unwrap().push(x);
            Ok(())
        };
        let stop = AtomicBool::new(false);
        let (result, _) = pipeline(1000, 4, WORKERS, |x| Ok(x * 2), write, &stop);
        assert_eq!(result, Ok(()));
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, (0..1000).map(|x| x * 2).collect::<Vec<_>>());
    }

    #[test]
    fn a_writer_that_stalls_holds_everything_at_the_stated_number() {
        let predictors = 2;
        let pulled = AtomicUsize::new(0);
        let most = WORKERS.in_flight(predictors);
        let source = (0..10_000).inspect(|_| {
            pulled.fetch_add(1, Ordering::SeqCst);
        });
        let stop = AtomicBool::new(false);
        let mut written = 0;
        let write = |_| {
            if written == 0 {
                // Stalled: wait until as much as may be in flight is, then see that no more comes.
                let deadline = Instant::now() + Duration::from_secs(20);
                while pulled.load(Ordering::SeqCst) < most && Instant::now() < deadline {
                    thread::sleep(Duration::from_millis(1));
                }
                thread::sleep(Duration::from_millis(200));
                assert_eq!(pulled.load(Ordering::SeqCst), most);
            }
            written += 1;
            Ok::<(), String>(())
        };
        let predict = vec![|x: usize| Ok(x); predictors];
        run(source, WORKERS, Ok, predict, write, &stop).unwrap();
        assert_eq!(written, 10_000);
        assert_eq!(most, 1 + 3 + 2 + 3 + 2 + 3 + 1);
    }

    #[test]
    fn the_first_error_of_a_stage_ends_all() {
        let stop = AtomicBool::new(false);
        let fail = |x| if x == 17 { Err("seventeen".to_owned()) } else { Ok(x) };
        let (result, pulled) = pipeline(usize::MAX, 3, WORKERS, fail, |_| Ok(()), &stop);
        assert_eq!(result, Err("seventeen".to_owned()));
        assert!(pulled < 1000, "{pulled} items were made after the error");
        let full = |_| Err("disk full".to_owned());
        let (result, pulled) = pipeline(usize::MAX, 3, WORKERS, Ok, full, &stop);
        assert_eq!(result, Err("disk full".to_owned()));
        assert!(pulled <= WORKERS.in_flight(3) + 1);
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_ends_all_and_is_passed_on() {
        let stop = AtomicBool::new(false);
        let panic = |x| if x == 5 { panic!("broken invariant") } else { Ok(x) };
        let _ = pipeline(usize::MAX, 3, WORKERS, panic, |_| Ok(()), &stop);
    }

    #[test]
    fn stopping_writes_what_was_begun_and_nothing_more() {
        let stop = AtomicBool::new(false);
        let mut written = 0;
        let write = |_| {
            written += 1;
            if written == 10 {
                stop.store(true, Ordering::SeqCst);
            }
            Ok(())
        };
        let (result, _) = pipeline(usize::MAX, 2, WORKERS, Ok, write, &stop);
        assert_eq!(result, Ok(()));
        let begun = 10 + WORKERS.capacity + 2;
        assert!((10..=begun).contains(&written), "{written} were written");
    }
}
