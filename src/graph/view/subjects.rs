//! The subjects that an export shows, in the order in which their lines of N-Triples sort.

use oxigraph::model::{BlankNode, NamedNode, NamedOrBlankNode};

use crate::files::{Sorted, Sorter};
use crate::graph::Error;

/// Subjects, each once. More than are to be held in memory are in temporary files.
pub(in crate::graph) struct Subjects(Sorted);

impl Subjects {
    /// All of them, from the first on.
    ///
    /// # Errors
    /// [`Error::Sorting`] where a temporary file cannot be read.
    pub(in crate::graph) fn each(
        &mut self,
    ) -> Result<impl Iterator<Item = Result<NamedOrBlankNode, Error>>, Error> {
        let sorted = self.0.each().map_err(Error::Sorting)?;
        Ok(sorted.map(|key| key.map(|key| subject_of_key(&key)).map_err(Error::Sorting)))
    }
}

/// Takes subjects in any order.
#[derive(Default)]
pub(super) struct SubjectSorter(Sorter);

impl SubjectSorter {
    pub(super) fn push(&mut self, subject: &NamedOrBlankNode) -> Result<(), Error> {
        self.0.push(subject_key(subject).as_bytes()).map_err(Error::Sorting)
    }

    pub(super) fn sorted(self) -> Subjects {
        Subjects(self.0.sorted())
    }
}

/// What a subject's lines of N-Triples begin with.
pub(in crate::graph) fn subject_key(subject: &NamedOrBlankNode) -> String {
    match subject {
        NamedOrBlankNode::NamedNode(_) => subject.to_string(),
        NamedOrBlankNode::BlankNode(node) => format!("_:{} ", node.as_str()),
    }
}

/// The subject whose [key](subject_key) this is.
pub(in crate::graph) fn subject_of_key(key: &[u8]) -> NamedOrBlankNode {
    let key = String::from_utf8_lossy(key);
    match key.strip_prefix("_:") {
        Some(node) => BlankNode::new_unchecked(node.trim_end()).into(),
        None => NamedNode::new_unchecked(key.trim_matches(['<', '>'])).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_come_back_in_the_order_of_their_lines() {
        let iri = |text| NamedNode::new(text).unwrap().into();
        let mut all: Vec<NamedOrBlankNode> = vec![
            iri("e:b"),
            iri("e:a/b"),
            iri("e:a"),
            BlankNode::new("b1").unwrap().into(),
            BlankNode::new("b").unwrap().into(),
            iri("e:a"),
        ];
        let mut sorter = SubjectSorter::default();
        all.iter().try_for_each(|subject| sorter.push(subject)).unwrap();
        let found: Result<Vec<_>, Error> = sorter.sorted().each().unwrap().collect();
        all.sort_by_key(|subject| format!("{subject} "));
        all.dedup();
        // A blank node's line goes on with a space, an IRI's with its bracket.
        assert_eq!(found.unwrap(), all);
    }
}
