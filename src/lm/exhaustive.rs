//! Every candidate of an answer space scored: the obvious way, against which the search is held.

use super::branch::{AnswerSpace, Normalise};
use super::mix::mix;
use super::names::CandidateIndex;
use super::search::{Answer, Asked, Excluded, Mass, SearchTask, Weighed, answer};
use super::trie::{NodeId, Trie};
use super::{Answers, Row};
use crate::shock::logspace::{log_mean_exp, log_sum_exp, normalise};
use crate::shock::{Mixture, Pair};

/// Rows, or nodes, collected before the models are asked.
const ROWS_AT_ONCE: usize = 4096;

/// Masses held at once, 8 bytes each: how many questions are scored together follows from it.
const MASSES_AT_ONCE: usize = 1 << 23;

/// Every question's distributions over the names of all candidates, each model's, as natural logarithms,
/// averaged over the templates; the same twice where there is one model.
///
/// Question `q` is asked through the prompts `q·templates ..`; `questions` holds what each must not
/// be answered. `evaluate` gives each of `models` (finetuned, then base) its answers to the same
/// rows. They are probabilities as the space normalises them: under `none` they sum to what the models
/// leave to the candidates. Under `list` what all but the excluded candidate have sums to one, and its own names
/// have `-inf`; elsewhere it keeps what the models give it, since mixing at branchings needs its mass: [`mix`]
/// takes it out.
///
/// # Errors
/// Those of `evaluate`.
pub fn distributions<E>(
    space: &AnswerSpace,
    models: usize,
    questions: &[Excluded],
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
) -> Result<Vec<Pair<Vec<f64>>>, E> {
    let mut all = Vec::with_capacity(questions.len());
    for_each(space, models, questions, 0, evaluate, &mut |_, distributions| {
        all.push(distributions);
    })?;
    Ok(all)
}

/// One model's probabilities of a question's candidates, as natural logarithms, averaged over the
/// templates.
#[derive(Clone, Debug, PartialEq)]
pub struct Ways {
    /// Of the whole token sequence, with the mean of the text after it: what counts under `none`.
    pub whole: Vec<f64>,
    /// Normalised at each branching of the candidates' tokens, as under `trie`, without the text.
    pub branchings: Vec<f64>,
}

/// By question and model, the candidates' probabilities in both ways, from the same answers; the arguments
/// are those of [`distributions`], for a space under `none`.
///
/// # Errors
/// Those of `evaluate`.
pub fn ways<E>(
    space: &AnswerSpace,
    models: usize,
    questions: &[Excluded],
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
) -> Result<Vec<Vec<Ways>>, E> {
    let mut all = Vec::with_capacity(questions.len());
    for (question, &excluded) in questions.iter().enumerate() {
        let mut tables = [false, true]
            .map(|at_branchings| Tables { at_branchings, ..Tables::new(space, models, 1) });
        score(space, models, question * space.templates(), 1, evaluate, &mut tables)?;
        let of_model = |model| {
            let [whole, branchings] =
                [0, 1].map(|way| space.names().sum(&tables[way].distribution(0, model, excluded)));
            Ways { whole, branchings }
        };
        all.push((0..models).map(of_model).collect());
    }
    Ok(all)
}

