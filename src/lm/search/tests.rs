//! The search against exhaustive scoring, and both against probabilities worked out candidate by
//! candidate, without a trie, on random answer spaces and random models.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::lm::branch::{AnswerSpace, Normalise};
use crate::lm::exhaustive::{distributions, exhaustive};
use crate::lm::mix::mix;
use crate::lm::trie::Sequences;
use crate::shock::logspace::normalise;
use crate::shock::{Calibration, Correction, MeanRemoval, Mixing, MixingRule, Prior, Priors};

const VOCABULARY: u32 = 6;

/// A random language model: a distribution over the vocabulary after every context.
fn next_token(seed: u64, model: usize, prompt: usize, context: &[u32]) -> Vec<f64> {
    let mut logits: Vec<f64> = (0..VOCABULARY)
        .map(|token| {
            let mut hasher = DefaultHasher::new();
            (seed, model, prompt, context, token).hash(&mut hasher);
            // Between 0 and 8: peaked, as language models are.
            (hasher.finish() % 8000) as f64 / 1000.0
        })
        .collect();
    normalise(&mut logits);
    logits
}

fn evaluate(seed: u64, models: usize, rows: &[Row<'_>]) -> Answers {
    let answer = |model: usize, row: &Row<'_>| {
        let next = next_token(seed, model, row.prompt, &row.continuation);
        row.wanted.iter().map(|&t| next[t as usize]).collect::<Vec<_>>()
    };
    (0..models).map(|m| rows.iter().flat_map(|row| answer(m, row)).collect()).collect()
}

/// The answers to one task's questions.
fn search_one<E>(
    task: &SearchTask<'_>,
    questions: &[Excluded],
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
) -> Result<Vec<Answer>, E> {
    Ok(search(&[Asked { task: *task, questions }], evaluate)?.remove(0))
}

fn exhaustive_one<E>(
    task: &SearchTask<'_>,
    questions: &[Excluded],
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
) -> Result<Vec<Answer>, E> {
    Ok(exhaustive(&[Asked { task: *task, questions }], evaluate)?.remove(0))
}

#[derive(Clone, Debug)]
struct Case {
    words: Vec<Vec<u32>>,
    /// By word, the one or two candidates that are called so, each candidate by one word at least; none
    /// where each word is one.
    naming: Option<Vec<Vec<usize>>>,
    suffixes: Vec<Vec<u32>>,
    normalise: Normalise,
    rule: MixingRule,
    /// τ and both models' mean prediction, as masses.
    prior: Option<(f64, [Vec<f64>; 2])>,
    /// κ and the finetuned and then the base model's mean predictions, 40 of each.
    mean: Option<(f64, Vec<f64>)>,
    models: usize,
    rankings: Rankings,
    /// What text after the object adds, in no order; none where it adds nothing.
    text: Option<Vec<f64>>,
    excluded: Vec<Excluded>,
    seed: u64,
}

impl Case {
    fn without(self, excluded: &[Option<u32>]) -> Self {
        let candidates = self.candidates() as u32;
        let excluded = excluded.iter().map(|e| Some((*e)? % candidates)).collect();
        Self { excluded, ..self }
    }

    fn space(&self) -> AnswerSpace {
        let mut sequences = Sequences::new();
        self.words.iter().for_each(|w| sequences.push(w));
        let space = AnswerSpace::new(sequences, self.suffixes.clone(), self.normalise).unwrap();
        let mut space = space.with_names(self.names());
        if self.adds_text() {
            let parts = 0..self.models * self.suffixes.len();
            let of = |part| (0..self.words.len()).map(|c| self.text(part, c)).collect();
            space.set_text(parts.map(of).collect());
        }
        space
    }

    fn names(&self) -> Names {
        let Some(naming) = &self.naming else { return Names::one_each(self.words.len()) };
        let mut of = Sequences::new();
        for candidate in 0..self.candidates() {
            let own = (0..self.words.len()).filter(|&word| naming[word].contains(&candidate));
            of.push(&own.map(|word| word as u32).collect::<Vec<_>>());
        }
        Names::new(of, self.words.len())
    }

    fn candidates(&self) -> usize {
        let all = self.naming.iter().flatten().flatten();
        all.max().map_or(self.words.len(), |most| most + 1)
    }

