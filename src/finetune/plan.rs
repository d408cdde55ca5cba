//! What each step trains: a pure function of the settings, the seed and the step's number.
//!
//! Nothing random is kept between steps, so that a training that was interrupted goes on exactly as
//! if it had not been.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::batch::{Batch, Target};
use super::examples::{Example, Fact};
use super::text::Packed;
use crate::config::finetune::{Finetune, Templates};

/// At most so many sequences of the text are held out.
const HELD_OUT_SEQUENCES: usize = 32;
/// One sequence of so many is held out, at least one.
const HELD_OUT_PART: usize = 20;

/// The text of a mixture.
struct Text {
    train: Packed,
    held_out: Packed,
    /// Share of the loss.
    weight: f64,
    /// Sequences of a step.
    sequences: usize,
}

/// All that is trained and measured.
pub struct TrainingPlan {
    train: Vec<Fact>,
    held_out: Vec<Fact>,
    text: Option<Text>,
    seed: u64,
    templates: Templates,
    batch_size: usize,
    epochs: usize,
}

/// What is put through the model at once, and how its losses add up.
pub struct Portion {
    /// The facts' targets first, then the text's.
    pub batch: Batch,
    /// How many facts it has, each in one template.
    pub facts: usize,
    /// How many of the targets are the facts'.
    pub fact_targets: usize,
}

/// The mean losses of a portion, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    /// The mean over the facts of the sum over their targets of -ln p; 0 without facts.
    pub facts: f64,
    /// The mean over the text's targets of -ln p; none without text.
    pub text: Option<f64>,
}

impl TrainingPlan {
    /// A plan for facts of which there are some. `text` must be there exactly where `settings` have
    /// a mixture, and hold two sequences or more.
    pub fn new(
        settings: &Finetune,
        train: Vec<Fact>,
        held_out: Vec<Fact>,
        text: Option<Packed>,
    ) -> Self {
        let mixture = settings.mixture.as_ref();
        let text = text.zip(mixture).map(|(mut train, mixture)| {
            let part = (train.len() / HELD_OUT_PART).clamp(1, HELD_OUT_SEQUENCES);
            let held_out = train.take_last(part);
            Text { train, held_out, weight: mixture.weight, sequences: mixture.sequences }
        });
        let training = &settings.training;
        Self {
            train,
            held_out,
            text,
            seed: training.seed,
            templates: training.templates,
            batch_size: training.batch_size,
            epochs: training.epochs,
        }
    }

    /// Steps of an epoch; the last one has what is left.
    pub fn steps_per_epoch(&self) -> usize {
        self.units(&self.train).div_ceil(self.batch_size)
    }

    /// Steps of all epochs.
    pub fn steps(&self) -> usize {
        self.epochs * self.steps_per_epoch()
    }

    /// How many (fact, template) pairs an epoch has.
    fn units(&self, facts: &[Fact]) -> usize {
        match self.templates {
            Templates::One => facts.len(),
            Templates::All => facts.iter().map(Vec::len).sum(),
        }
    }

    /// What the step with this number, from 0, trains.
    pub fn step(&self, step: usize) -> Portion {
        let epoch = step / self.steps_per_epoch();
        let mut units = self.draw(&self.train, "templates", epoch as u64);
        units.shuffle(&mut random(self.seed, "order of facts", epoch as u64));
        let first = step % self.steps_per_epoch() * self.batch_size;
        let last = units.len().min(first + self.batch_size);
        let text = self.text.as_ref().map(|text| {
            let drawn = (0..text.sequences).map(|i| self.sequence(text, step * text.sequences + i));
            (drawn.collect(), text.weight)
        });
        portion(&units[first..last], text)
    }

    /// The training text's sequence with this number of all that are ever trained: each once in a
    /// random order, then each once in another.
    fn sequence<'a>(&self, text: &'a Text, number: usize) -> &'a [u32] {
        let count = text.train.len();
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut random(self.seed, "order of the text", (number / count) as u64));
        text.train.get(order[number % count])
    }

    /// All that is held out, in portions no larger than a step's.
    pub fn held_out(&self) -> impl Iterator<Item = Portion> + '_ {
        let units = self.draw(&self.held_out, "held-out templates", 0);
        let facts: Vec<Portion> =
            units.chunks(self.batch_size).map(|units| portion(units, None)).collect();
        let texts = self.text.iter().flat_map(|text| {
            let all: Vec<&[u32]> = (0..text.held_out.len()).map(|i| text.held_out.get(i)).collect();
            let portions =
                all.chunks(text.sequences).map(|some| portion(&[], Some((some.to_vec(), 1.0))));
            portions.collect::<Vec<_>>()
        });
        facts.into_iter().chain(texts)
    }

    /// The facts in one template or in each, in the order of the facts.
    fn draw<'a>(&self, facts: &'a [Fact], what: &str, number: u64) -> Vec<&'a Example> {
        match self.templates {
            Templates::All => facts.iter().flatten().collect(),
            Templates::One => {
                let mut random = random(self.seed, what, number);
                facts.iter().map(|fact| &fact[random.random_range(..fact.len())]).collect()
            }
        }
    }
}

