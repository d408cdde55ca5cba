//! Rows of Parquet, which workers without a store wrote: one a question, with the lines of its facts.
//!
//! They come in any order, and some of them twice where a worker was killed and its questions were asked again. They
//! are sorted on the disk, into the same lines as a shard hands over.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::error::Difference;
use super::super::kept::{print, question_print};
use super::super::ledger::{self, Signature};
use super::super::records::QuestionSet;
use super::super::vocabulary as kgb;
use super::{AddStatistics, Advance, HandedShard, MergeError, SHARD_FILE};
use crate::files::{Sorted, Sorter};

/// The columns that a merge reads.
const COLUMNS: [&str; 6] = ["subject", "relation", "run", "quads", "statistics", "made_by"];

/// Counts of so many questions are added up together.
const TOGETHER: usize = 1024;

/// Stands between the parts of a line that is sorted: no IRI has it.
const END: u8 = 0;

/// How rows were made: what is known of it where their own shard is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RowOrigin {
    /// All that the graph depends on.
    pub signature: BTreeMap<String, String>,
    /// On what device they were asked, by which version of ONNX Runtime.
    pub asked_on: String,
    /// The hash of the mean predictions that they went by; none where they went by none.
    pub means_sha256: Option<String>,
}

/// Files of rows, and what was counted once they were read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rows {
    files: Vec<PathBuf>,
    /// By relation.
    counted: BTreeMap<String, CountedRows>,
}

/// What was counted of a relation's questions.
#[derive(Clone, Debug, Default, PartialEq)]
struct CountedRows {
    questions: QuestionSet,
    statistics: Vec<Value>,
}

impl Rows {
    /// Adds what is at a path, if that is a file of Parquet or a folder of some; gives whether it is.
    pub(super) fn add(&mut self, path: &Path) -> bool {
        let is_parquet = |path: &Path| {
            path.is_file() && path.extension().is_some_and(|extension| extension == "parquet")
        };
        let is_shard = path.join(SHARD_FILE).exists() || path.join("store").exists();
        let inside = || {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            let mut files: Vec<PathBuf> =
                entries.map(|entry| entry.path()).filter(|path| is_parquet(path)).collect();
            files.sort();
            files
        };
        let found = match is_parquet(path) {
            true => vec![path.to_owned()],
            false if is_shard => Vec::new(),
            false => inside(),
        };
        let before = self.files.len();
        self.files.extend(found);
        self.files.len() > before
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Where they are, for messages.
    pub(super) fn place(&self) -> &Path {
        let first = self.files.first().map_or(Path::new(""), PathBuf::as_path);
        if self.files.len() == 1 { first } else { first.parent().unwrap_or(first) }
    }

    /// How many bytes the files have.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().filter_map(|file| fs::metadata(file).ok()).map(|own| own.len()).sum()
    }

    /// Which questions of a relation they answer.
    pub(super) fn questions(&self, relation: &str) -> QuestionSet {
        self.counted.get(relation).map(|own| own.questions).unwrap_or_default()
    }

    /// How many questions they answer.
    pub(super) fn count(&self) -> u64 {
        self.counted.values().map(|own| own.questions.count).sum()
    }

    /// Of which relations they answer questions.
    pub(super) fn relations(&self) -> impl Iterator<Item = &str> {
        self.counted.keys().map(String::as_str)
    }

    /// Which questions they answer, so that others have another name.
    pub(super) fn name(&self) -> String {
        let prints = self
            .counted
            .iter()
            .map(|(relation, own)| print([relation.as_str(), &own.questions.prints.to_string()]));
        let prints = prints.fold(0, u64::wrapping_add);
        format!("rows of {} questions, {prints:016x}", self.count())
    }

    /// What was counted of a relation's.
    pub(super) fn statistics(&self, relation: &str) -> impl Iterator<Item = Value> {
        self.counted.get(relation).into_iter().flat_map(|own| own.statistics.clone())
    }

