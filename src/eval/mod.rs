//! Gold facts and predictions, read from their files and from graphs, and held against each other
//! by the metrics of [`crate::metrics`].

mod assign;
mod gold;
mod jsonl;
mod lm_kbc;
mod name;
mod page;
mod predictions;
mod report;
mod rules;
mod value;
mod words;
mod wrong;

pub use gold::{Gold, GoldQuestion};
pub use name::{Comparison, Name, Naming};
pub use page::{Scored, page};
pub use predictions::{PredictedObject, PredictedQuestion, Predictions};
pub use report::{CalibrationScores, EvalReport, Outside, Scores};
pub use rules::Rules;
pub use wrong::{GivenAnswer, WrongQuestion};
