//! Judging: who may, what is judged next, and what was said.

mod queue;
mod sessions;

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use oxigraph::model::{GraphNameRef, NamedNode, QuadRef, Term};

pub(super) use queue::{Order, Waiting, fact_print};
pub use sessions::unguessable;
pub(super) use sessions::{Key, Session};

use self::queue::Queue;
use self::sessions::Sessions;
use super::Served;
use super::problem::Problem;
use crate::graph::{self, Judge, Judged, Judgement};

/// What is needed to let people judge.
pub struct ReviewOptions {
    /// Writes what they say; its store is the one that is served.
    pub judge: Judge,
    /// What they have to know.
    pub token: String,
}

/// Who judges, and what.
pub(super) struct Review {
    pub sessions: Sessions,
    judge: Mutex<Judge>,
    queue: Queue,
}

/// A fact that is judged, by its parts.
pub(super) type Fact = (NamedNode, NamedNode, Term);

impl Review {
    /// Reads which facts there are to judge.
    ///
    /// # Errors
    /// Where the graph cannot be read.
    pub(super) fn of(options: ReviewOptions) -> Result<Self, graph::Error> {
        let ReviewOptions { judge, token } = options;
        let queue = Queue::of(judge.store())?;
        Ok(Self { sessions: Sessions::new(&token), judge: Mutex::new(judge), queue })
    }

    /// The one who writes, while nobody else does.
    pub(super) fn judge(&self) -> MutexGuard<'_, Judge> {
        self.judge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The relations that have facts to judge, by IRI.
    pub(super) fn relations(&self) -> &[NamedNode] {
        &self.queue.relations
    }

    /// What is next for one who judges: a fact that is in the graph, that nobody has judged, that they have not left
    /// out, and that is before nobody else.
    ///
    /// # Errors
    /// Where the graph cannot be read.
    pub(super) fn next(
        &self,
        key: &Key,
        order: Order,
        relation: Option<&NamedNode>,
    ) -> Result<Option<&Waiting>, Problem> {
        let judge = self.judge();
        let judged: HashSet<(&NamedNode, &NamedNode, &Term)> = judge
            .judgements()
            .iter()
            .map(|own| (&own.subject, &own.relation, &own.object))
            .collect();
        let taken = self.sessions.taken(key);
        for (place, waiting) in self.queue.in_order(order) {
            let (subject, predicate, object) = &waiting.fact;
            let is_out = taken.contains(&place)
                || relation.is_some_and(|relation| relation != predicate)
                || judged.contains(&(subject, predicate, object));
            let graph = GraphNameRef::DefaultGraph;
            let quad = QuadRef::new(subject, predicate, object, graph);
            let read = |error| Problem::broken(&error);
            if !is_out && judge.store().contains(quad).map_err(read)? {
                self.sessions.take(key, place);
                return Ok(Some(waiting));
            }
        }
        Ok(None)
    }

    /// Leaves out, for one who judges, what is before them.
    pub(super) fn skip(&self, key: &Key) {
        self.sessions.skip(key);
    }

    /// Writes a judgement.
    ///
    /// # Errors
    /// Where it cannot be written, or another one of the same question was made since, with status 409.
    pub(super) fn add(&self, key: &Key, judged: Judged) -> Result<(), Problem> {
        let written = self.judge().judge(judged);
        match written.map_err(|error| Problem::of_graph(&error))? {
            Ok(number) => {
                self.sessions.judged(key, number);
                Ok(())
            }
            Err(other) => Err(Problem::conflict(format!(
                "{} judged this question meanwhile; nothing was written. Look at it again",
                other.by
            ))),
        }
    }

    /// Takes back the last judgement of one who judges; gives it.
    ///
    /// # Errors
    /// Where that cannot be written.
    pub(super) fn take_back(&self, key: &Key) -> Result<Option<Judgement>, Problem> {
        let Some(number) = self.sessions.take_back(key) else { return Ok(None) };
        let taken = self.judge().take_back(number);
        taken.map_err(|error| {
            self.sessions.judged(key, number);
            Problem::of_graph(&error)
        })
    }
}

/// Who lets people judge, where that is wanted.
///
/// # Errors
/// Where it is not.
pub(super) fn review(served: &Served) -> Result<&Review, Problem> {
    served.review.as_ref().ok_or_else(|| {
        Problem::missing(
            "this graph is served to be read: `kgbuild serve --review` lets people judge",
        )
    })
}
