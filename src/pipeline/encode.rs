//! The encode stage: a chunk's subjects and templates to the tokens of its prompts.

use super::{Error, Plan, Task};
use crate::lm::Prompt;
use crate::shock::Pair;

/// A chunk with its prompts: for each subject in order, for each template in order.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The chunk.
    pub task: Task,
    /// The prompts; none where all models read examples.
    pub plain: Option<Vec<Prompt>>,
    /// The same behind examples; none where no model reads any.
    pub exampled: Option<Vec<Prompt>>,
}

impl Encoded {
    /// The prompts of a model, which reads examples or not.
    pub fn prompts(&self, exampled: bool) -> &[Prompt] {
        let own = if exampled { &self.exampled } else { &self.plain };
        own.as_ref().or(self.plain.as_ref()).or(self.exampled.as_ref()).map_or(&[], Vec::as_slice)
    }

    /// How many prompts each model gets.
    pub fn count(&self) -> usize {
        self.prompts(false).len()
    }
}

/// Encodes a chunk.
///
/// # Errors
/// Where the tokenizer fails, leaves nothing of a prompt, or a prompt with its longest candidate
/// exceeds the context.
pub fn encode(plan: &Plan, task: Task) -> Result<Encoded, Error> {
    let examples = &plan.relations[task.relation].examples;
    let reads = |exampled: bool| {
        let Pair { finetuned, base } = plan.asked;
        (finetuned && plan.exampled.finetuned == exampled)
            || (base && plan.exampled.base == exampled)
    };
    let exampled = if !examples.is_empty() && reads(true) {
        Some(prompts(plan, &task, examples)?)
    } else {
        None
    };
    let plain =
        if exampled.is_none() || reads(false) { Some(prompts(plan, &task, "")?) } else { None };
    Ok(Encoded { task, plain, exampled })
}

fn prompts(plan: &Plan, task: &Task, examples: &str) -> Result<Vec<Prompt>, Error> {
    let relation = &plan.relations[task.relation];
    let mut prompts = Vec::with_capacity(task.subjects.len() * relation.templates.len());
    for &subject in &task.subjects {
        let label = plan.subjects.label(subject);
        for template in &relation.templates {
            let prompt = plan.prompter.prompt(template, label, examples)?;
            if prompt.tokens() == 0 {
                return Err(Error::EmptyPrompt {
                    subject: plan.subjects.iri(subject).to_owned(),
                    relation: relation.iri.to_string(),
                });
            }
            if let Some(context) = plan.context
                && prompt.longest_with(relation.longest) > context
            {
                return Err(Error::Context {
                    subject: plan.subjects.iri(subject).to_owned(),
                    relation: relation.iri.to_string(),
                    prompt: prompt.longest_with(0),
                    candidate: relation.longest,
                    context,
                });
            }
            prompts.push(prompt);
        }
    }
    Ok(prompts)
}
