//! Which shards there are, and whether they are of one job.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::error::{Difference, Error};
use super::super::folder::Folder;
use super::super::ledger;
use super::super::records::ShardDescription;
use super::rows::Rows;
use super::{AddStatistics, Advance, HandedShard, MergeError, SHARD_FILE};
use crate::diagnostic::counted;
use crate::files::Sorted;

/// A shard that is done, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundShard {
    /// Its output folder.
    pub folder: PathBuf,
    /// What it handed over.
    pub handed: HandedShard,
}

/// The shards of one job.
#[derive(Clone, Debug, PartialEq)]
pub struct Shards {
    /// Those that are done, in the order of their numbers.
    pub(super) found: Vec<FoundShard>,
    /// How many there are altogether.
    of: u32,
    /// Those that were begun.
    unfinished: Vec<u32>,
    /// Those of which nothing is there.
    missing: Vec<u32>,
    /// The pipeline file, as it was named to one of them.
    pipeline: PathBuf,
    /// What was answered without shards that have numbers.
    pub(super) rows: Rows,
}

impl Shards {
    /// Looks at shards by their output folders. Of rows in files of Parquet, or in folders of some, only the names
    /// are looked at.
    ///
    /// # Errors
    /// [`MergeError`] where one of the folders is none, or they are not of one job; that some are
    /// missing is none.
    pub fn find(folders: &[PathBuf]) -> Result<Self, Error> {
        let (mut found, mut begun) = (Vec::new(), Vec::new());
        let mut rows = Rows::default();
        for named in folders {
            if rows.add(named) {
                continue;
            }
            // The file as well as the folder that it is in.
            let folder = match named.file_name() {
                Some(name) if name == SHARD_FILE => named.parent().unwrap_or(named),
                _ => named,
            };
            match HandedShard::read(folder)? {
                Some(handed) => found.push(FoundShard { folder: folder.to_owned(), handed }),
                None => {
                    let shard = unfinished(folder)?;
                    let none = || MergeError::NoShard { path: named.clone() };
                    begun.push((folder.to_owned(), shard.ok_or_else(none)?));
                }
            }
        }
        found.sort_by_key(|shard| shard.handed.shard.number);
        let all = found.iter().map(|shard| (&shard.folder, &shard.handed.shard));
        let all = all.chain(begun.iter().map(|(folder, shard)| (folder, shard)));
        let counts = all.clone().filter(|(_, shard)| shard.number > 0);
        let counts = counts.map(|(folder, shard)| (folder, shard.of, &shard.pipeline));
        let counts: Vec<(&PathBuf, u32, &PathBuf)> = counts.collect();
        if !rows.is_empty() {
            let path = rows.place().to_owned();
            if let Some((shard, _, _)) = counts.first() {
                return Err(MergeError::Both { rows: path, shard: (*shard).clone() }.into());
            }
            let [plan] = &found[..] else { return Err(MergeError::NoPlan { path }.into()) };
            let pipeline = plan.handed.shard.pipeline.clone();
            let (unfinished, missing) = (Vec::new(), Vec::new());
            return Ok(Self { found, of: 0, unfinished, missing, pipeline, rows });
        }
        let Some(&(first, of, _)) = counts.first() else {
            let folder = folders.first().cloned().unwrap_or_default();
            return Err(MergeError::None { folder }.into());
        };
        if let Some((other, count, _)) = counts.iter().find(|(_, count, _)| *count != of) {
            let [was, is] = [of, *count].map(|count| Some(count.to_string()));
            let differences = vec![Difference { part: "number of shards".to_owned(), was, is }];
            let folders = [first.clone(), (*other).clone()];
            return Err(MergeError::Differ { folders, differences }.into());
        }
        let mut folders_of: BTreeMap<u32, &PathBuf> = BTreeMap::new();
        for (folder, shard) in all.clone() {
            if let Some(other) = folders_of.insert(shard.number, folder) {
                let folders = [other.clone(), folder.clone()];
                return Err(MergeError::Twice { name: shard.name(), folders }.into());
            }
        }
        agree(&found)?;
        let missing = (1..=of).filter(|number| !folders_of.contains_key(number)).collect();
        let unfinished = begun.iter().map(|(_, shard)| shard.number);
        let unfinished = unfinished.filter(|&number| number > 0).collect();
        let pipeline = counts.first().map(|(_, _, pipeline)| (*pipeline).clone());
        let pipeline = pipeline.unwrap_or_default();
        Ok(Self { found, of, unfinished, missing, pipeline, rows })
    }

