//! The ONNX Runtime library, pinned by version and hash.

use std::env;
use std::path::{Path, PathBuf};

use super::pypi::{self, Wheel};
use super::{Cache, Error};
use crate::diagnostic::Events;

/// The version of ONNX Runtime that kgbuild is tested with.
pub const RUNTIME_VERSION: &str = "1.32.0";

struct Build {
    os: &'static str,
    arch: &'static str,
    /// What pip calls the platform.
    platform: &'static str,
    member: &'static str,
    /// Of the member, not of the wheel.
    sha256: &'static str,
}

const BUILDS: &[Build] = &[
    Build {
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        member: "onnxruntime/capi/libonnxruntime.so.1.32.0",
        sha256: "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
    },
    Build {
        os: "linux",
        arch: "aarch64",
        platform: "manylinux_2_28_aarch64",
        member: "onnxruntime/capi/libonnxruntime.so.1.32.0",
        sha256: "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a",
    },
    Build {
        os: "macos",
        arch: "aarch64",
        platform: "macosx_14_0_arm64",
        member: "onnxruntime/capi/libonnxruntime.1.32.0.dylib",
        sha256: "fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7",
    },
];

/// The variable that names a library of the user's own: for a GPU, or for another machine.
const OWN_LIBRARY: &str = "ORT_DYLIB_PATH";

/// The library file of ONNX Runtime: `$ORT_DYLIB_PATH` where that is set, else the pinned one for
/// the CPU, from the cache or out of the wheel `onnxruntime`.
///
/// # Errors
/// [`Error::OwnLibrary`] where the variable names no file, [`Error::Platform`] where no build is
/// pinned for this machine, else as [`super::fetch`].
pub fn runtime_library(cache: &Cache, events: &dyn Events) -> Result<PathBuf, Error> {
    if let Some(own) = env::var_os(OWN_LIBRARY).filter(|path| !path.is_empty()) {
        return own_library(Path::new(&own), OWN_LIBRARY);
    }
    let build = find(env::consts::OS, env::consts::ARCH)?;
    let wheel =
        Wheel { package: "onnxruntime", version: RUNTIME_VERSION, platform: Some(build.platform) };
    pypi::fetch(&wheel, build.member, Some(build.sha256), cache, events)
}

/// A library of the user's own, made absolute: a relative one would be looked for beside the
/// executable. `named_by` is the variable or option that names it.
///
/// # Errors
/// [`Error::OwnLibrary`] where it is no file.
pub fn own_library(path: &Path, named_by: &'static str) -> Result<PathBuf, Error> {
    if !path.is_file() {
        return Err(Error::OwnLibrary { named_by, path: path.to_owned() });
    }
    std::path::absolute(path).map_err(Error::io("find", path))
}

fn find(os: &'static str, arch: &'static str) -> Result<&'static Build, Error> {
    BUILDS.iter().find(|build| build.os == os && build.arch == arch).ok_or_else(|| {
        let known: Vec<_> = BUILDS.iter().map(|b| format!("{} on {}", b.os, b.arch)).collect();
        Error::Platform { os, arch, known: known.join(", ") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_build_is_of_the_one_version() {
        for build in BUILDS {
            assert!(build.member.contains(RUNTIME_VERSION), "{}", build.member);
            assert_eq!(build.sha256.len(), 64);
        }
    }

    #[test]
    fn a_library_of_the_users_own_must_exist() {
        let own = |path| own_library(Path::new(path), "--library");
        let message = own("no/such.so").unwrap_err().to_string();
        assert!(message.contains("--library names no/such.so, which is no file"), "{message}");
        assert!(own("Cargo.toml").unwrap().is_absolute());
    }

    #[test]
    fn an_unknown_machine_is_told_what_is_known() {
        let message = find("plan9", "mips").err().map(|error| error.to_string()).unwrap();
        assert!(message.contains("linux on x86_64"), "{message}");
        assert!(message.contains("plan9 on mips"), "{message}");
    }
}
