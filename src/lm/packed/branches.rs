//! What of a prompt's continuations was computed and is still in the cache.

use std::collections::BTreeMap;

/// Continuations behind one prompt, as a tree of tokens with the cache's slots.
#[derive(Clone, Debug, Default)]
pub(super) struct Branches {
    /// By the branch that a token follows, if it does not follow the prompt itself, and the token.
    places: BTreeMap<(Option<u32>, u32), u32>,
    /// By branch.
    slots: Vec<u32>,
}

/// How much of a continuation is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Known {
    /// The branch that ends with the last known token; none where no token is known.
    pub branch: Option<u32>,
    /// The slots of the known tokens.
    pub slots: Vec<u32>,
}

impl Branches {
    /// The longest known beginning of a continuation.
    pub(super) fn known(&self, continuation: &[u32]) -> Known {
        let mut known = Known::default();
        for &token in continuation {
            let Some(&branch) = self.places.get(&(known.branch, token)) else { break };
            known.branch = Some(branch);
            known.slots.push(self.slots[branch as usize]);
        }
        known
    }

    /// Takes a token behind a branch, or behind the prompt, and gives its own branch.
    pub(super) fn add(&mut self, behind: Option<u32>, token: u32, slot: u32) -> u32 {
        let branch = self.slots.len() as u32;
        self.slots.push(slot);
        self.places.insert((behind, token), branch);
        branch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_is_found() {
        let mut branches = Branches::default();
        let first = branches.add(None, 7, 40);
        branches.add(Some(first), 8, 41);
        branches.add(None, 8, 42);
        assert_eq!(branches.known(&[7, 8, 9]), Known { branch: Some(1), slots: vec![40, 41] });
        assert_eq!(branches.known(&[8, 8]), Known { branch: Some(2), slots: vec![42] });
        assert_eq!(branches.known(&[9]), Known::default());
    }
}