    /// The shards in the output folder of their job.
    ///
    /// # Errors
    /// Those of [`Self::find`].
    pub fn in_folder(folder: &Path) -> Result<Self, Error> {
        let shards = folder.join(ShardDescription::FOLDER);
        let none = || MergeError::None { folder: shards.clone() };
        let entries = fs::read_dir(&shards).map_err(|_| none())?;
        let mut folders = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| Error::folder("read", &shards, e))?.path();
            let has_rows = Rows::default().add(&path);
            if has_rows || path.join(SHARD_FILE).exists() || path.join("store").exists() {
                folders.push(path);
            }
        }
        folders.sort();
        match folders.is_empty() {
            true => Err(none().into()),
            false => Self::find(&folders),
        }
    }

    /// Those that are done.
    pub fn found(&self) -> &[FoundShard] {
        &self.found
    }

    /// How many have questions and are done, and how many there are, in words.
    pub fn count(&self) -> String {
        let done = self.numbers().count();
        match (self.rows.count(), done == self.of as usize) {
            (0, true) => counted(done, "shard"),
            (0, false) => format!("{done} of {}", counted(self.of as usize, "shard")),
            (rows, _) => counted(rows as usize, "answered question"),
        }
    }

    /// How many bytes the files of their quads have.
    pub fn bytes(&self) -> u64 {
        self.found.iter().map(|shard| shard.handed.bytes()).sum()
    }

    /// How many bytes the files of rows have; 0 where there are none.
    pub fn row_bytes(&self) -> u64 {
        self.rows.bytes()
    }

    /// What each counted of its chunks of a relation.
    pub fn statistics(&self, relation: &str) -> impl Iterator<Item = serde_json::Value> {
        let of_shards = self.found.iter().filter_map(move |own| own.handed.statistics(relation));
        of_shards.chain(self.rows.statistics(relation))
    }

    /// Reads the rows, if there are any, and gives their lines in order.
    ///
    /// # Errors
    /// [`MergeError`] where one cannot be read, has other columns, or is of another job.
    pub fn read_rows(
        &mut self,
        add: &AddStatistics<'_>,
        advance: &mut Advance<'_>,
    ) -> Result<Option<Sorted>, MergeError> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let FoundShard { folder, handed } = &self.found[0];
        self.rows.read((folder, handed), add, advance).map(Some)
    }

    /// By relation of which the rows do not answer the job's questions, how many they answer, in words.
    fn other_questions(&self) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let planned = &self.found[0].handed.shard.questions;
        let unplanned = self.rows.relations().filter(|relation| !planned.contains_key(*relation));
        let unplanned = unplanned.map(|relation| format!("<{relation}> is not asked"));
        let differ = planned.iter().filter_map(|(relation, all)| {
            let own = self.rows.questions(relation);
            let how = match own.count == all.count {
                true => "others than".to_owned(),
                false => format!("{} of", own.count),
            };
            (own != *all).then(|| format!("{how} the {} of <{relation}>", all.count))
        });
        differ.chain(unplanned).collect()
    }

    fn numbers(&self) -> impl Iterator<Item = u32> {
        self.found.iter().map(|shard| shard.handed.shard.number).filter(|&number| number > 0)
    }

    /// Whether all are done.
    pub fn is_whole(&self) -> bool {
        self.unfinished.is_empty() && self.missing.is_empty() && self.other_questions().is_empty()
    }

    /// That all are done, or, where only a part of them is to be merged, any.
    ///
    /// # Errors
    /// [`MergeError::Lacking`].
    pub fn demand(&self, partial: bool) -> Result<(), MergeError> {
        let done = self.numbers().count();
        if self.is_whole() || (partial && (done > 0 || self.rows.count() > 0)) {
            return Ok(());
        }
        if !self.rows.is_empty() {
            let path = self.rows.place().to_owned();
            return Err(MergeError::Questions { path, others: self.other_questions() });
        }
        Err(MergeError::Lacking {
            unfinished: self.unfinished.clone(),
            missing: self.missing.clone(),
            of: self.of,
            done,
            pipeline: self.pipeline.clone(),
        })
    }

    /// What tells the graph of these shards from others: that of all, or of some of them.
    pub fn signature(&self) -> BTreeMap<String, String> {
        let whole = self.found.first().map(|shard| shard.handed.signature.clone());
        let part = (!self.is_whole()).then(|| (ledger::SHARDS.to_owned(), self.name()));
        whole.unwrap_or_default().into_iter().chain(part).collect()
    }

    /// Which are done, in words.
    pub(super) fn name(&self) -> String {
        if !self.rows.is_empty() {
            return self.rows.name();
        }
        let numbers: Vec<String> = self.numbers().map(|number| number.to_string()).collect();
        format!("{} of {}", numbers.join(", "), self.of)
    }
}

/// Of which shard a store is that has handed nothing over; none where it is of none.
fn unfinished(folder: &Path) -> Result<Option<ShardDescription>, Error> {
    let quiet = match Folder::quiet(folder) {
        // One that is being run is not done.
        Err(Error::InUse { .. }) => None,
        quiet => Some(quiet?),
    };
    let path = folder.join("store");
    if !path.exists() {
        return Ok(None);
    }
    let store = super::super::open_for_reading(folder)?;
    let shard = ledger::shard(&store, &path)?;
    drop(quiet);
    Ok(shard)
}

/// That all are of one job, asked on the same device by the same versions, by the same means.
fn agree(found: &[FoundShard]) -> Result<(), MergeError> {
    let Some((first, others)) = found.split_first() else { return Ok(()) };
    for other in others {
        let differences = ledger::differences(&first.handed.signature, &other.handed.signature);
        if !differences.is_empty() {
            let folders = [first.folder.clone(), other.folder.clone()];
            return Err(MergeError::Differ { folders, differences });
        }
    }
    // One that had nothing to ask was asked nowhere, and went by no means.
    said_alike(found, "device and ONNX Runtime", |shard| &shard.asked_on)?;
    said_alike(found, "mean predictions", |shard| &shard.means_sha256)
}

/// That all that say something say the same.
fn said_alike(
    found: &[FoundShard],
    part: &str,
    said: impl Fn(&HandedShard) -> &Vec<String>,
) -> Result<(), MergeError> {
    let each = |shard: &FoundShard| {
        let folder = shard.folder.clone();
        said(&shard.handed).clone().into_iter().map(move |said| (said, folder.clone()))
    };
    let mut all = found.iter().flat_map(each);
    if let Some((first, folder)) = all.next()
        && let Some((other, elsewhere)) = all.find(|(other, _)| *other != first)
    {
        let (was, is) = (Some(first), Some(other));
        let differences = vec![Difference { part: part.to_owned(), was, is }];
        return Err(MergeError::Differ { folders: [folder, elsewhere], differences });
    }
    Ok(())
}
