//! The trie of the numbers of a range, worked out node by node.
//!
//! A node is a prefix of a number's text, as far as it is whole tokens. Tokenizers for which that holds
//! write digits one by one, or by three from the left, and commas, points and signs as tokens of their
//! own; others are refused.

use std::sync::Arc;

use super::{NameIndex, NodeId, Trie};
use crate::diagnostic::Explain;
use crate::lm::names::Names;
use crate::ontology::{NumberGrammar, Prefix, Scale, Symbol};

/// The bits of a node above those of its prefix: whether the token before the first digit is said, and
/// how many of those of a scale or sign are.
const LEAD: u32 = Prefix::BITS;
const SAID: u32 = LEAD + 1;

/// The trie.
#[derive(Clone, Debug)]
pub struct NumberTrie {
    grammar: NumberGrammar,
    tokens: Arc<Tokens>,
}

/// How a tokenizer writes what numbers consist of.
#[derive(Debug, PartialEq, Eq)]
struct Tokens {
    /// What is before the first digit and the sign, if it is a token of its own.
    lead: Option<u32>,
    /// A sign at the beginning, behind the lead or in its place.
    minus: u32,
    minus_follows_lead: bool,
    /// How many digits a token has at most.
    group: usize,
    /// By length and value, the digits of a token at the beginning, and elsewhere.
    first_digits: Vec<u32>,
    digits: Vec<u32>,
    comma: u32,
    point: u32,
    /// By scale.
    scales: [Vec<u32>; 3],
}

/// A tokenizer writes numbers in a way that no trie is worked out for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the model's tokenizer writes {text:?} neither digit by digit nor three digits by three, so that numbers \
     which are not listed cannot be searched"
)]
pub struct UnwritableNumbers {
    /// A number that it writes in another way.
    pub text: String,
}

impl Explain for UnwritableNumbers {}

/// A node, unpacked.
#[derive(Clone, Copy)]
struct State {
    prefix: Prefix,
    led: bool,
    /// Tokens of the scale that were said.
    said: usize,
}

impl State {
    fn of(node: NodeId) -> Self {
        Self {
            prefix: Prefix::unpacked(node & ((1 << Prefix::BITS) - 1)),
            led: node >> LEAD & 1 == 1,
            said: (node >> SAID) as usize,
        }
    }

    fn node(self) -> NodeId {
        self.prefix.packed() | NodeId::from(self.led) << LEAD | (self.said as NodeId) << SAID
    }
}

/// Numbers on which a tokenizer is tried, beside those that are next to powers of ten.
const TRIED: u64 = 200;

impl NumberTrie {
    /// The trie of a grammar's numbers, in the tokens that `tokenise` gives for a text in the object's place.
    ///
    /// # Errors
    /// Those of `tokenise`; [`UnwritableNumbers`] where its tokens are no such trie.
    pub fn new<E: From<UnwritableNumbers>>(
        grammar: NumberGrammar,
        tokenise: &mut dyn FnMut(&str) -> Result<Vec<u32>, E>,
    ) -> Result<Self, E> {
        let tokens = Arc::new(Tokens::read(tokenise)?);
        let trie = Self { grammar, tokens };
        for number in samples(grammar) {
            for (way, text) in grammar.written(number).into_iter().enumerate() {
                let path = trie.ways_to(Names::of_way(number, way)).pop();
                let path = path.map(|node| trie.path(node));
                if path.as_ref() != Some(&tokenise(&text)?) {
                    return Err(UnwritableNumbers { text }.into());
                }
            }
        }
        Ok(trie)
    }

    /// The numbers, in their ways to be written.
    pub fn grammar(&self) -> NumberGrammar {
        self.grammar
    }

    /// The tokens from the root to `node`.
    pub fn path(&self, node: NodeId) -> Vec<u32> {
        let State { prefix, led, said } = State::of(node);
        let tokens = &*self.tokens;
        let mut path: Vec<u32> = tokens.lead.filter(|_| led).into_iter().collect();
        let symbols = prefix.symbols();
        let mut runs =
            symbols.chunk_by(|a, b| matches!((a, b), (Symbol::Digit(_), Symbol::Digit(_))));
        let mut is_first = true;
        for run in &mut runs {
            match run[0] {
                Symbol::Minus => path.push(tokens.minus),
                Symbol::Comma => path.push(tokens.comma),
                Symbol::Point => path.push(tokens.point),
                Symbol::Scale(scale) => path.extend(&tokens.scales[scale as usize - 1][..said]),
                Symbol::Digit(_) => {
                    for group in run.chunks(tokens.group) {
                        let digits = group.iter().map(|symbol| match symbol {
                            Symbol::Digit(digit) => *digit,
                            _ => 0,
                        });
                        path.push(tokens.of_digits(is_first, digits));
                        is_first = false;
                    }
                }
            }
            is_first = false;
        }
        path
    }

