//! In which chunks the questions are asked, and which of these together: blocks of subjects that the
//! same relations are asked about, so that what prompts about a subject begin with is computed once.

use std::collections::HashMap;
use std::sync::Arc;

use super::plan::{Plan, RelationPlan, Task};
use crate::catalog::EntityId;
use crate::graph::{DoneChunks, KeptAnswers};
use crate::shock::Pair;

/// Subjects of one chunk.
///
/// Large enough that the rounds of a search fill the models' batches, small enough that the keys
/// and values of its prompts take some 50 MB with a model of 135M parameters.
pub const CHUNK_SUBJECTS: usize = 64;

/// Prompts that are searched together at most by so many bytes of weights. More fill the rounds of a search
/// better, when few of its questions are left; but nothing of them is written until all are answered,
/// and their keys and values are in memory.
const BATCH_PROMPTS: usize = 512;
const BATCH_WEIGHTS: u64 = 600_000_000;

/// As many prompts whose answers are kept count as one.
const KEPT_PROMPTS: usize = 16;

/// As how many prompts one counts whose search ends late: of numbers near the true one, for which hundreds of
/// prefixes are opened.
const LONG_SEARCH: usize = 16;

/// How many prompts are searched together with models whose weights, each model's counted, are so many
/// bytes.
pub(super) fn batch_prompts(weights: u64) -> usize {
    let most = BATCH_PROMPTS as u64 * BATCH_WEIGHTS / weights.max(1);
    (most as usize).clamp(CHUNK_SUBJECTS, BATCH_PROMPTS)
}

/// Subjects that the same relations are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Indices of the relations, in the plan's order.
    pub relations: Vec<usize>,
    /// The subjects, in the table's order.
    pub subjects: Arc<[EntityId]>,
}

/// The subjects of all relations, of which each is in one group; in the table's order of their first. Given are
/// the subjects by relation, in the table's order. A group that has all of a relation's shares them.
pub(super) fn groups<'a>(relations: impl Iterator<Item = &'a Arc<[EntityId]>>) -> Vec<Group> {
    let relations: Vec<&Arc<[EntityId]>> = relations.collect();
    // A relation's next subject: nothing is held of any subject but its place in a group.
    let mut nexts = vec![0; relations.len()];
    let mut groups: Vec<(Vec<usize>, Vec<EntityId>)> = Vec::new();
    let mut places: HashMap<Vec<usize>, usize> = HashMap::new();
    let mut asked = Vec::new();
    loop {
        let following = relations.iter().zip(&nexts).filter_map(|(own, &next)| own.get(next));
        let Some(&subject) = following.min() else { break };
        asked.clear();
        for (relation, (own, next)) in relations.iter().zip(&mut nexts).enumerate() {
            if own.get(*next) == Some(&subject) {
                asked.push(relation);
                *next += 1;
            }
        }
        let place = places.get(&asked).copied().unwrap_or_else(|| {
            groups.push((asked.clone(), Vec::new()));
            places.insert(asked.clone(), groups.len() - 1);
            groups.len() - 1
        });
        groups[place].1.push(subject);
    }
    let group = |(asked, subjects): (Vec<usize>, Vec<EntityId>)| {
        let all = asked.first().map(|&first| relations[first]);
        let subjects = match all.filter(|all| all.len() == subjects.len()) {
            Some(all) => Arc::clone(all),
            None => subjects.into(),
        };
        Group { relations: asked, subjects }
    };
    groups.into_iter().map(group).collect()
}

impl RelationPlan {
    /// As how many prompts a question counts in a batch.
    fn load(&self) -> usize {
        self.templates.len() * if self.nearness().is_some() { LONG_SEARCH } else { 1 }
    }
}

impl Plan {
    /// The chunks that are not in `done`, in the order in which they are asked.
    pub fn tasks<'a>(&'a self, done: &'a DoneChunks) -> impl Iterator<Item = Task> + 'a {
        let is_done = |task: &Task| done.contains(&self.relations[task.relation].chunk(task.index));
        self.blocks().flatten().filter(move |task| !is_done(task))
    }

