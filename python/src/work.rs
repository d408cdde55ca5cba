//! Long work beside the interpreter: it runs on a thread of its own, without the interpreter's lock, while the
//! caller's thread passes on what it tells, and stops it where a signal asks for that.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use kgbuild::diagnostic::{Diagnostics, Events, Work};
use kgbuild::pipeline::Environment;
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::convert::to_python;
use crate::error::as_json;

/// How long the caller's thread waits before it looks for signals again.
const TICK: Duration = Duration::from_millis(50);

/// What work told, until it is passed on. Progress is summed up by stage, so that it has a bound.
#[derive(Default)]
struct Told {
    said: Vec<Value>,
}

static TOLD: Mutex<Told> = Mutex::new(Told { said: Vec::new() });

/// One work at a time is told of, and can be stopped.
static AT_WORK: Mutex<()> = Mutex::new(());

static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();

/// Notes what work tells.
struct Relay;

impl Relay {
    fn say(value: Value) {
        locked(&TOLD).said.push(value);
    }
}

impl Events for Relay {
    fn note(&self, text: &str) {
        Self::say(json!({ "event": "note", "text": text }));
    }

    fn warn(&self, warnings: &Diagnostics) {
        if let Value::Array(all) = as_json(warnings) {
            all.into_iter()
                .for_each(|one| Self::say(json!({ "event": "warning", "warning": one })));
        }
    }

    fn begin(&self, work: Work) {
        let Work { stages, unit, total, done } = work;
        Self::say(json!({
            "event": "begin", "stages": stages, "unit": unit, "total": total, "done": done,
        }));
    }

    fn advance(&self, stage: &'static str, by: u64) {
        let mut told = locked(&TOLD);
        // What was not passed on yet grows.
        if let Some(last) = told.said.last_mut()
            && last["event"] == "advance"
            && last["stage"] == stage
        {
            last["by"] = json!(last["by"].as_u64().unwrap_or_default() + by);
            return;
        }
        told.said.push(json!({ "event": "advance", "stage": stage, "by": by }));
    }

    fn status(&self, text: &str) {
        Self::say(json!({ "event": "status", "text": text }));
    }

    fn end(&self) {
        Self::say(json!({ "event": "end" }));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where all work of the process is done: it has one ONNX Runtime.
pub(crate) fn environment() -> &'static Environment {
    ENVIRONMENT.get_or_init(|| Environment::new(Relay))
}

/// Does `work`, and passes on what it tells to `tell`, a callable of one dict, where there is one.
///
/// A signal that raises, as Ctrl-C does, and an exception of `tell` stop the work where nothing is lost; then they
/// are raised.
pub(crate) fn work<T: Send>(
    py: Python<'_>,
    tell: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&'static Environment) -> PyResult<T> + Send,
) -> PyResult<T> {
    let _one = loop {
        match AT_WORK.try_lock() {
            Ok(one) => break one,
            Err(TryLockError::Poisoned(one)) => break one.into_inner(),
            Err(TryLockError::WouldBlock) => py.detach(|| thread::sleep(TICK)),
        }
        py.check_signals()?;
    };
    let environment = environment();
    environment.stop.store(false, Ordering::Relaxed);
    locked(&TOLD).said.clear();
    let mut stopped: Option<PyErr> = None;
    let ended = thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        // A receiver alone is not shared with the closure that waits.
        let is_done = Mutex::new(is_done);
        let worker = scope.spawn(move || {
            // It is dropped when the work ends, however it does.
            let _done = done;
            work(environment)
        });
        while py.detach(|| locked(&is_done).recv_timeout(TICK)) == Err(RecvTimeoutError::Timeout) {
            if stopped.is_none()
                && let Err(error) = py.check_signals().and_then(|()| pass_on(py, tell))
            {
                environment.stop.store(true, Ordering::Relaxed);
                stopped = Some(error);
            }
        }
        worker.join()
    });
    environment.stop.store(false, Ordering::Relaxed);
    if let Some(error) = stopped {
        return Err(error);
    }
    pass_on(py, tell)?;
    match ended {
        Ok(ended) => ended,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Passes on what was told since the last time.
fn pass_on(py: Python<'_>, tell: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    let said = std::mem::take(&mut locked(&TOLD).said);
    let Some(tell) = tell else { return Ok(()) };
    said.iter().try_for_each(|value| tell.call1((to_python(py, value)?,)).map(drop))
}
