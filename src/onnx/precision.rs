//! In what the weights of a converted model are kept, as its user chooses.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GraphPrecision;
use super::blocks::Bits;

/// In what a model's weights are kept in memory, and its products made.
///
/// Weights that a file keeps in 8 bits or fewer are exactly these with `q4` and `q8`. The embedding and
/// the output matrix are rounded to 8 bits at the fewest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// All in f32: the reference.
    #[default]
    F32,
    /// Other weights are rounded to 4 bits in blocks of 32; products are made in f32.
    Q4,
    /// Other weights are rounded to 8 bits in blocks of 32; products are made in f32.
    Q8,
    /// Weights are rounded to 8 bits by row of their matrix, and what is multiplied with them to 8 bits by
    /// token; products are made of integers. The fastest, and the roughest.
    Int8,
}

impl Precision {
    /// All.
    pub const ALL: [Self; 4] = [Self::F32, Self::Q4, Self::Q8, Self::Int8];

    /// Its name in pipelines.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Q4 => "q4",
            Self::Q8 => "q8",
            Self::Int8 => "int8",
        }
    }

    /// What a graph of this precision computes in.
    pub(super) fn of_graph(self) -> GraphPrecision {
        match self {
            Self::F32 => GraphPrecision::F32,
            Self::Q4 | Self::Q8 => GraphPrecision::InBlocks,
            Self::Int8 => GraphPrecision::Int8,
        }
    }

    /// To how many bits a layer's plain weights are rounded in blocks, if they are.
    pub(crate) fn layer_bits(self) -> Option<Bits> {
        match self {
            Self::Q4 => Some(Bits::Four),
            Self::Q8 => Some(Bits::Eight),
            Self::F32 | Self::Int8 => None,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