    /// What candidates have of what words have.
    fn sums(&self, words: &[f64]) -> Vec<f64> {
        let Some(naming) = &self.naming else { return words.to_vec() };
        let mut sums = vec![0.0; self.candidates()];
        for (own, p) in naming.iter().zip(words) {
            own.iter().for_each(|&candidate| sums[candidate] += p / own.len() as f64);
        }
        sums
    }

    /// Under `trie` no text is added.
    fn adds_text(&self) -> bool {
        self.text.is_some() && self.normalise != Normalise::Trie
    }

    /// What text after the object adds to a candidate, by model and template.
    fn text(&self, part: usize, candidate: usize) -> f64 {
        let Some(text) = self.text.as_ref().filter(|_| self.adds_text()) else { return 0.0 };
        text[(7 * part + candidate) % text.len()]
    }

    fn correction(&self, space: &AnswerSpace) -> Correction {
        let prior = self.prior.as_ref().map(|(tau, priors)| {
            let [finetuned, base] = priors.each_ref().map(|p| {
                let mut ln: Vec<f64> = p[..self.words.len()].iter().map(|p| p.ln()).collect();
                normalise(&mut ln);
                ln
            });
            let shift = space.shift(&Priors { finetuned, base });
            Prior { tau: *tau, shift: Arc::new(shift) }
        });
        let mean = self.mean.as_ref().map(|(share, means)| {
            let of = |from: usize| space.mean(means[from..from + self.candidates()].to_vec());
            let means = Arc::new(Pair { finetuned: of(0), base: of(40) });
            MeanRemoval { share: *share, means }
        });
        Correction { prior, rule: self.rule, mean }
    }

    fn task<'a>(&self, space: &'a AnswerSpace, correction: &'a Correction) -> SearchTask<'a> {
        let (models, rankings) = (self.models, self.rankings);
        // Under `list` what is unexplored is missing in every probability.
        let tolerance = if self.normalise == Normalise::List { 1e-9 } else { TOLERANCE };
        SearchTask { space, correction, models, rankings, tolerance, near: None }
    }

    /// A distribution without its shift at the branchings, from the words alone.
    fn without_shift(&self, distribution: &[f64]) -> Vec<f64> {
        let Some((tau, priors)) = &self.prior else { return distribution.to_vec() };
        let below = |of: &[f64], prefix: &[u32]| -> f64 {
            let words = self.words.iter().zip(of).filter(|(w, _)| w.starts_with(prefix));
            words.map(|(_, p)| p).sum()
        };
        let word = |word: &Vec<u32>| -> f64 {
            (0..=word.len())
                .map(|at| {
                    let prefix = &word[..at];
                    let longer: BTreeSet<&[u32]> = self
                        .words
                        .iter()
                        .filter(|w| w.starts_with(prefix) && w.len() > at)
                        .map(|w| &w[..=at])
                        .collect();
                    let ending = self.words.iter().position(|w| w == prefix);
                    let masses = |way: Option<&[u32]>| match (way, ending) {
                        (Some(longer), _) => {
                            [distribution, &priors[0], &priors[1]].map(|d| below(d, longer))
                        }
                        (None, Some(c)) => [distribution[c], priors[0][c], priors[1][c]],
                        (None, None) => [0.0; 3],
                    };
                    let [f_here, b_here] = [0, 1].map(|m| below(&priors[m], prefix));
                    let left = |way: Option<&[u32]>| {
                        let [p, f, b] = masses(way);
                        let known = [f, b, f_here, b_here].iter().all(|&x| x > 0.0);
                        if known { p * ((b / b_here) / (f / f_here)).powf(*tau) } else { p }
                    };
                    let all: f64 = longer.iter().map(|&w| left(Some(w))).sum::<f64>() + left(None);
                    left(word.get(..=at)) / all
                })
                .product()
        };
        self.words.iter().map(word).collect()
    }

