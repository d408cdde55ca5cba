//! `nodes.parquet` and `edges.parquet`: the columns of CSV with their types, in row groups of bounded length.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::{Columns, Edge, NUMBERS, Node, Nodes, Relations, described, edges, name};
use crate::files::{WholeFile, WriteError};
use crate::graph::Error;
use crate::graph::view::View;

/// Rows that are held in memory until they are written together.
const GROUP_ROWS: usize = 1 << 16;

/// A column, filled row by row.
enum Column {
    Text(Vec<ByteArray>),
    /// With 1 where a row has a number, and 0 where it has none.
    Number(Vec<f64>, Vec<i16>),
    /// With 1 for each text and 0 for a row without any, and with 0 where a row begins.
    Texts(Vec<ByteArray>, Vec<i16>, Vec<i16>),
}

impl Column {
    /// How the schema declares it.
    fn declared(&self, name: &str) -> String {
        match self {
            Self::Text(_) => format!("required binary {name} (STRING);"),
            Self::Number(..) => format!("optional double {name};"),
            Self::Texts(..) => {
                let element = "repeated group list { required binary element (STRING); }";
                format!("required group {name} (LIST) {{ {element} }}")
            }
        }
    }

    fn text(&mut self, text: &str) {
        if let Self::Text(texts) = self {
            texts.push(text.into());
        }
    }

    fn number(&mut self, number: Option<f64>) {
        if let Self::Number(numbers, present) = self {
            numbers.extend(number);
            present.push(i16::from(number.is_some()));
        }
    }

    fn texts(&mut self, list: &[String]) {
        let Self::Texts(texts, present, continued) = self else { return };
        texts.extend(list.iter().map(|text| ByteArray::from(text.as_str())));
        present.extend(std::iter::repeat_n(1, list.len()));
        continued.extend((0..list.len()).map(|at| i16::from(at > 0)));
        if list.is_empty() {
            present.push(0);
            continued.push(0);
        }
    }

    /// Writes the column, which is then empty.
    fn write(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, &mut WholeFile>,
    ) -> Result<(), ParquetError> {
        let missing = || ParquetError::General("a column too many".to_owned());
        let mut column = group.next_column()?.ok_or_else(missing)?;
        match self {
            Self::Text(texts) => {
                column.typed::<ByteArrayType>().write_batch(texts, None, None)?;
                texts.clear();
            }
            Self::Number(numbers, present) => {
                column.typed::<DoubleType>().write_batch(numbers, Some(present), None)?;
                numbers.clear();
                present.clear();
            }
            Self::Texts(texts, present, continued) => {
                let levels = (Some(&present[..]), Some(&continued[..]));
                column.typed::<ByteArrayType>().write_batch(texts, levels.0, levels.1)?;
                texts.clear();
                present.clear();
                continued.clear();
            }
        }
        column.close()
    }
}

/// A file, written row by row.
struct Table<'f> {
    writer: SerializedFileWriter<&'f mut WholeFile>,
    columns: Vec<Column>,
    rows: usize,
}

impl<'f> Table<'f> {
    fn new(file: &'f mut WholeFile, columns: Vec<(&str, Column)>) -> Result<Self, ParquetError> {
        let declared = columns.iter().map(|(name, column)| column.declared(name));
        let schema = format!("message table {{ {} }}", declared.collect::<Vec<_>>().join(" "));
        let schema = Arc::new(parse_message_type(&schema)?);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        Ok(Self {
            writer: SerializedFileWriter::new(file, schema, Arc::new(properties))?,
            columns: columns.into_iter().map(|(_, column)| column).collect(),
            rows: 0,
        })
    }

    /// Ends a row, of which each column has its part.
    fn end_row(&mut self) -> Result<(), ParquetError> {
        self.rows += 1;
        if self.rows == GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        self.rows = 0;
        let mut group = self.writer.next_row_group()?;
        for column in &mut self.columns {
            column.write(&mut group)?;
        }
        group.close().map(drop)
    }

