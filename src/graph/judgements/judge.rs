//! One who judges the facts of a graph in an output folder, which is theirs as long as they do.

use std::path::{Path, PathBuf};

use oxigraph::model::vocab::xsd;
use oxigraph::model::{GraphNameRef, Literal, NamedNode, Quad, Term};
use oxigraph::store::{StorageError, Store};
use oxsdatatypes::DateTime;

use super::super::error::Error;
use super::super::folder::{Folder, is_store};
use super::super::ledger;
use super::super::vocabulary as kgb;
use super::settle::{described, settle, settle_all};
use super::{Judgement, Verdict, found, judgements, quads};

/// Writes judgements into a graph; no run can change it meanwhile.
pub struct Judge {
    store: Store,
    path: PathBuf,
    base_iri: String,
    judgements: Vec<Judgement>,
    /// The number of the last judgement, also where that was taken back.
    last: u64,
    /// Last, so that the lock goes after the store is closed.
    _folder: Folder,
}

/// A fact as it is judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its subject.
    pub subject: NamedNode,
    /// Its relation.
    pub relation: NamedNode,
    /// Its object.
    pub object: Term,
    /// What is said of it.
    pub verdict: Verdict,
    /// Who says so.
    pub by: String,
    /// How it was chosen, in a word.
    pub drawn: String,
    /// The number of the last judgement of its question that was known to who judges, 0 for none.
    pub seen: u64,
}

impl Judge {
    /// Opens the graph at `path`, a run's output folder or its `store/`.
    ///
    /// # Errors
    /// [`Error::InUse`] where a run writes it or another process reads from it, [`Error::Missing`] where there is
    /// none.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let missing = || Error::Missing { path: path.to_owned() };
        let named = path.canonicalize().map_err(|_| missing())?;
        let folder = match named.parent().filter(|_| is_store(&named)) {
            // Another store beside it is not the one that was named.
            Some(above) => Some(above).filter(|above| above.join("store") == named),
            None => Some(&*named).filter(|folder| is_store(&folder.join("store"))),
        };
        let folder = folder.ok_or_else(missing)?;
        let folder = Folder::claim(folder)?;
        let path = folder.store_path();
        if folder.signature(&path)?.is_none() {
            return Err(Error::Missing { path });
        }
        let store = folder.open(&path)?;
        if let Some(shard) = ledger::shard(&store, &path)? {
            return Err(Error::OtherShard { store: path, was: Some(shard.name()), is: None });
        }
        settle_all(&store)?;
        let judgements = judgements(&store)?;
        let base_iri = ledger::base_iri(&store).map_err(Error::Read)?;
        let last = judgements.last().map_or(0, |last| last.number);
        Ok(Self { store, path, base_iri, judgements, last, _folder: folder })
    }

    /// The store, to read from.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// All judgements, in the order of their numbers.
    pub fn judgements(&self) -> &[Judgement] {
        &self.judgements
    }

    /// The last judgement of a question.
    pub fn last_of(&self, subject: &NamedNode, relation: &NamedNode) -> Option<&Judgement> {
        let is_own = |own: &&Judgement| own.subject == *subject && own.relation == *relation;
        self.judgements.iter().rev().find(is_own)
    }

    /// Writes a judgement, what it makes of the graph, and all of that to the disk. Where another one of the same
    /// question was made since, nothing is written: that one is given.
    ///
    /// # Errors
    /// [`Error::DiskFull`] and [`Error::Storage`] where the store fails.
    pub fn judge(&mut self, fact: Judged) -> Result<Result<u64, Judgement>, Error> {
        let Judged { subject, relation, object, verdict, by, drawn, seen } = fact;
        let last = self.last_of(&subject, &relation);
        if let Some(other) = last.filter(|last| last.number != seen) {
            return Ok(Err(other.clone()));
        }
        let number = self.last + 1;
        let at = DateTime::now().to_string();
        let judgement = Judgement { number, subject, relation, object, verdict, by, at, drawn };
        let mut quads = quads(&self.base_iri, &judgement);
        let names = self.names(&judgement).map_err(|e| self.failed(e))?;
        quads.extend(names);
        self.store.extend(quads).map_err(|e| self.failed(e))?;
        self.last = number;
        // As the store has it, which writes values its own way.
        let number_term = Literal::new_typed_literal(number.to_string(), xsd::INTEGER);
        self.judgements.extend(found(&self.store, kgb::NUMBER, Some(number_term.as_ref().into()))?);
        self.settle(&judgement)?;
        Ok(Ok(number))
    }

    /// What the entities of a judgement are called and are: they may occur in nothing else later.
    fn names(&self, judgement: &Judgement) -> Result<Vec<Quad>, StorageError> {
        let mut entities = vec![judgement.subject.as_ref()];
        for object in [Some(&judgement.object), instead(&judgement.verdict)].into_iter().flatten() {
            if let Term::NamedNode(entity) = object {
                entities.push(entity.as_ref());
            }
        }
        let mut quads = Vec::new();
        for entity in entities {
            for quad in described(&self.store, entity, GraphNameRef::DefaultGraph) {
                quads.push(Quad { graph_name: kgb::JUDGEMENTS.into(), ..quad? });
            }
        }
        Ok(quads)
    }

    /// Takes a judgement back; gives it, or nothing where there is no such.
    ///
    /// # Errors
    /// [`Error::DiskFull`] and [`Error::Storage`] where the store fails.
    pub fn take_back(&mut self, number: u64) -> Result<Option<Judgement>, Error> {
        let Some(place) = self.judgements.iter().position(|own| own.number == number) else {
            return Ok(None);
        };
        self.forget(&self.judgements[place]).map_err(|e| self.failed(e))?;
        let judgement = self.judgements.remove(place);
        self.settle(&judgement)?;
        Ok(Some(judgement))
    }

    fn forget(&self, judgement: &Judgement) -> Result<(), StorageError> {
        let mut transaction = self.store.start_transaction()?;
        for quad in quads(&self.base_iri, judgement) {
            transaction.remove(&quad);
        }
        transaction.commit()
    }

    /// Makes the graph what it is with a judgement, or without it, and brings that to the disk.
    fn settle(&self, judgement: &Judgement) -> Result<(), Error> {
        settle(&self.store, &judgement.question())?;
        self.store.flush().map_err(|e| self.failed(e))
    }

    fn failed(&self, error: StorageError) -> Error {
        Error::storage("writing to", &self.path, error)
    }
}

fn instead(verdict: &Verdict) -> Option<&Term> {
    match verdict {
        Verdict::Instead(right) => Some(right),
        Verdict::Right | Verdict::Wrong | Verdict::NoObject => None,
    }
}