    /// The children of `node` with the tokens that lead to them, in the order of these.
    pub fn children(&self, node: NodeId) -> Vec<(u32, NodeId)> {
        let state @ State { prefix, led, said } = State::of(node);
        let tokens = &*self.tokens;
        let mut children = Vec::new();
        if let Some(scale) = prefix.scale() {
            let next = tokens.scales[scale as usize - 1].get(said);
            children.extend(next.map(|&token| (token, State { said: said + 1, ..state }.node())));
            return children;
        }
        let may = |symbol| prefix.with(symbol).filter(|&next| self.grammar.begins(next));
        let mut add = |token: u32, prefix: Prefix| {
            let said = usize::from(prefix.scale().is_some());
            children.push((token, State { prefix, said, ..state }.node()));
        };
        let is_start = prefix == Prefix::default();
        if is_start && (led == tokens.minus_follows_lead) {
            may(Symbol::Minus).into_iter().for_each(|next| add(tokens.minus, next));
        }
        if is_start
            && !led
            && let Some(lead) = tokens.lead
        {
            let negative =
                Prefix::default().with(Symbol::Minus).filter(|_| tokens.minus_follows_lead);
            let begun = [Some(prefix), negative];
            if begun.into_iter().flatten().any(|next| self.grammar.begins(next)) {
                children.push((lead, State { led: true, ..state }.node()));
            }
        } else {
            may(Symbol::Comma).into_iter().for_each(|next| add(tokens.comma, next));
            may(Symbol::Point).into_iter().for_each(|next| add(tokens.point, next));
            self.digits(prefix, &mut add);
            for scale in Scale::ALL {
                let token = tokens.scales[scale as usize - 1][0];
                may(Symbol::Scale(scale)).into_iter().for_each(|next| add(token, next));
            }
        }
        children.sort_unstable();
        children
    }

    /// The tokens of digits that may follow a prefix.
    fn digits(&self, prefix: Prefix, add: &mut dyn FnMut(u32, Prefix)) {
        let group = self.tokens.group;
        if !prefix.run().is_multiple_of(group) {
            return;
        }
        let is_first = prefix == Prefix::default();
        // Each with the digits that were added.
        let mut open = vec![(prefix, Vec::new())];
        while let Some((prefix, added)) = open.pop() {
            for digit in 0..10 {
                let next = prefix.with(Symbol::Digit(digit)).filter(|&p| self.grammar.begins(p));
                let Some(next) = next else { continue };
                let mut digits = added.clone();
                digits.push(digit);
                if digits.len() == group || self.may_end_digits(next) {
                    add(self.tokens.of_digits(is_first, digits.iter().copied()), next);
                }
                if digits.len() < group {
                    open.push((next, digits));
                }
            }
        }
    }

    /// Whether something else than a digit may follow a prefix, or nothing.
    fn may_end_digits(&self, prefix: Prefix) -> bool {
        let scales = Scale::ALL.map(Symbol::Scale);
        let mut others = [Symbol::Comma, Symbol::Point].into_iter().chain(scales);
        self.grammar.number(prefix).is_some()
            || others.any(|s| prefix.with(s).is_some_and(|next| self.grammar.begins(next)))
    }

    /// The name that ends at `node`.
    pub fn end(&self, node: NodeId) -> Option<NameIndex> {
        let State { prefix, said, .. } = State::of(node);
        let is_said =
            prefix.scale().is_none_or(|scale| said == self.tokens.scales[scale as usize - 1].len());
        let (number, way) = self.grammar.number(prefix).filter(|_| is_said)?;
        Some(Names::of_way(number, way))
    }

    /// The nodes from the root to where a name ends.
    pub fn ways_to(&self, name: NameIndex) -> Vec<NodeId> {
        let (number, way) = Names::way_of(name);
        let text = self.grammar.written(number).swap_remove(way);
        let Some(prefix) = Prefix::of(&text) else { return Vec::new() };
        let led =
            self.tokens.lead.is_some() && (!prefix.is_negative() || self.tokens.minus_follows_lead);
        let said = prefix.scale().map_or(0, |scale| self.tokens.scales[scale as usize - 1].len());
        let path = self.path(State { prefix, led, said }.node());
        let mut ways = vec![Trie::ROOT];
        for token in path {
            let children = self.children(ways[ways.len() - 1]);
            let Ok(at) = children.binary_search_by_key(&token, |child| child.0) else { break };
            ways.push(children[at].1);
        }
        ways
    }

    /// Whether a token may follow some number, or the beginning of one.
    pub fn follows_some(&self, token: u32) -> bool {
        let Tokens { comma, point, digits, scales, .. } = &*self.tokens;
        token == *comma
            || token == *point
            || digits.contains(&token)
            || scales.iter().any(|scale| scale[0] == token)
    }

