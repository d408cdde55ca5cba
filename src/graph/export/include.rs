//! What an export holds beside facts and types: chosen by people, and what a format has no place for.

use clap::ValueEnum;

use super::format::{Annotations, ExportFormat};
use crate::graph::Error;
use crate::graph::view::Included;

/// A part of a graph that an export holds or leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// What the ontology says of relations and classes, and what the graph is by VoID and DCAT.
    #[value(
        help = "Relations and classes as the ontology has them, and how many triples there are"
    )]
    Schema,
    /// `rdfs:label`s.
    #[value(help = "rdfs:label")]
    Labels,
    /// `skos:altLabel`s.
    #[value(help = "skos:altLabel")]
    Aliases,
    /// The runs, and which run each triple is of.
    #[value(help = "The run as a prov:Activity, and which triples are its")]
    Provenance,
    /// Nothing more.
    #[value(help = "None of these: only the triples and what their entities are")]
    None,
}

impl Part {
    /// How it is called on the command line.
    fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
    }
}

/// What a file in this format holds.
///
/// # Errors
/// [`Error::Format`] where tables are asked for what they have no column for.
pub(super) fn included(
    asked: Option<&[Part]>,
    format: ExportFormat,
    annotations: Annotations,
) -> Result<Included, Error> {
    let Some(asked) = asked else {
        let provenance = annotations != Annotations::None && !format.is_table();
        return Ok(Included { labels: true, provenance, ..Included::default() });
    };
    let of_rdf = |part: &&Part| matches!(part, Part::Schema | Part::Provenance);
    if let (true, Some(part)) = (format.is_table(), asked.iter().find(of_rdf)) {
        return Err(Error::Format {
            problem: format!("`{}` has no place for `{}`", format.name(), part.name()),
            instead: "take a format of RDF, as `--format turtle`; tables have labels and aliases"
                .to_owned(),
        });
    }
    let has = |part| asked.contains(&part);
    Ok(Included {
        schema: has(Part::Schema),
        labels: has(Part::Labels),
        aliases: has(Part::Aliases),
        provenance: has(Part::Provenance),
    })
}
