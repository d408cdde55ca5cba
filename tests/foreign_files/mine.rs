//! Someone's files, and links to them, as they were before a command.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What someone has where kgbuild would write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    /// To a file in another folder.
    Link,
    LinkToNothing,
    /// With a file in it.
    Folder,
}

pub const KINDS: [Kind; 4] = [Kind::File, Kind::Link, Kind::LinkToNothing, Kind::Folder];

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Bytes(Vec<u8>),
    Link(PathBuf),
    Nothing,
}

impl Content {
    fn of(path: &Path) -> Self {
        match fs::read_link(path) {
            Ok(target) => Self::Link(target),
            Err(_) => fs::read(path).map_or(Self::Nothing, Self::Bytes),
        }
    }
}

/// The files that must stay as they are.
#[derive(Default)]
pub struct Mine(BTreeMap<PathBuf, Content>);

impl Mine {
    /// Puts something under a name below `root`, and remembers it.
    pub fn put(&mut self, root: &Path, name: &str, kind: Kind) {
        let (path, flat) = (root.join(name), name.replace('/', "-"));
        let target = match kind {
            Kind::File => return self.write(&path),
            Kind::Folder => return self.write(&path.join("data.txt")),
            Kind::Link => root.join("elsewhere").join(flat),
            Kind::LinkToNothing => root.join("nowhere").join(flat),
        };
        if kind == Kind::Link {
            self.write(&target);
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(&target, &path).unwrap();
        self.remember(&target);
        self.remember(&path);
    }

    fn write(&mut self, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("mine: {}\n", path.display())).unwrap();
        self.remember(path);
    }

    /// Remembers what is at a path, be it nothing.
    pub fn remember(&mut self, path: &Path) {
        self.0.insert(path.to_owned(), Content::of(path));
    }

    /// Asserts that all is as it was.
    pub fn assert_unchanged(&self, after: &str) {
        for (path, before) in &self.0 {
            let path_after = Content::of(path);
            assert!(
                path_after == *before,
                "{} was {before:?}, is {path_after:?} after {after}",
                path.display()
            );
        }
    }
}
