//! Objects of facts that are asked about in the next round.
//!
//! Which these are is a function of the facts of the rounds before, and of nothing else: a run that was
//! killed, whatever it has of the next round, finds the same again. A round's chunks come after those of the
//! rounds before.

use std::collections::HashMap;
use std::sync::Arc;

use super::blocks;
use super::derive;
use super::fit;
use super::{Error, Plan};
use crate::catalog::{self, EntityId, Objects};
use crate::config::CrawlSettings;
use crate::diagnostic::{Events, counted};
use crate::graph::GraphWriter;

/// A crawl, and how far it has come.
#[derive(Clone, Debug)]
pub(super) struct Crawl {
    settings: CrawlSettings,
    /// How many rounds after the first have their subjects.
    rounds: usize,
    /// By relation, how many of its objects became subjects.
    found: Vec<usize>,
}

/// The surest fact that leads to an entity.
#[derive(Clone, Copy)]
struct Way {
    confidence: f64,
    relation: usize,
}

impl Crawl {
    pub(super) fn of(settings: CrawlSettings, relations: usize) -> Self {
        Self { settings, rounds: 0, found: vec![0; relations] }
    }

    fn room(&self) -> usize {
        self.settings.max_subjects - self.found.iter().sum::<usize>()
    }

    /// Of entities and the surest facts that lead to them, the surest that can be asked about, as far as there is
    /// room.
    fn take(
        &mut self,
        plan: &Plan,
        ways: HashMap<EntityId, Way>,
        asking: &[Vec<EntityId>],
    ) -> Vec<EntityId> {
        let mut ways: Vec<(EntityId, Way)> = ways.into_iter().collect();
        let iri = |entity: EntityId| plan.candidates.iri(entity);
        ways.sort_unstable_by(|(one, a), (other, b)| {
            b.confidence.total_cmp(&a.confidence).then_with(|| iri(*one).cmp(iri(*other)))
        });
        let mut taken = Vec::new();
        for (entity, Way { relation, .. }) in ways {
            let most = self.settings.max_subjects_of(&plan.relations[relation].iri);
            let has_room = self.room() > 0 && self.found[relation] < most;
            let mut relations = 0..plan.relations.len();
            if has_room && relations.any(|at| plan.is_asked(entity, at, asking)) {
                self.found[relation] += 1;
                taken.push(entity);
            }
        }
        taken.sort_unstable_by(|one, other| iri(*one).cmp(iri(*other)));
        taken
    }
}

impl Plan {
    /// Adds the subjects of the next round, if there is one with subjects; all facts of the rounds before are in
    /// the graph.
    ///
    /// # Errors
    /// Where the graph cannot be read.
    pub(super) fn crawl(
        &mut self,
        writer: &GraphWriter,
        events: &dyn Events,
    ) -> Result<bool, Error> {
        // What leads on is in all shards together.
        let crawl = self.crawl.clone().filter(|_| self.shard.is_none());
        let Some(mut crawl) = crawl else { return Ok(false) };
        let mut added = 0;
        if crawl.rounds < crawl.settings.depth && crawl.room() > 0 {
            let asking = self.asking();
            let ways = self.ways(&crawl.settings, writer)?;
            let taken = crawl.take(self, ways, &asking);
            added = taken.len();
            self.ask_about(&taken, &asking);
            crawl.rounds += 1;
        }
        if added > 0 {
            let (round, depth) = (crawl.rounds, crawl.settings.depth);
            let found = counted(added, "subject");
            events.note(&format!("crawl: {found} more, in round {round} of {depth}"));
        }
        self.crawl = Some(crawl);
        Ok(added > 0)
    }

    /// Most subjects that a crawl may add yet; 0 without one.
    pub(super) fn most_crawled(&self) -> usize {
        self.crawl.as_ref().map_or(0, Crawl::room)
    }

    /// What a crawl depends on, in words; none without one.
    pub(super) fn crawl_text(&self) -> Option<String> {
        let settings = &self.crawl.as_ref()?.settings;
        let CrawlSettings { depth, max_subjects, .. } = settings;
        let mut text = format!("depth {depth}, at most {max_subjects}");
        for relation in &self.relations {
            let (most, least) =
                (settings.max_subjects_of(&relation.iri), settings.min_confidence(&relation.iri));
            text += &format!(", <{}> at most {most} from {least}", relation.iri);
        }
        Some(text)
    }

