//! Whether the models have room in this machine's memory.

use std::fs;

use super::{LocatedModels, ModelsError};
use crate::onnx::Precision;

/// Bytes of a weight in each precision, with its share of a block's scale and offset, by which one that
/// has room is chosen.
const OF_WEIGHT: [(Precision, f64); 3] =
    [(Precision::F32, 4.0), (Precision::Q8, 1.2), (Precision::Q4, 0.8)];

/// Holds that so many workers' copies of the models' weights have room.
///
/// # Errors
/// [`ModelsError::Memory`] where they have none. Where the machine does not say what is free, they have.
pub(super) fn holds(models: &LocatedModels, workers: usize) -> Result<(), ModelsError> {
    let needed = models.memory().saturating_mul(workers as u64);
    match free_memory() {
        Some(free) if needed > free => {
            let instead = roomy(models.precision, needed, free);
            Err(ModelsError::Memory { needed, free, instead })
        }
        _ => Ok(()),
    }
}

/// The best precision below `now` in which what takes so many bytes has room, by its size.
fn roomy(now: Precision, needed: u64, free: u64) -> Option<Precision> {
    let of = |precision| OF_WEIGHT.iter().find(|(own, _)| *own == precision).map(|own| own.1);
    let weights = needed as f64 / of(now)?;
    let smaller = OF_WEIGHT.iter().filter(|(_, bytes)| Some(*bytes) < of(now));
    smaller.copied().find(|(_, bytes)| weights * bytes < free as f64).map(|(own, _)| own)
}

/// Bytes that this process can still have: what the machine has left, or its group, where that has a limit;
/// none where neither says.
pub fn free_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(available);
    let number = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/memory.{name}")).ok()?;
        text.trim().parse().ok()
    };
    // Files that were read count as the group's until something else wants the room.
    let cached = fs::read_to_string("/sys/fs/cgroup/memory.stat").ok();
    let cached = cached.as_deref().and_then(inactive_file).unwrap_or(0);
    let held = number("current").map(|now| now.saturating_sub(cached));
    let group = number("max").zip(held).map(|(most, held)| most.saturating_sub(held));
    machine.into_iter().chain(group).min()
}

/// What is available, as /proc/meminfo tells it.
fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// What of a group's memory files take that nobody uses, as its memory.stat tells it.
fn inactive_file(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("inactive_file ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_read() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:   23000000 kB\n";
        assert_eq!(available(text), Some(23_000_000 * 1024));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(inactive_file("anon 5\ninactive_file 70\nactive_file 9\n"), Some(70));
    }

    #[test]
    fn the_best_precision_that_has_room_is_named() {
        let of = |now, needed, free| roomy(now, needed, free);
        assert_eq!(of(Precision::F32, 32, 12), Some(Precision::Q8));
        assert_eq!(of(Precision::F32, 32, 7), Some(Precision::Q4));
        assert_eq!(of(Precision::F32, 32, 6), None);
        assert_eq!(of(Precision::Q8, 12, 9), Some(Precision::Q4));
        assert_eq!(of(Precision::Q4, 12, 11), None);
        assert_eq!(of(Precision::Int8, 12, 11), None);
    }
}
