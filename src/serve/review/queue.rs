//! The facts that wait to be judged, in orders.

use std::collections::BTreeMap;

use oxigraph::model::{GraphNameRef, NamedNode, NamedOrBlankNode, Term, Triple};
use oxigraph::store::Store;

use super::Fact;
use crate::graph;

/// How many facts of a relation wait, drawn at random: more than people judge, and few enough to be held.
const DRAWN: usize = 2000;
/// A probability below which models do not differ.
const LEAST: f64 = 1e-12;

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Order {
    /// The least sure, which are those nearest to the threshold.
    Uncertain,
    /// Those of which the models' probabilities differ most.
    Disagreeing,
    /// Any: what is right of these is an estimate of what is right of all.
    Random,
}

impl Order {
    pub(in crate::serve) const ALL: [Self; 3] = [Self::Uncertain, Self::Disagreeing, Self::Random];

    /// In a word, as addresses and judgements have it.
    pub(in crate::serve) fn name(self) -> &'static str {
        match self {
            Self::Uncertain => "uncertain",
            Self::Disagreeing => "disagreeing",
            Self::Random => "random",
        }
    }

    /// As people read it.
    pub(in crate::serve) fn words(self) -> &'static str {
        match self {
            Self::Uncertain => "least sure first",
            Self::Disagreeing => "models disagree first",
            Self::Random => "at random",
        }
    }

    /// The one of a name; the first where it is none.
    pub(in crate::serve) fn named(name: &str) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|order| order.name() == name).unwrap_or(Self::Uncertain)
    }
}

/// A fact that waits.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Waiting {
    pub fact: Fact,
    /// The confidence in it.
    pub confidence: f64,
    /// The models' probabilities.
    pub finetuned: Option<f64>,
    pub base: Option<f64>,
    print: u64,
}

impl Waiting {
    /// How far the models' probabilities are apart, as the logarithm of their ratio.
    fn disagreement(&self) -> f64 {
        match (self.finetuned, self.base) {
            (Some(finetuned), Some(base)) => {
                (finetuned.max(LEAST).ln() - base.max(LEAST).ln()).abs()
            }
            _ => 0.0,
        }
    }
}

/// The facts that wait.
pub(super) struct Queue {
    /// The relations that they are of.
    pub relations: Vec<NamedNode>,
    waiting: Vec<Waiting>,
    /// Their places in each order, those of [`Order::ALL`].
    orders: [Vec<u32>; 3],
}

impl Queue {
    /// Of the predicted facts of a store, for each relation some drawn at random.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub(super) fn of(store: &Store) -> Result<Self, graph::Error> {
        let relations = graph::relations(store)?;
        let mut waiting = Vec::new();
        for relation in &relations {
            waiting.extend(of_relation(store, relation)?);
        }
        let orders = Order::ALL.map(|order| {
            let mut places: Vec<u32> = (0..waiting.len() as u32).collect();
            let of = |place: &u32| &waiting[*place as usize];
            places.sort_by(|a, b| {
                let (a, b) = (of(a), of(b));
                let by = match order {
                    Order::Uncertain => a.confidence.total_cmp(&b.confidence),
                    Order::Disagreeing => b.disagreement().total_cmp(&a.disagreement()),
                    Order::Random => std::cmp::Ordering::Equal,
                };
                by.then(a.print.cmp(&b.print))
            });
            places
        });
        Ok(Self { relations, waiting, orders })
    }

    /// What waits, with its place, in an order.
    pub(super) fn in_order(&self, order: Order) -> impl Iterator<Item = (usize, &Waiting)> {
        let at = Order::ALL.iter().position(|own| *own == order).unwrap_or_default();
        self.orders[at].iter().map(|&place| (place as usize, &self.waiting[place as usize]))
    }
}

/// What stands for a lot that is drawn for a fact: a hash.
pub(in crate::serve) fn fact_print(
    subject: &NamedNode,
    relation: &NamedNode,
    object: &Term,
) -> u64 {
    graph::print([subject.as_str(), relation.as_str(), &object.to_string()])
}

/// Those of one relation with the least prints, which are as good as drawn.
fn of_relation(store: &Store, relation: &NamedNode) -> Result<Vec<Waiting>, graph::Error> {
    let graph = Some(GraphNameRef::DefaultGraph);
    let mut drawn: BTreeMap<u64, Triple> = BTreeMap::new();
    for quad in store.quads_for_pattern(None, Some(relation.as_ref()), None, graph) {
        let triple = Triple::from(quad.map_err(graph::Error::Read)?);
        let NamedOrBlankNode::NamedNode(subject) = &triple.subject else { continue };
        drawn.insert(fact_print(subject, relation, &triple.object), triple);
        if drawn.len() > DRAWN {
            drawn.pop_last();
        }
    }
    let mut waiting = Vec::new();
    for (print, triple) in drawn {
        let fact = graph::annotated_fact(store, triple)?;
        let said =
            fact.annotations.iter().find(|said| said.derived_from.is_empty() && !said.judged);
        let (Some(said), NamedOrBlankNode::NamedNode(subject)) = (said, fact.triple.subject) else {
            continue;
        };
        let Some(confidence) = said.confidence else { continue };
        let fact = (subject, fact.triple.predicate, fact.triple.object);
        let (finetuned, base) = (said.finetuned, said.base);
        waiting.push(Waiting { fact, confidence, finetuned, base, print });
    }
    Ok(waiting)
}
