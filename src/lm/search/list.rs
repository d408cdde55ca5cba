//! The search where each model's masses are divided by their sum over the list: what is explored so
//! far stands for that sum, until what is unexplored is within the tolerance.

use super::question::{MIXED, Question};
use super::{Demand, Weighed};
use crate::shock::Pair;
use crate::shock::logspace::log_sum_exp;

impl Question<'_> {
    /// Whether what is unexplored is within the tolerance and cannot change the ranking.
    pub(super) fn lists_settled(&mut self) -> bool {
        if self.expansions < self.next_check {
            return false;
        }
        // Summing anew costs as much as all that is explored: not at every expansion.
        self.next_check = self.expansions + self.expansions / 8 + 1;
        let scored = self.scored();
        let frontier = self.bounds(&scored);
        let overlap = self.task.space.overlap();
        if unexplored(&scored, &frontier, overlap) > self.task.tolerance {
            return false;
        }
        let largest =
            |key: usize| frontier.iter().map(|b| b[key]).fold(f64::NEG_INFINITY, f64::max);
        let scored = Weighed::sums(self.task.space.names(), scored.into_iter());
        let best =
            |key: fn(&Weighed) -> f64| scored.iter().map(key).fold(f64::NEG_INFINITY, f64::max);
        let demand: Demand = self.task.rankings.mixed;
        // Names that were not found add to a candidate what is open together at most.
        let several = !self.task.space.names().is_one_each();
        let open = |key: usize| frontier.iter().map(|b| b[key].exp()).sum::<f64>().ln();
        let bounds = |key: usize| {
            if several { open(key) } else { largest(key) }
        };
        let bound = bounds(MIXED);
        let above = scored.iter().filter(|s| s.mixed > bound).count();
        (!demand.takes(self.task.evidence(bound, bound)) || above >= demand.most)
            && (!self.task.rankings.best
                || (best(|s| s.mixed) > bound
                    && best(|s| s.models.finetuned) > bounds(1)
                    && best(|s| s.models.base) > bounds(2)))
    }

    /// The names of complete candidates, and the largest share, of a model's or the mixture's mass, that the
    /// open entries can hold.
    pub(super) fn lists(&self) -> (Vec<Weighed>, f64) {
        let scored = self.scored();
        let overlap = self.task.space.overlap();
        let unexplored = unexplored(&scored, &self.bounds(&scored), overlap);
        (scored, unexplored)
    }

    /// The explored mass by which each part is divided.
    fn normalisers(&self) -> Vec<f64> {
        let complete = self.complete().map(|(entry, _)| self.masses(entry));
        totals(complete, self.task.parts())
    }

    /// The names of complete candidates with their probabilities, as far as what is explored tells.
    fn scored(&self) -> Vec<Weighed> {
        let normalisers = self.normalisers();
        let mix = |of: Pair<f64>| self.task.correction.rule.mix(of.finetuned, of.base);
        let mut scored: Vec<Weighed> = self
            .complete()
            .map(|(entry, candidate)| {
                let models = self.task.model_masses(self.masses(entry), &normalisers);
                Weighed { candidate, mixed: mix(models), models }
            })
            .collect();
        if self.task.mixes_candidates() {
            let (finetuned, base): (Vec<f64>, Vec<f64>) =
                scored.iter().map(|s| (s.models.finetuned, s.models.base)).unzip();
            let mixed = self.task.correction.rule.mix_all(&finetuned, &base);
            scored.iter_mut().zip(mixed).for_each(|(s, mixed)| s.mixed = mixed);
        }
        scored
    }

    /// What each open entry can at most hold: mixture, finetuned, base, relative to the explored.
    fn bounds(&self, scored: &[Weighed]) -> Vec<[f64; 3]> {
        let normalisers = self.normalisers();
        let mix = |of: Pair<f64>| self.task.correction.rule.mix(of.finetuned, of.base);
        let total = if self.task.mixes_candidates() {
            log_sum_exp(&scored.iter().map(|s| mix(s.models)).collect::<Vec<_>>())
        } else {
            0.0
        };
        self.open()
            .map(|entry| {
                let models = self.task.model_masses(self.masses(entry), &normalisers);
                // While the models exclude all of each other's explored candidates, nothing is known
                // of the mixture.
                let mixed =
                    if total == f64::NEG_INFINITY { f64::INFINITY } else { mix(models) - total };
                [mixed, models.finetuned, models.base]
            })
            .collect()
    }
}

/// The largest share, of a model's or the mixture's mass, that the open entries can hold.
fn unexplored(scored: &[Weighed], bounds: &[[f64; 3]], overlap: f64) -> f64 {
    if bounds.is_empty() {
        return 0.0;
    }
    if scored.is_empty() {
        return f64::INFINITY;
    }
    let share = |key: usize| bounds.iter().fold(0.0, |sum, b| sum + b[key].exp());
    overlap * share(MIXED).max(share(1)).max(share(2))
}

/// ln of the sum over entries, by part.
pub(super) fn totals<'m>(entries: impl Iterator<Item = &'m [f64]>, parts: usize) -> Vec<f64> {
    let mut columns = vec![Vec::new(); parts];
    for masses in entries {
        columns.iter_mut().zip(masses).for_each(|(column, &mass)| column.push(mass));
    }
    columns.iter().map(|column| log_sum_exp(column)).collect()
}