    /// Reads all of them, which have to be of the job of `plan`, and gives their lines in order.
    ///
    /// # Errors
    /// [`MergeError`] where one cannot be read, has other columns, or is of another job.
    pub(super) fn read(
        &mut self,
        plan: (&Path, &HandedShard),
        add: &AddStatistics<'_>,
        advance: &mut Advance<'_>,
    ) -> Result<Sorted, MergeError> {
        let (mut lines, mut counts) = (Sorter::default(), Sorter::default());
        let sorting = |error: std::io::Error| MergeError::Sorting { why: error.to_string() };
        let mut origins = Origins::default();
        let ledger = format!("{} .", kgb::LEDGER);
        for file in &self.files {
            for_each(file, &mut |row| {
                for line in row.quads.split_inclusive('\n') {
                    lines.push(line.as_bytes()).map_err(sorting)?;
                }
                let mut count = Vec::new();
                for part in [&row.relation, &row.subject] {
                    count.extend_from_slice(part.as_bytes());
                    count.push(END);
                }
                // What is kept of a batch is in one of its rows, and of another batch another.
                let facts = row.quads.lines().filter(|line| !line.ends_with(&ledger));
                count.extend_from_slice(format!("{:016x}", print(facts)).as_bytes());
                count.push(END);
                count.extend_from_slice(row.statistics.as_bytes());
                counts.push(&count).map_err(sorting)?;
                origins.add(file, row);
                Ok(())
            })?;
            if !advance(fs::metadata(file).map_or(0, |own| own.len())) {
                return Err(MergeError::Stopped);
            }
        }
        origins.demand(plan)?;
        self.counted = BTreeMap::new();
        let mut last: Vec<u8> = Vec::new();
        for count in counts.sorted().each().map_err(sorting)? {
            let count = count.map_err(sorting)?;
            self.count_one(&count, &mut last, add)?;
        }
        for own in self.counted.values_mut() {
            own.statistics = vec![add(std::mem::take(&mut own.statistics))];
        }
        Ok(lines.sorted())
    }

    /// Counts a question, unless it is the last one again.
    ///
    /// # Errors
    /// [`MergeError::Disagree`] where it is that with another answer.
    fn count_one(
        &mut self,
        count: &[u8],
        last: &mut Vec<u8>,
        add: &AddStatistics<'_>,
    ) -> Result<(), MergeError> {
        let mut parts = count.splitn(4, |&byte| byte == END);
        let mut next = || std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
        let (relation, subject, _, statistics) = (next(), next(), next(), next());
        let question = &count[..relation.len() + subject.len() + 2];
        if last == question {
            let path = self.place().to_owned();
            let question = format!("<{subject}> by <{relation}>");
            return Err(MergeError::Disagree { path, question });
        }
        question.clone_into(last);
        let own = self.counted.entry(relation.to_owned()).or_default();
        own.questions.add(subject);
        own.statistics.extend(serde_json::from_str::<Value>(statistics));
        if own.statistics.len() == TOGETHER {
            own.statistics = vec![add(std::mem::take(&mut own.statistics))];
        }
        Ok(())
    }
}

/// Of what runs rows are, and how these were made.
#[derive(Default)]
struct Origins {
    /// By run, the first file with rows of it.
    runs: BTreeMap<String, PathBuf>,
    origins: BTreeMap<String, PathBuf>,
}

impl Origins {
    fn add(&mut self, file: &Path, row: ReadRow) {
        self.runs.entry(row.run).or_insert_with(|| file.to_owned());
        if !row.made_by.is_empty() {
            self.origins.entry(row.made_by).or_insert_with(|| file.to_owned());
        }
    }

