//! `report.json`: a run's report beside its store, with the signature of the run.
//!
//! It is replaced only where a run wrote what is there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RunReport;
use crate::diagnostic::Explain;
use crate::files::{is_plain_file, is_taken};

/// The file's name in the output folder.
const NAME: &str = "report.json";

/// The report with what it is a report of.
#[derive(Serialize)]
struct Named<'a> {
    signature: &'a BTreeMap<String, String>,
    #[serde(flatten)]
    report: &'a RunReport,
}

/// What every report has, by which it is known.
#[derive(Deserialize)]
struct FoundReport {
    signature: BTreeMap<String, String>,
    complete: bool,
    #[serde(rename = "relations")]
    _relations: Vec<serde_json::Value>,
    #[serde(rename = "total")]
    _total: serde_json::Map<String, serde_json::Value>,
}

/// Why a report is not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportFileError {
    /// Something else has its name.
    #[error(
        "the report of this run goes to {}, and no run wrote what is there. It was not changed; \
         move it away, or name another `folder` under [output]",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// What has its name cannot be read.
    #[error("{} cannot be read; make that possible, or move it away", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Explain for ReportFileError {}

/// The place of a run's report, where there is none or one of a run.
pub struct ReportFile {
    path: PathBuf,
    found: Option<FoundReport>,
}

impl ReportFile {
    /// Looks at the place in an output folder. Changes nothing.
    ///
    /// # Errors
    /// [`ReportFileError::Foreign`] where something else is there, be it a link to a report.
    pub fn find(folder: &Path) -> Result<Self, ReportFileError> {
        let path = folder.join(NAME);
        if !is_taken(&path) {
            return Ok(Self { path, found: None });
        }
        if !is_plain_file(&path) {
            return Err(ReportFileError::Foreign { path });
        }
        match fs::read(&path) {
            Ok(text) => match serde_json::from_slice::<FoundReport>(&text) {
                Ok(found) if !found.signature.is_empty() => Ok(Self { path, found: Some(found) }),
                _ => Err(ReportFileError::Foreign { path }),
            },
            Err(source) => Err(ReportFileError::Io { path, source }),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is the report of the run with this signature, complete.
    pub fn is_complete(&self, signature: &BTreeMap<String, String>) -> bool {
        self.found.as_ref().is_some_and(|found| found.complete && found.signature == *signature)
    }
}

/// The text of a run's report.
///
/// # Errors
/// Where a number has no form in JSON, which none that was counted lacks.
pub fn report_text(
    signature: &BTreeMap<String, String>,
    report: &RunReport,
) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(&Named { signature, report })? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{RelationReport, Statistics};
    use crate::shock::Pair;

    fn text(complete: bool) -> String {
        let asked = Pair { finetuned: false, base: true };
        let total =
            RelationReport::new(None, "all".into(), None, &Statistics::default(), asked, None);
        let report = RunReport {
            relations: vec![total.clone()],
            total,
            derived: 0,
            complete,
            resumed_chunks: 0,
            prompts: 1,
            tokens: 2,
            seconds: 0.5,
            model_seconds: 0.25,
        };
        report_text(&signature("1"), &report).unwrap()
    }

    fn signature(value: &str) -> BTreeMap<String, String> {
        [("inputs".to_owned(), value.to_owned())].into()
    }

    #[test]
    fn a_report_is_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let find = || ReportFile::find(folder.path()).unwrap();
        assert!(!find().is_complete(&signature("1")));
        for complete in [false, true] {
            fs::write(find().path(), text(complete)).unwrap();
            assert_eq!(find().is_complete(&signature("1")), complete);
            assert!(!find().is_complete(&signature("2")));
        }
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let is_foreign =
            || matches!(ReportFile::find(folder.path()), Err(ReportFileError::Foreign { .. }));
        let half = &text(true)[..40];
        let nameless = text(true).replace("\"inputs\": \"1\"", "");
        for mine in ["mine", "", "{}", "[]", "{\"complete\": true}", half, &nameless] {
            fs::write(&path, mine).unwrap();
            assert!(is_foreign(), "{mine}");
        }
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        fs::write(folder.path().join("elsewhere"), text(true)).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
        assert!(is_foreign(), "a link");
        fs::remove_file(folder.path().join("elsewhere")).unwrap();
        assert!(is_foreign(), "a link to nothing");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(is_foreign(), "a folder");
    }
}
