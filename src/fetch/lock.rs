//! The lock file beside a settings file: what its sources were when they were fetched, so that they
//! are the same on every machine and at any time.
//!
//! It has an entry for each source that is fetched; local files and folders are the user's own. What
//! it says is held to wherever it is there. Only `kgbuild fetch --lock` writes it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Cache, Error, Locked, ModelSource, Source, fetch_named, hub, sha256_of};
use crate::diagnostic::{At, Diagnostic, Diagnostics, Events};

const HEAD: &str = "\
# Written by `kgbuild fetch --lock`: what the sources of the settings beside it were when they were
# fetched. To be kept with these settings, and not to be edited.
";

/// Of the form of the file.
const VERSION: u64 = 1;

/// What the sources of a settings file were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockFile {
    /// Where it is, or will be.
    pub path: PathBuf,
    /// The settings file.
    settings: PathBuf,
    document: Document,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u64,
    /// By the text of the source, none twice.
    #[serde(default, rename = "source", skip_serializing_if = "Vec::is_empty")]
    entries: Vec<LockEntry>,
}

/// What one source was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockEntry {
    /// As it is written in the settings file.
    pub source: String,
    /// The commit of a hub's model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// As [`sha256_of`] gives it.
    pub sha256: String,
}

impl LockFile {
    /// The lock file of a settings file: `pipeline.lock` beside `pipeline.toml`. None where there is
    /// no file of that name.
    ///
    /// # Errors
    /// Where it cannot be read, or is not what kgbuild writes.
    pub fn read(settings: &Path) -> Result<Option<Self>, Diagnostics> {
        let path = path_for(settings);
        let shown = path.display();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let message = format!("the lock file `{shown}` cannot be read: {error}");
                return Err(Diagnostic::error("lock-file", message).at(&path, At::File).into());
            }
        };
        let wrong = |problem: &str, at: At| {
            let message = format!("`{shown}` is not a lock file of this kgbuild: {problem}");
            let help = format!(
                "remove it, or give it another name; `kgbuild fetch --lock {}` makes a new one",
                settings.display()
            );
            Diagnostics::from(Diagnostic::error("lock-file", message).at(&path, at).help(help))
        };
        let document: Document = toml::from_str(&text)
            .map_err(|error| wrong(error.message(), error.span().map_or(At::File, At::Span)))?;
        if document.version != VERSION {
            return Err(wrong(&format!("its version is {}", document.version), At::File));
        }
        if let Some(entry) = document.entries.iter().find(|entry| !is_sha256(&entry.sha256)) {
            return Err(wrong(&format!("`{}` has no SHA-256", entry.source), At::File));
        }
        Ok(Some(Self { path, settings: settings.to_owned(), document }))
    }

    /// What the sources of a settings file are now, which are fetched as far as the cache lacks them.
    ///
    /// # Errors
    /// Those of [`fetch_named`].
    pub fn of<'a>(
        settings: &Path,
        sources: impl IntoIterator<Item = &'a ModelSource>,
        cache: &Cache,
        events: &dyn Events,
    ) -> Result<Self, Error> {
        let mut entries: Vec<LockEntry> = Vec::new();
        for named in sources {
            let is_there = entries.iter().any(|entry| entry.source == named.written);
            if is_there || !named.source.is_fetched() {
                continue;
            }
            let path = fetch_named(named, cache, events)?;
            let revision = match &named.source {
                Source::Hf { owner_name, .. } => hub::commit(owner_name, &path, cache)?,
                _ => None,
            };
            let sha256 = sha256_of(&path)?;
            entries.push(LockEntry { source: named.written.clone(), revision, sha256 });
        }
        entries.sort_by(|a, b| a.source.cmp(&b.source));
        let document = Document { version: VERSION, entries };
        Ok(Self { path: path_for(settings), settings: settings.to_owned(), document })
    }

    /// The file's text.
    ///
    /// # Errors
    /// None for what [`Self::of`] gives.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        Ok(format!("{HEAD}{}", toml::to_string(&self.document)?))
    }

    /// The sources, by their text.
    pub fn entries(&self) -> &[LockEntry] {
        &self.document.entries
    }

    /// What it says of a source.
    pub fn entry(&self, source: &str) -> Option<&LockEntry> {
        self.document.entries.iter().find(|entry| entry.source == source)
    }

    /// Binds a source to its entry, and says where the settings say otherwise.
    fn bind(&self, named: &mut ModelSource, entry: &LockEntry) -> Option<Diagnostic> {
        if named.sha256.as_ref().is_some_and(|sha256| *sha256 != entry.sha256) {
            let message = format!(
                "`{}` has another SHA-256 here than in `{}`",
                named.written,
                self.path.display()
            );
            let mistake = Diagnostic::error("lock-differs", message).help(self.help());
            return Some(Diagnostic { place: Some(named.place.clone()), ..mistake });
        }
        named.locked = Some(Locked {
            file: self.path.clone(),
            revision: entry.revision.clone(),
            sha256: entry.sha256.clone(),
        });
        None
    }

    fn help(&self) -> String {
        mend(&self.settings)
    }
}

