//! pip, as the user has it, run so that it imports nothing from the working directory, leaves
//! nothing outside a scratch folder, and ends with this process.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::Error;

/// What Python runs. pip is a module there, so that it can end with the pipe that this process
/// holds, also where this process is killed.
const PROGRAM: &str = include_str!("run_pip.py");

/// How often is looked whether pip has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How pip ended.
pub(super) struct Ended {
    pub status: ExitStatus,
    /// What it wrote to standard error.
    pub words: String,
}

/// Runs pip with `arguments` in the scratch folder `folder`, where its temporary files go too. It is
/// killed where `is_stopped` says so. `command` is what a person would write.
///
/// # Errors
/// [`Error::Python`] where it cannot be started, [`Error::Io`] where the folder cannot be written,
/// [`Error::Interrupted`] where it was stopped.
pub(super) fn run(
    python: &OsStr,
    arguments: &[String],
    folder: &Path,
    command: &str,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Ended, Error> {
    let folder = std::path::absolute(folder).map_err(Error::io("find", folder))?;
    let (log, temporary) = (folder.join("pip.log"), folder.join("temporary"));
    fs::create_dir_all(&temporary).map_err(Error::io("create", &temporary))?;
    let log_file = File::create(&log).map_err(Error::io("write", &log))?;
    let failed = |source| Error::Python { command: command.to_owned(), source };
    let mut pip = Command::new(python)
        .arg("-c")
        .arg(PROGRAM)
        .args(arguments)
        .current_dir(&folder)
        .env("PYTHONSAFEPATH", "1")
        .env("PIP_NO_INPUT", "1")
        .env("TMPDIR", temporary)
        // Ctrl-C is this process's to heed: what it is for, pip would call a failure.
        .process_group(0)
        // Held open until pip has ended, or this process has.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log_file)
        .spawn()
        .map_err(failed)?;
    let status = loop {
        if let Some(status) = pip.try_wait().map_err(failed)? {
            break status;
        }
        if is_stopped() {
            pip.kill().and_then(|()| pip.wait()).map_err(failed)?;
            return Err(Error::Interrupted);
        }
        thread::sleep(LOOK);
    };
    let words = fs::read(&log).map_err(Error::io("read", &log))?;
    let words = String::from_utf8_lossy(&words).into_owned();
    Ok(Ended { status, words })
}

#[cfg(test)]
mod tests {
    use std::fs::TryLockError;
    use std::path::PathBuf;
    use std::time::Instant;

    use super::*;

    /// The variable that makes a test binary the parent that is killed.
    const PARENT: &str = "KGBUILD_TEST_PIP_IN";

    /// A `python3` whose pip locks the file `lock` of the folder and never ends.
    fn endless(folder: &Path) -> PathBuf {
        fs::create_dir(folder.join("pip")).unwrap();
        fs::write(folder.join("pip/__init__.py"), "").unwrap();
        fs::write(folder.join("lock"), "").unwrap();
        let lock = folder.join("lock");
        let program = format!(
            "import fcntl, pathlib, time\n\
             lock = open({lock:?})\n\
             fcntl.flock(lock, fcntl.LOCK_EX)\n\
             pathlib.Path({:?}).touch()\n\
             time.sleep(1000)\n",
            folder.join("began")
        );
        fs::write(folder.join("pip/__main__.py"), program).unwrap();
        python(folder, &format!("export PYTHONPATH='{}'; exec python3 \"$@\"", folder.display()))
    }

    fn python(folder: &Path, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;

        let python = folder.join("python");
        fs::write(&python, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
        python
    }

    /// Waits until `done`, for as long as the slowest machine may take.
    fn until(what: &str, mut done: impl FnMut() -> bool) {
        let began = Instant::now();
        while !done() {
            assert!(began.elapsed() < Duration::from_secs(60), "in vain: {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_free(lock: &Path) -> bool {
        match File::open(lock).unwrap().try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn pip_ends_with_a_parent_that_is_killed() {
        if let Some(folder) = std::env::var_os(PARENT) {
            let folder = PathBuf::from(folder);
            let scratch = folder.join("scratch");
            let ended = run(folder.join("python").as_os_str(), &[], &scratch, "pip", &|| false);
            panic!("pip ended by itself: {}", ended.unwrap().words);
        }
        let folder = tempfile::tempdir().unwrap();
        endless(folder.path());
        let mut parent = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fetch::pip::tests::pip_ends_with_a_parent_that_is_killed"])
            .env(PARENT, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        until("pip begins", || folder.path().join("began").exists());
        let lock = folder.path().join("lock");
        assert!(!is_free(&lock) && parent.try_wait().unwrap().is_none());
        parent.kill().unwrap();
        parent.wait().unwrap();
        until("pip ends", || is_free(&lock));
    }

    #[test]
    fn pip_is_killed_where_the_caller_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let python = endless(folder.path());
        let began = folder.path().join("began");
        let scratch = folder.path().join("scratch");
        let ended = run(python.as_os_str(), &[], &scratch, "pip", &|| began.exists());
        assert!(matches!(ended, Err(Error::Interrupted)));
        until("pip ends", || is_free(&folder.path().join("lock")));
    }

    #[test]
    fn a_module_in_the_working_directory_is_not_imported() {
        let folder = tempfile::tempdir().unwrap();
        for module in ["pip/__init__.py", "pip/__main__.py", "runpy.py", "threading.py"] {
            let module = folder.path().join(module);
            fs::create_dir_all(module.parent().unwrap()).unwrap();
            fs::write(module, "import sys\nsys.exit('taken from the working directory')").unwrap();
        }
        // With a Python that heeds PYTHONSAFEPATH, and with one that does not.
        for script in ["exec python3 \"$@\"", "unset PYTHONSAFEPATH; exec python3 \"$@\""] {
            let python = python(folder.path(), script);
            let arguments = ["--version".to_owned()];
            let ended =
                run(python.as_os_str(), &arguments, folder.path(), "pip", &|| false).unwrap();
            assert!(ended.status.success(), "{script}: {}", ended.words);
        }
    }
}
