//! The threshold: from which confidence on an answer is written, by what is aimed at.
//!
//! F1 is the mean over questions by the rules of LM-KBC: an empty prediction has precision
//! 1; a question without objects has recall 1, and precision 1 only if the prediction is empty.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

/// A question's answers that may be written, and how many objects are right.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    /// (confidence, right), by falling confidence.
    pub answers: Vec<(f64, bool)>,
    /// How many objects are right, also those that are not among the answers.
    pub objects: usize,
}

/// What thresholds are chosen for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Aim {
    /// The largest mean F1 of questions.
    #[default]
    F1,
    /// As many triples as can be written so that this share of them is right, between 0 and 1.
    Precision(f64),
    /// The thresholds that were there before.
    Threshold,
}

impl Display for Aim {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::F1 => write!(f, "f1"),
            Self::Precision(share) => write!(f, "precision {share}"),
            Self::Threshold => write!(f, "threshold"),
        }
    }
}

/// F1 of a prediction of `written` objects of which `right` are right, where `objects` are.
pub fn f1(right: usize, written: usize, objects: usize) -> f64 {
    if written == 0 || objects == 0 {
        return f64::from(u8::from(written == 0 && objects == 0));
    }
    // 2pr/(p+r) with p = right/written and r = right/objects.
    2.0 * right as f64 / (written + objects) as f64
}

/// Two thresholds closer than this in mean F1 are equally good.
const EQUAL: f64 = 1e-12;

/// The threshold with the largest weighted mean F1 of `questions`, each with its weight.
///
/// F1 only changes at confidences that occur. Where the largest is reached on a whole range, the
/// middle of it is taken; of several ranges the widest, of equals the higher. A range that reaches
/// below all confidences ends at 0 where `down_to_zero`, and then 0 is taken; else it ends at the
/// least confidence, as what lies below has not been judged. No answer at all gives 1.
pub(super) fn best_threshold(questions: &[(f64, &Judged)], down_to_zero: bool) -> f64 {
    // By falling confidence: what each answer changes.
    let mut answers: Vec<(f64, usize, bool)> = Vec::new();
    let mut sum = 0.0;
    for (question, &(weight, judged)) in questions.iter().enumerate() {
        sum += weight * f1(0, 0, judged.objects);
        answers.extend(judged.answers.iter().map(|&(c, right)| (c, question, right)));
    }
    answers.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let Some(&(highest, ..)) = answers.first() else { return 1.0 };
    // Ranges of thresholds from high to low: (upper end, lower end, sum of F1). A threshold in
    // (lower, upper] writes all that have `upper` or more.
    let mut ranges = Vec::new();
    if highest < 1.0 {
        ranges.push((1.0, highest, sum));
    }
    let mut counts = vec![(0, 0); questions.len()];
    let mut at = 0;
    while at < answers.len() {
        let confidence = answers[at].0;
        while at < answers.len() && answers[at].0 == confidence {
            let (_, question, right) = answers[at];
            let (weight, judged) = questions[question];
            let (hits, written) = &mut counts[question];
            sum -= weight * f1(*hits, *written, judged.objects);
            *hits += usize::from(right);
            *written += 1;
            sum += weight * f1(*hits, *written, judged.objects);
            at += 1;
        }
        let lowest = if down_to_zero { 0.0 } else { confidence };
        ranges.push((confidence, answers.get(at).map_or(lowest, |a| a.0), sum));
    }
    let best = ranges.iter().fold(f64::NEG_INFINITY, |best: f64, range| best.max(range.2));
    let good = |range: &(f64, f64, f64)| best - range.2 <= EQUAL;
    let mut widest: Option<(f64, f64)> = None;
    let mut seen = 0;
    for run in ranges.chunk_by(|a, b| good(a) == good(b)) {
        seen += run.len();
        let (upper, lower) = (run[0].0, run[run.len() - 1].1);
        if good(&run[0]) && widest.is_none_or(|(u, l)| upper - lower > u - l) {
            let everything = down_to_zero && seen == ranges.len();
            widest = Some(if everything { (upper, -upper) } else { (upper, lower) });
        }
    }
    widest.map_or(1.0, |(upper, lower)| (upper + lower) / 2.0)
}