/// Binds the `sources` of a settings file to the lock file beside it, where there is one. With
/// `demanded`, as `--locked` says, there must be one, with exactly these sources.
///
/// Gives the mistakes, and a warning for each source that may be another one tomorrow.
pub fn lock<'a>(
    settings: &Path,
    sources: impl IntoIterator<Item = &'a mut ModelSource>,
    demanded: bool,
) -> Diagnostics {
    let lock = match LockFile::read(settings) {
        Ok(lock) => lock,
        Err(mistakes) => return mistakes,
    };
    let mut found = Diagnostics::default();
    let mut named = Vec::new();
    for model in sources {
        if !model.source.is_fetched() {
            continue;
        }
        let place = Some(model.place.clone());
        let entry = lock.as_ref().and_then(|lock| Some((lock, lock.entry(&model.written)?)));
        named.push(model.written.clone());
        let of_source = match entry {
            Some((lock, entry)) => lock.bind(model, entry),
            None if demanded => Some(unlocked(settings, &model.written)),
            None if model.sha256.is_none() && !model.source.is_fixed() => {
                Some(unpinned(settings, &model.written))
            }
            None => None,
        };
        found.0.extend(of_source.map(|diagnostic| Diagnostic { place, ..diagnostic }));
    }
    match lock {
        Some(lock) if demanded => found.0.extend(lock.superfluous(&named)),
        None if demanded && named.is_empty() => {
            let shown = path_for(settings);
            let message = format!("there is no `{}`, which `--locked` demands", shown.display());
            let mistake = Diagnostic::error("not-locked", message).help(mend(settings));
            found.push(mistake.at(settings, At::File));
        }
        _ => {}
    }
    found
}

impl LockFile {
    /// Entries that are of none of the settings' sources.
    fn superfluous(&self, named: &[String]) -> impl Iterator<Item = Diagnostic> {
        let entries = self.entries().iter().filter(|entry| !named.contains(&entry.source));
        entries.map(|entry| {
            let message = format!(
                "`{}` is locked, but `{}` does not name it",
                entry.source,
                self.settings.display()
            );
            let mistake = Diagnostic::error("not-locked", message).help(self.help());
            mistake.at(&self.path, At::File)
        })
    }
}

/// `pipeline.lock` for `pipeline.toml`, `other.lock` for `other`: never the settings file itself.
fn path_for(settings: &Path) -> PathBuf {
    match settings.extension() {
        Some(extension) if extension != "toml" => {
            let mut name = settings.as_os_str().to_owned();
            name.push(".lock");
            name.into()
        }
        _ => settings.with_extension("lock"),
    }
}

