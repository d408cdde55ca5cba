use super::*;
use proptest::prelude::*;

fn range(datatype: Datatype, decimals: u32, first: i64, last: i64) -> ValueRange {
    ValueRange {
        datatype,
        decimals,
        first,
        last,
        listed: Vec::new(),
        tolerance: None,
        coarsest: Precision::Day,
        unit: None,
    }
}

#[test]
fn numbers_are_written_in_their_ways() {
    let integers = range(Datatype::Integer, 0, -2_000_000, 3_000_000);
    let written = |text: &str| integers.written(integers.position(text).unwrap());
    assert_eq!(written("0"), ["0"]);
    assert_eq!(written("999"), ["999"]);
    assert_eq!(written("1000"), ["1000", "1,000", "1 thousand"]);
    assert_eq!(written("12300"), ["12300", "12,300", "12.3 thousand"]);
    assert_eq!(written("12345"), ["12345", "12,345"]);
    assert_eq!(written("1200000"), ["1200000", "1,200,000", "1.2 million"]);
    assert_eq!(written("1250000"), ["1250000", "1,250,000"]);
    assert_eq!(written("-1500"), ["-1500", "-1,500", "-1.5 thousand"]);
    let decimals = range(Datatype::Decimal, 2, -100, 1_000_000);
    let written = |text: &str| decimals.written(decimals.position(text).unwrap());
    assert_eq!(written("0.5"), ["0.5"]);
    assert_eq!(written("-0.05"), ["-0.05"]);
    assert_eq!(written("1234.50"), ["1234.5", "1,234.5"]);
    assert_eq!(decimals.canonical("12.344"), "12.34", "the nearest");
    assert_eq!(decimals.position("20000"), None, "outside");
    assert!(decimals.reads("20000") && !decimals.reads("many"));
}

#[test]
fn years_and_dates_are_written_in_their_ways() {
    let years = range(Datatype::Year, 0, -50, 2100);
    let lexical: Vec<String> = [0, 50, 51, 2150].map(|number| years.lexical(number)).to_vec();
    assert_eq!(lexical, ["-0050", "0000", "0001", "2100"]);
    let written = [0, 50, 51].map(|number| years.written(number)[0].clone());
    assert_eq!(written, ["51 BC", "1 BC", "1"]);
    assert_eq!(years.position("-0050"), Some(0));

    let [first, last] =
        ["1890-03-12", "1900-03-01"].map(|day| ordinal(Datatype::Date, 0, day).unwrap());
    let dates = range(Datatype::Date, 0, first, last);
    assert_eq!(dates.written(0), ["12 March 1890", "March 12, 1890", "1890-03-12"]);
    // 1900 was no leap year.
    let before = dates.position("1900-02-28").unwrap();
    assert_eq!(dates.lexical(before + 1), "1900-03-01");
    assert_eq!(dates.position("1890-03-12Z"), Some(0), "a day is a day");
    assert!(!dates.reads("1900-02-29"));
}

#[test]
fn truth_and_texts() {
    let truth = range(Datatype::Boolean, 0, 0, 1);
    assert_eq!(
        (truth.lexical(0), truth.written(1)),
        ("false".into(), vec!["true".into(), "yes".into()])
    );
    assert_eq!(truth.position("1"), Some(1));
    let listed = ["red", "green"].map(str::to_owned).to_vec();
    let colours = ValueRange { listed, ..range(Datatype::String, 0, 0, 1) };
    assert_eq!((colours.position("green"), colours.position("blue")), (Some(1), None));
    assert_eq!(colours.canonical("blue"), "blue");
}

proptest! {
    /// A value is what it is written as, and no two are written alike.
    #[test]
    fn values_are_found_by_their_lexical_forms(
        first in -3000_i64..3000,
        count in 1_i64..40,
        decimals in 0_u32..4,
        kind in 0..4_usize,
    ) {
        let datatype = [Datatype::Integer, Datatype::Decimal, Datatype::Year, Datatype::Date][kind];
        let decimals = if datatype == Datatype::Decimal { decimals } else { 0 };
        let range = range(datatype, decimals, first, first + count - 1);
        let mut seen = std::collections::HashSet::new();
        for number in 0..range.len() {
            prop_assert_eq!(range.position(&range.lexical(number)), Some(number));
            for text in range.written(number) {
                prop_assert!(seen.insert(text));
            }
        }
    }
}