    /// p(candidate | prompt) of one model and template, from the words alone.
    fn by_hand(&self, model: usize, prompt: usize, template: usize) -> Vec<f64> {
        let suffix = &self.suffixes[template];
        let p = |context: &[u32], token: u32| {
            next_token(self.seed, model, prompt, context)[token as usize].exp()
        };
        let sequence = |word: &Vec<u32>| -> f64 {
            let whole = [&word[..], suffix].concat();
            let all: f64 = (0..whole.len()).map(|at| p(&whole[..at], whole[at])).product();
            let next: BTreeSet<u32> = self
                .words
                .iter()
                .filter(|w| w.starts_with(word) && w.len() > word.len())
                .map(|w| w[word.len()])
                .collect();
            let longer: f64 = next.iter().map(|&t| p(word, t)).sum();
            if suffix.is_empty() { all * (1.0 - longer).max(0.0) } else { all }
        };
        let trie = |word: &Vec<u32>| -> f64 {
            (0..=word.len())
                .map(|at| {
                    let prefix = &word[..at];
                    let next: BTreeSet<u32> = self
                        .words
                        .iter()
                        .filter(|w| w.starts_with(prefix) && w.len() > at)
                        .map(|w| w[at])
                        .collect();
                    let on: f64 = next.iter().map(|&t| p(prefix, t)).sum();
                    let ends = self.words.iter().any(|w| w == prefix);
                    let ending = match suffix.first() {
                        _ if !ends => 0.0,
                        _ if next.is_empty() => 1.0,
                        Some(&first) => p(prefix, first),
                        // Rounding may lift the sum above one.
                        None => (1.0 - on).max(0.0),
                    };
                    let taken = if at == word.len() { ending } else { p(prefix, word[at]) };
                    taken / (on + ending)
                })
                .product()
        };
        let sequences = || {
            let part = model * self.suffixes.len() + template;
            let of = |(at, word): (usize, &Vec<u32>)| sequence(word) * self.text(part, at).exp();
            self.words.iter().enumerate().map(of).collect::<Vec<f64>>()
        };
        match self.normalise {
            Normalise::Trie => self.words.iter().map(trie).collect(),
            Normalise::None => sequences(),
            Normalise::List => {
                let scores = sequences();
                let total: f64 = scores.iter().sum();
                scores.iter().map(|s| s / total).collect()
            }
        }
    }

