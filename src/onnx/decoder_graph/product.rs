//! Products with weights, and rows of matrices, in each precision.

use super::Writer;
use crate::onnx::blocks::{self, Bits};
use crate::onnx::builder::{Attribute, Element, Tensor};
use crate::onnx::checkpoint::{in_blocks, to_be_rounded, transpose};
use crate::onnx::{Error, Precision};

/// The largest number that activations and weights are rounded to in products of integers.
const LARGEST: f32 = 127.0;
/// What is added to activations, so that they are bytes without a sign: with a sign on both sides the
/// product is slow.
const MIDDLE: f32 = 128.0;
/// Tokens whose activations are all 0 are divided by this.
const TINY: f32 = 1e-30;

/// What is worked out once of what several weights are multiplied with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Derived {
    /// 16 x.
    Sixteenfold,
    /// The sums of so many blocks of so many neighbours: [tokens, blocks].
    Sums { blocks: usize, size: usize },
    /// For each token, what x is divided by before it is rounded: [tokens, 1].
    Step,
    /// x in bytes.
    Bytes,
}

/// A matrix with a row a token, as the graph has it.
#[derive(Clone)]
pub(super) enum Matrix {
    /// In f32.
    Plain(Tensor),
    /// In blocks.
    Blocks(InBlocks),
}

/// A matrix in blocks, as the graph's constants.
#[derive(Clone)]
pub(super) struct InBlocks {
    /// Rows, columns.
    shape: [usize; 2],
    /// Columns of a block.
    size: usize,
    /// [rows, blocks, size / 2].
    ones: Tensor,
    sixteens: Option<Tensor>,
    /// [rows, blocks].
    scales: Tensor,
    /// Of the ones, where there are sixteens: without, 8 is taken away from each. [rows, blocks / 2].
    zeros: Option<Tensor>,
    /// [rows, blocks].
    offsets: Option<Tensor>,
}

