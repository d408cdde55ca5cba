//! Which processors and which GPU each of several processes has.

use std::fs;
use std::process::Command;

use crate::runtime::Device;

/// What a process is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Its processors; none for all.
    processors: Vec<usize>,
    /// The GPU that it sees alone, as CUDA names it; none where there is none.
    gpu: Option<String>,
}

impl Place {
    /// Has a command that is to be started begin there, and end with this process.
    pub(super) fn give(&self, command: &mut Command) {
        if let Some(gpu) = &self.gpu {
            command.env("CUDA_VISIBLE_DEVICES", gpu);
        }
        #[cfg(target_os = "linux")]
        linux::give(&self.processors, command);
    }
}

/// So many places, of processors that lie together, and of GPUs by turns.
pub(super) fn places(count: usize, device: Device) -> Vec<Place> {
    let gpus = if device == Device::Cpu { Vec::new() } else { gpus() };
    let processors = share(&processors(), count);
    let place = |(at, processors): (usize, Vec<usize>)| Place {
        processors,
        gpu: (!gpus.is_empty()).then(|| gpus[at % gpus.len()].clone()),
    };
    processors.into_iter().enumerate().map(place).collect()
}

/// The processors that this process may use, those of a NUMA node together.
fn processors() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let allowed = allowed.map(list).unwrap_or_default();
    let mut nodes: Vec<Vec<usize>> = fs::read_dir("/sys/devices/system/node")
        .into_iter()
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("cpulist")).ok())
        .map(|text| list(&text))
        .collect();
    nodes.sort();
    let mut ordered: Vec<usize> =
        nodes.into_iter().flatten().filter(|own| allowed.contains(own)).collect();
    ordered
        .extend(allowed.iter().copied().filter(|own| !ordered.contains(own)).collect::<Vec<_>>());
    ordered
}

/// Numbers as the kernel lists them: `0-3,8`.
fn list(text: &str) -> Vec<usize> {
    let range = |part: &str| -> Option<Vec<usize>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.parse().ok()?..=last.parse().ok()?).collect())
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

/// A part of them for each of so many; nothing for each where there are fewer than that.
fn share(processors: &[usize], count: usize) -> Vec<Vec<usize>> {
    let all = processors.len();
    let part = |at: usize| processors[at * all / count..(at + 1) * all / count].to_vec();
    if all < count { vec![Vec::new(); count] } else { (0..count).map(part).collect() }
}

/// The GPUs that CUDA shows to this process.
fn gpus() -> Vec<String> {
    match std::env::var("CUDA_VISIBLE_DEVICES") {
        Ok(visible) => {
            let names = visible.split(',').map(|name| name.trim().to_owned());
            names.filter(|name| !name.is_empty()).collect()
        }
        Err(_) => {
            let found = fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().count();
            (0..found).map(|number| number.to_string()).collect()
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::c_int;
    use std::io;
    use std::os::unix::process::{CommandExt as _, parent_id};
    use std::process::Command;

    use signal_hook::consts::SIGTERM;

    // The standard library links the C library, but has no name for these.
    unsafe extern "C" {
        fn sched_setaffinity(process: c_int, size: usize, mask: *const u64) -> c_int;
        fn prctl(option: c_int, ...) -> c_int;
    }

    const PR_SET_PDEATHSIG: c_int = 1;

    /// Processors that a mask has room for.
    const MOST: usize = 1024;

    pub(super) fn give(processors: &[usize], command: &mut Command) {
        let mut mask = [0_u64; MOST / 64];
        for &own in processors.iter().filter(|own| **own < MOST) {
            mask[own / 64] |= 1 << (own % 64);
        }
        let is_given = mask.iter().any(|word| *word != 0);
        let parent = std::process::id();
        let begin = move || {
            // SAFETY: a system call that is given numbers.
            let failed = unsafe { prctl(PR_SET_PDEATHSIG, SIGTERM) } != 0;
            if parent_id() != parent {
                // It died before the kernel was told.
                return Err(io::ErrorKind::Interrupted.into());
            }
            let size = size_of_val(&mask);
            // SAFETY: it reads so many bytes, and keeps nothing of them.
            let failed =
                failed || is_given && unsafe { sched_setaffinity(0, size, mask.as_ptr()) } != 0;
            if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
        };
        // SAFETY: between fork and exec nothing is done but system calls.
        unsafe { command.pre_exec(begin) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_read_and_shared_as_they_lie_together() {
        assert_eq!(list("0-3,8,10-11\n"), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(list(""), [0_usize; 0]);
        let parts = share(&[0, 2, 4, 6, 1, 3, 5, 7], 3);
        assert_eq!(parts, [vec![0, 2], vec![4, 6, 1], vec![3, 5, 7]]);
        assert_eq!(share(&[0, 1], 3), vec![Vec::<usize>::new(); 3]);
        let all: Vec<usize> = processors();
        let available = std::thread::available_parallelism().unwrap().get();
        assert!(all.len() >= available, "{all:?}");
    }

    #[test]
    fn a_process_has_the_processors_that_it_is_given() {
        let all = processors();
        let mut command = Command::new("sh");
        command
            .args(["-c", "grep Cpus_allowed_list /proc/self/status; echo $CUDA_VISIBLE_DEVICES"]);
        Place { processors: vec![all[0]], gpu: Some("1".to_owned()) }.give(&mut command);
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let mut lines = said.lines();
        let allowed = lines.next().unwrap().strip_prefix("Cpus_allowed_list:").unwrap();
        assert_eq!(list(allowed), [all[0]]);
        assert_eq!(lines.next(), Some("1"));
    }
}