    /// One model's distribution over the words for a question, averaged over the templates.
    fn distribution(&self, model: usize, question: usize) -> Vec<f64> {
        let templates = self.suffixes.len();
        let all: Vec<Vec<f64>> = (0..templates)
            .map(|t| self.by_hand(model.min(self.models - 1), question * templates + t, t))
            .collect();
        (0..self.words.len())
            .map(|c| all.iter().map(|d| d[c]).sum::<f64>() / templates as f64)
            .collect()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let words = prop::collection::btree_set(prop::collection::vec(0..VOCABULARY, 1..5), 1..40);
    let suffixes = prop::collection::vec(prop::collection::vec(0..VOCABULARY, 0..3), 1..3);
    let rule = (0..4, 0.0..=1.0_f64).prop_map(|(kind, lambda)| match kind {
        0 => MixingRule::None,
        1 => MixingRule::Linear { lambda },
        2 => MixingRule::LogLinear { lambda, mixing: Mixing::Branching },
        _ => MixingRule::LogLinear { lambda, mixing: Mixing::Candidate },
    });
    // Means with a few zeros, and from even to a million times larger here than there.
    let mean = prop_oneof![1 => Just(0.0), 9 => (-14.0..0.0_f64).prop_map(f64::exp)];
    let means = prop::array::uniform2(prop::collection::vec(mean, 40));
    let prior = prop::option::of((prop_oneof![Just(1.0), 0.0..1.5_f64], means));
    let calibration = (0.1..2.0_f64, prop_oneof![Just(0.0), 0.0..0.5_f64], -2.0..4.0_f64)
        .prop_map(|(share, score, bias)| Calibration { share, score, bias });
    let calibration = prop_oneof![Just(Calibration::IDENTITY), calibration];
    let demand = (1..8_usize, prop_oneof![Just(0.0), 0.0..1.0_f64], calibration)
        .prop_map(|(most, threshold, calibration)| Demand { most, calibration, threshold });
    let rankings =
        (demand, any::<bool>()).prop_map(|(mixed, best)| Rankings { mixed, best, keep: 0 });
    let normalise = prop_oneof![3 => Just(Normalise::None), 1 => Just(Normalise::List), 2 => Just(Normalise::Trie)];
    let excluded = prop::collection::vec(prop::option::of(any::<u32>()), QUESTIONS);
    let mean = prop::option::of((0.0..=1.0_f64, prop::collection::vec(-9.0..0.0_f64, 80)));
    let text = prop::option::of(prop::collection::vec(-9.0..0.0_f64, 50));
    let shifts = (prior, mean, text);
    let one = (any::<u32>(), prop::option::weighted(0.2, any::<u32>()));
    let naming = prop::option::of((1..30_u32, prop::collection::vec(one, 40)));
    let words = (words, naming);
    (words, suffixes, normalise, rule, shifts, rankings, excluded, any::<u64>()).prop_map(
        |(words, suffixes, normalise, rule, (prior, mean, text), rankings, excluded, seed)| {
            let (words, naming) = words;
            let naming = naming.map(|(most, of)| called(&of[..words.len()], most));
            Case {
                excluded: Vec::new(),
                words: words.into_iter().collect(),
                naming,
                suffixes,
                normalise,
                models: if rule == MixingRule::None && prior.is_none() { 1 } else { 2 },
                rule,
                prior,
                mean,
                text,
                rankings,
                seed,
            }
            .without(&excluded)
        },
    )
}

/// By word the candidates that are called so, of `most` those that are.
fn called(words: &[(u32, Option<u32>)], most: u32) -> Vec<Vec<usize>> {
    let own = |&(one, other): &(u32, Option<u32>)| {
        let both = std::iter::once(one).chain(other).map(|candidate| candidate % most);
        both.collect::<BTreeSet<u32>>()
    };
    let of: Vec<BTreeSet<u32>> = words.iter().map(own).collect();
    let all: BTreeSet<u32> = of.iter().flatten().copied().collect();
    let place = |candidate: &u32| all.iter().position(|other| other == candidate).unwrap();
    of.iter().map(|own| own.iter().map(place).collect()).collect()
}

const QUESTIONS: usize = 3;
const TOLERANCE: f64 = 0.05;

fn of_models(scored: &ScoredCandidate) -> [f64; 2] {
    [scored.models.finetuned, scored.models.base]
}

fn assert_same(a: &Answer, b: &Answer) -> Result<(), TestCaseError> {
    let candidates = |x: &Answer| x.ranked.iter().map(|s| s.candidate).collect::<Vec<_>>();
    prop_assert_eq!(candidates(a), candidates(b));
    prop_assert_eq!(a.best, b.best);
    let close = |a: f64, b: f64| a == b || (a - b).abs() < 1e-6;
    for (a, b) in a.ranked.iter().zip(&b.ranked) {
        prop_assert!(close(a.mixed, b.mixed), "{:?} {:?}", a, b);
        for (a, b) in of_models(a).into_iter().zip(of_models(b)) {
            prop_assert!(close(a, b));
        }
    }
    Ok(())
}

/// The shares of what a search found lie around those of exhaustive scoring, within its bounds, and
/// these are as near to each other as the tolerance says.
fn assert_shares(task: &SearchTask<'_>, found: &Answer, all: &Answer) -> Result<(), TestCaseError> {
    let demand = &task.rankings.mixed;
    for (found_one, all) in found.ranked.iter().zip(&all.ranked) {
        let mixed = found_one.mixed;
        let [least, largest] =
            [found.mass.least_share(mixed), found.mass.largest_share(mixed)].map(f64::exp);
        let share = all.evidence.ln_share.exp();
        prop_assert!(least - 1e-7 <= share && share <= largest + 1e-7, "{least} {share} {largest}");
        // Under `list` the tolerance is of the mass, and a confidence may change faster than its share.
        let is_of_mass = task.space.normalise() == Normalise::List
            && demand.calibration != Calibration::IDENTITY;
        let width = found_one.width(demand, found.mass);
        prop_assert!(is_of_mass || width <= task.tolerance + 1e-9, "{width}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_search_finds_what_exhaustive_scoring_finds(case in cases()) {
        let space = case.space();
        let correction = case.correction(&space);
        let mut ask =
            |rows: &[Row<'_>]| Ok::<_, Infallible>(evaluate(case.seed, case.models, rows));
        let all = exhaustive_one(&case.task(&space, &correction), &case.excluded, &mut ask).unwrap();
        let found = search_one(&case.task(&space, &correction), &case.excluded, &mut ask).unwrap();
        for (found, all) in found.iter().zip(&all) {
            assert_same(found, all)?;
            assert_shares(&case.task(&space, &correction), found, all)?;
        }
    }

    #[test]
    fn exhaustive_scoring_agrees_with_every_candidate_by_hand(mut case in cases()) {
        case.rankings.mixed = Demand::best(usize::MAX);
        case.excluded = vec![None; QUESTIONS];
        let space = case.space();
        let correction = case.correction(&space);
        let mut ask =
            |rows: &[Row<'_>]| Ok::<_, Infallible>(evaluate(case.seed, case.models, rows));
        let all = exhaustive_one(&case.task(&space, &correction), &case.excluded, &mut ask).unwrap();
        for (question, answer) in all.iter().enumerate() {
            let by_hand = [0, 1].map(|model| case.sums(&case.distribution(model, question)));
            let shares: f64 = answer.ranked.iter().map(|s| s.evidence.ln_share.exp()).sum();
            prop_assert!((shares - 1.0).abs() < 1e-9, "the shares sum to {}", shares);
            prop_assert_eq!(answer.ranked.len(), case.candidates());
            for scored in &answer.ranked {
                for (found, by_hand) in of_models(scored).iter().zip(&by_hand) {
                    let p = by_hand[scored.candidate as usize];
                    prop_assert!((found.exp() - p).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn a_shift_at_branchings_agrees_with_every_candidate_by_hand(mut case in cases()) {
        case.normalise = Normalise::Trie;
        case.rule = MixingRule::None;
        case.mean = None;
        let space = case.space();
        let correction = case.correction(&space);
        for question in 0..QUESTIONS {
            let [finetuned, base] = [0, 1].map(|model| case.distribution(model, question));
            let [ln_f, ln_b] =
                [&finetuned, &base].map(|d| d.iter().map(|p| p.ln()).collect::<Vec<_>>());
            let mixed = mix(&space, &correction, None, &ln_f, &ln_b);
            let by_hand = case.sums(&case.without_shift(&finetuned));
            for (found, by_hand) in mixed.masses.iter().zip(by_hand) {
                prop_assert!((found.exp() - by_hand).abs() < 1e-9, "{} {}", found.exp(), by_hand);
            }
        }
    }

    /// A single question's own shift removed leaves the base's answer, whatever the rule.
    #[test]
    fn all_of_its_own_shift_removed_leaves_the_base(mut case in cases()) {
        case.models = 2;
        // Names are mixed before they are added.
        case.naming = None;
        case.excluded.iter_mut().flatten().for_each(|e| *e %= case.words.len() as u32);
        let space = case.space();
        let mut ask =
            |rows: &[Row<'_>]| Ok::<_, Infallible>(evaluate(case.seed, case.models, rows));
        let asked = distributions(&space, 2, &case.excluded[..1], &mut ask).unwrap();
        let shift = Arc::new(space.shift(&Priors::mean(case.words.len(), &asked)));
        let Pair { finetuned, base } = &asked[0];
        let prior = Some(Prior { tau: 1.0, shift });
        let removed = Correction { prior, ..case.rule.into() };
        let removed = mix(&space, &removed, case.excluded[0], finetuned, base).masses;
        let expected = mix(&space, &case.rule.into(), case.excluded[0], base, base).masses;
        for (removed, expected) in removed.iter().zip(&expected) {
            prop_assert!((removed.exp() - expected.exp()).abs() < 1e-9);
        }
    }

    #[test]
    fn nothing_of_a_shift_removed_changes_no_bit(mut case in cases()) {
        if let Some((tau, _)) = &mut case.prior {
            *tau = 0.0;
        }
        if let Some((share, _)) = &mut case.mean {
            *share = 0.0;
        }
        let space = case.space();
        let mut ask =
            |rows: &[Row<'_>]| Ok::<_, Infallible>(evaluate(case.seed, case.models, rows));
        let [with, without] = [case.correction(&space), case.rule.into()].map(|correction| {
            let all = exhaustive_one(&case.task(&space, &correction), &case.excluded, &mut ask);
            let found = search_one(&case.task(&space, &correction), &case.excluded, &mut ask);
            (all.unwrap(), found.unwrap())
        });
        prop_assert_eq!(with, without);
    }

    /// Nor on those of another answer space.
    #[test]
    fn tasks_do_not_see_each_other(cases in (cases(), cases())) {
        let (mut one, other) = cases;
        one.models = other.models;
        let spaces = [one.space(), other.space()];
        let corrections = [one.correction(&spaces[0]), other.correction(&spaces[1])];
        let asked = |case: usize| {
            let of = [&one, &other][case];
            let task = of.task(&spaces[case], &corrections[case]);
            Asked { task, questions: &of.excluded }
        };
        let ask = |from: usize| move |rows: &[Row<'_>]| {
            let mut rows = rows.to_vec();
            rows.iter_mut().for_each(|row| row.prompt += from);
            Ok::<_, Infallible>(evaluate(other.seed, other.models, &rows))
        };
        let both = search(&[asked(0), asked(1)], &mut ask(0)).unwrap();
        let first = search(&[asked(0)], &mut ask(0)).unwrap();
        let second = search(&[asked(1)], &mut ask(asked(0).prompts())).unwrap();
        prop_assert_eq!(both, [first, second].concat());
    }

    /// What a question is answered, bit for bit, must not depend on the questions beside it.
    #[test]
    fn questions_do_not_see_each_other(case in cases()) {
        let space = case.space();
        let correction = case.correction(&space);
        let task = SearchTask { tolerance: 1e-3, ..case.task(&space, &correction) };
        let shared = search_one(
            &task, &case.excluded,
            &mut |rows| Ok::<_, Infallible>(evaluate(case.seed, case.models, rows)),
        ).unwrap();
        for (question, shared) in shared.iter().enumerate() {
            let alone = search_one(
                &task, &case.excluded[question..=question],
                &mut |rows| {
                    let mut rows = rows.to_vec();
                    rows.iter_mut().for_each(|r| r.prompt += question * space.templates());
                    Ok::<_, Infallible>(evaluate(case.seed, case.models, &rows))
                },
            ).unwrap();
            prop_assert_eq!(&alone[0], shared);
        }
    }
}

/// A logit of −∞ is a legal mask; here each model masks the other's candidates.
#[test]
fn models_that_exclude_each_other_are_answered_alike() {
    let mut sequences = Sequences::new();
    for word in [&[0, 1][..], &[0, 2], &[1, 1], &[1, 2]] {
        sequences.push(word);
    }
    let space = AnswerSpace::new(sequences, vec![vec![]], Normalise::Trie).unwrap();
    let rule = MixingRule::LogLinear { lambda: 0.5, mixing: Mixing::Candidate };
    let correction = rule.into();
    let rankings = Rankings { mixed: Demand::best(4), best: true, keep: 0 };
    let mut ask = |rows: &[Row<'_>]| {
        let mut answers = evaluate(3, 2, rows);
        for (model, answers) in answers.iter_mut().enumerate() {
            let mut answers = answers.iter_mut();
            for row in rows {
                for (token, answer) in row.wanted.iter().zip(answers.by_ref()) {
                    if row.continuation.is_empty() && *token as usize == model {
                        *answer = f64::NEG_INFINITY;
                    }
                }
            }
        }
        Ok::<_, Infallible>(answers)
    };
    let (space, correction) = (&space, &correction);
    let task =
        SearchTask { space, correction, models: 2, rankings, tolerance: TOLERANCE, near: None };
    let all = exhaustive_one(&task, &[None], &mut ask).unwrap();
    let found = search_one(&task, &[None], &mut ask).unwrap();
    assert_same(&found[0], &all[0]).unwrap();
    assert!(all[0].ranked.iter().all(|s| !s.mixed.is_nan()));
    assert_eq!(all[0].ranked.len(), 4);
}

/// The point of it: a peaked distribution over many candidates is settled in a few openings.
#[test]
fn a_peaked_distribution_opens_few_nodes() {
    for normalise in [Normalise::Trie, Normalise::None] {
        opens_few_nodes(normalise, 0.0, 3);
        // Where nothing is likely enough, less has to be seen.
        opens_few_nodes(normalise, 0.9, 4);
    }
}

fn opens_few_nodes(normalise: Normalise, threshold: f64, share: usize) {
    let mut sequences = Sequences::new();
    for a in 0..VOCABULARY {
        for b in 0..VOCABULARY {
            for c in 0..VOCABULARY {
                sequences.push(&[a, b, c]);
            }
        }
    }
    let space = AnswerSpace::new(sequences, vec![vec![]], normalise).unwrap();
    let mut rows_asked = 0;
    let rankings =
        Rankings { mixed: Demand { threshold, ..Demand::best(1) }, best: false, keep: 0 };
    let (space, correction) = (&space, &MixingRule::None.into());
    let task =
        SearchTask { space, correction, models: 1, rankings, tolerance: TOLERANCE, near: None };
    search_one(&task, &[None], &mut |rows| {
        rows_asked += rows.len();
        Ok::<_, Infallible>(evaluate(7, 1, rows))
    })
    .unwrap();
    let inner = (1 + VOCABULARY + VOCABULARY * VOCABULARY) as usize;
    assert!(rows_asked <= inner / share, "{rows_asked} of {inner} inner nodes were opened");
}
