//! `kgbuild fetch`: what a command needs from elsewhere, into the cache, so that it can run without
//! network; and the lock file that notes what that was.

use std::path::Path;

use super::args::FetchArgs;
use super::check;
use super::export::whole_file;
use super::failure::{Failure, show};
use super::say::{print, say};
use crate::config::experiment::{self, Experiment};
use crate::config::finetune::{self, Finetune};
use crate::config::{self, FileKind, ModelSource, Pipeline};
use crate::diagnostic::{Diagnostics, counted};
use crate::fetch::{self, Cache, LockFile, runtime_library};
use crate::pipeline;

/// Fetches ONNX Runtime and the sources of the settings file, as far as they are missing.
pub fn fetch(args: &FetchArgs) -> Result<(), Failure> {
    let cache = Cache::from_environment().map_err(Failure::bad_input)?;
    let settings = match &args.file {
        Some(file) => {
            let (settings, warnings) = read(file, args)?;
            show(&warnings);
            Some((file, settings))
        }
        None => None,
    };
    let own = settings.as_ref().and_then(|(_, settings)| match settings {
        Settings::Pipeline(pipeline) => pipeline.runtime.library.clone(),
        _ => None,
    });
    let library = match own {
        Some(library) => library,
        None => runtime_library(&cache, &mut say).map_err(Failure::bad_input)?,
    };
    print(&format!("ONNX Runtime: {}", library.display()))?;
    let Some((file, mut settings)) = settings else { return Ok(()) };
    if args.lock {
        write_lock(file, &mut settings, &cache)?;
    }
    settings.fetch(&cache)
}

/// A settings file that names sources.
enum Settings {
    Pipeline(Box<Pipeline>),
    Finetune(Box<Finetune>),
    Experiment(Box<Experiment>),
}

impl Settings {
    fn read(file: &Path) -> Result<(Self, Diagnostics), Diagnostics> {
        Ok(match config::kind(file)? {
            FileKind::Pipeline => {
                let (pipeline, notes) = config::read(file)?;
                (Self::Pipeline(Box::new(pipeline)), notes)
            }
            FileKind::Finetuning => {
                let (settings, notes) = finetune::read(file)?;
                (Self::Finetune(Box::new(settings)), notes)
            }
            FileKind::Experiment => {
                let (experiment, notes) = experiment::read(file, None)?;
                (Self::Experiment(Box::new(experiment)), notes)
            }
        })
    }

    fn model_sources(&mut self) -> Vec<&mut ModelSource> {
        match self {
            Self::Pipeline(pipeline) => pipeline.model_sources().collect(),
            Self::Finetune(settings) => settings.model_sources().collect(),
            Self::Experiment(experiment) => experiment.model_sources().collect(),
        }
    }

    /// Fetches the sources, and imports a pipeline's models.
    fn fetch(mut self, cache: &Cache) -> Result<(), Failure> {
        if let Self::Pipeline(pipeline) = &self {
            let models = pipeline::locate(pipeline, cache, &mut say).map_err(Failure::bad_input)?;
            for (role, model) in [("base", models.base()), ("finetuned", models.finetuned())] {
                if let Some(model) = model {
                    print(&format!("{role}: {} (sha256 {})", model.source, model.sha256))?;
                }
            }
            return Ok(());
        }
        for source in self.model_sources() {
            let path = fetch::fetch_named(source, cache, &mut say).map_err(Failure::bad_input)?;
            print(&format!("{}: {}", source.source, path.display()))?;
        }
        Ok(())
    }
}

/// Reads a settings file, and binds its sources to its lock file unless that is to be written.
fn read(file: &Path, args: &FetchArgs) -> Result<(Settings, Diagnostics), Diagnostics> {
    let (mut settings, mut notes) = Settings::read(file)?;
    let sources = settings.model_sources();
    if args.lock {
        // Something else of the lock file's name is not to be lost.
        LockFile::read(file)?;
        notes.0.extend(sources.into_iter().filter_map(|source| check::malformed(source)));
    } else {
        notes.0.append(&mut check::sources(file, sources, args.locked).0);
    }
    notes.or(settings)
}

/// Fetches what a settings file names, notes in its lock file what that is, and binds the sources to
/// it.
fn write_lock(file: &Path, settings: &mut Settings, cache: &Cache) -> Result<(), Failure> {
    let before = LockFile::read(file)?;
    let sources = settings.model_sources().into_iter().map(|source| &*source);
    let lock = LockFile::of(file, sources, cache, &mut say).map_err(Failure::bad_input)?;
    for entry in lock.entries() {
        let was = before.as_ref().and_then(|before| before.entry(&entry.source));
        if let Some(was) = was.filter(|was| was.sha256 != entry.sha256) {
            say(&format!("{} has changed: its sha256 was {}", entry.source, was.sha256));
        }
    }
    let text = lock.to_text().map_err(Failure::failed)?;
    whole_file(&lock.path, |out| out.write_all(text.as_bytes()).map_err(Failure::Output))?;
    print(&format!("{}: {}", lock.path.display(), counted(lock.entries().len(), "source")))?;
    fetch::lock(file, settings.model_sources(), true).or(())?;
    Ok(())
}
