//! What a run writes beside its chunks: what models answered before the questions, and where they were asked.

use oxigraph::model::{Literal, NamedNode, NamedNodeRef, Quad};

use super::super::error::Error;
use super::super::kept::{self, KeptQuestion};
use super::super::vocabulary as kgb;
use super::{GraphWriter, identifier};

impl GraphWriter {
    /// Keeps what models answered beside the questions of chunks, under a name.
    ///
    /// # Errors
    /// [`Error::DiskFull`] and [`Error::Storage`] where the store fails.
    pub fn keep(&mut self, name: &str, kept: &[KeptQuestion]) -> Result<(), Error> {
        let hash = identifier([self.run.as_str(), name]);
        let iri = NamedNode::new_unchecked(format!("{}{}:{hash}", self.base_iri, kept::BESIDE));
        let quads = kept::quads_beside(&iri, kept);
        let count = quads.len();
        self.store.extend(quads).map_err(|e| self.write_error(e))?;
        self.written(count)
    }

    /// Notes on what device the models were asked, and by which version of ONNX Runtime.
    ///
    /// # Errors
    /// [`Error::DiskFull`] and [`Error::Storage`] where the store fails.
    pub fn asked_on(&mut self, device: &str) -> Result<(), Error> {
        self.note(kgb::ASKED_ON, device)
    }

    /// Notes the hash of the mean predictions that the run goes by.
    ///
    /// # Errors
    /// [`Error::DiskFull`] and [`Error::Storage`] where the store fails.
    pub fn goes_by_means(&mut self, sha256: &str) -> Result<(), Error> {
        self.note(kgb::MEANS_SHA256, sha256)
    }

    fn note(&self, predicate: NamedNodeRef<'_>, text: &str) -> Result<(), Error> {
        let quad = Quad::new(self.run.clone(), predicate, Literal::from(text), kgb::LEDGER);
        self.store.insert(&quad).map_err(|e| self.write_error(e))
    }
}
