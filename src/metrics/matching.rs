//! One-to-one matching: how many of two groups can be paired, each member once.

use std::collections::VecDeque;

/// The size of a maximum matching of a bipartite graph: `edges` has for each member of the one group
/// the numbers of those of the other that it may be paired with, below `others`.
///
/// By augmenting paths, each found breadth first (Berge's theorem): members times edges at worst.
///
/// # Panics
/// Where a number is not below `others`.
pub fn maximum_matching(edges: &[Vec<usize>], others: usize) -> usize {
    let mut paired: Vec<Option<usize>> = vec![None; others];
    (0..edges.len()).filter(|&member| augment(member, edges, &mut paired)).count()
}

/// Pairs one more member, moving others where they have somewhere else to go.
fn augment(member: usize, edges: &[Vec<usize>], paired: &mut [Option<usize>]) -> bool {
    // By whom each of the other group was reached first.
    let mut reached_by: Vec<Option<usize>> = vec![None; paired.len()];
    let mut queue = VecDeque::from([member]);
    while let Some(from) = queue.pop_front() {
        for &to in &edges[from] {
            if reached_by[to].is_some() {
                continue;
            }
            reached_by[to] = Some(from);
            match paired[to] {
                Some(next) => queue.push_back(next),
                None => {
                    flip(to, edges, &reached_by, paired);
                    return true;
                }
            }
        }
    }
    false
}

/// Pairs along the path that ends at the free `to`, back to the member that it began with.
fn flip(
    mut to: usize,
    edges: &[Vec<usize>],
    reached_by: &[Option<usize>],
    paired: &mut [Option<usize>],
) {
    while let Some(from) = reached_by[to] {
        let before = edges[from].iter().copied().find(|&other| paired[other] == Some(from));
        paired[to] = Some(from);
        let Some(before) = before else { return };
        to = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_is_paired_first_makes_room() {
        assert_eq!(maximum_matching(&[vec![0, 1], vec![0]], 2), 2);
        assert_eq!(maximum_matching(&[vec![0], vec![0], vec![]], 3), 1);
        assert_eq!(maximum_matching(&[vec![0, 1], vec![0, 2], vec![0], vec![2]], 3), 3);
        assert_eq!(maximum_matching(&[], 2), 0);
    }

    /// The best of all ways to pair the members from `at` on.
    fn brute_force(edges: &[Vec<usize>], at: usize, taken: u32) -> usize {
        let Some(mine) = edges.get(at) else { return 0 };
        let free = mine.iter().filter(|&&to| taken & (1 << to) == 0);
        let paired = free.map(|&to| 1 + brute_force(edges, at + 1, taken | (1 << to)));
        paired.chain([brute_force(edges, at + 1, taken)]).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn as_many_as_by_trying_all(
            edges in prop::collection::vec(prop::collection::vec(0..6_usize, 0..5), 0..7),
        ) {
            prop_assert_eq!(maximum_matching(&edges, 6), brute_force(&edges, 0, 0));
        }

        /// The two groups are alike.
        #[test]
        fn either_side_may_come_first(
            edges in prop::collection::vec(prop::collection::vec(0..30_usize, 0..6), 0..30),
        ) {
            let mut turned = vec![Vec::new(); 30];
            for (member, others) in edges.iter().enumerate() {
                others.iter().for_each(|&other| turned[other].push(member));
            }
            prop_assert_eq!(maximum_matching(&edges, 30), maximum_matching(&turned, edges.len()));
        }
    }
}
