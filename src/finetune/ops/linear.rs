//! A linear layer, x Wᵀ, and the LoRA matrices beside it, s (x Aᵀ) Bᵀ.

use super::matrix::{Earlier, Matrix, MatrixMut, Threads, multiply};

/// The LoRA matrices of a layer: A [rank, in] and B [out, rank], with their scale s.
pub(crate) struct Adapter<'a> {
    pub a: &'a [f32],
    pub b: &'a [f32],
    pub rank: usize,
    pub scale: f32,
}

/// Columns `from` to `from + count` of rows of `stride` values: where a layer's result lies among
/// those of its neighbours.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    pub from: usize,
    pub count: usize,
    pub stride: usize,
}

impl Columns {
    /// Rows of `count` values and nothing else.
    pub(crate) fn all(count: usize) -> Self {
        Self { from: 0, count, stride: count }
    }

    /// A copy of these columns of every row.
    pub(crate) fn copied(self, values: &[f32]) -> Vec<f32> {
        let rows = values.chunks_exact(self.stride);
        rows.flat_map(|row| &row[self.from..][..self.count]).copied().collect()
    }

    /// Writes what [`Self::copied`] copied.
    pub(crate) fn replace(self, values: &mut [f32], by: &[f32]) {
        let rows = values.chunks_exact_mut(self.stride).zip(by.chunks_exact(self.count));
        rows.for_each(|(row, by)| row[self.from..][..self.count].copy_from_slice(by));
    }

    fn of(self, values: &[f32]) -> Matrix<'_> {
        let rows = values.len() / self.stride;
        Matrix::strided(&values[self.from..], rows, self.count, self.stride)
    }

    fn of_mut(self, values: &mut [f32]) -> MatrixMut<'_> {
        let rows = values.len() / self.stride;
        MatrixMut::strided(&mut values[self.from..], rows, self.count, self.stride)
    }
}

/// Writes x Wᵀ to some `columns` of `y`; `weight` is [out, in], `x` has rows of `inner` values.
pub(crate) fn forward(x: &[f32], inner: usize, weight: &[f32], y: &mut [f32], columns: Columns) {
    let (x, weight) = (Matrix::new(x, inner), Matrix::new(weight, inner));
    multiply(columns.of_mut(y), Earlier::Replaced, 1.0, x, weight.t(), Threads::All);
}

/// Adds a bias to some `columns` of every row of `y`.
pub(crate) fn add_bias(bias: &[f32], y: &mut [f32], columns: Columns) {
    for row in y.chunks_exact_mut(columns.stride) {
        let row = &mut row[columns.from..][..columns.count];
        row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
    }
}

/// The derivative by the bias: Σ over rows of dy.
pub(crate) fn backward_bias(dy: &[f32], columns: Columns) -> Vec<f32> {
    let mut sum = vec![0.0; columns.count];
    for row in dy.chunks_exact(columns.stride) {
        let row = &row[columns.from..][..columns.count];
        sum.iter_mut().zip(row).for_each(|(sum, dy)| *sum += dy);
    }
    sum
}

/// Adds dy W to `dx`, or replaces it.
pub(crate) fn backward_input(
    dy: &[f32],
    columns: Columns,
    weight: &[f32],
    inner: usize,
    dx: &mut [f32],
    earlier: Earlier,
) {
    let weight = Matrix::new(weight, inner);
    multiply(MatrixMut::new(dx, inner), earlier, 1.0, columns.of(dy), weight, Threads::All);
}

/// The derivative by the weight, dyᵀ x.
pub(crate) fn backward_weight(x: &[f32], inner: usize, dy: &[f32], columns: Columns) -> Vec<f32> {
    let mut dw = vec![0.0; columns.count * inner];
    let (x, dy) = (Matrix::new(x, inner), columns.of(dy).t());
    multiply(MatrixMut::new(&mut dw, inner), Earlier::Replaced, 1.0, dy, x, Threads::All);
    dw
}

/// Adds the adapter's part to `y`. Gives x Aᵀ [rows, rank], which the way back needs.
pub(crate) fn forward_adapter(
    x: &[f32],
    inner: usize,
    adapter: &Adapter,
    y: &mut [f32],
    columns: Columns,
) -> Vec<f32> {
    let rank = adapter.rank;
    let mut h = vec![0.0; x.len() / inner * rank];
    let (x, a) = (Matrix::new(x, inner), Matrix::new(adapter.a, inner));
    multiply(MatrixMut::new(&mut h, rank), Earlier::Replaced, 1.0, x, a.t(), Threads::All);
    let b = Matrix::new(adapter.b, rank).t();
    let h_view = Matrix::new(&h, rank);
    multiply(columns.of_mut(y), Earlier::Added, adapter.scale, h_view, b, Threads::All);
    h
}

/// The derivatives by A and B; with dh = s dy B they are dhᵀ x and s dyᵀ h. Adds dh A to `dx`,
/// where one is wanted.
pub(crate) fn backward_adapter(
    x: &[f32],
    inner: usize,
    h: &[f32],
    adapter: &Adapter,
    dy: &[f32],
    columns: Columns,
    dx: Option<&mut [f32]>,
) -> (Vec<f32>, Vec<f32>) {
    let Adapter { a, b, rank, scale } = *adapter;
    let dy = columns.of(dy);
    let mut db = vec![0.0; b.len()];
    let h_view = Matrix::new(h, rank);
    multiply(MatrixMut::new(&mut db, rank), Earlier::Replaced, scale, dy.t(), h_view, Threads::All);
    let mut dh = vec![0.0; h.len()];
    let b = Matrix::new(b, rank);
    multiply(MatrixMut::new(&mut dh, rank), Earlier::Replaced, scale, dy, b, Threads::All);
    let dh = Matrix::new(&dh, rank);
    let mut da = vec![0.0; a.len()];
    let x = Matrix::new(x, inner);
    multiply(MatrixMut::new(&mut da, inner), Earlier::Replaced, 1.0, dh.t(), x, Threads::All);
    if let Some(dx) = dx {
        let a = Matrix::new(a, inner);
        multiply(MatrixMut::new(dx, inner), Earlier::Added, 1.0, dh, a, Threads::All);
    }
    (da, db)
}