/// The mixture of every question over all candidates, ranked: what [`super::search`] is held against,
/// with the same arguments.
///
/// # Errors
/// Those of `evaluate`.
pub fn exhaustive<E>(
    asked: &[Asked<'_>],
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
) -> Result<Vec<Vec<Answer>>, E> {
    let mut first = 0;
    let each = asked.iter().map(|own| {
        let answers = rank_all(own, first, evaluate);
        first += own.prompts();
        answers
    });
    each.collect()
}

/// The same of one task's questions, whose first prompt is number `first`.
pub(super) fn rank_all<E>(
    asked: &Asked<'_>,
    first: usize,
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
) -> Result<Vec<Answer>, E> {
    let Asked { task, questions } = asked;
    let &SearchTask { space, correction, models, .. } = task;
    let mut answers = Vec::with_capacity(questions.len());
    for_each(
        space,
        models,
        questions,
        first,
        evaluate,
        &mut |excluded, Pair { finetuned, base }| {
            let Mixture { masses, total, .. } = mix(space, correction, excluded, &finetuned, &base);
            let (finetuned, base) = (space.names().sum(&finetuned), space.names().sum(&base));
            let weighed = (0..masses.len())
                .filter(|&c| excluded != Some(c as CandidateIndex))
                .map(|c| Weighed {
                    candidate: c as CandidateIndex,
                    mixed: masses[c],
                    models: Pair { finetuned: finetuned[c], base: base[c] },
                })
                .collect();
            let mass = Mass { explored: total, open: f64::NEG_INFINITY };
            answers.push(answer(task, weighed, mass));
        },
    )?;
    Ok(answers)
}

/// Gives `take` each question's distributions in order, a few questions scored at a time.
fn for_each<E>(
    space: &AnswerSpace,
    models: usize,
    questions: &[Excluded],
    first: usize,
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
    take: &mut dyn FnMut(Excluded, Pair<Vec<f64>>),
) -> Result<(), E> {
    let trie = space.trie().listed();
    let table = models * space.templates() * (trie.size() + trie.names());
    let together = (MASSES_AT_ONCE / table.max(1)).max(1);
    for (group, questions) in questions.chunks(together).enumerate() {
        let prompt = first + group * together * space.templates();
        let mut tables = [Tables::new(space, models, questions.len())];
        score(space, models, prompt, questions.len(), evaluate, &mut tables)?;
        let [tables] = tables;
        for (question, &excluded) in questions.iter().enumerate() {
            let finetuned = tables.distribution(question, 0, excluded);
            let base = if models > 1 {
                tables.distribution(question, 1, excluded)
            } else {
                finetuned.clone()
            };
            take(excluded, Pair { finetuned, base });
        }
    }
    Ok(())
}

/// Scores every candidate of as many questions, whose first prompt is number `first`, into `tables`.
fn score<E>(
    space: &AnswerSpace,
    models: usize,
    first: usize,
    questions: usize,
    evaluate: &mut dyn FnMut(&[Row<'_>]) -> Result<Answers, E>,
    tables: &mut [Tables<'_>],
) -> Result<(), E> {
    let mut take = |asked: &[(NodeId, usize)], answers: &Answers| {
        tables.iter_mut().for_each(|tables| tables.take(asked, answers));
    };
    let mut rows = Vec::new();
    let mut asked: Vec<(NodeId, usize)> = Vec::new();
    // Question by question, depth first: what is asked together begins alike, and is computed once.
    let nodes = space.trie().listed().depth_first();
    for question in 0..questions {
        for &node in &nodes {
            if space.asks(node) {
                for template in 0..space.templates() {
                    let prompt = first + question * space.templates() + template;
                    space.rows(node, template, prompt, &mut rows);
                }
            }
            asked.push((node, question));
            // Where only leaves were met, nothing has to be asked to take them.
            if rows.is_empty() {
                take(&asked, &vec![Vec::new(); models]);
                asked.clear();
            } else if rows.len().max(asked.len()) >= ROWS_AT_ONCE {
                take(&asked, &evaluate(&rows)?);
                rows.clear();
                asked.clear();
            }
        }
    }
    let answers = if rows.is_empty() { vec![Vec::new(); models] } else { evaluate(&rows)? };
    take(&asked, &answers);
    Ok(())
}

/// ln mass of each node and each name, by question, model and template.
struct Tables<'a> {
    space: &'a AnswerSpace,
    models: usize,
    /// Whether all ways on from a node have its mass together, whatever the space's way.
    at_branchings: bool,
    nodes: Vec<Vec<f64>>,
    names: Vec<Vec<f64>>,
}

impl<'a> Tables<'a> {
    fn new(space: &'a AnswerSpace, models: usize, questions: usize) -> Self {
        let tables = questions * models * space.templates();
        let trie = space.trie().listed();
        let mut nodes = vec![vec![f64::NEG_INFINITY; trie.size()]; tables];
        nodes.iter_mut().for_each(|table| table[Trie::ROOT as usize] = 0.0);
        let names = vec![vec![f64::NEG_INFINITY; trie.names()]; tables];
        Self { space, models, at_branchings: false, nodes, names }
    }

    fn table(&self, question: usize, model: usize, template: usize) -> usize {
        (question * self.models + model) * self.space.templates() + template
    }

    /// Takes the models' answers about nodes, of which a parent always comes before its children.
    fn take(&mut self, asked: &[(NodeId, usize)], answers: &Answers) {
        for (model, answers) in answers.iter().enumerate() {
            let mut answers = &answers[..];
            for &(node, question) in asked {
                for template in 0..self.space.templates() {
                    let table = self.table(question, model, template);
                    let part = model * self.space.templates() + template;
                    if !self.space.asks(node) {
                        // One way on takes all the mass.
                        self.spread(table, part, node, &[0.0]);
                        continue;
                    }
                    let (own, rest) = answers.split_at(self.space.answers(node, template));
                    answers = rest;
                    let ways = self.space.conditionals(node, template, own);
                    self.spread(table, part, node, &ways);
                }
            }
        }
    }

    fn spread(&mut self, table: usize, part: usize, node: NodeId, ways: &[f64]) {
        let mass = self.nodes[table][node as usize];
        let trie = self.space.trie().listed();
        let mut relative = Vec::new();
        let ways = if self.at_branchings {
            relative.extend_from_slice(ways);
            normalise(&mut relative);
            &relative
        } else {
            ways
        };
        for (child, way) in trie.children(node).zip(ways) {
            self.nodes[table][child as usize] = mass + way;
        }
        if let (Some(name), Some(way)) = (trie.end(node), ways.last()) {
            let text = if self.at_branchings { 0.0 } else { self.space.text_of(part, name) };
            self.names[table][name as usize] = mass + way + text;
        }
    }

    /// ln p(name) of one model, averaged over the templates.
    fn distribution(&self, question: usize, model: usize, excluded: Excluded) -> Vec<f64> {
        let mut by_template: Vec<Vec<f64>> = (0..self.space.templates())
            .map(|template| self.names[self.table(question, model, template)].clone())
            .collect();
        if self.space.normalise() == Normalise::List {
            for distribution in &mut by_template {
                let mut candidates = self.space.names().sum(distribution);
                if let Some(excluded) = excluded {
                    candidates[excluded as usize] = f64::NEG_INFINITY;
                }
                let total = log_sum_exp(&candidates);
                // Where only what is excluded has any mass, none is left.
                let nothing = total == f64::NEG_INFINITY;
                let share = |ln: f64| if nothing { f64::NEG_INFINITY } else { ln - total };
                distribution.iter_mut().for_each(|ln| *ln = share(*ln));
                for name in excluded.into_iter().flat_map(|own| self.space.names().of(own)) {
                    if self.space.names().owners(name).len() == 1 {
                        distribution[name as usize] = f64::NEG_INFINITY;
                    }
                }
            }
        }
        (0..self.space.trie().listed().names())
            .map(|name| log_mean_exp(&by_template.iter().map(|d| d[name]).collect::<Vec<_>>()))
            .collect()
    }
}
