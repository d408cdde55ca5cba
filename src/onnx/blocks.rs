//! Matrices whose weights are small integers in blocks of one scale each: what 4-bit and 8-bit formats
//! keep, and what a product can take as it is.

/// How many bits an integer of a block has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// -8 to 7, or 0 to 15 where blocks have an offset.
    Four,
    /// -128 to 127.
    Eight,
}

/// A matrix of scale · q + offset, with a scale and an offset for each block of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Blocks {
    /// Rows and columns; a linear layer's weight is [out, in].
    pub shape: [usize; 2],
    /// Columns of a block.
    pub size: usize,
    /// Bits of an integer.
    pub bits: Bits,
    /// The integers, row by row.
    pub quants: Vec<i8>,
    /// Of each block, row by row.
    pub scales: Vec<f32>,
    /// Of each block; none where all are 0.
    pub offsets: Option<Vec<f32>>,
}

/// Integers of 4 bits, two a byte, the first in the low half: q = ones + 16 · (sixteens - 8), or
/// ones - 8 where there are no sixteens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planes {
    /// The low four bits.
    pub ones: Vec<u8>,
    /// The high four bits of 8, + 8.
    pub sixteens: Option<Vec<u8>>,
}

/// What the parts of a matrix in blocks are called in a graph, behind its own name.
pub(crate) const ONES: &str = "ones";
pub(crate) const SIXTEENS: &str = "sixteens";
pub(crate) const SCALES: &str = "scales";
pub(crate) const OFFSETS: &str = "offsets";

/// The name of a part of a matrix in a graph.
pub(crate) fn part(matrix: &str, part: &str) -> String {
    format!("{matrix} {part}")
}

/// Columns of a block of a matrix that is rounded here.
const SIZE: usize = 32;

impl Blocks {
    /// A matrix that has still to get its values.
    pub(crate) fn empty(shape: [usize; 2], size: usize, bits: Bits, offset: bool) -> Self {
        let blocks = shape[0] * shape[1] / size;
        Self {
            shape,
            size,
            bits,
            quants: Vec::with_capacity(shape[0] * shape[1]),
            scales: Vec::with_capacity(blocks),
            offsets: offset.then(|| Vec::with_capacity(blocks)),
        }
    }

    /// Rounds a matrix of [rows, columns], in blocks of 32 columns; none where rows are not whole
    /// blocks.
    ///
    /// With 4 bits, scale and offset reach from a block's least weight to its largest; with 8, the scale
    /// reaches to the weight that is farthest from 0.
    pub(crate) fn round(values: &[f32], shape: [usize; 2], bits: Bits) -> Option<Self> {
        if !shape[1].is_multiple_of(SIZE) {
            return None;
        }
        let mut rounded = Self::empty(shape, SIZE, bits, bits == Bits::Four);
        for block in values.chunks_exact(SIZE) {
            let (scale, offset) = match bits {
                Bits::Four => {
                    let least = block.iter().copied().fold(f32::INFINITY, f32::min);
                    let most = block.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    ((most - least) / 15.0, least)
                }
                Bits::Eight => (block.iter().fold(0.0, |a: f32, b| a.max(b.abs())) / 127.0, 0.0),
            };
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            let most = if bits == Bits::Four { 15.0 } else { 127.0 };
            let quants = block.iter().map(|w| ((w - offset) * inverse).round().min(most) as i8);
            rounded.quants.extend(quants);
            rounded.scales.push(scale);
            if let Some(offsets) = &mut rounded.offsets {
                offsets.push(offset);
            }
        }
        Some(rounded)
    }

    /// The weights, row by row.
    pub(crate) fn values(&self) -> Vec<f32> {
        let mut values = Vec::with_capacity(self.quants.len());
        for (block, quants) in self.quants.chunks_exact(self.size).enumerate() {
            let scale = self.scales[block];
            match &self.offsets {
                Some(offsets) => {
                    values.extend(quants.iter().map(|q| scale * f32::from(*q) + offsets[block]));
                }
                None => values.extend(quants.iter().map(|q| scale * f32::from(*q))),
            }
        }
        values
    }

    /// The same rows in another order: row `i` is what row `order[i]` was.
    pub(crate) fn with_rows(self, order: &[usize]) -> Self {
        Self {
            quants: in_order(&self.quants, order),
            scales: in_order(&self.scales, order),
            offsets: self.offsets.map(|offsets| in_order(&offsets, order)),
            ..self
        }
    }

