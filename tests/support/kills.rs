//! SIGKILLs that are spread over a program's work however fast the machine is: they wait for what
//! the program writes, not for the clock alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// When a process is killed.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// How often the files were seen to change since its start.
    changes: usize,
    /// Then so long after.
    then: Duration,
}

/// So many moments: some while the program starts, most after some changes. Multiples of the golden
/// ratio's fraction spread the delays, never twice the same.
pub fn moments(count: u32) -> impl Iterator<Item = Moment> {
    (0..count).map(|i| {
        let changes = i as usize % 5;
        let most = Duration::from_millis(if changes == 0 { 100 } else { 10 });
        let share = (f64::from(i + 1) * 0.618_033_988_749_895).fract();
        Moment { changes, then: most.mul_f64(share) }
    })
}

impl Moment {
    /// Kills a process, which writes below `folder`, at this moment; false if it ended before.
    pub fn kill(self, process: &mut Child, folder: &Path) -> bool {
        let mut ended = || process.try_wait().unwrap().is_some();
        let (mut seen, mut changes, mut last) = (files(folder), 0, Instant::now());
        while changes < self.changes || last.elapsed() < self.then {
            if ended() {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
            let now = files(folder);
            if changes < self.changes && now != seen {
                (seen, changes, last) = (now, changes + 1, Instant::now());
            }
        }
        if ended() {
            return false;
        }
        process.kill().unwrap();
        true
    }
}

/// Every file below a folder, with its time and length, as far as it is there when looked at.
fn files(folder: &Path) -> Vec<(PathBuf, Option<SystemTime>, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path, metadata.modified().ok(), metadata.len()));
        }
    }
    found.sort();
    found
}
