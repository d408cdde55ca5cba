//! How strongly two quantities go together.

use serde::Serialize;

/// Correlation coefficients of pairs, each between -1 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Correlation {
    /// Pearson's r: how well a line describes the pairs.
    pub pearson: f64,
    /// Spearman's ρ: Pearson's r of the ranks, equals sharing the mean of theirs.
    pub spearman: f64,
    /// How many pairs there are.
    pub pairs: usize,
}

impl Correlation {
    /// Of finite numbers. `None` with fewer than three pairs, or where either is always the same.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        if pairs.len() < 3 {
            return None;
        }
        let (xs, ys): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let pearson = pearson(&xs, &ys)?;
        let spearman = self::pearson(&ranks(&xs), &ranks(&ys))?;
        Some(Self { pearson, spearman, pairs: pairs.len() })
    }
}

fn pearson(xs: &[f64], ys: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_x, mean_y) = (mean(xs), mean(ys));
    let [mut both, mut only_x, mut only_y] = [0.0; 3];
    for (x, y) in xs.iter().zip(ys) {
        both += (x - mean_x) * (y - mean_y);
        only_x += (x - mean_x).powi(2);
        only_y += (y - mean_y).powi(2);
    }
    let r = both / (only_x * only_y).sqrt();
    r.is_finite().then(|| r.clamp(-1.0, 1.0))
}

/// Each value's rank from 1; equals share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equals in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + (equals.len() as f64 + 1.0) / 2.0;
        equals.iter().for_each(|&index| ranks[index] = rank);
        before += equals.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_by_hand() {
        // Deviations (-1.5, -0.5, 0.5, 1.5) and (-2, 0, 2, 0): 4 / sqrt(5·8).
        let pairs = [(1.0, 1.0), (2.0, 3.0), (3.0, 5.0), (4.0, 3.0)];
        let found = Correlation::of(&pairs).unwrap();
        assert!((found.pearson - 4.0 / 40.0_f64.sqrt()).abs() < 1e-15);
        // Ranks of y: 1, 2.5, 4, 2.5; deviations (-1.5, 0, 1.5, 0): 3 / sqrt(5·4.5).
        assert!((found.spearman - 3.0 / 22.5_f64.sqrt()).abs() < 1e-15);
        assert_eq!(found.pairs, 4);
        // A curve that always rises.
        let cubes: Vec<(f64, f64)> = (0..9).map(f64::from).map(|x| (x, x.powi(3))).collect();
        let found = Correlation::of(&cubes).unwrap();
        assert_eq!(found.spearman, 1.0);
        assert!(found.pearson > 0.9 && found.pearson < 1.0);
    }

    #[test]
    fn nothing_can_be_said_without_variance() {
        assert_eq!(Correlation::of(&[(1.0, 2.0), (2.0, 4.0)]), None);
        assert_eq!(Correlation::of(&[(1.0, 2.0), (1.0, 4.0), (1.0, 5.0)]), None);
        assert_eq!(Correlation::of(&[(1.0, 2.0), (2.0, 2.0), (3.0, 2.0)]), None);
    }
}
