//! The search for values of which those near the truth are right: for the one with the most mass around it,
//! not for the likeliest text.
//!
//! Neighbours' windows hold nearly the same, so that the very best is not worth its price. The search ends
//! when the share of the mass that is open is within the task's tolerance, or too small for any answer to
//! reach the threshold, or after so many prefixes.

use super::question::Question;
use super::{Answer, Asked, Mass, SearchTask, Weighed, answer_from, run};
use crate::lm::{Answers, CandidateIndex, Row};
use crate::ontology::Near;
use crate::shock::logspace::log_add_exp;
use crate::shock::{Pair, WindowMass, Windows};

/// Prefixes of a question that are opened at most: numbers of which much is left to say are too many.
const MOST_OPENED: usize = 512;

/// The names that a search found of a question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Whose they are.
    pub owners: Vec<CandidateIndex>,
    /// By name, ln p of each model.
    pub models: Pair<Vec<f64>>,
}

/// What the searches of several tasks find on their way to the best of each, in the order of
/// [`super::search`], whose arguments these are.
///
/// # Errors
/// Those of `evaluate`.
pub fn found<E>(
    asked: &[Asked<'_>],
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
) -> Result<Vec<Vec<Found>>, E> {
    let mut all: Vec<Vec<Found>> = asked.iter().map(|_| Vec::new()).collect();
    for (place, question) in run(asked, evaluate)? {
        let names = question.weighed();
        let of = |of: fn(&Weighed) -> f64| names.iter().map(of).collect();
        all[place].push(Found {
            owners: names.iter().map(|name| name.candidate).collect(),
            models: Pair { finetuned: of(|n| n.models.finetuned), base: of(|n| n.models.base) },
        });
    }
    Ok(all)
}

/// By level of precision, the best windows of the mixture and of each model, as candidates with what these have
/// around them.
fn best_windows(near: Near, names: &[Weighed]) -> Vec<Vec<Weighed>> {
    let owners: Vec<CandidateIndex> = names.iter().map(|name| name.candidate).collect();
    let windows = Windows::new(&owners, |candidate| near.around(candidate));
    let masses =
        |of: fn(&Weighed) -> f64| windows.masses(&names.iter().map(of).collect::<Vec<_>>());
    let (mixed, finetuned, base) =
        (masses(|n| n.mixed), masses(|n| n.models.finetuned), masses(|n| n.models.base));
    let levels: Vec<usize> = windows.found().iter().map(|&found| near.level(found)).collect();
    let weighed = |place: usize| Weighed {
        candidate: windows.found()[place],
        mixed: mixed[place].around,
        models: Pair { finetuned: finetuned[place].around, base: base[place].around },
    };
    let of_level = |level| {
        let is_own = |place: usize| levels[place] == level;
        let all = [&mixed, &finetuned, &base];
        let mut places: Vec<usize> =
            all.into_iter().filter_map(|all| WindowMass::best(all, &is_own)).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(weighed).collect()
    };
    (0..near.levels()).map(of_level).collect()
}

impl Question<'_> {
    /// Whether it is known nearly enough what the best window has.
    pub(super) fn window_settled(&mut self, near: Near) -> bool {
        if self.expansions < self.next_check {
            return false;
        }
        // Summing anew costs as much as all that is explored: not at every expansion.
        self.next_check = self.expansions + self.expansions / 8 + 1;
        let mass = self.mass(self.open_bound());
        let is_long = self.expansions >= MOST_OPENED;
        if mass.unexplored().exp() <= self.task.tolerance || is_long {
            return true;
        }
        let best = best_windows(near, &self.weighed());
        let best =
            best.iter().flatten().map(|window| window.mixed).fold(f64::NEG_INFINITY, f64::max);
        let most = log_add_exp(best, mass.open);
        let evidence = self.task.evidence(most, mass.largest_with(most, mass.open));
        !self.task.rankings.mixed.takes(evidence)
    }
}

/// The answer to a question about values of which those near the truth are right: the nearest to it that
/// reaches the threshold.
pub(super) fn answer_near(
    task: &SearchTask<'_>,
    near: Near,
    names: &[Weighed],
    mass: Mass,
) -> Answer {
    let mut levels = best_windows(near, names).into_iter().map(|windows| {
        let mut answer = answer_from(task, windows, mass);
        answer.ranked.truncate(1);
        answer
    });
    let nearest = levels.next();
    match nearest {
        Some(nearest) if nearest.ranked.is_empty() => {
            let found = levels.find(|answer| !answer.ranked.is_empty());
            Answer { ranked: found.map_or(Vec::new(), |answer| answer.ranked), ..nearest }
        }
        Some(nearest) => nearest,
        None => answer_from(task, Vec::new(), mass),
    }
}