/// The facts, with the share of the text's weight left for them, and the text's sequences.
fn portion(facts: &[&Example], text: Option<(Vec<&[u32]>, f64)>) -> Portion {
    let mut batch = Batch { tokens: Vec::new(), lengths: Vec::new(), targets: Vec::new() };
    let weight = text.as_ref().map_or(0.0, |(_, weight)| *weight);
    let fact_weight = ((1.0 - weight) / facts.len().max(1) as f64) as f32;
    for fact in facts {
        let start = batch.tokens.len();
        batch.targets.extend(fact.targets().map(|(at, token)| Target {
            position: start + at,
            token,
            weight: fact_weight,
        }));
        batch.tokens.extend(&fact.tokens);
        batch.lengths.push(fact.tokens.len());
    }
    let fact_targets = batch.targets.len();
    if let Some((sequences, weight)) = text {
        // A sequence's last token is only a target.
        let targets: usize = sequences.iter().map(|sequence| sequence.len() - 1).sum();
        let weight = (weight / targets as f64) as f32;
        for sequence in sequences {
            let start = batch.tokens.len();
            let inner = &sequence[..sequence.len() - 1];
            batch.targets.extend(sequence[1..].iter().enumerate().map(|(at, &token)| Target {
                position: start + at,
                token,
                weight,
            }));
            batch.tokens.extend(inner);
            batch.lengths.push(inner.len());
        }
    }
    Portion { batch, facts: facts.len(), fact_targets }
}

impl Portion {
    /// The means of the targets' -ln p, which are in the order of the batch's targets.
    pub fn losses(&self, nll: &[f64]) -> Losses {
        let (facts, text) = nll.split_at(self.fact_targets);
        Losses {
            facts: facts.iter().sum::<f64>() / self.facts.max(1) as f64,
            text: (!text.is_empty()).then(|| text.iter().sum::<f64>() / text.len() as f64),
        }
    }
}

