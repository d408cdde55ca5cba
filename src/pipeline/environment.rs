//! What all jobs of a process share: the cache, ONNX Runtime, who is told how it goes, and the flag
//! that stops it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::Error;
use crate::diagnostic::Events;
use crate::fetch::{self, Cache};
use crate::runtime::{Device, Runtime};

/// Where jobs work. One process has one, because it has one ONNX Runtime.
pub struct Environment {
    cache: OnceLock<Cache>,
    /// ONNX Runtime's shared library; none to look for it, and to fetch it where it is missing.
    pub library: Option<PathBuf>,
    /// Whether a lock file must say what each source is.
    pub locked: bool,
    /// Whether all that the cache holds of the models is hashed again.
    pub verify: bool,
    /// Is told how work goes.
    pub events: Box<dyn Events>,
    /// Stops work where nothing is lost, once it is set.
    pub stop: Arc<AtomicBool>,
    runtime: OnceLock<Runtime>,
}

impl Environment {
    /// As the process' environment says; `events` are told how work goes.
    pub fn new(events: impl Events + 'static) -> Self {
        Self {
            cache: OnceLock::new(),
            library: None,
            locked: false,
            verify: false,
            events: Box::new(events),
            stop: Arc::default(),
            runtime: OnceLock::new(),
        }
    }

    /// The same with another cache.
    #[must_use]
    pub fn with_cache(self, cache: Cache) -> Self {
        Self { cache: cache.into(), ..self }
    }

    /// Where models and ONNX Runtime are kept: as the process' environment says, if nobody else did.
    ///
    /// # Errors
    /// Where it says nothing.
    pub fn cache(&self) -> Result<&Cache, fetch::Error> {
        if let Some(cache) = self.cache.get() {
            return Ok(cache);
        }
        let cache = Cache::from_environment()?;
        let cache = cache.stop_on(Arc::clone(&self.stop)).verifying(self.verify);
        Ok(self.cache.get_or_init(|| cache))
    }

    /// The file of ONNX Runtime, fetched where none is named and it is missing.
    ///
    /// # Errors
    /// Where it cannot be had.
    pub fn runtime_library(&self) -> Result<PathBuf, fetch::Error> {
        match &self.library {
            Some(library) => Ok(library.clone()),
            None => fetch::runtime_library(self.cache()?, self.events.as_ref()),
        }
    }

    /// ONNX Runtime, loaded when it is first asked for; the first device asked for is that of all.
    ///
    /// # Errors
    /// Where there is no library, or it cannot be used.
    pub fn runtime(&self, device: Device) -> Result<&Runtime, Error> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime);
        }
        let runtime = Runtime::load(&self.runtime_library()?, device)?;
        if let Some(note) = runtime.note() {
            self.events.note(note);
        }
        Ok(self.runtime.get_or_init(|| runtime))
    }

    /// Whether work is to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends work that was stopped before it has changed anything.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub(super) fn proceed(&self) -> Result<(), Error> {
        if self.is_stopped() { Err(Error::Interrupted) } else { Ok(()) }
    }
}
