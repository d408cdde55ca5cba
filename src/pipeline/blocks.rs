//! In which chunks the questions are asked: blocks of subjects that the same relations are asked
//! about, so that what their prompts begin with is computed once for all these relations.

use std::collections::{HashMap, HashSet};

use super::plan::{Plan, RelationPlan, Task};
use crate::catalog::EntityId;
use crate::graph::Chunk;
use crate::shock::Pair;

/// Subjects of one chunk.
///
/// Large enough that the rounds of a search fill the models' batches, small enough that the keys
/// and values of its prompts take some 50 MB with a model of 135M parameters.
pub const CHUNK_SUBJECTS: usize = 64;

/// Prompts of chunks that are searched together. More fill the rounds of a search better, when few of
/// its questions are left; their keys and values take as much memory.
pub(super) const BATCH_PROMPTS: usize = 256;

/// Subjects that the same relations are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Indices of the relations, in the plan's order.
    pub relations: Vec<usize>,
    /// The subjects, in the table's order.
    pub subjects: Vec<EntityId>,
}

/// The subjects of all relations, of which each is in one group; in the table's order of their first.
pub(super) fn groups(relations: &[RelationPlan]) -> Vec<Group> {
    let mut asked: HashMap<EntityId, Vec<usize>> = HashMap::new();
    for (index, relation) in relations.iter().enumerate() {
        relation.subjects.iter().for_each(|&subject| asked.entry(subject).or_default().push(index));
    }
    let mut subjects: Vec<EntityId> = asked.keys().copied().collect();
    subjects.sort_unstable();
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<&[usize], usize> = HashMap::new();
    for subject in subjects {
        let relations = &asked[&subject][..];
        let place = *places.entry(relations).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group { relations: relations.to_vec(), subjects: Vec::new() });
        }
        groups[place].subjects.push(subject);
    }
    groups
}

impl Plan {
    /// The chunks that are not in `done`: block by block where what prompts begin with is kept, else
    /// relation by relation.
    pub fn tasks<'a>(&'a self, done: &'a HashSet<Chunk>) -> impl Iterator<Item = Task> + 'a {
        self.all_tasks()
            .filter(|task| !done.contains(&self.relations[task.relation].chunk(task.index)))
    }

    /// All chunks in the order of [`Self::tasks`].
    fn all_tasks(&self) -> impl Iterator<Item = Task> {
        let blocks = self.keeps_beginnings().then(|| self.blocks()).into_iter().flatten();
        let relations = (!self.keeps_beginnings()).then_some(0..self.relations.len());
        blocks.chain(relations.into_iter().flatten().flat_map(|relation| self.chunks_of(relation)))
    }

    /// The chunks of the relation with this index, in none of the blocks.
    fn chunks_of(&self, relation: usize) -> impl Iterator<Item = Task> {
        let with = self.groups.iter().filter(move |group| group.relations.contains(&relation));
        let chunks = with.flat_map(|group| group.subjects.chunks(CHUNK_SUBJECTS)).zip(0..);
        chunks.map(move |(subjects, index)| Task {
            relation,
            index,
            subjects: subjects.to_vec(),
            block: None,
        })
    }

    /// The chunks of [`Self::tasks`] as they are searched together: those of a block as far as their
    /// prompts are few, others alone. What is begun of a batch is done again with all of it, so that
    /// its numbers are the same bits; only batches of which nothing is missing are left out.
    pub fn batches<'a>(&'a self, done: &'a HashSet<Chunk>) -> impl Iterator<Item = Vec<Task>> + 'a {
        let mut all = self.all_tasks().peekable();
        let batches = std::iter::from_fn(move || {
            let first = all.next()?;
            let mut prompts = self.prompts(&first);
            let mut batch = vec![first];
            while let Some(next) = all.next_if(|next| {
                next.block.is_some()
                    && next.block == batch[0].block
                    && prompts + self.prompts(next) <= BATCH_PROMPTS
            }) {
                prompts += self.prompts(&next);
                batch.push(next);
            }
            Some(batch)
        });
        let is_done = |task: &Task| done.contains(&self.relations[task.relation].chunk(task.index));
        batches.filter(move |batch| !batch.iter().all(is_done))
    }

    /// How many prompts ask a chunk's questions.
    pub(super) fn prompts(&self, task: &Task) -> usize {
        task.subjects.len() * self.relations[task.relation].templates.len()
    }

    /// All chunks, block by block.
    fn blocks(&self) -> impl Iterator<Item = Task> {
        let mut chunks = vec![0_u64; self.relations.len()];
        let mut blocks = 0_u64;
        self.groups.iter().flat_map(move |group| {
            let mut tasks = Vec::new();
            for subjects in group.subjects.chunks(CHUNK_SUBJECTS) {
                let shared = group.relations.len() > 1;
                for &relation in &group.relations {
                    let (index, subjects) = (chunks[relation], subjects.to_vec());
                    tasks.push(Task { relation, index, subjects, block: shared.then_some(blocks) });
                    chunks[relation] += 1;
                }
                blocks += 1;
            }
            tasks
        })
    }

    /// How many chunks the subjects of the relation with this index make.
    pub(super) fn chunks(&self, relation: usize) -> u64 {
        let with = self.groups.iter().filter(|group| group.relations.contains(&relation));
        with.map(|group| group.subjects.len().div_ceil(CHUNK_SUBJECTS) as u64).sum()
    }

    /// Whether a model reads prompts that begin with the subject. What stands before them otherwise
    /// is the relation's own.
    pub(super) fn keeps_beginnings(&self) -> bool {
        let Pair { finetuned, base } = self.asked;
        let plain = (finetuned && !self.exampled.finetuned) || (base && !self.exampled.base);
        let first = self.relations.iter().flat_map(|relation| &relation.templates);
        plain && first.filter(|template| template.begins_with_subject()).count() > 1
    }
}
