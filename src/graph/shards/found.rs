//! Which shards there are, and whether they are of one job.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::error::{Difference, Error};
use super::super::folder::Folder;
use super::super::ledger;
use super::super::records::ShardDescription;
use super::{HandedShard, MergeError, SHARD_FILE};

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
    /// Those that are done, at least one with questions, in the order of their numbers.
    pub(super) found: Vec<FoundShard>,
    /// How many there are altogether.
    of: u32,
    /// Those that were begun.
    unfinished: Vec<u32>,
    /// Those of which nothing is there.
    missing: Vec<u32>,
}

impl Shards {
    /// Looks at shards by their output folders.
    ///
    /// # Errors
    /// [`MergeError`] where one of the folders is none, or they are not of one job; that some are
    /// missing is none.
    pub fn find(folders: &[PathBuf]) -> Result<Self, Error> {
        let (mut found, mut begun) = (Vec::new(), Vec::new());
        for named in folders {
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
        let mut folders_of: BTreeMap<u32, &PathBuf> = BTreeMap::new();
        for (folder, shard) in all.clone() {
            if let Some(other) = folders_of.insert(shard.number, folder) {
                let folders = [other.clone(), folder.clone()];
                return Err(MergeError::Twice { name: shard.name(), folders }.into());
            }
        }
        let counts = all.clone().filter(|(_, shard)| shard.number > 0);
        let counts: Vec<(&PathBuf, u32)> = counts.map(|(folder, s)| (folder, s.of)).collect();
        let Some(&(first, of)) = counts.first() else {
            let folder = folders.first().cloned().unwrap_or_default();
            return Err(MergeError::None { folder }.into());
        };
        if let Some((other, count)) = counts.iter().find(|(_, count)| *count != of) {
            let [was, is] = [of, *count].map(|count| Some(count.to_string()));
            let differences = vec![Difference { part: "number of shards".to_owned(), was, is }];
            let folders = [first.clone(), (*other).clone()];
            return Err(MergeError::Differ { folders, differences }.into());
        }
        agree(&found)?;
        let missing = (1..=of).filter(|number| !folders_of.contains_key(number)).collect();
        let unfinished = begun.iter().map(|(_, shard)| shard.number);
        let unfinished = unfinished.filter(|&number| number > 0).collect();
        Ok(Self { found, of, unfinished, missing })
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
            if path.join(SHARD_FILE).exists() || path.join("store").exists() {
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

    /// How many have questions and are done, and how many there are.
    pub fn count(&self) -> (usize, u32) {
        (self.numbers().count(), self.of)
    }

    /// How many bytes the files of their quads have.
    pub fn bytes(&self) -> u64 {
        self.found.iter().map(|shard| shard.handed.bytes()).sum()
    }

    /// What each counted of its chunks of a relation.
    pub fn statistics(&self, relation: &str) -> impl Iterator<Item = serde_json::Value> {
        self.found.iter().filter_map(move |shard| shard.handed.statistics(relation))
    }

    fn numbers(&self) -> impl Iterator<Item = u32> {
        self.found.iter().map(|shard| shard.handed.shard.number).filter(|&number| number > 0)
    }

    /// Whether all are done.
    pub fn is_whole(&self) -> bool {
        self.unfinished.is_empty() && self.missing.is_empty()
    }

    /// That all are done.
    ///
    /// # Errors
    /// [`MergeError::Lacking`].
    pub(super) fn demand_whole(&self) -> Result<(), MergeError> {
        if self.is_whole() {
            return Ok(());
        }
        let pipeline = self.found.first().map(|s| s.handed.shard.pipeline.clone());
        Err(MergeError::Lacking {
            unfinished: self.unfinished.clone(),
            missing: self.missing.clone(),
            of: self.of,
            pipeline: pipeline.unwrap_or_else(|| PathBuf::from("PIPELINE")),
        })
    }

    /// Which are done, in words.
    pub(super) fn name(&self) -> String {
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

/// That all are of one job, asked on the same device by the same versions.
fn agree(found: &[FoundShard]) -> Result<(), MergeError> {
    let Some((first, others)) = found.split_first() else { return Ok(()) };
    let parts = |shard: &FoundShard| {
        let HandedShard { signature, means_sha256, .. } = &shard.handed;
        let means = match &means_sha256[..] {
            [] => None,
            some => Some(("mean predictions".to_owned(), some.join(" and "))),
        };
        signature.clone().into_iter().chain(means).collect()
    };
    for other in others {
        let differences = ledger::differences(&parts(first), &parts(other));
        if !differences.is_empty() {
            let folders = [first.folder.clone(), other.folder.clone()];
            return Err(MergeError::Differ { folders, differences });
        }
    }
    // One that had nothing to ask was asked nowhere.
    let mut asked = found
        .iter()
        .flat_map(|shard| shard.handed.asked_on.iter().map(move |device| (device, &shard.folder)));
    if let Some((device, folder)) = asked.next()
        && let Some((other, elsewhere)) = asked.find(|(other, _)| *other != device)
    {
        let [was, is] = [device, other].map(|device| Some(device.clone()));
        let differences = vec![Difference { part: "device and ONNX Runtime".to_owned(), was, is }];
        let folders = [folder.clone(), elsewhere.clone()];
        return Err(MergeError::Differ { folders, differences });
    }
    Ok(())
}
