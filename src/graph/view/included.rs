//! What an export shows beside facts and types.

use oxigraph::model::NamedNodeRef;
use oxigraph::model::vocab::rdfs;

use crate::graph::vocabulary as kgb;

/// What is shown beside facts and types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::graph) struct Included {
    /// What the ontology says of relations and classes, and, without a least confidence, what the graph is.
    pub schema: bool,
    /// `rdfs:label`s.
    pub labels: bool,
    /// `skos:altLabel`s.
    pub aliases: bool,
    /// Runs, and which run a triple is of.
    pub provenance: bool,
}

impl Included {
    /// Whether a triple of the default graph is shown, of which it does not matter what it is about.
    pub(super) fn shows(self, predicate: NamedNodeRef<'_>) -> bool {
        match predicate {
            rdfs::LABEL => self.labels,
            kgb::ALT_LABEL => self.aliases,
            kgb::WAS_GENERATED_BY => self.provenance,
            _ => true,
        }
    }
}
