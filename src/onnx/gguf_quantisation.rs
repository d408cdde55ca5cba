//! The quantised tensor types of GGUF, as blocks and as f32.
//!
//! A tensor is a row of blocks; a block has one or two scales (f16) and a few bits a value. Each is
//! taken apart into smaller ones of one scale, with or without an offset ([`Blocks`]). The formulas are
//! those of the GGML format; each is written beside its type below.

use half::{bf16, f16};

use super::blocks::{Bits, Blocks};

/// The types that can be read, by the name and number that GGUF gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantisation {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Iq4Nl,
    Iq4Xs,
}

use Quantisation::{
    Bf16, F16, F32, Iq4Nl, Iq4Xs, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0,
};

/// What the bytes of a type's block stand for.
#[derive(Clone, Copy)]
enum Content {
    /// One number.
    Number(fn(&[u8]) -> f32),
    /// Integers, in parts of `size` of one scale each.
    Integers {
        size: usize,
        bits: Bits,
        offset: bool,
        /// Takes a block apart, into its integers and its parts' scales.
        unpack: fn(&[u8], &mut [i8], &mut [Scale]),
    },
}

/// What the integers of a part stand for: scale · q + offset.
#[derive(Clone, Copy, Default)]
struct Scale {
    scale: f32,
    offset: f32,
}

impl Scale {
    fn plain(scale: f32) -> Self {
        Self { scale, offset: 0.0 }
    }
}