/// Random numbers that depend on nothing but the seed, their purpose and a number.
fn random(seed: u64, purpose: &str, number: u64) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(number.to_le_bytes());
    hash.update(purpose);
    ChaCha8Rng::from_seed(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Facts of `templates` examples each, of which fact `i` in template `j` has the target
    /// `100 i + j` behind one token, and after it the token 7.
    fn facts(count: u32, templates: u32) -> Vec<Fact> {
        let example = |i, j| Example { tokens: vec![5, 6], targets: vec![100 * i + j, 7] };
        (0..count).map(|i| (0..templates).map(|j| example(i, j)).collect()).collect()
    }

    /// A text of `count` sequences of three tokens, numbered from 10,000 on.
    fn text(count: usize) -> Packed {
        Packed::of((0..3 * count as u32).map(|i| 10_000 + i).collect(), 3)
    }

    fn plan(train: Vec<Fact>, text: Option<(Packed, f64)>, templates: Templates) -> TrainingPlan {
        let text = text.map(|(mut train, weight)| {
            let held_out = train.take_last(1);
            Text { train, held_out, weight, sequences: 2 }
        });
        TrainingPlan {
            train,
            held_out: facts(3, 2),
            text,
            seed: 3,
            templates,
            batch_size: 4,
            epochs: 2,
        }
    }

    /// The objects of the facts in a portion.
    fn objects(portion: &Portion) -> Vec<u32> {
        portion.batch.targets[..portion.fact_targets].iter().step_by(2).map(|t| t.token).collect()
    }

    #[test]
    fn a_step_weighs_facts_and_text_as_told() {
        let portion = plan(facts(4, 1), Some((text(5), 0.25)), Templates::One).step(0);
        // Four facts of two tokens, two sequences of which the last token is only a target.
        assert_eq!(portion.batch.lengths, [2, 2, 2, 2, 2, 2]);
        assert_eq!((portion.facts, portion.fact_targets), (4, 8));
        let weights: Vec<f32> = portion.batch.targets.iter().map(|t| t.weight).collect();
        // 0.75 over four facts, 0.25 over four targets of text.
        assert_eq!(weights, [[0.1875; 8].as_slice(), &[0.0625; 4]].concat());
        let positions: Vec<usize> = portion.batch.targets.iter().map(|t| t.position).collect();
        assert_eq!(positions, (0..12).collect::<Vec<_>>());
        for target in &portion.batch.targets[8..] {
            // What follows in the text.
            assert_eq!(target.token, portion.batch.tokens[target.position] + 1);
        }
        let losses = portion.losses(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 4.0, 4.0, 4.0, 8.0]);
        // A fact's loss is the sum over its targets, the text's the mean over its.
        assert_eq!(losses, Losses { facts: 3.0, text: Some(5.0) });
    }

    #[test]
    fn all_that_is_held_out_is_measured_once() {
        let held_out: Vec<Portion> =
            plan(facts(4, 1), Some((text(5), 0.25)), Templates::One).held_out().collect();
        assert_eq!(held_out.iter().map(|p| p.facts).collect::<Vec<_>>(), [3, 0]);
        assert_eq!(held_out[0].batch.targets[0].weight, 1.0 / 3.0);
        assert_eq!(held_out[1].batch.tokens, [10_012, 10_013]);
        assert_eq!(held_out[1].batch.targets[0].weight, 0.5);
        let all: Vec<Portion> = plan(facts(4, 1), None, Templates::All).held_out().collect();
        assert_eq!(all.iter().map(|p| p.facts).collect::<Vec<_>>(), [4, 2]);
    }

    #[test]
    fn templates_and_order_change_with_the_epoch_and_the_seed() {
        let of = |seed, epoch: usize| -> Vec<u32> {
            let plan = TrainingPlan { seed, ..plan(facts(40, 3), None, Templates::One) };
            (epoch * 10..epoch * 10 + 10).flat_map(|step| objects(&plan.step(step))).collect()
        };
        assert_eq!(of(1, 0), of(1, 0));
        assert!(of(1, 0) != of(1, 1) && of(1, 0) != of(2, 0));
        let sorted = |mut tokens: Vec<u32>| {
            tokens.sort_unstable();
            tokens
        };
        // Not only the order: the templates too.
        assert_ne!(sorted(of(1, 0)), sorted(of(1, 1)));
    }

    proptest! {
        /// Each fact is trained once an epoch, in one of its templates or in each.
        #[test]
        fn an_epoch_has_every_fact(count in 1..30_u32, templates in 1..4_u32, all: bool) {
            let which = if all { Templates::All } else { Templates::One };
            let plan = plan(facts(count, templates), None, which);
            for epoch in 0..2 {
                let steps = plan.steps_per_epoch();
                let mut seen: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
                for step in epoch * steps..(epoch + 1) * steps {
                    let portion = plan.step(step);
                    prop_assert!((1..=4).contains(&portion.facts));
                    let weight: f32 = portion.batch.targets.iter().map(|t| t.weight).sum();
                    prop_assert!((weight - 2.0).abs() < 1e-5, "two targets a fact");
                    for token in objects(&portion) {
                        seen.entry(token / 100).or_default().push(token % 100);
                    }
                }
                prop_assert_eq!(seen.len(), count as usize);
                for mut drawn in seen.into_values() {
                    drawn.sort_unstable();
                    if all {
                        prop_assert_eq!(drawn, (0..templates).collect::<Vec<_>>());
                    } else {
                        prop_assert!(drawn.len() == 1 && drawn[0] < templates);
                    }
                }
            }
        }

        /// Each sequence of the text is trained once before any is trained again.
        #[test]
        fn the_text_goes_round(count in 2..20_usize) {
            let plan = plan(facts(1, 1), Some((text(count + 1), 0.5)), Templates::One);
            let drawn: Vec<u32> = (0..count)
                .flat_map(|step| plan.step(step).batch.tokens[2..].to_vec())
                .step_by(2)
                .collect();
            let wanted: Vec<u32> = (0..count as u32).map(|i| 10_000 + 3 * i).collect();
            for pass in drawn.chunks(count) {
                let mut pass = pass.to_vec();
                pass.sort_unstable();
                prop_assert_eq!(&pass, &wanted);
            }
        }
    }
}
