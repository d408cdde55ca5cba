//! Where the store of a run is, and what it holds before its first chunk.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use oxigraph::model::vocab::rdf;
use oxigraph::model::{Literal, NamedNode, Quad};
use oxigraph::store::Store;

use super::super::done::DoneChunks;
use super::super::error::{Difference, Error};
use super::super::folder::Folder;
use super::super::kept::KeptAnswers;
use super::super::ledger::{self, Signature};
use super::super::records::RunDescription;
use super::super::schema;
use super::super::vocabulary as kgb;
use super::statements::{named, probability, statement};
use super::{identifier, now};

/// What is written beside facts: a store that holds less is not gone on with.
const HOLDS: &str = "labels, aliases, types, schema, description";

/// How it is written down what is done and what is kept: a store where that is otherwise is not gone on with, but
/// what it keeps is read.
const LAYOUT: &str = "2";

/// How long a shard waits for the graph of all while that is being written.
const WHOLE_WITHIN: Duration = Duration::from_secs(30);

/// Where the store of a run is, or is to be made.
pub(in super::super) struct Place {
    pub at: At,
    /// Other stores, whose answers may be of use.
    pub others: Vec<PathBuf>,
    /// From the signature of the graph that is there, if one is.
    pub differences: Vec<Difference>,
}

/// Where a store is.
pub(in super::super) enum At {
    There(PathBuf),
    /// To be made here, in the place of what is there.
    Instead(PathBuf),
    /// To be made beside what is there.
    Beside,
}

impl Place {
    /// Where that is. With `fresh`, in the place of what is there.
    ///
    /// # Errors
    /// Where something there is none of ours, or cannot be read.
    pub(in super::super) fn find(
        folder: &Folder,
        signature: &Signature,
        fresh: bool,
    ) -> Result<Self, Error> {
        let store = folder.store_path();
        let was = folder.signature(&store)?;
        if fresh {
            let (others, differences) = (Vec::new(), Vec::new());
            return Ok(Self { at: At::Instead(store), others, differences });
        }
        if let Some(was) = &was
            && was.get(ledger::SHARD) != signature.get(ledger::SHARD)
        {
            let [was, is] = [was, signature].map(|own| own.get(ledger::SHARD).cloned());
            return Err(Error::OtherShard { store, was, is });
        }
        let differences = was.as_ref().map(|was| ledger::differences(was, signature));
        let differences = differences.unwrap_or_default();
        let successors = folder.successors()?;
        let (begun, others): (Vec<_>, Vec<_>) = successors
            .into_iter()
            .partition(|(_, own)| !differences.is_empty() && own == signature);
        let mut others: Vec<PathBuf> = others.into_iter().map(|(path, _)| path).collect();
        let at = match (was, begun.into_iter().next()) {
            (None, _) => At::Instead(store),
            (Some(_), _) if differences.is_empty() => At::There(store),
            (Some(_), begun) => {
                others.insert(0, store);
                begun.map_or(At::Beside, |(path, _)| At::There(path))
            }
        };
        Ok(Self { at, others, differences })
    }
}

/// What is there of a run's graph, and of others that it may take answers from.
#[derive(Default)]
pub struct GraphState {
    /// The chunks that are in the graph.
    pub done: DoneChunks,
    /// Whether the run got to its end.
    pub complete: bool,
    /// What differs between the signature of the graph that is there and the run's; nothing where they are
    /// the same, or none is there.
    pub differences: Vec<Difference>,
    /// What models answered for other stores; nothing where the run is complete.
    pub kept: Arc<KeptAnswers>,
}

impl GraphState {
    /// That, and what the ledger said before and need not say.
    pub(super) fn of(
        others: Vec<PathBuf>,
        differences: Vec<Difference>,
        own: (&Store, &Path),
    ) -> Result<(Self, Vec<Quad>), Error> {
        let (done, outdated) = ledger::done(own.0, own.1)?;
        let complete = ledger::is_complete(own.0, own.1)?;
        let kept = match complete {
            true => KeptAnswers::default(),
            false => KeptAnswers::read(&others, Some(own))?,
        };
        Ok((Self { done, complete, differences, kept: Arc::new(kept) }, outdated))
    }
}