/// A type: its number in the file, name, values a block, bytes a block, and these bytes.
type Row = (Quantisation, u32, &'static str, usize, usize, Content);

const fn number(number: fn(&[u8]) -> f32) -> Content {
    Content::Number(number)
}

const fn parts(
    size: usize,
    bits: Bits,
    offset: bool,
    unpack: fn(&[u8], &mut [i8], &mut [Scale]),
) -> Content {
    Content::Integers { size, bits, offset, unpack }
}

const TYPES: [Row; 15] = [
    (F32, 0, "F32", 1, 4, number(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
    (F16, 1, "F16", 1, 2, number(|b| half(b, 0))),
    (Bf16, 30, "BF16", 1, 2, number(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32())),
    (Q4_0, 2, "Q4_0", 32, 18, parts(32, Bits::Four, false, q4_0)),
    (Q4_1, 3, "Q4_1", 32, 20, parts(32, Bits::Four, true, q4_1)),
    (Q5_0, 6, "Q5_0", 32, 22, parts(32, Bits::Eight, false, q5_0)),
    (Q5_1, 7, "Q5_1", 32, 24, parts(32, Bits::Eight, true, q5_1)),
    (Q8_0, 8, "Q8_0", 32, 34, parts(32, Bits::Eight, false, q8_0)),
    (Q2K, 10, "Q2_K", 256, 84, parts(16, Bits::Four, true, q2_k)),
    (Q3K, 11, "Q3_K", 256, 110, parts(16, Bits::Four, false, q3_k)),
    (Q4K, 12, "Q4_K", 256, 144, parts(32, Bits::Four, true, q4_k)),
    (Q5K, 13, "Q5_K", 256, 176, parts(32, Bits::Eight, true, q5_k)),
    (Q6K, 14, "Q6_K", 256, 210, parts(16, Bits::Eight, false, q6_k)),
    (Iq4Nl, 20, "IQ4_NL", 32, 18, parts(32, Bits::Eight, false, iq4_nl)),
    (Iq4Xs, 23, "IQ4_XS", 256, 136, parts(32, Bits::Eight, false, iq4_xs)),
];

impl Quantisation {
    fn row(self) -> &'static Row {
        let found = TYPES.iter().find(|row| row.0 == self);
        found.unwrap_or_else(|| unreachable!("each type has a row"))
    }

    /// What GGUF calls it.
    pub(super) fn name(self) -> &'static str {
        self.row().2
    }

    /// The type with this number, or the names of those that can be read.
    pub(super) fn from_number(number: u32) -> Result<Self, String> {
        let found = TYPES.iter().find(|row| row.1 == number);
        found.map(|row| row.0).ok_or_else(|| TYPES.map(|row| row.2).join(", "))
    }

    /// The bytes of a block, which holds one or more values.
    pub(super) fn block_bytes(self) -> usize {
        self.row().4
    }

    /// The bytes of `count` values; none where they do not fill whole blocks.
    pub(super) fn bytes(self, count: u64) -> Option<u64> {
        let &(_, _, _, values, bytes, _) = self.row();
        if !count.is_multiple_of(values as u64) {
            return None;
        }
        (count / values as u64).checked_mul(bytes as u64)
    }

    /// A matrix of [rows, columns] of this type without its values; none where it keeps plain numbers.
    pub(super) fn empty(self, shape: [usize; 2]) -> Option<Blocks> {
        match self.row().5 {
            Content::Number(_) => None,
            Content::Integers { size, bits, offset, .. } => {
                Some(Blocks::empty(shape, size, bits, offset))
            }
        }
    }

    /// Adds what whole blocks hold to a matrix of this type. Bytes beyond the last whole block are ignored.
    pub(super) fn unpack(self, bytes: &[u8], into: &mut Blocks) {
        let &(_, _, _, values, length, Content::Integers { size, unpack, .. }) = self.row() else {
            unreachable!("plain numbers have no blocks")
        };
        let mut scales = vec![Scale::default(); values / size];
        for b in bytes.chunks_exact(length) {
            let first = into.quants.len();
            into.quants.resize(first + values, 0);
            unpack(b, &mut into.quants[first..], &mut scales);
            into.scales.extend(scales.iter().map(|scale| scale.scale));
            if let Some(offsets) = &mut into.offsets {
                offsets.extend(scales.iter().map(|scale| scale.offset));
            }
        }
    }

    /// The values of whole blocks. Bytes beyond the last whole block are ignored.
    pub(super) fn dequantise(self, bytes: &[u8]) -> Vec<f32> {
        let &(_, _, _, values, length, content) = self.row();
        if let Content::Number(number) = content {
            return bytes.chunks_exact(length).map(number).collect();
        }
        let count = bytes.len() / length * values;
        let blocks = self.empty([1, count]).map(|mut blocks| {
            self.unpack(bytes, &mut blocks);
            blocks.values()
        });
        blocks.unwrap_or_default()
    }
}

fn half(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// The low and the high half of a byte.
fn nibbles(byte: u8) -> (i8, i8) {
    ((byte & 15).cast_signed(), (byte >> 4).cast_signed())
}

/// Halves of bytes: the low ones are the first 16 values, the high ones the last.
fn halves(bytes: &[u8], mut each: impl FnMut(usize, i8)) {
    for (j, &byte) in bytes.iter().enumerate() {
        let (low, high) = nibbles(byte);
        each(j, low);
        each(j + 16, high);
    }
}

/// y = d (q - 8).
fn q4_0(b: &[u8], q: &mut [i8], scales: &mut [Scale]) {
    scales[0] = Scale::plain(half(b, 0));
    halves(&b[2..], |i, bits| q[i] = bits - 8);
}

/// y = d q + m.
fn q4_1(b: &[u8], q: &mut [i8], scales: &mut [Scale]) {
    scales[0] = Scale { scale: half(b, 0), offset: half(b, 2) };
    halves(&b[4..], |i, bits| q[i] = bits);
}

/// Five-bit values: value i has its fifth bit in bit i of `high_bits`.
fn five_bits(high_bits: &[u8], low_bits: &[u8], mut each: impl FnMut(usize, i8)) {
    let bits = u32::from_le_bytes([high_bits[0], high_bits[1], high_bits[2], high_bits[3]]);
    halves(low_bits, |i, low| each(i, low | if bits >> i & 1 == 1 { 16 } else { 0 }));
}

/// y = d (q - 16).
fn q5_0(b: &[u8], q: &mut [i8], scales: &mut [Scale]) {
    scales[0] = Scale::plain(half(b, 0));
    five_bits(&b[2..6], &b[6..], |i, bits| q[i] = bits - 16);
}

/// y = d q + m.
fn q5_1(b: &[u8], q: &mut [i8], scales: &mut [Scale]) {
    scales[0] = Scale { scale: half(b, 0), offset: half(b, 2) };
    five_bits(&b[4..8], &b[8..], |i, bits| q[i] = bits);
}

/// y = d q, q signed.
fn q8_0(b: &[u8], q: &mut [i8], scales: &mut [Scale]) {
    scales[0] = Scale::plain(half(b, 0));
    q.iter_mut().zip(&b[2..]).for_each(|(q, byte)| *q = byte.cast_signed());
}

/// Of the 16 values of sub-block `j` of sixteen, in order, which byte of 64 holds each, and by how many bits it is
/// shifted there: half a block of 128 values lies in 32 bytes, two bits a value.
fn two_bits(j: usize) -> impl Iterator<Item = (usize, usize)> {
    let (half, quarter, side) = (j / 8, j % 8 / 2, j % 2);
    (0..16).map(move |l| (32 * half + 16 * side + l, 2 * quarter))
}

/// y = d scale q - d_min minimum, in sixteen sub-blocks of 16, whose scale and minimum are the halves of a byte.
fn q2_k(b: &[u8], q: &mut [i8], scales: &mut [Scale]) {
    let (d, d_min) = (half(b, 80), half(b, 82));
    for (j, (q, own)) in q.chunks_exact_mut(16).zip(scales).enumerate() {
        let (scale, minimum) = nibbles(b[j]);
        *own = Scale { scale: d * f32::from(scale), offset: -(d_min * f32::from(minimum)) };
        for (q, (byte, shift)) in q.iter_mut().zip(two_bits(j)) {
            *q = (b[16 + byte] >> shift & 3).cast_signed();
        }
    }
}

/// y = d (scale - 32) q, in sixteen sub-blocks of 16; q has its low two bits in 64 bytes, and is 4 less where its bit in
/// the 32 bytes in front is not set. Scales have their low four bits in halves of eight bytes, their high two in
/// four bytes behind these.
fn q3_k(b: &[u8], q: &mut [i8], scales: &mut [Scale]) {
    let (d, packed) = (half(b, 108), &b[96..108]);
    for (j, (q, own)) in q.chunks_exact_mut(16).zip(scales).enumerate() {
        let (low, high) = nibbles(packed[j % 8]);
        let low = if j < 8 { low } else { high };
        let high = (packed[8 + j % 4] >> (2 * (j / 4)) & 3).cast_signed();
        *own = Scale::plain(d * (f32::from(low | high << 4) - 32.0));
        for (q, (byte, shift)) in q.iter_mut().zip(two_bits(j)) {
            let bit = 4 * (j / 8) + shift / 2;
            let less = if b[byte % 32] >> bit & 1 == 1 { 0 } else { 4 };
            *q = (b[32 + byte] >> shift & 3).cast_signed() - less;
        }
    }
}

/// What the four bits of the types IQ4 stand for.
const UNEVEN: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// What each half of 16 bytes stands for.
fn uneven(bytes: &[u8], q: &mut [i8]) {
    halves(bytes, |i, bits| q[i] = UNEVEN[usize::from(bits.cast_unsigned())]);
}

fn iq4_nl(b: &[u8], q: &mut [i8], scales: &mut [Scale]) {
    scales[0] = Scale::plain(half(b, 0));
    uneven(&b[2..], q);
}

/// As IQ4_NL in eight sub-blocks of 32, each times (scale - 32): six bits, of which the low four are halves of four
/// bytes and the high two stand in the two bytes before these.
fn iq4_xs(b: &[u8], q: &mut [i8], scales: &mut [Scale]) {
    let (d, high) = (half(b, 0), u16::from_le_bytes([b[2], b[3]]));
    let parts = b[8..].chunks_exact(16).zip(q.chunks_exact_mut(32)).zip(scales);
    for (j, ((bytes, q), own)) in parts.enumerate() {
        let (even, odd) = nibbles(b[4 + j / 2]);
        let low = if j % 2 == 0 { even } else { odd };
        *own = Scale::plain(d * (f32::from(low) + f32::from(high >> (2 * j) & 3) * 16.0 - 32.0));
        uneven(bytes, q);
    }
}

/// The six-bit scale and minimum of sub-block `j` of eight, packed into twelve bytes: those of the
/// first four in the low six bits, those of the last four in halves of bytes 8 to 11 with their
/// two high bits above the first four's.
fn scale_and_minimum(packed: &[u8], j: usize) -> (f32, f32) {
    let (scale, minimum) = if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        let both = packed[j + 4];
        ((both & 15) | (packed[j - 4] >> 6) << 4, (both >> 4) | (packed[j] >> 6) << 4)
    };
    (f32::from(scale), f32::from(minimum))
}

/// The scales of the types Q4_K and Q5_K: d scale, and - d_min minimum.
fn scales_of_eight(b: &[u8], scales: &mut [Scale]) {
    let (d, d_min) = (half(b, 0), half(b, 2));
    for (j, own) in scales.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(&b[4..16], j);
        *own = Scale { scale: d * scale, offset: -(d_min * minimum) };
    }
}

