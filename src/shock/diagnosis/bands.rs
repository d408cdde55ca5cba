//! Bands of entities, by how frequent they are and how often training showed them.

use serde::Serialize;

use super::Entity;

/// An entity is common from this share of its relation's natural facts on.
pub const COMMON: f64 = 0.05;

/// Entities that are alike, counted together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Band {
    /// What they have in common.
    pub name: &'static str,
    /// How many entities: pairs of a relation and a candidate that training, gold or a prediction
    /// names.
    pub entities: usize,
    /// How many questions they are the answer to; with several right objects each counts its share.
    pub gold: f64,
    /// By system, how many of these questions have a right first answer.
    pub right: Vec<f64>,
    /// By system, how many questions they are the first answer to.
    pub predicted: Vec<usize>,
}

/// The same entities divided in four ways. The bands of each are summed over relations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bands {
    /// By the share of the relation's natural facts.
    pub by_frequency: Vec<Band>,
    /// By how many training facts they are the object of.
    pub by_training: Vec<Band>,
    /// Whether they are the object of a training fact. Accuracy on those that are not is how far
    /// the model goes beyond the range of its training.
    pub seen: Vec<Band>,
    /// What Frequency Shock is about: common entities, and rare ones by whether training had them.
    pub shock: Vec<Band>,
}

const BY_FREQUENCY: [&str; 4] = ["5 % or more", "1 to 5 %", "below 1 %", "none"];
const BY_TRAINING: [&str; 5] = ["unseen", "once", "2 to 4 times", "5 to 19 times", "20 or more"];
const SEEN: [&str; 2] = ["seen in training", "unseen"];
const SHOCK: [&str; 3] = ["common", "rare, seen in training", "rare, unseen"];

impl Bands {
    /// Without entities.
    pub fn empty(systems: usize) -> Self {
        let bands = |names: &[&'static str]| {
            let band = |&name| Band {
                name,
                entities: 0,
                gold: 0.0,
                right: vec![0.0; systems],
                predicted: vec![0; systems],
            };
            names.iter().map(band).collect()
        };
        Self {
            by_frequency: bands(&BY_FREQUENCY),
            by_training: bands(&BY_TRAINING),
            seen: bands(&SEEN),
            shock: bands(&SHOCK),
        }
    }

    /// Counts an entity.
    pub fn add(&mut self, entity: &Entity) {
        let by_frequency = match entity.natural {
            share if share >= COMMON => 0,
            share if share >= 0.01 => 1,
            share if share > 0.0 => 2,
            _ => 3,
        };
        let by_training = match entity.training {
            0 => 0,
            1 => 1,
            2..5 => 2,
            5..20 => 3,
            _ => 4,
        };
        let unseen = usize::from(entity.training == 0);
        let shock = if by_frequency == 0 { 0 } else { 1 + unseen };
        for band in [
            &mut self.by_frequency[by_frequency],
            &mut self.by_training[by_training],
            &mut self.seen[unseen],
            &mut self.shock[shock],
        ] {
            band.entities += 1;
            band.gold += entity.gold;
            band.right.iter_mut().zip(&entity.right).for_each(|(sum, x)| *sum += x);
            band.predicted.iter_mut().zip(&entity.predicted).for_each(|(sum, x)| *sum += x);
        }
    }
}