/// What is in an output folder of a run's graph, which is only looked at; `None` where there is no graph.
///
/// # Errors
/// Those of [`GraphWriter::open`](super::GraphWriter::open), [`Error::InUse`] among them.
pub fn look(
    folder: &Path,
    base_iri: &str,
    run: &RunDescription,
) -> Result<Option<GraphState>, Error> {
    if !folder.join("store").exists() && run.shard.is_none() {
        return Ok(None);
    }
    let folder = Folder::quiet(folder)?;
    let Place { at, mut others, differences } =
        Place::find(&folder, &expected(base_iri, run), false)?;
    let whole = Whole::of(run)?;
    others.extend(whole.as_ref().map(|whole| whole.store.clone()));
    if others.is_empty() && matches!(at, At::Instead(_)) {
        return Ok(None);
    }
    let At::There(at) = at else {
        let kept = Arc::new(KeptAnswers::read(&others, None)?);
        return Ok(Some(GraphState { differences, kept, ..GraphState::default() }));
    };
    let store = Store::open_read_only(&at).map_err(|e| Error::storage("opening", &at, e))?;
    GraphState::of(others, differences, (&store, &at)).map(|(state, _)| Some(state))
}

/// The caller's signature and what this module's own output depends on besides: that of a store.
pub fn signature(base_iri: &str, of_run: &Signature) -> Signature {
    let own =
        [("graph base IRI", base_iri), ("graph holds", HOLDS), ("layout of the store", LAYOUT)];
    let own = own.map(|(part, value)| (part.to_owned(), value.to_owned()));
    of_run.clone().into_iter().chain(own).collect()
}

/// The signature of a store of the run: with the part of the questions that is asked.
pub(super) fn expected(base_iri: &str, run: &RunDescription) -> Signature {
    let shard = run.shard.as_ref().map(|shard| (ledger::SHARD.to_owned(), shard.name()));
    signature(base_iri, &run.signature).into_iter().chain(shard).collect()
}

/// The IRI of the run of a store of a signature, and the hash in it.
pub(super) fn run_iri(base_iri: &str, signature: &Signature) -> Result<(NamedNode, String), Error> {
    let hash = identifier(signature.iter().flat_map(|(k, v)| [k.as_str(), v.as_str()]));
    Ok((named("base IRI", &format!("{base_iri}run:{hash}"))?, hash))
}

/// The whole graph of which a run asks a part, as an earlier merge left it.
pub(super) struct Whole {
    pub store: PathBuf,
    /// Nobody writes to it meanwhile.
    _folder: Folder,
}

impl Whole {
    /// Looks for it; none where the run asks all, or there is none yet.
    ///
    /// # Errors
    /// Where it is being written, or is no store of ours.
    pub(super) fn of(run: &RunDescription) -> Result<Option<Self>, Error> {
        let Some(shard) = run.shard.as_ref().filter(|shard| shard.whole.join("store").exists())
        else {
            return Ok(None);
        };
        // A merge is soon over.
        let begin = Instant::now();
        let folder = loop {
            match Folder::quiet(&shard.whole) {
                Err(Error::InUse { .. }) if begin.elapsed() < WHOLE_WITHIN => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                quiet => break quiet?,
            }
        };
        let store = folder.store_path();
        Ok(folder.signature(&store)?.map(|_| Self { store, _folder: folder }))
    }
}

/// All that a new store holds: the opening of its ledger and the description of the run.
pub(super) fn opening(
    iri: &NamedNode,
    hash: &str,
    signature: &Signature,
    run: &RunDescription,
) -> Result<Vec<Quad>, Error> {
    let mut quads = ledger::opening(iri, signature);
    quads.extend(run.shard.as_ref().map(|shard| ledger::shard_quad(iri, shard)));
    quads.extend(schema::quads(&run.schema)?);
    let text = |predicate, value: &str| statement(iri, predicate, Literal::from(value));
    quads.extend([
        statement(iri, rdf::TYPE, kgb::RUN),
        statement(iri, rdf::TYPE, kgb::PROV_ACTIVITY),
        statement(iri, kgb::STARTED_AT_TIME, now()),
        text(kgb::SIGNATURE, hash),
        text(kgb::CONFIG_SHA256, &run.config_sha256),
        text(kgb::CORRECTION, &run.correction),
        text(kgb::VERSION, &run.version),
    ]);
    if let Some(base) = &run.base_model {
        quads.push(text(kgb::BASE_MODEL, &base.source));
        quads.push(text(kgb::BASE_MODEL_SHA256, &base.sha256));
    }
    if let Some(finetuned) = &run.finetuned_model {
        quads.push(text(kgb::FINETUNED_MODEL, &finetuned.source));
        quads.push(text(kgb::FINETUNED_MODEL_SHA256, &finetuned.sha256));
    }
    quads.extend(run.precision.as_ref().map(|name| text(kgb::MODEL_PRECISION, name)));
    if let Some(tuned) = &run.tuned_sha256 {
        quads.push(text(kgb::TUNED_SHA256, tuned));
    }
    if let Some(lambda) = run.lambda {
        quads.push(statement(iri, kgb::LAMBDA, probability("mixing weight", lambda)?));
    }
    Ok(quads)
}