    /// The chunks of [`Self::tasks`] as they are searched together: blocks, as far as their prompts are
    /// few. Those that are kept hardly count, so that the others fill the models' batches.
    pub(super) fn batches<'a>(
        &'a self,
        done: &'a DoneChunks,
        kept: &'a KeptAnswers,
    ) -> impl Iterator<Item = Vec<Task>> + 'a {
        let is_done = |task: &Task| done.contains(&self.relations[task.relation].chunk(task.index));
        let missing = move |mut block: Vec<Task>| {
            block.retain(|task| !is_done(task));
            block
        };
        let blocks = self.blocks().map(missing).filter(|block| !block.is_empty());
        let mut blocks = blocks.map(|block| (self.weight(&block, kept), block)).peekable();
        // A model that is read to anew for each prompt has nothing of more than a chunk.
        let most = match self.shares_subjects() {
            true => self.batch_prompts,
            false if self.packed && !kept.is_empty() => CHUNK_SUBJECTS,
            false => 0,
        };
        std::iter::from_fn(move || {
            let (mut all, mut batch) = blocks.next()?;
            while let Some((weight, next)) =
                blocks.next_if(|(weight, _)| all + weight <= most * KEPT_PROMPTS)
            {
                all += weight;
                batch.extend(next);
            }
            Some(batch)
        })
    }

    /// For how many prompts a block counts in a batch, in parts of [`KEPT_PROMPTS`].
    fn weight(&self, block: &[Task], kept: &KeptAnswers) -> usize {
        let of_task = |task: &Task| {
            let relation = &self.relations[task.relation];
            let known = match kept.is_empty() {
                true => 0,
                false => task.subjects.iter().filter(|&&s| self.is_kept(kept, relation, s)).count(),
            };
            let asked = task.subjects.len() - known;
            (asked * KEPT_PROMPTS + known) * relation.load()
        };
        block.iter().map(of_task).sum()
    }

    /// How many prompts ask a chunk's questions.
    pub(super) fn prompts(&self, task: &Task) -> usize {
        task.subjects.len() * self.relations[task.relation].templates.len()
    }

    /// All chunks, by what is never parted: all those of a few subjects where what their prompts begin
    /// with is computed once, else each alone, relation by relation.
    fn blocks(&self) -> Box<dyn Iterator<Item = Vec<Task>> + Send + '_> {
        let mut chunks = vec![0_u64; self.relations.len()];
        let mut chunk = move |relation: usize, subjects: &[EntityId]| {
            let index = chunks[relation];
            chunks[relation] += 1;
            Task { relation, index, subjects: subjects.to_vec() }
        };
        let blocks = self.groups.iter().flat_map(|group| {
            group.subjects.chunks(self.block_subjects(group)).map(move |block| (group, block))
        });
        if self.shares_subjects() {
            return Box::new(blocks.map(move |(group, block)| {
                group.relations.iter().map(|&relation| chunk(relation, block)).collect()
            }));
        }
        let of = move |relation: usize| {
            blocks.clone().filter(move |(group, _)| group.relations.contains(&relation))
        };
        let relations = (0..self.relations.len())
            .flat_map(move |relation| of(relation).map(move |(_, block)| (relation, block)));
        Box::new(relations.map(move |(relation, block)| vec![chunk(relation, block)]))
    }

    /// How many chunks the questions of each relation are.
    pub(super) fn chunks(&self) -> Vec<u64> {
        let mut chunks = vec![0; self.relations.len()];
        for group in &self.groups {
            let own = group.subjects.len().div_ceil(self.block_subjects(group));
            group.relations.iter().for_each(|&relation| chunks[relation] += own as u64);
        }
        chunks
    }

    /// How many subjects of a group are in a block.
    fn block_subjects(&self, group: &Group) -> usize {
        if !self.shares_subjects() {
            return CHUNK_SUBJECTS;
        }
        let prompts = group.relations.iter().map(|&at| self.relations[at].load());
        (self.batch_prompts / prompts.sum::<usize>().max(1)).clamp(1, CHUNK_SUBJECTS)
    }

    /// Whether a model computes once what prompts about a subject begin with, and there are such prompts.
    /// What stands before others is the relation's own.
    fn shares_subjects(&self) -> bool {
        let Pair { finetuned, base } = self.asked;
        let plain = (finetuned && !self.exampled.finetuned) || (base && !self.exampled.base);
        let first = self.relations.iter().flat_map(|relation| &relation.templates);
        self.packed && plain && first.filter(|template| template.begins_with_subject()).count() > 1
    }
}