    /// The integers in planes, and the offsets that go with these: integers of 0 to 15 are 8 less there.
    pub(crate) fn planes(&self) -> (Planes, Option<Vec<f32>>) {
        let pairs = |half: &dyn Fn(i8) -> u8| -> Vec<u8> {
            self.quants.chunks(2).map(|pair| half(pair[0]) | half(pair[1]) << 4).collect()
        };
        match (self.bits, &self.offsets) {
            (Bits::Four, None) => {
                let ones = pairs(&|q| (q + 8).cast_unsigned());
                (Planes { ones, sixteens: None }, None)
            }
            (Bits::Four, Some(offsets)) => {
                let ones = pairs(&i8::cast_unsigned);
                let moved = offsets.iter().zip(&self.scales).map(|(o, scale)| o + 8.0 * scale);
                (Planes { ones, sixteens: None }, Some(moved.collect()))
            }
            (Bits::Eight, offsets) => {
                let ones = pairs(&|q| q.cast_unsigned() & 15);
                let sixteens = pairs(&|q| ((q >> 4) + 8).cast_unsigned());
                (Planes { ones, sixteens: Some(sixteens) }, offsets.clone())
            }
        }
    }
}

/// Rows of equal length, as many as `order` names, in that order.
pub(crate) fn in_order<T: Copy>(values: &[T], order: &[usize]) -> Vec<T> {
    let length = values.len() / order.len().max(1);
    order.iter().flat_map(|row| &values[row * length..][..length]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What planes stand for.
    fn read(blocks: &Blocks) -> Vec<f32> {
        let (planes, offsets) = blocks.planes();
        let half = |bytes: &[u8], at: usize| f32::from(bytes[at / 2] >> (4 * (at % 2)) & 15);
        let value = |at: usize| {
            let ones = half(&planes.ones, at);
            let q = match &planes.sixteens {
                Some(sixteens) => ones + 16.0 * (half(sixteens, at) - 8.0),
                None => ones - 8.0,
            };
            let block = at / blocks.size;
            blocks.scales[block] * q + offsets.as_ref().map_or(0.0, |offsets| offsets[block])
        };
        (0..blocks.quants.len()).map(value).collect()
    }

    #[test]
    fn planes_hold_every_integer() {
        let all = |bits, quants: Vec<i8>, offsets: Option<Vec<f32>>| Blocks {
            shape: [1, quants.len()],
            size: 16,
            bits,
            scales: (1..=quants.len() / 16).map(|n| 0.5 * n as f32).collect(),
            quants,
            offsets,
        };
        for blocks in [
            all(Bits::Four, (-8..8).collect(), None),
            all(Bits::Four, (0..16).collect(), Some(vec![-3.0])),
            all(Bits::Eight, (-128..=127).collect(), None),
            all(Bits::Eight, (-128..=127).collect(), Some((0..16).map(|n| n as f32).collect())),
        ] {
            assert_eq!(read(&blocks), blocks.values());
        }
    }

    #[test]
    fn rounding_errs_by_half_a_step_at_most() {
        let values: Vec<f32> =
            (0..128).map(|i| ((i * i) as f32).sin() * (1.0 + i as f32)).collect();
        for (bits, steps) in [(Bits::Four, 15.0), (Bits::Eight, 254.0)] {
            let rounded = Blocks::round(&values, [2, 64], bits).unwrap();
            assert_eq!(rounded.scales.len(), 4);
            for (block, (own, found)) in
                values.chunks(32).zip(rounded.values().chunks(32)).enumerate()
            {
                let step = rounded.scales[block];
                let width = own.iter().fold(0.0_f32, |a, b| a.max(b.abs())) * 2.0;
                assert!(step <= width / steps * 1.0001);
                for (own, found) in own.iter().zip(found) {
                    assert!((own - found).abs() <= step * 0.5001, "{own} {found} {step}");
                }
            }
        }
        assert!(Blocks::round(&[0.0; 66], [2, 33], Bits::Four).is_none());
        assert_eq!(Blocks::round(&[0.0; 32], [1, 32], Bits::Eight).unwrap().values(), [0.0; 32]);
        assert_eq!(Blocks::round(&[2.5; 32], [1, 32], Bits::Four).unwrap().values(), [2.5; 32]);
    }
}
