//! "Did you mean": the known word that a misspelt one is nearest to.

/// The word of `known` that `word` is most likely to mean, or none where nothing is near.
///
/// Near is a third of the word's letters changed, left out, added or swapped with their
/// neighbour, and at least one; case does not count. Of equally near words the first is taken.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    let most = (length / 3).max(1);
    known
        .into_iter()
        // Nothing is nearer than the letters that it has more, or fewer.
        .filter(|k| k.chars().count().abs_diff(length) <= most)
        .map(|k| (strsim::damerau_levenshtein(&word, &k.to_lowercase()), k))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_nearest_and_only_what_is_near() {
        let known = ["threshold", "max_objects", "lambda"];
        assert_eq!(nearest("lamda", known), Some("lambda"));
        assert_eq!(nearest("treshhold", known), Some("threshold"));
        assert_eq!(nearest("MAX-OBJECTS", known), Some("max_objects"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("ab", ["ba", "bb"]), Some("ba"));
    }
}
