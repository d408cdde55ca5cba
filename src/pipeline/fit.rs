//! Whether what is asked can be done, before anything is predicted: every prompt fits into the models'
//! context with its longest candidate, and what has to score all candidates has not too many.

use super::plan::{Plan, RelationPlan, SHOWN};
use crate::catalog::EntityId;
use crate::diagnostic::Diagnostic;
use crate::lm::{Method, Normalise};
use crate::ontology::Template;

/// Tokens that a tokenizer may put around a text.
const AROUND: usize = 8;

/// Tokens that a model takes where it does not say how many: what is longer is no prompt and no name.
const UNSAID_CONTEXT: usize = 4096;

/// Candidates that may be scored one by one for all questions of a relation together: half a day with a small
/// model on two cores.
const MOST_SCORED: usize = 100_000_000;

/// What keeps a relation's questions from being asked.
pub(super) fn mistakes(plan: &Plan, relation: &RelationPlan) -> Vec<Diagnostic> {
    let mut found = too_long_texts(plan, relation);
    found.extend(too_many_candidates(plan, relation));
    found
}

/// Whether the models can be asked about a subject of this name.
pub(super) fn can_ask(plan: &Plan, relation: &RelationPlan, label: &str) -> bool {
    let context = plan.context.unwrap_or(UNSAID_CONTEXT);
    let has_tokens = |template: &Template| {
        plan.prompter.prompt(template, label, "").is_ok_and(|prompt| {
            prompt.tokens() > 0 && prompt.longest_with(relation.longest) <= context
        })
    };
    too_long(plan, relation, label, context).is_none() && relation.templates.iter().all(has_tokens)
}

/// That every candidate has to be scored, and there are too many.
fn too_many_candidates(plan: &Plan, relation: &RelationPlan) -> Option<Diagnostic> {
    let RelationPlan { space, tau, mean, .. } = relation;
    let removed = tau.is_some() || *mean > 0.0;
    let why = match (relation.method, space.normalise()) {
        (Method::Exhaustive, _) => "`method = \"exhaustive\"`",
        (_, Normalise::List) if removed => "removing a mean prediction under `list`",
        (_, Normalise::List) if relation.tolerance == 0.0 => "`list` with `tolerance = 0`",
        _ => return None,
    };
    let (candidates, questions) = (relation.candidates.len(), relation.subjects.len());
    if candidates.saturating_mul(questions) <= MOST_SCORED {
        return None;
    }
    let message = format!(
        "{why} scores every one of {candidates} candidates for each of the {questions} subjects of \
         <{}>",
        relation.iri
    );
    let help = "take `normalise = \"none\"` with `method = \"search\"`, which looks at the likely ones; \
                or narrow the relation's range";
    Some(Diagnostic {
        place: relation.candidates.place(&plan.candidates, 0),
        ..Diagnostic::error("too-many-candidates", message).help(help)
    })
}

/// The subjects or candidates of a relation that are too long, the first few of them.
fn too_long_texts(plan: &Plan, relation: &RelationPlan) -> Vec<Diagnostic> {
    let context = plan.context.unwrap_or(UNSAID_CONTEXT);
    let mut subjects = Vec::new();
    for &subject in relation.subjects.iter() {
        if let Some(tokens) = too_long(plan, relation, plan.subjects.label(subject), context) {
            subjects.push((subject, tokens));
        }
    }
    let Some(&(_, prompt)) = subjects.first() else { return Vec::new() };
    if relation.longest <= context / 2 || !relation.space.is_listed() {
        let mistake = |&(subject, tokens): &(EntityId, usize)| Diagnostic {
            place: plan.subjects.place(subject),
            ..Diagnostic::error(
                "prompt-too-long",
                format!(
                    "the prompt for {} of <{}> has {tokens} tokens and the longest candidate {} \
                     more, but the model's context is {context}",
                    plan.subjects.iri(subject),
                    relation.iri,
                    relation.longest,
                ),
            )
            .help("shorten the label or the template, or take the row out")
        };
        let more = subjects.len().saturating_sub(SHOWN);
        return with_rest(subjects.iter().take(SHOWN).map(mistake).collect(), more);
    }
    let suffix = relation.longest - longest_candidate(relation);
    let length = |i: usize| relation.space.longest_of(i as u32) + suffix;
    let long: Vec<usize> =
        (0..relation.candidates.len()).filter(|&i| length(i) > context / 2).collect();
    let mistake = |&i: &usize| Diagnostic {
        place: relation.candidates.place(&plan.candidates, i),
        ..Diagnostic::error(
            "candidate-too-long",
            format!(
                "{} has {} tokens, and a prompt of <{}> {prompt}, but the model's context is \
                 {context}",
                plan.object(relation, i as u32),
                length(i),
                relation.iri,
            ),
        )
        .help("shorten the label, or take the row out")
    };
    with_rest(long.iter().take(SHOWN).map(mistake).collect(), long.len().saturating_sub(SHOWN))
}

/// The tokens of the longest name.
pub(super) fn longest_candidate(relation: &RelationPlan) -> usize {
    let candidates = 0..relation.candidates.len() as u32;
    candidates.map(|candidate| relation.space.longest_of(candidate)).max().unwrap_or(0)
}

fn with_rest(mut mistakes: Vec<Diagnostic>, more: usize) -> Vec<Diagnostic> {
    if let (Some(last), true) = (mistakes.last_mut(), more > 0) {
        last.message += &format!(" (and {more} more like it)");
    }
    mistakes
}

/// How many tokens the subject's longest prompt has, if it does not fit.
fn too_long(plan: &Plan, relation: &RelationPlan, label: &str, context: usize) -> Option<usize> {
    let room = context.saturating_sub(relation.longest);
    let is_read = plan.exampled.finetuned || plan.exampled.base;
    let examples = if is_read { &relation.examples } else { "" };
    let around = examples.len() + plan.prompter.around() + AROUND;
    // A token is a byte at least, so that almost all prompts are known to fit by their length, without being
    // written: the subject stands once in a template. A tokenizer that makes a text longer before it takes it
    // apart is left to the encode stage.
    let length = |template: &Template| template.text().len() + label.len() + around;
    let long = relation.templates.iter().filter(|template| length(template) > room);
    let prompts = long.filter_map(|template| plan.prompter.prompt(template, label, examples).ok());
    let long = prompts.filter(|prompt| prompt.longest_with(relation.longest) > context);
    long.map(|prompt| prompt.longest_with(0)).max()
}