    fn end(mut self) -> Result<(), ParquetError> {
        if self.rows > 0 {
            self.write_group()?;
        }
        self.writer.close().map(drop)
    }
}

fn text() -> Column {
    Column::Text(Vec::new())
}

fn texts() -> Column {
    Column::Texts(Vec::new(), Vec::new(), Vec::new())
}

/// Writes `nodes.parquet` and `edges.parquet` into a folder, each whole or not at all.
pub(in crate::graph::export) fn parquet(
    view: &View<'_>,
    columns: Columns,
    folder: &Path,
) -> Result<(), Error> {
    let create = |name: &str| WholeFile::create(&folder.join(name)).map_err(Error::Table);
    let (mut nodes, mut edges) = (create("nodes.parquet")?, create("edges.parquet")?);
    let broken = |file: &'static str| {
        let file = folder.join(file);
        move |error| Error::Table(WriteError::of(&file)(io_error(error)))
    };
    let named = write_edges(view, columns, &mut edges, &broken("edges.parquet"))?;
    write_nodes(view, columns, named, &mut nodes, &broken("nodes.parquet"))?;
    edges.commit().map_err(Error::Table)?;
    nodes.commit().map_err(Error::Table)
}

/// What the disk said, where it was the disk.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}

fn write_edges(
    view: &View<'_>,
    columns: Columns,
    file: &mut WholeFile,
    failed: &dyn Fn(ParquetError) -> Error,
) -> Result<Nodes, Error> {
    let mut all = vec![("subject", text()), ("object", text())];
    if columns.labels {
        all.push(("relation_label", text()));
    }
    all.push(("relation", text()));
    all.extend(NUMBERS.map(|(name, _)| (name, Column::Number(Vec::new(), Vec::new()))));
    let mut table = Table::new(file, all).map_err(failed)?;
    let (mut relations, mut named) = (Relations::default(), Nodes::default());
    edges(view, &mut |Edge { subject, relation, object, numbers }| {
        let label = if columns.labels { Some(relations.label(view, &relation)?) } else { None };
        let (to, from) = (name(&object), subject.as_str());
        let parts = [Some(from), Some(&to), label, Some(relation.as_str())];
        let mut row = table.columns.iter_mut();
        // In this order: what ends first must not take a column with it.
        parts.into_iter().flatten().zip(row.by_ref()).for_each(|(part, column)| column.text(part));
        let numbers = numbers.iter().map(|number| number.as_ref()?.parse().ok());
        row.zip(numbers).for_each(|(column, number)| column.number(number));
        table.end_row().map_err(failed)?;
        named.add(&subject, &object)
    })?;
    table.end().map_err(failed)?;
    Ok(named)
}

fn write_nodes(
    view: &View<'_>,
    columns: Columns,
    named: Nodes,
    file: &mut WholeFile,
    failed: &dyn Fn(ParquetError) -> Error,
) -> Result<(), Error> {
    let all = [
        (true, "iri", text()),
        (columns.labels, "label", text()),
        (columns.aliases, "aliases", texts()),
        (true, "types", texts()),
    ];
    let all = all.into_iter().filter(|(is_there, ..)| *is_there);
    let mut table =
        Table::new(file, all.map(|(_, name, column)| (name, column)).collect()).map_err(failed)?;
    named.each(|name, own| {
        let Node { label, aliases, types } = described(view, own)?;
        let mut single = [name, &*label].into_iter();
        let mut lists = [aliases, types].into_iter().skip(usize::from(!columns.aliases));
        for column in &mut table.columns {
            match column {
                Column::Texts(..) => column.texts(&lists.next().unwrap_or_default()),
                _ => column.text(single.next().map_or("", |text| text)),
            }
        }
        table.end_row().map_err(failed)
    })?;
    table.end().map_err(failed)
}
