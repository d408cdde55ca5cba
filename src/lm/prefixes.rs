//! Which beginnings several prompts share, and which of them are worth computing apart.

use std::ops::Range;

/// Tokens that sharing has to save in all: a run of its own takes about as long as computing them.
const LEAST_SAVED: usize = 64;

/// Tokens that all prompts begin with, as far as sharing them saves something; at least one token
/// of each prompt is left.
pub(super) fn common<'a>(prompts: &[&'a [u32]]) -> &'a [u32] {
    let Some((first, others)) = prompts.split_first() else { return &[] };
    let shortest = prompts.iter().map(|prompt| prompt.len()).min().unwrap_or(0);
    let length = others
        .iter()
        .map(|other| shared(first, other))
        .min()
        .unwrap_or(0)
        .min(shortest.saturating_sub(1));
    if length * others.len() < LEAST_SAVED / 2 { &[] } else { &first[..length] }
}

/// Beginnings that are computed once each: of how many tokens, and for which prompts. No prompt is
/// in two, and at least one token of each is left.
///
/// Of all such choices the one that saves most tokens; none where that is not worth a run.
pub(super) fn beginnings(prompts: &[&[u32]]) -> Vec<(usize, Vec<usize>)> {
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&prompt| prompts[prompt]);
    let sorted = Sorted { prompts, order };
    let (saved, chosen) = sorted.best(0..prompts.len());
    if saved < LEAST_SAVED {
        return Vec::new();
    }
    let members = |group: Range<usize>| sorted.order[group].to_vec();
    chosen.into_iter().map(|(length, group)| (length, members(group))).collect()
}

/// Prompts in the order of their tokens, so that those which begin alike are neighbours.
struct Sorted<'a> {
    prompts: &'a [&'a [u32]],
    order: Vec<usize>,
}

impl Sorted<'_> {
    fn get(&self, at: usize) -> &[u32] {
        self.prompts[self.order[at]]
    }

    /// The tokens saved, and the beginnings, by the best choice among the prompts of `group`.
    fn best(&self, group: Range<usize>) -> (usize, Vec<(usize, Range<usize>)>) {
        if group.len() < 2 {
            return (0, Vec::new());
        }
        // Sorted: what the first and the last share, all share.
        let depth = shared(self.get(group.start), self.get(group.end - 1));
        let shortest = group.clone().map(|at| self.get(at).len()).min().unwrap_or(0);
        let length = depth.min(shortest.saturating_sub(1));
        let own = length * (group.len() - 1);
        let (mut below, mut chosen) = (0, Vec::new());
        let mut start = group.start;
        while start < group.end {
            let next = self.get(start).get(depth);
            let same = (start..group.end).take_while(|&at| self.get(at).get(depth) == next).count();
            // All alike to the end: there is nothing below.
            if same < group.len() {
                let (saved, groups) = self.best(start..start + same);
                below += saved;
                chosen.extend(groups);
            }
            start += same;
        }
        if own >= below && length > 0 { (own, vec![(length, group)]) } else { (below, chosen) }
    }
}

fn shared(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(prompts: &[Vec<u32>]) -> Vec<&[u32]> {
        prompts.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn what_all_begin_with_leaves_a_token_of_each() {
        let mut prompts: Vec<Vec<u32>> = (0..40).map(|i| vec![1, 2, 3, 100 + i]).collect();
        assert_eq!(common(&slices(&prompts)).len(), 3);
        prompts.push(vec![1, 2]);
        assert_eq!(common(&slices(&prompts)).len(), 1);
        assert_eq!(common(&slices(&prompts[..2])).len(), 0, "nothing worth it is saved");
        assert_eq!(common(&[]).len(), 0);
    }

    #[test]
    fn the_choice_that_saves_most_is_taken() {
        // Forty prompts begin with 1; of these thirty go on with 2 2 2 2; ten more begin with 5 5.
        let mut prompts: Vec<Vec<u32>> = (0..30).map(|i| vec![1, 2, 2, 2, 2, 100 + i]).collect();
        prompts.extend((0..10).map(|i| vec![1, 200 + i, 9]));
        prompts.extend((0..10).map(|i| vec![5, 5, 300 + i]));
        let found = beginnings(&slices(&prompts));
        let expected = vec![(5, (0..30).collect()), (2, (40..50).collect::<Vec<usize>>())];
        assert_eq!(found, expected);
        assert!(beginnings(&slices(&prompts[28..40])).is_empty(), "little is saved");
    }

    #[test]
    fn prompts_that_are_the_same_share_all_but_the_last() {
        let prompts = vec![vec![1, 2, 3, 4, 5]; 20];
        assert_eq!(beginnings(&slices(&prompts)), [(4, (0..20).collect())]);
    }
}