impl Writer<'_> {
    /// x · Wᵀ, W the weight `name` of a layer, [out, in].
    pub(super) fn product(
        &mut self,
        x: &Tensor,
        name: &str,
        [out, inner]: [usize; 2],
    ) -> Result<Tensor, Error> {
        let product = if self.precision == Precision::Int8 {
            self.of_bytes(x, name, [out, inner])?
        } else if let Some(kept) =
            self.in_blocks(name, [out, inner], self.precision.layer_bits())?
        {
            self.of_blocks(x, &kept)
        } else {
            let values = transpose(&self.weights.read(name)?, out, inner);
            let weight = self.graph.weight(name, &[inner, out], &values)?;
            self.graph.matmul(x, &weight)
        };
        self.graph.tell_product(name, [inner, out], x, &product);
        Ok(product)
    }

    /// x · Wᵀ, W the matrix `name` with a row a token.
    ///
    /// Gemm multiplies by the transposed matrix, so that a tied output reads the embedding as it is: it is
    /// stored once, and the runtime packs it for the product without a transposed copy.
    pub(super) fn logits(&mut self, x: &Tensor, name: &str) -> Result<Tensor, Error> {
        // Single rows of it are read where few tokens are asked for, whatever the product takes.
        let matrix = self.matrix(name)?;
        let shape = [self.config.vocabulary, self.config.width];
        match matrix {
            _ if self.precision == Precision::Int8 => self.of_bytes(x, name, shape),
            Matrix::Blocks(kept) => Ok(self.of_blocks(x, &kept)),
            Matrix::Plain(weight) => {
                let transposed = [("transB", Attribute::Int(1))];
                Ok(self.graph.node("Gemm", &[x, &weight], &transposed))
            }
        }
    }

    /// The rows of the matrix `name` of these tokens.
    pub(super) fn rows_of(&mut self, name: &str, tokens: &Tensor) -> Result<Tensor, Error> {
        let kept = match self.matrix(name)? {
            Matrix::Plain(matrix) => return Ok(self.graph.gather(&matrix, tokens, 0)),
            Matrix::Blocks(kept) => kept,
        };
        let [rows, columns] = kept.shape;
        let mut gather = |plane: &Tensor, what: &str, zeros: Option<&Tensor>| {
            let name = format!("{name} {what} by row");
            let plane = self.graph.reshaped(plane, &name, &[rows, columns / 2]);
            let with = [
                ("bits", Attribute::Int(4)),
                ("block_size", Attribute::Int(kept.size as i64)),
                ("gather_axis", Attribute::Int(0)),
                ("quantize_axis", Attribute::Int(1)),
            ];
            let mut inputs = vec![&plane, tokens, &kept.scales];
            inputs.extend(zeros);
            self.graph.node("GatherBlockQuantized", &inputs, &with)
        };
        let mut values = gather(&kept.ones, blocks::ONES, kept.zeros.as_ref());
        if let Some(sixteens) = &kept.sixteens {
            let high = gather(sixteens, blocks::SIXTEENS, None);
            let sixteen = self.graph.number(16.0);
            let high = self.graph.mul(&high, &sixteen);
            values = self.graph.add(&values, &high);
        }
        if let Some(offsets) = &kept.offsets {
            let offsets = self.graph.gather(offsets, tokens, 0);
            let offsets = self.graph.unsqueeze(&offsets, &[2]);
            let shape = [0, (columns / kept.size) as i64, kept.size as i64];
            values = self.graph.reshape(&values, &shape);
            values = self.graph.add(&values, &offsets);
            values = self.graph.reshape(&values, &[0, columns as i64]);
        }
        Ok(values)
    }

    /// A matrix with a row a token, stored once.
    fn matrix(&mut self, name: &str) -> Result<Matrix, Error> {
        if let Some(found) = self.matrices.get(name) {
            return Ok(found.clone());
        }
        let shape = [self.config.vocabulary, self.config.width];
        let bits = (self.precision != Precision::F32).then_some(Bits::Eight);
        let matrix = match self.in_blocks(name, shape, bits)? {
            Some(kept) => Matrix::Blocks(kept),
            None => Matrix::Plain(self.graph.weight(name, &shape, &self.weights.read(name)?)?),
        };
        self.matrices.insert(name.to_owned(), matrix.clone());
        Ok(matrix)
    }

    /// Stores a weight in blocks, as it is kept or rounded to so many bits; none where it stays in f32: by
    /// choice, or since its rows are not whole blocks.
    fn in_blocks(
        &mut self,
        name: &str,
        shape: [usize; 2],
        bits: Option<Bits>,
    ) -> Result<Option<InBlocks>, Error> {
        let Some(bits) = bits else { return Ok(None) };
        let Some(kept) = in_blocks(self.weights, name, shape, bits)? else { return Ok(None) };
        let ([rows, columns], size) = (shape, kept.size);
        let blocks = columns / size;
        let (planes, offsets) = kept.planes();
        let graph = &mut self.graph;
        let mut plane = |what: &str, bytes: &[u8]| {
            let name = blocks::part(name, what);
            graph.bytes(&name, Element::U8, &[rows, blocks, size / 2], bytes)
        };
        let ones = plane(blocks::ONES, &planes.ones)?;
        let sixteens = planes.sixteens.as_ref();
        let sixteens = sixteens.map(|bytes| plane(blocks::SIXTEENS, bytes)).transpose()?;
        let scales = blocks::part(name, blocks::SCALES);
        let scales = graph.weight(&scales, &[rows, blocks], &kept.scales)?;
        let zeros = match sixteens {
            Some(_) => {
                let pairs = blocks.div_ceil(2);
                let name = blocks::part(name, "zeros");
                Some(graph.bytes(&name, Element::U8, &[rows, pairs], &vec![0; rows * pairs])?)
            }
            None => None,
        };
        let offsets = match offsets {
            Some(offsets) => {
                let name = blocks::part(name, blocks::OFFSETS);
                Some(graph.weight(&name, &[rows, blocks], &offsets)?)
            }
            None => None,
        };
        Ok(Some(InBlocks { shape, size, ones, sixteens, scales, zeros, offsets }))
    }

    /// x · Wᵀ, W in blocks: of 4 bits in one product, of 8 in two, since the runtime would make a
    /// matrix of 8 bits into one of f32 at each run. Offsets are multiplied with the sums of what their
    /// blocks are multiplied with.
    fn of_blocks(&mut self, x: &Tensor, kept: &InBlocks) -> Tensor {
        let [rows, columns] = kept.shape;
        let with = [
            ("K", Attribute::Int(columns as i64)),
            ("N", Attribute::Int(rows as i64)),
            ("bits", Attribute::Int(4)),
            ("block_size", Attribute::Int(kept.size as i64)),
            // In f32: what is multiplied with the weights is not rounded.
            ("accuracy_level", Attribute::Int(1)),
        ];
        let mut inputs = vec![x, &kept.ones, &kept.scales];
        inputs.extend(&kept.zeros);
        let mut product = self.graph.node("MatMulNBits", &inputs, &with);
        if let Some(sixteens) = &kept.sixteens {
            let x = self.derived(x, Derived::Sixteenfold);
            let high = self.graph.node("MatMulNBits", &[&x, sixteens, &kept.scales], &with);
            product = self.graph.add(&high, &product);
        }
        if let Some(offsets) = &kept.offsets {
            let sums =
                self.derived(x, Derived::Sums { blocks: columns / kept.size, size: kept.size });
            let transposed = [("transB", Attribute::Int(1))];
            product = self.graph.node("Gemm", &[&sums, offsets, &product], &transposed);
        }
        product
    }

    /// x · Wᵀ, as a product of integers: W is rounded to 8 bits by row, x by token.
    fn of_bytes(
        &mut self,
        x: &Tensor,
        name: &str,
        [out, inner]: [usize; 2],
    ) -> Result<Tensor, Error> {
        let mut values = to_be_rounded(self.weights, name)?;
        let mut steps = Vec::with_capacity(out);
        for row in values.chunks_exact_mut(inner) {
            let most = row.iter().fold(0.0, |most: f32, w| most.max(w.abs()));
            let step = most.max(TINY) / LARGEST;
            row.iter_mut().for_each(|w| *w = (*w / step).round());
            steps.push(step);
        }
        let columns = transpose(&values, out, inner);
        drop(values);
        let bytes: Vec<u8> = columns.iter().map(|w| (*w as i8).cast_unsigned()).collect();
        let weight = blocks::part(name, "bytes");
        let weight = self.graph.bytes(&weight, Element::I8, &[inner, out], &bytes)?;
        let steps = self.graph.weight(&blocks::part(name, "steps"), &[out], &steps)?;
        let (step, rounded) = (self.derived(x, Derived::Step), self.derived(x, Derived::Bytes));
        let middle = self.graph.byte(MIDDLE as u8);
        let product = self.graph.node("MatMulInteger", &[&rounded, &weight, &middle], &[]);
        let product = self.graph.cast(&product, Element::F32);
        let product = self.graph.mul(&product, &step);
        Ok(self.graph.mul(&product, &steps))
    }

    fn derived(&mut self, x: &Tensor, what: Derived) -> Tensor {
        if let Some(found) = self.derived.get(&(x.clone(), what)) {
            return found.clone();
        }
        let made = match what {
            Derived::Sixteenfold => {
                let sixteen = self.graph.number(16.0);
                self.graph.mul(x, &sixteen)
            }
            Derived::Sums { blocks, size } => {
                let parts = self.graph.reshape(x, &[0, blocks as i64, size as i64]);
                let last = self.graph.ints(&[-1]);
                let flat = [("keepdims", Attribute::Int(0))];
                self.graph.node("ReduceSum", &[&parts, &last], &flat)
            }
            Derived::Step => {
                let last_axis =
                    [("axes", Attribute::Ints(vec![-1])), ("keepdims", Attribute::Int(1))];
                let distance = self.graph.node("Abs", &[x], &[]);
                let most = self.graph.node("ReduceMax", &[&distance], &last_axis);
                let (tiny, largest) = (self.graph.number(TINY), self.graph.number(LARGEST));
                let most = self.graph.node("Max", &[&most, &tiny], &[]);
                self.graph.node("Div", &[&most, &largest], &[])
            }
            Derived::Bytes => {
                let step = self.derived(x, Derived::Step);
                let middle = self.graph.number(MIDDLE);
                let share = self.graph.node("Div", &[x, &step], &[]);
                let rounded = self.graph.node("Round", &[&share], &[]);
                let rounded = self.graph.add(&rounded, &middle);
                self.graph.cast(&rounded, Element::U8)
            }
        };
        self.derived.insert((x.clone(), what), made.clone());
        made
    }
}
