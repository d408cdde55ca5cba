//! Years between bounds as a pattern: SPARQL, and so SHACL, does not say which of two years is the smaller one.

/// A pattern of the years from `first` to `last`, as `xsd:gYear` writes them; none where these are no years.
pub(super) fn pattern(first: &str, last: &str) -> Option<String> {
    let year = |text: &str| text.parse::<i64>().ok().filter(|year| year.abs() < MOST);
    let (first, last) = (year(first)?, year(last)?);
    let mut parts = Vec::new();
    if first < 0 {
        // The further from zero, the earlier.
        let magnitudes = between((-last).max(1), -first);
        parts.extend(magnitudes.into_iter().map(|part| format!("-{part}")));
    }
    if last >= 0 {
        parts.extend(between(first.max(0), last));
    }
    Some(format!("^({})$", parts.join("|")))
}

/// Years have fewer digits.
const MOST: i64 = 1_000_000_000;

/// Patterns of the whole numbers from one to another, neither negative, of four digits or more.
fn between(first: i64, last: i64) -> Vec<String> {
    let mut parts = Vec::new();
    let (mut from, mut end) = (first, 9_999);
    while from <= last {
        if from <= end {
            let to = last.min(end);
            parts.push(of_one_length(&format!("{from:04}"), &format!("{to:04}")));
            from = to + 1;
        }
        end = 10 * end + 9;
    }
    parts
}

/// A pattern of the digits from one text to another of the same length.
fn of_one_length(first: &str, last: &str) -> String {
    let (Some(low), Some(high)) = (first.chars().next(), last.chars().next()) else {
        return String::new();
    };
    let (first, last) = (&first[1..], &last[1..]);
    if low == high {
        return format!("{low}{}", of_one_length(first, last));
    }
    let (mut parts, mut least, mut most) = (Vec::new(), low as u8, high as u8);
    if first.contains(|digit| digit != '0') {
        parts.push(format!("{low}{}", of_one_length(first, &"9".repeat(first.len()))));
        least += 1;
    }
    let mut end = None;
    if last.contains(|digit| digit != '9') {
        end = Some(format!("{high}{}", of_one_length(&"0".repeat(last.len()), last)));
        most -= 1;
    }
    if least <= most {
        let any =
            if first.is_empty() { String::new() } else { format!("[0-9]{{{}}}", first.len()) };
        parts.push(format!("[{}-{}]{any}", least as char, most as char));
    }
    parts.extend(end);
    format!("({})", parts.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxigraph::sparql::{QueryResults, SparqlEvaluator};
    use oxigraph::store::Store;

    #[test]
    fn the_years_between_the_bounds_fit_and_no_others() {
        let written = |year: i64| match year {
            ..0 => format!("-{:04}", -year),
            _ => format!("{year:04}"),
        };
        let store = Store::new().unwrap();
        for (first, last) in
            [(1000, 2030), (400, 400), (1949, 1951), (-43, 14), (-300, -44), (0, 9), (9990, 10100)]
        {
            let pattern = pattern(&written(first), &written(last)).unwrap();
            let years: Vec<String> =
                (first - 120..=last + 120).map(|year| format!("\"{}\"", written(year))).collect();
            let query = format!(
                "SELECT ?y {{ VALUES ?y {{ {} }} FILTER(REGEX(?y, \"{pattern}\")) }}",
                years.join(" ")
            );
            let found = SparqlEvaluator::new().parse_query(&query).unwrap();
            let QueryResults::Solutions(found) = found.on_store(&store).execute().unwrap() else {
                panic!("no solutions")
            };
            let mut found: Vec<String> = found.map(|row| row.unwrap()["y"].to_string()).collect();
            found.sort();
            let mut expected: Vec<String> =
                (first..=last).map(|year| format!("\"{}\"", written(year))).collect();
            expected.sort();
            assert_eq!(found, expected, "{pattern}");
        }
        assert_eq!(pattern("1000", "soon"), None);
    }
}