/// y = d scale q - d_min minimum, in eight sub-blocks of 32; 32 bytes hold two of them, the first
/// in their low halves.
fn q4_k(b: &[u8], q: &mut [i8], scales: &mut [Scale]) {
    scales_of_eight(b, scales);
    for (bytes, q) in b[16..].chunks_exact(32).zip(q.chunks_exact_mut(64)) {
        for (l, &byte) in bytes.iter().enumerate() {
            (q[l], q[l + 32]) = nibbles(byte);
        }
    }
}

/// As Q4_K with a fifth bit: sub-block s has it in bit s of the 32 bytes in front.
fn q5_k(b: &[u8], q: &mut [i8], scales: &mut [Scale]) {
    scales_of_eight(b, scales);
    let high_bits = &b[16..48];
    for (pair, (bytes, q)) in b[48..].chunks_exact(32).zip(q.chunks_exact_mut(64)).enumerate() {
        for (l, &byte) in bytes.iter().enumerate() {
            let (low, high) = nibbles(byte);
            let fifth = |sub_block: usize| (high_bits[l] >> sub_block & 1).cast_signed() << 4;
            q[l] = low | fifth(2 * pair);
            q[l + 32] = high | fifth(2 * pair + 1);
        }
    }
}

/// y = d scale (q - 32), in sixteen sub-blocks of 16 with signed scales; a half block of 128
/// values has its low four bits in 64 bytes and its high two in 32.
fn q6_k(b: &[u8], q: &mut [i8], scales: &mut [Scale]) {
    let d = half(b, 208);
    for (own, scale) in scales.iter_mut().zip(&b[192..208]) {
        *own = Scale::plain(d * f32::from(scale.cast_signed()));
    }
    for (n, q) in q.chunks_exact_mut(128).enumerate() {
        let low = &b[64 * n..64 * (n + 1)];
        let high = &b[128 + 32 * n..128 + 32 * (n + 1)];
        for quarter in 0..4 {
            for l in 0..32 {
                let (a, c) = nibbles(low[l + 32 * (quarter % 2)]);
                let four = if quarter < 2 { a } else { c };
                let two = (high[l] >> (2 * quarter) & 3).cast_signed();
                q[l + 32 * quarter] = (four | two << 4) - 32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the reference of the format: see scripts/quantised-blocks.py.
    #[test]
    fn every_type_has_the_values_of_the_reference() {
        let text = include_str!("../../tests/data/quantised-blocks.json");
        let all: std::collections::BTreeMap<String, serde_json::Value> =
            serde_json::from_str(text).unwrap();
        assert_eq!(all.len(), TYPES.len() - 3, "all but plain numbers");
        for (name, own) in all {
            let number = own["number"].as_u64().unwrap() as u32;
            let kind = Quantisation::from_number(number).unwrap();
            let bytes = |key: &str| hex::decode(own[key].as_str().unwrap()).unwrap();
            let values = bytes("values");
            let bits = values.as_chunks::<4>().0.iter();
            let expected: Vec<f32> = bits.map(|bits| f32::from_be_bytes(*bits)).collect();
            let found = kind.dequantise(&bytes("bytes"));
            assert_eq!(found.len(), expected.len(), "{name}");
            for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                // The same numbers, multiplied in another order.
                let near = (found - expected).abs() <= 2e-6 * expected.abs().max(1.0);
                assert!(near, "{name} at {at}: {found} instead of {expected}");
            }
        }
    }

    const HALF: [u8; 2] = [0x00, 0x38]; // 0.5
    const TWO: [u8; 2] = [0x00, 0x40]; // 2.0

    fn block(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn plain_numbers() {
        assert_eq!(F32.dequantise(&1.5f32.to_le_bytes()), [1.5]);
        assert_eq!(F16.dequantise(&[HALF, TWO].concat()), [0.5, 2.0]);
        assert_eq!(Bf16.dequantise(&[0xc0, 0x3f]), [1.5]); // 0x3fc00000 is 1.5
    }

    #[test]
    fn q4_0_is_centred_on_eight() {
        let y = Q4_0.dequantise(&block(&[&TWO, &[0xf3], &[0x88; 15]]));
        assert_eq!((y[0], y[16]), (-10.0, 14.0));
        assert!(y[1..16].iter().chain(&y[17..]).all(|&y| y == 0.0));
    }

    #[test]
    fn q4_1_has_a_minimum() {
        let y = Q4_1.dequantise(&block(&[&HALF, &TWO, &[0xf3], &[0; 15]]));
        assert_eq!((y[0], y[16], y[1], y[31]), (3.5, 9.5, 2.0, 2.0));
    }

    #[test]
    fn q5_0_takes_the_fifth_bit_from_the_mask() {
        // Bits 0 and 17 are set.
        let y = Q5_0.dequantise(&block(&[&TWO, &[1, 0, 2, 0], &[0x43, 0x21], &[0; 14]]));
        assert_eq!((y[0], y[1], y[2]), (6.0, -30.0, -32.0)); // 2 (19-16), 2 (1-16), 2 (0-16)
        assert_eq!((y[16], y[17], y[18]), (-24.0, 4.0, -32.0)); // 2 (4-16), 2 (18-16)
    }

    #[test]
    fn q5_1_has_a_minimum() {
        let y = Q5_1.dequantise(&block(&[&HALF, &TWO, &[1, 0, 0, 128], &[0x43], &[0; 15]]));
        assert_eq!((y[0], y[16], y[31], y[1]), (11.5, 4.0, 10.0, 2.0));
    }

    #[test]
    fn q8_0_is_signed() {
        let y = Q8_0.dequantise(&block(&[&HALF, &[0xff, 127, 128], &[0; 29]]));
        assert_eq!(y[..4], [-0.5, 63.5, -64.0, 0.0]);
    }

    /// Sub-block 0 has scale 3 and minimum 5; sub-block 5 has scale 0b10_0001 (33), minimum
    /// 0b01_0010 (18), of which the high bits stand above the entries of sub-block 1.
    const SCALES: [u8; 12] = [3, 0b1000_0000, 0, 0, 5, 0b0100_0000, 0, 0, 0, 0x21, 0, 0];

    #[test]
    fn scales_are_packed_in_six_bits() {
        assert_eq!(scale_and_minimum(&SCALES, 0), (3.0, 5.0));
        assert_eq!(scale_and_minimum(&SCALES, 1), (0.0, 0.0));
        assert_eq!(scale_and_minimum(&SCALES, 5), (33.0, 18.0));
    }

    #[test]
    fn q4_k_scales_sub_blocks() {
        let mut quants = [0; 128];
        quants[0] = 0x07; // sub-block 0, value 0
        quants[2 * 32 + 1] = 0x90; // sub-block 5, value 1
        let y = Q4K.dequantise(&block(&[&HALF, &TWO, &SCALES, &quants]));
        assert_eq!((y[0], y[1]), (0.5 * 3.0 * 7.0 - 10.0, -10.0));
        assert_eq!((y[160], y[161]), (-36.0, 0.5 * 33.0 * 9.0 - 36.0));
        assert_eq!(y[255], 0.0);
    }

    #[test]
    fn q5_k_adds_a_fifth_bit() {
        let mut quants = [0; 128];
        quants[0] = 0x07;
        quants[2 * 32 + 1] = 0x90;
        let mut high = [0; 32];
        high[0] = 1; // sub-block 0
        high[1] = 1 << 5; // sub-block 5
        let y = Q5K.dequantise(&block(&[&HALF, &TWO, &SCALES, &high, &quants]));
        assert_eq!((y[0], y[1]), (0.5 * 3.0 * 23.0 - 10.0, -10.0));
        assert_eq!((y[160], y[161]), (-36.0, 0.5 * 33.0 * 25.0 - 36.0));
    }

    #[test]
    fn q6_k_has_signed_scales() {
        let (mut low, mut high, mut scales) = ([0; 128], [0; 64], [0; 16]);
        low[0] = 0x5a; // values 0 and 64 of the first half: 10 and 5
        high[0] = 0b00_01_00_11; // their high bits: 3 and 1
        scales[0] = 2;
        scales[4] = 0xff; // -1
        low[64 + 32 + 20] = 0x0f; // second half, value 32 + 20: 15
        scales[8 + 1 + 2] = 4;
        let y = Q6K.dequantise(&block(&[&low, &high, &scales, &TWO]));
        assert_eq!(y[0], 2.0 * 2.0 * (58.0 - 32.0));
        assert_eq!(y[64], 2.0 * (32.0 - 21.0));
        assert_eq!(y[1], 2.0 * 2.0 * -32.0);
        assert_eq!(y[128 + 52], 2.0 * 4.0 * (15.0 - 32.0));
    }

    #[test]
    fn only_whole_blocks_have_a_size() {
        assert_eq!(Q4_1.bytes(64), Some(40));
        assert_eq!(Q4_1.bytes(33), None);
        assert_eq!(F32.bytes(u64::MAX), None);
        assert!(Quantisation::from_number(16).unwrap_err().contains("Q4_K"));
    }
}