    /// By relation, the candidates that it can ask about, in their order: those that its domain admits, and whose
    /// object is not known already.
    fn asking(&self) -> Vec<Vec<EntityId>> {
        let answered = self.known.as_ref().map(|known| derive::answered(known, &self.ontology));
        let of = |relation: &super::RelationPlan| {
            let Some(described) = self.ontology.relation(&relation.iri) else {
                return Vec::new();
            };
            let known = answered.as_ref().and_then(|all| all.get(&*relation.iri));
            let is_open = |iri: &str| known.is_none_or(|known| !known.contains(iri));
            let mut admitted = catalog::subjects_of(&self.ontology, described, &self.candidates);
            admitted.retain(|&entity| is_open(self.candidates.iri(entity)));
            admitted
        };
        self.relations.iter().map(of).collect()
    }

    /// Whether the models can be asked about an entity by a relation that it fits.
    fn is_asked(&self, entity: EntityId, relation: usize, asking: &[Vec<EntityId>]) -> bool {
        if asking[relation].binary_search(&entity).is_err() {
            return false;
        }
        let label = self.candidates.label(entity);
        let own = &self.relations[relation];
        // What stands among the examples would be asked for in sight of its answer.
        let is_example = own.templates.iter().any(|template| {
            let prompt = template.prompt(label);
            prompt.contains(label) && own.examples.contains(&*prompt)
        });
        !is_example && fit::can_ask(self, own, label)
    }

    /// The entities that facts lead to and that are no subjects yet, each with the surest of these facts.
    fn ways(
        &self,
        settings: &CrawlSettings,
        writer: &GraphWriter,
    ) -> Result<HashMap<EntityId, Way>, Error> {
        let mut ways: HashMap<EntityId, Way> = HashMap::new();
        for (at, relation) in self.relations.iter().enumerate() {
            let least = settings.min_confidence(&relation.iri);
            if matches!(relation.candidates, Objects::Values(_))
                || settings.max_subjects_of(&relation.iri) == 0
            {
                continue;
            }
            // Chunks are numbered by what is found: judgements, which come and go, play no part.
            writer.predicted_before_judgements(&relation.iri, &mut |fact| {
                // Of the next round, which was begun and broken off, nothing counts.
                let is_before = self.subjects.find(&fact.subject).is_some();
                let is_new = self.subjects.find(&fact.object).is_none();
                let entity = self.candidates.find(&fact.object);
                let counts = is_before && is_new && fact.confidence >= least;
                if let Some(entity) = entity.filter(|_| counts) {
                    let way = Way { confidence: fact.confidence, relation: at };
                    let best = ways.entry(entity).or_insert(way);
                    // Of equally sure facts that of the first relation counts.
                    if way.confidence > best.confidence {
                        *best = way;
                    }
                }
            })?;
        }
        Ok(ways)
    }

    /// Makes candidates subjects of the relations that they fit.
    fn ask_about(&mut self, entities: &[EntityId], asking: &[Vec<EntityId>]) {
        let first = self.subjects.add(&self.candidates, entities);
        let asked = |at: usize| -> Arc<[EntityId]> {
            let new = entities.iter().zip(first.0..);
            let fitting = new.filter(|(entity, _)| self.is_asked(**entity, at, asking));
            fitting.map(|(_, number)| EntityId(number)).collect()
        };
        let asked: Vec<Arc<[EntityId]>> = (0..self.relations.len()).map(asked).collect();
        self.groups.extend(blocks::groups(asked.iter()));
        for (at, asked) in asked.iter().enumerate() {
            let all = self.relations[at].subjects.iter().chain(&**asked).copied();
            let all: Arc<[EntityId]> = all.collect();
            let alike = self.relations[..at].iter().find(|other| other.subjects == all);
            let all = alike.map_or(all, |other| Arc::clone(&other.subjects));
            self.relations[at].subjects = all;
        }
    }
}