fn mend(settings: &Path) -> String {
    format!("`kgbuild fetch --lock {}` notes what the sources are now", settings.display())
}

fn unlocked(settings: &Path, source: &str) -> Diagnostic {
    let lock = path_for(settings);
    let problem = if lock.exists() { "does not name it" } else { "is not there" };
    let message = format!("`{source}` is not locked: `{}` {problem}", lock.display());
    Diagnostic::error("not-locked", message).help(mend(settings))
}

fn unpinned(settings: &Path, source: &str) -> Diagnostic {
    let message = format!("nothing says what `{source}` holds: it may be something else tomorrow");
    let help = format!(
        "{}, in a file beside it; or write `{{ source = {source:?}, sha256 = \"…\" }}`",
        mend(settings)
    );
    Diagnostic::warning("unpinned-source", message).help(help)
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::super::tests::NothingSlow;
    use super::*;
    use crate::diagnostic::{Place, Severity};

    const PYPI: &str = "pypi:thing==1.0#thing/model.gguf";
    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
    /// Of `abc`, by FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn named(source: &str) -> ModelSource {
        ModelSource {
            written: source.to_owned(),
            sha256: None,
            locked: None,
            source: Source::parse(source, Path::new("")).unwrap(),
            place: Place { file: "pipeline.toml".into(), at: At::Line(7) },
        }
    }

    /// A folder with a cache that holds `thing` and a model of a hub.
    struct Workplace {
        folder: tempfile::TempDir,
        cache: Cache,
    }

    impl Workplace {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let cache = Cache::at(folder.path().join("cache"));
            let this = Self { folder, cache };
            this.write("cache/pypi/thing-1.0/thing/model.gguf", "abc");
            let snapshot = format!("snapshots/{COMMIT}");
            this.write(&format!("{snapshot}/config.json"), "{}");
            let note = this.folder.path().join(snapshot).display().to_string();
            this.write("cache/hf/owner--name@main", &note);
            this
        }

        fn settings(&self) -> PathBuf {
            self.folder.path().join("pipeline.toml")
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn make(&self, sources: &[ModelSource]) -> LockFile {
            let lock = LockFile::of(&self.settings(), sources, &self.cache, &NothingSlow).unwrap();
            fs::write(&lock.path, lock.to_text().unwrap()).unwrap();
            lock
        }

        fn codes(&self, sources: &mut [ModelSource], demanded: bool) -> Vec<&'static str> {
            let found = lock(&self.settings(), sources, demanded);
            found.0.iter().map(|diagnostic| diagnostic.code).collect()
        }
    }

    #[test]
    fn what_is_locked_is_what_was_fetched() {
        let at = Workplace::new();
        let sources = [named("hf:owner/name"), named(PYPI), named("local"), named(PYPI)];
        let made = at.make(&sources);
        assert_eq!(made.path, at.folder.path().join("pipeline.lock"));
        assert_eq!(LockFile::read(&at.settings()).unwrap(), Some(made.clone()));
        let [hub, pypi] = made.entries() else { panic!("{made:?}") };
        assert_eq!((&hub.source[..], hub.revision.as_deref()), ("hf:owner/name", Some(COMMIT)));
        assert_eq!((&pypi.source[..], &pypi.sha256[..]), (PYPI, ABC));
        assert_eq!(pypi.revision, None);

        let mut sources = sources;
        assert_eq!(at.codes(&mut sources, true), [""; 0]);
        let locked = sources.each_ref().map(|source| source.locked.is_some());
        assert_eq!(locked, [true, true, false, true]);
        // A branch is taken at its commit, which is in the cache.
        fs::remove_file(at.cache.root().join("hf/owner--name@main")).unwrap();
        let model = fetch_named(&sources[0], &at.cache, &NothingSlow).unwrap();
        assert!(model.ends_with(COMMIT));
    }

    #[test]
    fn what_is_no_longer_what_was_locked_is_refused() {
        let at = Workplace::new();
        let mut sources = [named(PYPI), named("hf:owner/name")];
        at.make(&sources);
        at.write("cache/pypi/thing-1.0/thing/model.gguf", "abd");
        at.write(&format!("snapshots/{COMMIT}/config.json"), "[]");
        assert_eq!(at.codes(&mut sources, false), [""; 0]);
        for source in &sources {
            let error = fetch_named(source, &at.cache, &NothingSlow).unwrap_err();
            assert!(matches!(error, Error::LockMismatch { .. }));
            let message = error.to_string();
            assert!(message.contains(&source.written), "{message}");
            assert!(message.contains("pipeline.lock"), "{message}");
        }
    }

    #[test]
    fn only_what_may_change_is_warned_of() {
        let at = Workplace::new();
        let pinned = ModelSource { sha256: Some(ABC.to_owned()), ..named(PYPI) };
        let fixed = named(&format!("hf:owner/name@{COMMIT}"));
        let mut sound = [pinned, fixed, named("local")];
        assert_eq!(at.codes(&mut sound, false), [""; 0]);
        let mut loose = [named(PYPI), named("hf:owner/name"), named("hf:owner/name@v1.0")];
        let found = lock(&at.settings(), &mut loose, false);
        assert_eq!(found.0.len(), 3);
        for (diagnostic, source) in found.0.iter().zip(&loose) {
            assert_eq!(
                (diagnostic.code, diagnostic.severity),
                ("unpinned-source", Severity::Warning)
            );
            assert_eq!(diagnostic.place.as_ref(), Some(&source.place));
            assert!(diagnostic.message.contains(&source.written));
            assert!(diagnostic.help.as_ref().unwrap().contains("kgbuild fetch --lock"));
        }
    }

    #[test]
    fn a_demanded_lock_file_must_be_there_and_fit() {
        let at = Workplace::new();
        let error = |sources: &mut [ModelSource], words: &str| {
            let found = lock(&at.settings(), sources, true);
            let [diagnostic] = &found.0[..] else { panic!("{found:?}") };
            assert_eq!((diagnostic.code, diagnostic.severity), ("not-locked", Severity::Error));
            assert!(diagnostic.message.contains(words), "{}", diagnostic.message);
        };
        error(&mut [named(PYPI)], PYPI);
        error(&mut [], "pipeline.lock");
        at.make(&[named(PYPI)]);
        error(&mut [named(PYPI), named("hf:owner/name")], "`hf:owner/name` is not locked");
        error(&mut [], &format!("`{PYPI}` is locked, but"));
        // Without `--locked`, a lock file that is out of date still holds what it names.
        assert_eq!(at.codes(&mut [named("hf:owner/name")], false), ["unpinned-source"]);
        let other = ModelSource { sha256: Some("0".repeat(64)), ..named(PYPI) };
        assert_eq!(at.codes(&mut [other], false), ["lock-differs"]);
    }

    #[test]
    fn what_is_no_lock_file_is_said_so() {
        let at = Workplace::new();
        for text in [
            "",
            "a user's own",
            "version = 2",
            "version = 1\n[[source]]\nsource = \"hf:owner/name\"\nsha256 = \"b179\"",
            "version = 1\n[[source]]\nsource = \"hf:owner/name\"\n",
        ] {
            at.write("pipeline.lock", text);
            assert_eq!(at.codes(&mut [named(PYPI)], false), ["lock-file"], "{text}");
        }
    }

    #[test]
    fn a_lock_file_is_never_the_settings_file() {
        for (settings, lock) in [
            ("a/pipeline.toml", "a/pipeline.lock"),
            ("pipeline", "pipeline.lock"),
            ("pipeline.lock", "pipeline.lock.lock"),
            ("v1.2", "v1.2.lock"),
        ] {
            assert_eq!(path_for(Path::new(settings)), Path::new(lock));
        }
    }
}
