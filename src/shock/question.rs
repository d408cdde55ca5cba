//! Held-out questions as tuning and diagnosis see them: two distributions and what is right.

use std::cmp::Ordering;

use super::windows::Windows;
use crate::metrics::ranking;

/// Index of a candidate in its relation's answer space.
pub type Candidate = u32;

/// A question whose answer is known.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// How many candidates there are.
    pub candidates: usize,
    /// ln p of each name of the candidates by the finetuned model.
    pub finetuned: &'a [f64],
    /// ln p of each name by the base model.
    pub base: &'a [f64],
    /// The candidate that cannot be the answer, if there is one.
    pub excluded: Option<Candidate>,
    /// The candidates that are right, each once. With [`Self::outside`] 0, none of them says that
    /// the subject is known to have no object.
    pub gold: &'a [Candidate],
    /// How many more objects are right that are not in the answer space.
    pub outside: usize,
    /// Where candidates near the true one are right: those that were found, of which a candidate is a
    /// place, and which are near each other. All right ones stand for one object then.
    pub windows: Option<&'a Windows>,
}

impl Question<'_> {
    /// How many objects are right.
    pub fn objects(&self) -> usize {
        let within = if self.windows.is_some() { self.gold.len().min(1) } else { self.gold.len() };
        within + self.outside
    }

    /// Whether a candidate is right.
    pub fn is_right(&self, candidate: Candidate) -> bool {
        self.gold.contains(&candidate)
    }

    /// The candidates but the excluded one.
    pub fn candidates(&self) -> impl Iterator<Item = Candidate> {
        (0..self.candidates as Candidate).filter(|&c| Some(c) != self.excluded)
    }

    /// The best candidate of a distribution over them; of equals the smaller index. `None` where there is no
    /// candidate.
    pub fn best(&self, ln_p: &[f64]) -> Option<Candidate> {
        self.candidates().min_by(|&a, &b| better(ln_p, a, b))
    }

    /// The rank, from 1, of the best right candidate. `None` where none is right.
    pub fn rank(&self, ln_p: &[f64]) -> Option<usize> {
        let gold = self.gold.iter().copied().min_by(|&a, &b| better(ln_p, a, b))?;
        Some(1 + self.candidates().filter(|&c| better(ln_p, c, gold) == Ordering::Less).count())
    }

    /// The first `most` candidates that have at least `floor`, and always the first, best first.
    pub fn ranked(&self, ln_p: &[f64], most: usize, floor: f64) -> Vec<Candidate> {
        let likely = self.candidates().filter(|&c| ln_p[c as usize] >= floor);
        let mut ranked: Vec<Candidate> = likely.collect();
        ranked.sort_unstable_by(|&a, &b| better(ln_p, a, b));
        ranked.truncate(most);
        if ranked.is_empty() {
            ranked.extend(self.best(ln_p));
        }
        ranked
    }
}

/// By question that has objects, whether the [majority answer](ranking::majority) is right. An object that
/// is no candidate is none of the others.
pub fn majority<'a>(questions: impl IntoIterator<Item = Question<'a>>) -> Vec<f64> {
    // What is right near the truth has no answer that is the most frequent.
    let counted = questions.into_iter().filter(|question| question.windows.is_none());
    let with_objects = counted.filter(|question| question.objects() > 0);
    ranking::majority(&with_objects.map(|question| question.gold).collect::<Vec<_>>())
}

/// The more probable first, of equals the smaller index.
fn better(ln_p: &[f64], a: Candidate, b: Candidate) -> Ordering {
    ln_p[b as usize].total_cmp(&ln_p[a as usize]).then(a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_by_hand() {
        let ln_p = [-3.0, -1.0, -2.0, -1.0, f64::NEG_INFINITY];
        let question = Question {
            candidates: 5,
            finetuned: &ln_p,
            base: &ln_p,
            excluded: Some(1),
            gold: &[0, 2],
            outside: 1,
            windows: None,
        };
        assert_eq!(question.objects(), 3);
        assert_eq!(question.best(&ln_p), Some(3));
        assert_eq!(question.rank(&ln_p), Some(2));
        assert_eq!(question.ranked(&ln_p, 9, -2.5), [3, 2]);
        assert_eq!(question.ranked(&ln_p, 3, f64::NEG_INFINITY), [3, 2, 0]);
        assert_eq!(question.ranked(&ln_p, 1, 0.0), [3], "the best always");
        assert_eq!(Question { gold: &[], ..question }.rank(&ln_p), None);
        // Equals: the smaller index is first.
        let question = Question { excluded: None, gold: &[3], ..question };
        assert_eq!((question.best(&ln_p), question.rank(&ln_p)), (Some(1), Some(2)));
    }
}
