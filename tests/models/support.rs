//! What the families' tests share.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kgbuild::diagnostic::Silent;
use kgbuild::fetch::{self, Cache};
use kgbuild::lm::{self, Asking, LanguageModel, Prompt, Prompter, Row};
use kgbuild::onnx::{self, GraphPrecision, ModelFolder, Precision};
use kgbuild::runtime::{Device, Runtime};
use serde::de::DeserializeOwned;

/// Between a candidate's ln p and PyTorch's; a candidate has up to 20 tokens.
const OF_REFERENCE: f64 = 1e-4;
/// Between two ways to ask the same model, or two exports of it.
pub const OF_WAYS: f64 = 1e-5;
/// The same where it computes in half precision.
const OF_WAYS_IN_HALF: f64 = 1e-3;

pub fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models")
}

pub fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// What each `expected*.json` of a model says.
pub fn expectations<T: DeserializeOwned>(model: &str) -> Vec<T> {
    let files = sorted(&models().join(model)).into_iter();
    let files = files.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("expected") && name.ends_with(".json")
    });
    files.map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap()).collect()
}

pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let cache = Cache::from_environment().unwrap();
        let library = fetch::runtime_library(&cache, &Silent)
            .unwrap_or_else(|error| panic!("no ONNX Runtime: {error}"));
        Runtime::load(&library, Device::Cpu).unwrap()
    })
}

/// A model, opened as the program does it.
pub struct Opened {
    pub model: Box<dyn LanguageModel>,
    pub prompter: Prompter,
    pub folder: ModelFolder,
    _cache: tempfile::TempDir,
}

/// Opens the model in `source` for batches of `budget` tokens.
pub fn open(source: &Path, adapter: Option<&Path>, budget: usize) -> Result<Opened, String> {
    open_in(Precision::F32, source, adapter, budget)
}

/// The same in a precision of its own.
pub fn open_in(
    precision: Precision,
    source: &Path,
    adapter: Option<&Path>,
    budget: usize,
) -> Result<Opened, String> {
    let scratch = tempfile::tempdir().unwrap();
    let cache = Cache::at(scratch.path());
    let folder =
        onnx::import(source, precision, &cache, &Silent).map_err(|error| error.to_string())?;
    let prompter = Prompter::new(&folder).map_err(|error| error.to_string())?;
    let model = lm::open(runtime(), &folder, adapter, 1, 1, budget)
        .map_err(|error| format!("{error}: {:?}", std::error::Error::source(&error)))?;
    Ok(Opened { model, prompter, folder, _cache: scratch })
}

/// What a model is asked, and what PyTorch answers.
pub struct Questions<'a> {
    pub prompts: Vec<Prompt>,
    /// A row for each token that is scored.
    pub rows: Vec<Row<'a>>,
    /// By candidate: how many rows are its own, and ln p.
    pub candidates: Vec<(usize, f64)>,
}

/// ln p of every row, all asked for at once.
pub fn together(model: &mut dyn LanguageModel, questions: &Questions<'_>) -> Vec<f64> {
    model.open(&[&questions.prompts], Asking::Once);
    model.answer(&questions.rows).unwrap().remove(0)
}

/// The same, each row asked for alone.
fn alone(model: &mut dyn LanguageModel, questions: &Questions<'_>) -> Vec<f64> {
    model.open(&[&questions.prompts], Asking::Once);
    let rows = questions.rows.iter();
    rows.flat_map(|row| model.answer(std::slice::from_ref(row)).unwrap().remove(0)).collect()
}

pub fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    // Not `max`, which would pass over NaN.
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m, d| if d <= m { m } else { d })
}

/// The largest difference of a candidate's ln p from PyTorch's.
fn from_reference(found: &[f64], questions: &Questions<'_>) -> f64 {
    let mut found = found.iter();
    let mut sums = Vec::new();
    let mut expected = Vec::new();
    for &(rows, ln_p) in &questions.candidates {
        sums.push(found.by_ref().take(rows).sum::<f64>());
        expected.push(ln_p);
    }
    assert_eq!(found.next(), None);
    largest_difference(&sums, &expected)
}

/// Holds a form of a model to PyTorch's numbers, to itself asked in other ways, and gives its
/// answers. `approximate` is how far a form of another precision was seen to be off.
pub fn check_form(
    precision: Precision,
    source: &Path,
    adapter: Option<&Path>,
    questions: &Questions<'_>,
    approximate: Option<f64>,
) -> Result<Vec<f64>, String> {
    let mut opened = open_in(precision, source, adapter, 4096)?;
    let all = together(opened.model.as_mut(), questions);
    let reference = from_reference(&all, questions);
    let single = largest_difference(&all, &alone(opened.model.as_mut(), questions));
    // Room for three prompts: batches are cut elsewhere.
    let narrow = together(open_in(precision, source, adapter, 40)?.model.as_mut(), questions);
    let batched = largest_difference(&all, &narrow);
    println!(
        "{} in {precision}: reference {reference:.1e}, alone {single:.1e}, narrow {batched:.1e}",
        source.strip_prefix(models()).unwrap_or(source).display()
    );
    let half = opened.folder.precision == GraphPrecision::F16;
    let (of_reference, of_ways) = match approximate {
        Some(seen) => (2.0 * seen, if half { OF_WAYS_IN_HALF } else { OF_WAYS }),
        None => (OF_REFERENCE, OF_WAYS),
    };
    // What kgbuild converted gives the same bits in any company.
    let of_ways = if opened.folder.packed { 0.0 } else { of_ways };
    let fails = |difference: f64, limit: f64| difference.is_nan() || difference > limit;
    if fails(reference, of_reference) {
        return Err(format!("{reference:.1e} from PyTorch"));
    }
    if fails(single, of_ways) || fails(batched, of_ways) {
        return Err(format!("{single:.1e} alone, {batched:.1e} in small batches"));
    }
    // All tokens in one place: a distribution.
    let everything: Vec<u32> = (0..opened.model.vocabulary() as u32).collect();
    let row = Row { wanted: everything.into(), ..questions.rows[0].clone() };
    let sum: f64 = opened.model.answer(&[row]).unwrap()[0].iter().map(|p| p.exp()).sum();
    if fails((sum - 1.0).abs(), 1e-6) {
        return Err(format!("the vocabulary's probabilities sum to {sum}"));
    }
    Ok(all)
}

/// Checks forms of one model, and that those in f32 agree with each other.
pub fn check_forms(
    folder: &Path,
    forms: &[String],
    adapter: Option<&Path>,
    questions: &Questions<'_>,
    approximate: &BTreeMap<String, f64>,
) -> Vec<String> {
    let mut of_forms: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for form in forms {
        let approximate = approximate.get(form).copied();
        match check_form(Precision::F32, &folder.join(form), adapter, questions, approximate) {
            Ok(values) if approximate.is_none() => {
                of_forms.insert(form, values);
            }
            Ok(_) => {}
            Err(problem) => wrong.push(format!("{form}: {problem}")),
        }
    }
    let mut all = of_forms.iter();
    if let Some((first, values)) = all.next() {
        for (form, others) in all {
            let difference = largest_difference(values, others);
            println!("{}: {form} against {first}: {difference:.1e}", folder.display());
            if difference.is_nan() || difference > OF_WAYS {
                wrong.push(format!("{form} differs from {first} by {difference:.1e}"));
            }
        }
    }
    wrong
}
