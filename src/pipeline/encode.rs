//! The encode stage: a chunk's subjects and templates to the tokens of its prompts.

use super::{Error, Plan, Task};
use crate::lm::Prompt;

/// A chunk with its prompts: for each subject in order, for each template in order.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The chunk.
    pub task: Task,
    /// The prompts.
    pub prompts: Vec<Prompt>,
    /// The same behind examples; none where no model reads any.
    pub exampled: Option<Vec<Prompt>>,
}

/// Encodes a chunk.
///
/// # Errors
/// Where the tokenizer fails, leaves nothing of a prompt, or a prompt with its longest candidate
/// exceeds the context.
pub fn encode(plan: &Plan, task: Task) -> Result<Encoded, Error> {
    let prompts = prompts(plan, &task, "")?;
    let examples = &plan.relations[task.relation].examples;
    let exampled = if examples.is_empty() || plan.exampled == [false; 2] {
        None
    } else {
        Some(self::prompts(plan, &task, examples)?)
    };
    Ok(Encoded { task, prompts, exampled })
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
                && prompt.longest() + relation.longest > context
            {
                return Err(Error::Context {
                    subject: plan.subjects.iri(subject).to_owned(),
                    relation: relation.iri.to_string(),
                    prompt: prompt.longest(),
                    candidate: relation.longest,
                    context,
                });
            }
            prompts.push(prompt);
        }
    }
    Ok(prompts)
}