/// The least threshold from which on, of the answers of weighted questions together, the share
/// `precision` is right: half way between the last answer that is written and the next. 1 where there
/// is none.
pub(super) fn least_threshold(questions: &[(f64, &Judged)], precision: f64) -> f64 {
    let answers = questions.iter().flat_map(|&(weight, judged)| {
        judged.answers.iter().map(move |&(confidence, right)| (confidence, weight, right))
    });
    let mut answers: Vec<(f64, f64, bool)> = answers.collect();
    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut written) = (0.0, 0.0);
    let mut least = 1.0;
    for (at, &(confidence, weight, is_right)) in answers.iter().enumerate() {
        written += weight;
        right += if is_right { weight } else { 0.0 };
        // Of equal confidences all are written or none.
        let next = answers.get(at + 1).map_or(confidence, |next| next.0);
        let ends = at + 1 == answers.len() || next < confidence;
        if ends && right >= precision * written {
            least = (confidence + next) / 2.0;
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn judged(answers: &[(f64, bool)], objects: usize) -> Judged {
        Judged { answers: answers.to_vec(), objects }
    }

    /// F1 where every answer with at least `threshold` is written.
    fn f1_at(judged: &Judged, threshold: f64) -> f64 {
        let written = judged.answers.iter().filter(|(confidence, _)| *confidence >= threshold);
        let right = written.clone().filter(|(_, right)| *right).count();
        f1(right, written.count(), judged.objects)
    }

    #[test]
    fn f1_by_the_rules() {
        assert_eq!(f1(0, 0, 0), 1.0);
        assert_eq!(f1(0, 0, 3), 0.0, "precision 1, recall 0");
        assert_eq!(f1(0, 2, 0), 0.0, "recall 1, precision 0");
        assert_eq!(f1(1, 2, 2), 0.5);
        // Precision 1/2, recall 1/3: 2·(1/6)/(5/6).
        assert!((f1(1, 2, 3) - 0.4).abs() < 1e-15);
    }

    #[test]
    fn thresholds_by_hand() {
        // Written: the right 0.9; not written: the wrong 0.5 of a question without objects.
        let (a, b) = (judged(&[(0.9, true)], 1), judged(&[(0.5, false)], 0));
        assert!((best_threshold(&[(1.0, &a), (1.0, &b)], true) - 0.7).abs() < 1e-15);
        // Never wrong to answer: all is written.
        let c = judged(&[(0.2, false)], 1);
        assert_eq!(best_threshold(&[(1.0, &a), (1.0, &c)], true), 0.0);
        // The same where what lies below 0.2 was not judged: writing 0.2 changes nothing, so that
        // the range is from 0.2 to 0.9.
        assert!((best_threshold(&[(1.0, &a), (1.0, &c)], false) - 0.55).abs() < 1e-15);
        // Nothing is ever right: above all confidences.
        assert_eq!(best_threshold(&[(1.0, &b)], true), 0.75);
        assert_eq!(best_threshold(&[], true), 1.0);
    }

    #[test]
    fn least_thresholds_by_hand() {
        let a = judged(&[(0.9, true), (0.6, false)], 1);
        let b = judged(&[(0.8, true), (0.4, true)], 2);
        let both = [(1.0, &a), (1.0, &b)];
        // Right: 2 of 2 from 0.8 on, 2 of 3 from 0.6, 3 of 4 from 0.4.
        assert!((least_threshold(&both, 1.0) - 0.7).abs() < 1e-15);
        assert!((least_threshold(&both, 0.75) - 0.4).abs() < 1e-15);
        assert!((least_threshold(&both, 0.76) - 0.7).abs() < 1e-15);
        // The wrong answer counts a tenth: 2.1 of 2.2 at 0.4, as the question's right one does.
        assert!((least_threshold(&[(0.1, &a), (1.0, &b)], 0.95) - 0.4).abs() < 1e-15);
        let wrong = judged(&[(0.9, false)], 1);
        assert_eq!(least_threshold(&[(1.0, &wrong)], 0.5), 1.0);
        assert_eq!(least_threshold(&[], 0.5), 1.0);
    }

    proptest! {
        /// The sweep against F1 counted anew at every threshold.
        #[test]
        fn no_threshold_is_better(
            questions in prop::collection::vec(
                (prop::collection::vec((0..=20_u8, any::<bool>()), 0..6), 0..3_usize, 1..4_u8), 1..12,
            ),
            down_to_zero in any::<bool>(),
        ) {
            let judged: Vec<(f64, Judged)> = questions
                .into_iter()
                .map(|(answers, outside, weight)| {
                    let mut answers: Vec<(f64, bool)> =
                        answers.into_iter().map(|(c, r)| (f64::from(c) / 20.0, r)).collect();
                    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
                    let objects = outside + answers.iter().filter(|a| a.1).count();
                    (f64::from(weight), Judged { answers, objects })
                })
                .collect();
            let views: Vec<(f64, &Judged)> = judged.iter().map(|(w, j)| (*w, j)).collect();
            let at = |t: f64| views.iter().map(|(w, j)| w * f1_at(j, t)).sum::<f64>();
            let found = best_threshold(&views, down_to_zero);
            prop_assert!((0.0..=1.0).contains(&found));
            for t in 0..=40 {
                prop_assert!(at(f64::from(t) / 40.0) <= at(found) + 1e-9, "{} over {}", t, found);
            }
        }
    }
}
