//! Views of matrices, and their product.

use gemm::{Parallelism, gemm};

/// A matrix within a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// The row-major matrix of all `values`.
    pub(crate) fn new(values: &'a [f32], columns: usize) -> Self {
        Self::strided(values, values.len() / columns, columns, columns)
    }

    /// Rows of `columns` values that begin `stride` values apart.
    ///
    /// # Panics
    /// Where they do not lie within `values`.
    pub(crate) fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(lies_within(values.len(), rows, columns, stride), "a matrix in its slice");
        Self { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The transpose, of the same memory.
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A row-major matrix that can be written.
pub(crate) struct MatrixMut<'a> {
    values: &'a mut [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> MatrixMut<'a> {
    /// The row-major matrix of all `values`.
    pub(crate) fn new(values: &'a mut [f32], columns: usize) -> Self {
        let rows = values.len() / columns;
        Self::strided(values, rows, columns, columns)
    }

    /// Rows of `columns` values that begin `stride` values apart.
    ///
    /// # Panics
    /// Where they do not lie within `values`, or overlap.
    pub(crate) fn strided(
        values: &'a mut [f32],
        rows: usize,
        columns: usize,
        stride: usize,
    ) -> Self {
        assert!(lies_within(values.len(), rows, columns, stride), "a matrix in its slice");
        assert!(rows <= 1 || columns <= stride, "rows that do not overlap");
        Self { values, rows, columns, stride }
    }
}

/// Whether `rows` rows of `columns` values that begin `stride` values apart lie within so many.
///
/// Then no offset into them overflows: none is larger than `length`, which fits `isize`. Steps that
/// are never made, as between fewer than two rows, fit too.
fn lies_within(length: usize, rows: usize, columns: usize, stride: usize) -> bool {
    let Some(steps) = rows.checked_sub(1) else { return true };
    let end = steps.checked_mul(stride).and_then(|last| last.checked_add(columns));
    end.is_some_and(|end| end <= length) && isize::try_from(stride).is_ok()
}

/// What becomes of a result's earlier values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    Replaced,
    Added,
}

/// Who computes a product.
#[derive(Clone, Copy)]
pub(crate) enum Threads {
    /// The calling thread, which has neighbours.
    One,
    /// All of the current rayon pool.
    All,
}

/// c = factor · a · b, or c + factor · a · b.
pub(crate) fn multiply(
    c: MatrixMut,
    earlier: Earlier,
    factor: f32,
    a: Matrix,
    b: Matrix,
    threads: Threads,
) {
    assert!(
        c.rows == a.rows && a.columns == b.rows && b.columns == c.columns,
        "[{}, {}] times [{}, {}] in [{}, {}]",
        a.rows,
        a.columns,
        b.rows,
        b.columns,
        c.rows,
        c.columns
    );
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::All => Parallelism::Rayon(0),
    };
    // SAFETY: the views were checked to lie within their slices when they were made, `c` is
    // borrowed mutably and so overlaps none of the others, and its rows do not overlap.
    unsafe {
        gemm(
            c.rows,
            c.columns,
            a.columns,
            c.values.as_mut_ptr(),
            1,
            c.stride as isize,
            earlier == Earlier::Added,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_views() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut c = [0.0; 4];
        let (rows, columns) = (Matrix::new(&a, 3), Matrix::new(&a, 3).t());
        multiply(MatrixMut::new(&mut c, 2), Earlier::Replaced, 1.0, rows, columns, Threads::One);
        assert_eq!(c, [14.0, 32.0, 32.0, 77.0]);
        // The last two columns, times two, added to a column of a wider matrix.
        let last = Matrix::strided(&a[1..], 2, 2, 3);
        let mut wide = [1.0; 6];
        let target = MatrixMut::strided(&mut wide[1..], 2, 1, 3);
        multiply(target, Earlier::Added, 2.0, last, Matrix::new(&[1.0, 10.0], 1), Threads::All);
        assert_eq!(wide, [1.0, 65.0, 1.0, 1.0, 131.0, 1.0]);
    }

    #[test]
    fn a_view_lies_in_its_slice() {
        assert!(lies_within(6, 2, 3, 3) && lies_within(5, 2, 2, 3) && lies_within(0, 0, 3, 3));
        assert!(!lies_within(4, 2, 2, 3) && !lies_within(6, 1, 7, 3));
        // In 64 bits, the last row would begin at 0, and the one row end at 0.
        assert!(!lies_within(6, 5, 1, 1 << 62) && !lies_within(6, 3, 1, usize::MAX / 2 + 1));
        assert!(!lies_within(6, 2, 2, usize::MAX - 1) && !lies_within(6, 1, 1, usize::MAX));
    }

    #[test]
    #[should_panic(expected = "rows that do not overlap")]
    fn rows_that_are_written_do_not_overlap() {
        MatrixMut::strided(&mut [0.0; 6], 2, 4, 2);
    }
}