    /// That all are of a plan's job, and asked where its means were.
    fn demand(&self, (folder, plan): (&Path, &HandedShard)) -> Result<(), MergeError> {
        let differ = |file: &PathBuf, differences| {
            let folders = [folder.to_owned(), file.clone()];
            Err(MergeError::Differ { folders, differences })
        };
        let one = |part: &str, was: &str, is: &str| {
            let [was, is] = [was, is].map(|value| Some(value.to_owned()));
            vec![Difference { part: part.to_owned(), was, is }]
        };
        let mut asked_on = plan.asked_on.first().cloned();
        for (origin, file) in &self.origins {
            let origin: RowOrigin =
                serde_json::from_str(origin).map_err(|error| MergeError::Unreadable {
                    path: file.clone(),
                    why: format!("column made_by: {error}"),
                })?;
            let is: &Signature = &origin.signature;
            let differences = ledger::differences(&plan.signature, is);
            if !differences.is_empty() {
                return differ(file, differences);
            }
            let asked = asked_on.get_or_insert_with(|| origin.asked_on.clone());
            if *asked != origin.asked_on {
                return differ(file, one("device and ONNX Runtime", asked, &origin.asked_on));
            }
            let [was, is] = [plan.means_sha256.first(), origin.means_sha256.as_ref()]
                .map(|own| own.map_or("none", String::as_str));
            if was != is {
                return differ(file, one("mean predictions", was, is));
            }
        }
        match self.runs.iter().find(|(run, _)| **run != plan.run) {
            Some((run, file)) => differ(file, one("run", &plan.run, run)),
            None => Ok(()),
        }
    }
}

/// A row, without what is for people.
#[derive(Default)]
struct ReadRow {
    subject: String,
    relation: String,
    run: String,
    quads: String,
    statistics: String,
    made_by: String,
}

impl ReadRow {
    fn of(row: Row) -> Self {
        let mut read = Self::default();
        for (name, field) in row.into_columns() {
            let text = match field {
                Field::Str(text) => text,
                Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into_owned(),
                _ => String::new(),
            };
            let own = match &*name {
                "subject" => &mut read.subject,
                "relation" => &mut read.relation,
                "run" => &mut read.run,
                "quads" => &mut read.quads,
                "statistics" => &mut read.statistics,
                _ => &mut read.made_by,
            };
            *own = text;
        }
        read
    }
}

/// Gives each row of a file to `take`.
fn for_each(
    path: &Path,
    take: &mut dyn FnMut(ReadRow) -> Result<(), MergeError>,
) -> Result<(), MergeError> {
    let damaged = |why: String| MergeError::Rows { path: path.to_owned(), why };
    let broken = |error: parquet::errors::ParquetError| damaged(error.to_string());
    let file = File::open(path).map_err(|error| damaged(error.to_string()))?;
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    let schema = reader.metadata().file_metadata().schema();
    let column = |name: &&str| schema.get_fields().iter().find(|field| field.name() == *name);
    let missing: BTreeSet<&str> =
        COLUMNS.iter().filter(|name| column(name).is_none_or(|c| !is_text(c))).copied().collect();
    if !missing.is_empty() {
        let missing = missing.into_iter().map(str::to_owned).collect();
        let found = schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
        return Err(MergeError::Columns { path: path.to_owned(), missing, found });
    }
    let fields = COLUMNS.iter().filter_map(column).map(Arc::clone).collect();
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build();
    let rows = reader.get_row_iter(Some(projection.map_err(broken)?)).map_err(broken)?;
    for row in rows {
        take(ReadRow::of(row.map_err(broken)?))?;
    }
    Ok(())
}

/// Whether a column holds texts.
fn is_text(column: &Arc<Type>) -> bool {
    column.is_primitive() && column.get_physical_type() == parquet::basic::Type::BYTE_ARRAY
}

/// The questions that rows in a folder answer, by their prints.
///
/// # Errors
/// Where a file cannot be read, or is of another run than `run`.
pub fn answered_rows(folder: &Path, run: &str) -> Result<HashSet<u64>, MergeError> {
    let (mut prints, mut rows) = (HashSet::new(), Rows::default());
    rows.add(folder);
    for file in rows.files {
        for_each(&file, &mut |row| {
            if row.run != run {
                return Err(MergeError::OtherRun { path: file.clone() });
            }
            prints.insert(question_print(&row.subject, &row.relation, ""));
            Ok(())
        })?;
    }
    Ok(prints)
}
