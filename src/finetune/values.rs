//! The numbers of a tensor on the CPU as a slice.

use std::ops::Deref;

use candle_core::{CpuStorage, Storage, StorageRef, Tensor};

use super::EngineError;

/// The values of a contiguous f32 tensor on the CPU, row-major, borrowed; or some that were worked out.
pub(super) enum Values<'a> {
    Borrowed { storage: StorageRef<'a>, range: (usize, usize) },
    Owned(Vec<f32>),
}

impl<'a> Values<'a> {
    /// # Errors
    /// Where the tensor is elsewhere, of another type, or not contiguous.
    pub(super) fn of(tensor: &'a Tensor) -> Result<Self, EngineError> {
        let (storage, layout) = tensor.storage_and_layout();
        match (&*storage, layout.contiguous_offsets()) {
            (Storage::Cpu(CpuStorage::F32(_)), Some(range)) => {
                Ok(Self::Borrowed { storage, range })
            }
            _ => {
                Err(candle_core::Error::msg("a contiguous f32 tensor on the CPU is needed").into())
            }
        }
    }
}

impl Deref for Values<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        let (storage, range) = match self {
            Self::Owned(values) => return values,
            Self::Borrowed { storage, range } => (storage, range),
        };
        match &**storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[range.0..range.1],
            // `of` lets nothing else through, and a tensor never changes its kind.
            _ => unreachable!("checked when it was made"),
        }
    }
}
