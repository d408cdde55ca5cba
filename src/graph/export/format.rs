//! File formats of an export, how each can carry what is said about a triple, and which do not go
//! together.

use clap::ValueEnum;

use crate::graph::Error;

/// A file format of [`export`](super::export).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Turtle: prefixes, a block a subject, annotations in `{| |}` behind their triple.
    #[value(alias = "ttl", help = "Turtle with prefixes, a block a subject")]
    Turtle,
    /// TriG: Turtle with named graphs.
    #[value(name = "trig", help = "TriG: Turtle with named graphs")]
    TriG,
    /// N-Triples, sorted by bytes.
    #[value(aliases = ["nt", "ntriples"], help = "Sorted N-Triples")]
    NTriples,
    /// N-Quads, sorted by bytes.
    #[value(aliases = ["nq", "nquads"], help = "Sorted N-Quads")]
    NQuads,
    /// JSON-LD with a context of prefixes, an object a line for each subject.
    #[value(alias = "jsonld", help = "JSON-LD with prefixes, an object a subject")]
    JsonLd,
    /// RDF/XML.
    #[value(aliases = ["rdfxml", "xml"], help = "RDF/XML")]
    RdfXml,
    /// A JSON object a line for each predicted triple.
    #[value(help = "A JSON object a line for each predicted triple")]
    Jsonl,
    /// GraphML: entities as nodes, predicted triples as edges.
    #[value(name = "graphml", help = "GraphML: entities as nodes, predicted triples as edges")]
    GraphMl,
    /// `nodes.csv` and `edges.csv`.
    #[value(help = "nodes.csv and edges.csv in the folder that -o names")]
    Csv,
    /// `nodes.parquet` and `edges.parquet`.
    #[value(help = "nodes.parquet and edges.parquet in the folder that -o names")]
    Parquet,
    /// The same as CSV with the headers of Neo4j's import.
    #[value(help = "nodes.csv and edges.csv with the headers of neo4j-admin's import")]
    Neo4j,
}

/// How what is said about a triple is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Annotations {
    /// As RDF 1.2 reifiers: `{| |}`, or `rdf:reifies`.
    #[value(help = "RDF 1.2: {| |} behind a triple, or rdf:reifies")]
    Rdf12,
    /// As `rdf:Statement` of RDF 1.1.
    #[value(help = "RDF 1.1: an rdf:Statement for each triple")]
    Reification,
    /// The triple also stands in a graph of its own, which is then spoken of.
    #[value(help = "Each triple also in a graph of its own, which is spoken of")]
    NamedGraph,
    /// Not at all.
    #[value(help = "Nothing but the triples")]
    None,
}

impl ExportFormat {
    /// Whether its files are tables of entities and predicted triples, with a column for each number.
    pub fn is_table(self) -> bool {
        matches!(self, Self::Jsonl | Self::GraphMl | Self::Csv | Self::Parquet | Self::Neo4j)
    }

    /// The names of its files, where it has several in a folder.
    pub fn files(self) -> Option<[&'static str; 2]> {
        match self {
            Self::Csv | Self::Neo4j => Some(["nodes.csv", "edges.csv"]),
            Self::Parquet => Some(["nodes.parquet", "edges.parquet"]),
            _ => None,
        }
    }

    /// How it is called on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }

    /// The annotations that it has where none are asked for.
    fn usual(self) -> Annotations {
        match self {
            Self::JsonLd | Self::RdfXml => Annotations::Reification,
            _ => Annotations::Rdf12,
        }
    }

    /// Whether it can carry such annotations.
    fn carries(self, annotations: Annotations) -> bool {
        match annotations {
            Annotations::None | Annotations::Reification => true,
            Annotations::Rdf12 => !matches!(self, Self::JsonLd | Self::RdfXml),
            Annotations::NamedGraph => matches!(self, Self::TriG | Self::NQuads | Self::JsonLd),
        }
    }

    /// The annotations that it gets.
    ///
    /// # Errors
    /// [`Error::Format`] where it cannot carry those that are `asked` for.
    pub(super) fn annotations(self, asked: Option<Annotations>) -> Result<Annotations, Error> {
        let Some(annotations) = asked else { return Ok(self.usual()) };
        if self.is_table() {
            let problem =
                format!("`{}` has a column for each number, and no annotations", self.name());
            return Err(Error::Format { problem, instead: "leave --annotations out".to_owned() });
        }
        if self.carries(annotations) {
            return Ok(annotations);
        }
        let value = annotations.to_possible_value();
        let asked = value.map_or(String::new(), |value| value.get_name().to_owned());
        let able =
            Self::value_variants().iter().filter(|f| !f.is_table() && f.carries(annotations));
        let able: Vec<String> = able.map(|format| format!("`{}`", format.name())).collect();
        Err(Error::Format {
            problem: format!("`{}` cannot carry `{asked}` annotations", self.name()),
            instead: format!("take `--format` {}, or other --annotations", able.join(" or ")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_go_together_is_refused_with_what_does() {
        let all = [Annotations::Rdf12, Annotations::Reification, Annotations::NamedGraph];
        for &format in ExportFormat::value_variants() {
            assert!(format.annotations(None).is_ok());
            for annotations in all {
                let refused = format.annotations(Some(annotations)).is_err();
                assert_eq!(refused, format.is_table() || !format.carries(annotations));
            }
        }
        let refused = ExportFormat::RdfXml.annotations(Some(Annotations::NamedGraph)).unwrap_err();
        assert_eq!(refused.to_string(), "`rdf-xml` cannot carry `named-graph` annotations");
    }
}
