//! A model folder from a Hugging Face hub, in the hub's own cache.
//!
//! Once all files of a model are there, their folder is noted in kgbuild's cache and used without
//! network from then on: a branch stays at the commit at which it was first fetched.

mod client;
mod download;
mod layout;
mod needed;
mod published;
mod settings;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::source::is_commit;
use super::{Cache, Error, plain};
use crate::diagnostic::Events;
use client::Client;
use download::Download;
use layout::{Layout, files_below};
use needed::needed;
use settings::HubSettings;

/// A model as it was asked for.
struct Model<'a> {
    owner_name: &'a str,
    revision: &'a str,
}

impl Model<'_> {
    fn name(&self) -> String {
        format!("{}@{}", self.owner_name, self.revision)
    }

    fn refused(&self, problem: impl Into<String>) -> Error {
        Error::Hub { model: self.name(), problem: problem.into() }
    }
}

/// The snapshot folder of the model `owner_name`, with the files that [`needed`] names.
pub(super) fn fetch(
    owner_name: &str,
    revision: Option<&str>,
    cache: &Cache,
    events: &dyn Events,
) -> Result<PathBuf, Error> {
    let model = Model { owner_name, revision: revision.unwrap_or("main") };
    let note = note_of(&model.name(), cache);
    if let Some(folder) = noted(&note) {
        return Ok(folder);
    }
    let settings = HubSettings::from_environment().map_err(|problem| model.refused(problem))?;
    let layout = Layout::new(&settings.cache, &model);
    if settings.offline {
        return fetched_before(&model, &layout);
    }
    events.note(&format!("fetching {} from the hub", model.name()));
    let client = Client::new(&settings, &model);
    let folder = client.watched(cache, || download(&model, &client, &layout, cache))?;
    write_note(&note, &folder)?;
    Ok(folder)
}

/// What the hub's cache holds, where the network is not to be used.
fn fetched_before(model: &Model, layout: &Layout) -> Result<PathBuf, Error> {
    let folder = layout
        .cached()
        .ok_or_else(|| model.refused("it was not fetched before, and HF_HUB_OFFLINE is set"))?;
    needed(&files_below(&folder)).map_err(|problem| {
        let folder = folder.display();
        model.refused(format!("HF_HUB_OFFLINE is set, and {folder} is not enough: {problem}"))
    })?;
    Ok(folder)
}

/// The commit of a model whose folder [`fetch`] gave, under which it is found without network from
/// now on; none where the hub does not tell.
pub(super) fn commit(
    owner_name: &str,
    folder: &Path,
    cache: &Cache,
) -> Result<Option<String>, Error> {
    // A snapshot's folder has its commit's name.
    let name = folder.file_name().and_then(|name| name.to_str());
    let Some(commit) = name.filter(|name| is_commit(name)) else { return Ok(None) };
    write_note(&note_of(&format!("{owner_name}@{commit}"), cache), folder)?;
    Ok(Some(commit.to_owned()))
}

/// Where is noted in which folder `owner/name@revision` lies.
fn note_of(model: &str, cache: &Cache) -> PathBuf {
    cache.root().join("hf").join(model.replace('/', "--"))
}

/// Brings the model's files into their folder.
fn download(
    model: &Model,
    client: &Client,
    layout: &Layout,
    cache: &Cache,
) -> Result<PathBuf, Error> {
    let listing = client.listing()?;
    let refused = |problem| model.refused(problem);
    let commit = listing.commit().map_err(refused)?;
    let names = needed(&listing.names()).map_err(refused)?;
    if let Some(name) = names.iter().find(|name| !plain::is_path(name)) {
        let name = name.escape_debug();
        return Err(model.refused(format!("`{name}` in the hub's listing is not a plain path")));
    }
    let files = Download { model, client, layout, cache, commit };
    for name in &names {
        files.file(name, listing.published(name).map_err(refused)?)?;
    }
    layout.refer(commit)?;
    Ok(layout.snapshot(commit))
}

fn noted(note: &Path) -> Option<PathBuf> {
    let folder = PathBuf::from(fs::read_to_string(note).ok()?);
    folder.is_dir().then_some(folder)
}

fn write_note(note: &Path, folder: &Path) -> Result<(), Error> {
    let parent = note.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let mut partial = NamedTempFile::new_in(parent).map_err(Error::io("write into", parent))?;
    let text = folder.display().to_string();
    partial
        .write_all(text.as_bytes())
        .and_then(|()| partial.as_file().sync_all())
        .map_err(Error::io("write", note))?;
    partial.persist(note).map_err(|error| Error::io("write", note)(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::NothingSlow;
    use super::*;

    #[test]
    fn a_noted_folder_needs_no_network() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = folder.path().join("snapshot");
        fs::create_dir(&snapshot).unwrap();
        let cache = Cache::at(folder.path().join("cache"));
        write_note(&cache.root().join("hf/owner--name@main"), &snapshot).unwrap();
        assert_eq!(fetch("owner/name", None, &cache, &NothingSlow).unwrap(), snapshot);
    }
}