    /// How many tokens a number has at most.
    pub fn longest(&self) -> usize {
        let scales = self.tokens.scales.iter().map(Vec::len).max().unwrap_or(0);
        // Lead, sign, point, three commas.
        crate::ontology::MOST_DIGITS as usize + scales + 6
    }
}

/// Numbers on which a tokenizer is tried: the first and last, those next to powers of ten, and others
/// evenly between.
fn samples(grammar: NumberGrammar) -> Vec<u32> {
    let last = grammar.numbers() - 1;
    let powers = (0..10).flat_map(|power| {
        let ten = 10_u64.pow(power);
        [ten - 1, ten, ten + 1, 12 * ten, last.saturating_sub(ten)]
    });
    let spread =
        (0..TRIED).map(|at| (u128::from(last) * u128::from(at) / u128::from(TRIED)) as u64);
    let mut samples: Vec<u32> =
        powers.chain(spread).chain([last]).filter(|&n| n <= last).map(|n| n as u32).collect();
    samples.sort_unstable();
    samples.dedup();
    samples
}

impl Tokens {
    fn read<E: From<UnwritableNumbers>>(
        tokenise: &mut dyn FnMut(&str) -> Result<Vec<u32>, E>,
    ) -> Result<Self, E> {
        let fails = |text: &str| E::from(UnwritableNumbers { text: text.to_owned() });
        let [one, two, run] = ["1", "2", "1111111"].map(&mut *tokenise);
        let (one, two, run) = (one?, two?, run?);
        let lead = match (&*one, &*two) {
            ([_], [_]) => None,
            ([lead, _], [other, _]) if lead == other => Some(*lead),
            _ => return Err(fails("1")),
        };
        let before = usize::from(lead.is_some());
        let group = match run.len().checked_sub(before) {
            Some(7) => 1,
            Some(3) => 3,
            _ => return Err(fails("1111111")),
        };
        let single = |tokens: &[u32], text: &str| match *tokens {
            [token] => Ok(token),
            _ => Err(fails(text)),
        };
        let behind = "1".repeat(group);
        let own = tokenise(&behind)?;
        // What `text` adds behind digits.
        let mut added = |text: &str| -> Result<Vec<u32>, E> {
            let all = tokenise(&format!("{behind}{text}"))?;
            all.strip_prefix(&own[..]).map(<[u32]>::to_vec).ok_or_else(|| fails(text))
        };
        let all = (1..=group).flat_map(|length| {
            (0..10_usize.pow(length as u32)).map(move |value| format!("{value:0length$}"))
        });
        let all: Vec<String> = all.collect();
        let digits =
            all.iter().map(|text| single(&added(text)?, text)).collect::<Result<_, _>>()?;
        let (comma, point) = (single(&added(",")?, ",")?, single(&added(".")?, ".")?);
        let [thousand, million, billion] = Scale::ALL.map(|scale| added(scale.text()));
        let first_digits = all.iter().map(|text| {
            let tokens = tokenise(text)?;
            single(&tokens[before.min(tokens.len())..], text)
        });
        let first_digits = first_digits.collect::<Result<_, _>>()?;
        let negative = tokenise("-1")?;
        let (minus, minus_follows_lead) = match (&negative[..], lead) {
            ([minus, _], _) => (*minus, false),
            ([first, minus, _], Some(lead)) if *first == lead => (*minus, true),
            _ => return Err(fails("-1")),
        };
        let scales = [thousand?, million?, billion?];
        let tokens = Self {
            lead,
            minus,
            minus_follows_lead,
            group,
            first_digits,
            digits,
            comma,
            point,
            scales,
        };
        if tokens.differ() { Ok(tokens) } else { Err(fails("0123456789")) }
    }

    /// Whether what may follow a prefix differs in its first token: an unknown token may stand for all.
    fn differ(&self) -> bool {
        let scales = self.scales.iter().map(|scale| scale.first());
        let behind = self.digits.iter().chain([&self.comma, &self.point]).map(Some).chain(scales);
        let at_start = self.first_digits.iter().chain([&self.minus]).chain(&self.lead).map(Some);
        let differ = |mut tokens: Vec<Option<&u32>>| {
            let all = tokens.len();
            tokens.sort_unstable();
            tokens.dedup();
            tokens.len() == all && tokens.iter().all(Option::is_some)
        };
        differ(behind.collect()) && differ(at_start.collect())
    }

    fn of_digits(&self, is_first: bool, digits: impl ExactSizeIterator<Item = u8>) -> u32 {
        let length = digits.len();
        let shorter: usize = (1..length).map(|length| 10_usize.pow(length as u32)).sum();
        let value = digits.fold(0, |value, digit| value * 10 + usize::from(digit));
        let table = if is_first { &self.first_digits } else { &self.digits };
        table[shorter + value]
    }
}

#[cfg(test)]
mod tests;
