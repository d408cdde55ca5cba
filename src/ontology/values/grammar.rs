//! How texts write the numbers of a range, symbol by symbol, for ranges too large to be listed.
//!
//! A [`Prefix`] is what was written so far; the grammar says whether a number of the range goes on from
//! there, and which number ends there. It says of every number what [`written::numbers`](super::written)
//! lists, which a property test holds.

use super::written;

/// How many digits a number has at most, those after the point among them.
pub const MOST_DIGITS: u32 = 10;

/// What numbers are written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    /// Before a negative number.
    Minus,
    /// From 0 to 9.
    Digit(u8),
    /// Between thousands.
    Comma,
    /// Before the fraction.
    Point,
    /// Behind a round number: thousand, million or billion.
    Scale(Scale),
}

/// The word behind a round number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// 10^3
    Thousand = 1,
    /// 10^6
    Million = 2,
    /// 10^9
    Billion = 3,
}

impl Scale {
    /// From the smallest.
    pub const ALL: [Self; 3] = [Self::Thousand, Self::Million, Self::Billion];

    /// How it is written, with the space before it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Thousand => " thousand",
            Self::Million => " million",
            Self::Billion => " billion",
        }
    }

    fn zeros(self) -> u32 {
        3 * self as u32
    }
}

/// What was written of a number so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    negative: bool,
    /// All digits as a number.
    digits: u64,
    /// How many of them are before the point, and after it.
    whole: u8,
    fraction: u8,
    point: bool,
    /// How many commas there are, and digits since the last one.
    commas: u8,
    since: u8,
    scale: Option<Scale>,
}

impl Scale {
    fn of_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|scale| *scale as u64 == number)
    }
}

impl Prefix {
    /// How many bits of a [packed](Self::packed) prefix are used.
    pub const BITS: u32 = 50;

    /// A text as symbols; none where no number is written so.
    pub fn of(text: &str) -> Option<Self> {
        let (number, scale) = match text.find(' ') {
            Some(at) => {
                (&text[..at], Some(Scale::ALL.into_iter().find(|s| s.text() == &text[at..])?))
            }
            None => (text, None),
        };
        let symbols = number.chars().map(|letter| match letter {
            '-' => Some(Symbol::Minus),
            ',' => Some(Symbol::Comma),
            '.' => Some(Symbol::Point),
            digit => Some(Symbol::Digit(digit.to_digit(10)? as u8)),
        });
        let mut symbols = symbols.chain(scale.map(|scale| Some(Symbol::Scale(scale))));
        symbols.try_fold(Self::default(), |prefix, symbol| prefix.with(symbol?))
    }

    /// With one symbol more; none where no number is written so.
    pub fn with(self, symbol: Symbol) -> Option<Self> {
        let groups_end = self.commas == 0 || self.since == 3;
        if self.scale.is_some() {
            return None;
        }
        match symbol {
            Symbol::Minus => (self == Self::default()).then_some(Self { negative: true, ..self }),
            Symbol::Digit(digit) => self.with_digit(digit),
            Symbol::Comma => {
                let group =
                    if self.commas == 0 { (1..=3).contains(&self.whole) } else { groups_end };
                let may = group && !self.point && self.digits > 0;
                may.then_some(Self { commas: self.commas + 1, since: 0, ..self })
            }
            Symbol::Point => {
                let may = !self.point && self.whole > 0 && groups_end;
                may.then_some(Self { point: true, ..self })
            }
            Symbol::Scale(scale) => {
                let tenths = !self.point || (self.fraction == 1 && !self.digits.is_multiple_of(10));
                let fits = self.whole <= 3 || scale == Scale::Billion;
                let may = tenths && fits && self.commas == 0 && self.whole_part() > 0;
                may.then_some(Self { scale: Some(scale), ..self })
            }
        }
    }

    fn with_digit(self, digit: u8) -> Option<Self> {
        let grown = Self { digits: self.digits * 10 + u64::from(digit), ..self };
        let full = u32::from(self.whole + self.fraction) == MOST_DIGITS;
        let after_zero = !self.point && self.whole > 0 && self.digits == 0;
        let group_is_full = !self.point && self.commas > 0 && self.since == 3;
        if full || after_zero || group_is_full {
            return None;
        }
        Some(if self.point {
            Self { fraction: self.fraction + 1, ..grown }
        } else {
            let since = if self.commas > 0 { self.since + 1 } else { 0 };
            Self { whole: self.whole + 1, since, ..grown }
        })
    }

    /// How many digits were written since what is no digit.
    pub fn run(self) -> usize {
        usize::from(match (self.point, self.commas) {
            (true, _) => self.fraction,
            (false, 0) => self.whole,
            (false, _) => self.since,
        })
    }

    /// Whether nothing is written but perhaps a sign.
    pub fn is_begun(self) -> bool {
        self.whole > 0
    }

    /// Whether a sign was written.
    pub fn is_negative(self) -> bool {
        self.negative
    }

    /// The word behind it, after which nothing follows.
    pub fn scale(self) -> Option<Scale> {
        self.scale
    }

    /// As one number of [`Self::BITS`] bits; 0 where nothing is written.
    pub fn packed(self) -> u64 {
        let fields = [
            (self.digits, 34),
            (self.whole.into(), 4),
            (self.fraction.into(), 4),
            (self.commas.into(), 2),
            (self.since.into(), 2),
            (self.scale.map_or(0, |scale| scale as u64), 2),
            (self.point.into(), 1),
            (self.negative.into(), 1),
        ];
        fields.into_iter().rev().fold(0, |packed, (value, bits)| (packed << bits) | value)
    }

    /// What was [packed](Self::packed).
    pub fn unpacked(mut packed: u64) -> Self {
        let mut take = |bits: u32| {
            let value = packed & ((1 << bits) - 1);
            packed >>= bits;
            value
        };
        Self {
            digits: take(34),
            whole: take(4) as u8,
            fraction: take(4) as u8,
            commas: take(2) as u8,
            since: take(2) as u8,
            scale: Scale::of_number(take(2)),
            point: take(1) == 1,
            negative: take(1) == 1,
        }
    }

    /// The symbols in their order.
    pub fn symbols(self) -> Vec<Symbol> {
        let digits =
            format!("{:0width$}", self.digits, width = (self.whole + self.fraction).into());
        let mut symbols = Vec::new();
        symbols.extend(self.negative.then_some(Symbol::Minus));
        // So many digits before the point follow the last comma, three each of the others.
        let commas = (0..u64::from(self.commas))
            .map(|at| u64::from(self.whole) - u64::from(self.since) - 3 * at);
        let commas: Vec<u64> = commas.collect();
        for (digit, at) in digits.bytes().zip(0..) {
            if commas.contains(&at) {
                symbols.push(Symbol::Comma);
            }
            if self.point && at == u64::from(self.whole) {
                symbols.push(Symbol::Point);
            }
            if self.is_begun() {
                symbols.push(Symbol::Digit(digit - b'0'));
            }
        }
        let ends_with_comma = self.commas > 0 && self.since == 0 && !self.point;
        symbols.extend(ends_with_comma.then_some(Symbol::Comma));
        symbols.extend((self.point && self.fraction == 0).then_some(Symbol::Point));
        symbols.extend(self.scale.map(Symbol::Scale));
        symbols
    }

    fn whole_part(self) -> u64 {
        self.digits / 10_u64.pow(self.fraction.into())
    }
}

/// The numbers of a range, in steps of 10^-`decimals`, in all the ways in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberGrammar {
    first: i64,
    last: i64,
    decimals: u32,
}

impl NumberGrammar {
    /// From `first` to `last`, of which none has more than [`MOST_DIGITS`] digits.
    pub(super) fn new(first: i64, last: i64, decimals: u32) -> Self {
        Self { first, last, decimals }
    }

    /// How many numbers there are.
    pub fn numbers(&self) -> u64 {
        self.last.abs_diff(self.first) + 1
    }

    /// In how many ways number `number`, from 0, is written.
    pub fn ways(&self, number: u32) -> usize {
        self.written(number).len()
    }

    /// In how many ways a number is written at most.
    pub fn most_ways(&self) -> usize {
        let one = 10_u128.pow(self.decimals);
        let signs = [false, true];
        let is_round = |scale: &Scale| {
            // From 1.0 of it on, in tenths of it, up to what the next scale begins with.
            let (tenth, thousand) = (10_u128.pow(scale.zeros() - 1) * one, 1000 * one);
            let most =
                if *scale == Scale::Billion { u128::MAX } else { tenth * 10 * thousand / one - 1 };
            signs.iter().filter_map(|&negative| self.sizes(negative)).any(|(least, last)| {
                let (least, last) = (least.max(tenth * 10), last.min(most));
                least.next_multiple_of(tenth) <= last && last / one * one >= least
            })
        };
        if Scale::ALL.iter().any(is_round) {
            3
        } else if signs.iter().any(|&negative| self.holds(negative, 1000 * one, u128::MAX)) {
            2
        } else {
            1
        }
    }

    /// The texts of number `number`, from 0, in the order of their ways.
    pub fn written(&self, number: u32) -> Vec<String> {
        written::numbers(self.first + i64::from(number), self.decimals)
    }

    /// The number, from 0, that is written with just these symbols, and which way that is.
    pub fn number(&self, prefix: Prefix) -> Option<(u32, usize)> {
        let (digits, fraction) = (u128::from(prefix.digits), u32::from(prefix.fraction));
        let scaled = prefix.scale.map_or(0, Scale::zeros);
        let has_last_digit = fraction == 0 || !digits.is_multiple_of(10);
        let ends = prefix.whole > 0
            && (prefix.commas == 0 || prefix.since == 3)
            && (prefix.point == (fraction > 0))
            && has_last_digit;
        let zeros = (self.decimals + scaled).checked_sub(fraction).filter(|_| ends)?;
        let size = digits * 10_u128.pow(zeros);
        if !self.holds(prefix.negative, size, size) {
            return None;
        }
        // Within the range, and so within its type.
        let steps = if prefix.negative { -(size as i64) } else { size as i64 };
        let way = match prefix.scale {
            Some(_) => 2,
            None => usize::from(prefix.commas > 0),
        };
        Some(((steps - self.first) as u32, way))
    }

    /// Whether a number of the range is written so, or begins so.
    pub fn begins(&self, prefix: Prefix) -> bool {
        if prefix.scale.is_some() {
            return self.number(prefix).is_some();
        }
        if prefix.whole == 0 {
            return self.holds(prefix.negative, 0, u128::MAX);
        }
        if prefix.point { self.begins_fraction(prefix) } else { self.begins_whole(prefix) }
    }

    /// Whether numbers with so many digits more before their point are in the range.
    fn begins_whole(&self, prefix: Prefix) -> bool {
        let digits = u128::from(prefix.digits);
        let most = if digits == 0 { 0 } else { MOST_DIGITS };
        (0..=most).any(|more| {
            let since = u32::from(prefix.since) + more;
            let groups_end = prefix.commas == 0 || (since >= 3 && since.is_multiple_of(3));
            let unit = 10_u128.pow(more + self.decimals);
            groups_end && self.holds(prefix.negative, digits * unit, (digits + 1) * unit - 1)
        })
    }

    fn begins_fraction(&self, prefix: Prefix) -> bool {
        let (digits, fraction) = (u128::from(prefix.digits), u32::from(prefix.fraction));
        if let Some(more) = self.decimals.checked_sub(fraction) {
            let unit = 10_u128.pow(more);
            // No number is written with a zero at its end, or nothing behind its point.
            let needs_more = fraction == 0 || digits.is_multiple_of(10);
            let low = digits * unit + u128::from(needs_more);
            let high = digits * unit + unit - 1;
            if low <= high && self.holds(prefix.negative, low, high) {
                return true;
            }
        }
        // "12.3 thousand"
        let tenths = (0..10).filter_map(|tenth| match fraction {
            0 => prefix.with(Symbol::Digit(tenth)),
            1 if tenth == 0 => Some(prefix),
            _ => None,
        });
        let mut rounds = tenths.flat_map(|tenths| {
            Scale::ALL.into_iter().filter_map(move |scale| tenths.with(Symbol::Scale(scale)))
        });
        rounds.any(|round| self.number(round).is_some())
    }

    /// Whether a number of a sign, with a size in steps from `low` to `high`, is in the range. Zero has no
    /// sign.
    fn holds(&self, negative: bool, low: u128, high: u128) -> bool {
        self.sizes(negative).is_some_and(|(least, most)| low <= most && high >= least)
    }

    /// The least and the largest size of the numbers with a sign, in steps.
    fn sizes(&self, negative: bool) -> Option<(u128, u128)> {
        let (least, most) = if negative {
            (1.max(-self.last), -self.first)
        } else {
            (0.max(self.first), self.last)
        };
        // None is below 0.
        (least <= most).then_some((least as u128, most as u128))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn next_symbols() -> Vec<Symbol> {
        let digits = (0..10).map(Symbol::Digit);
        let scales = Scale::ALL.into_iter().map(Symbol::Scale);
        [Symbol::Minus, Symbol::Comma, Symbol::Point]
            .into_iter()
            .chain(digits)
            .chain(scales)
            .collect()
    }

    /// By walking on from nothing wherever the grammar begins something: all texts with their numbers.
    fn walked(grammar: &NumberGrammar) -> BTreeMap<(u32, usize), Vec<Symbol>> {
        let mut found = BTreeMap::new();
        let mut open = vec![Prefix::default()];
        while let Some(prefix) = open.pop() {
            assert_eq!(Prefix::unpacked(prefix.packed()), prefix);
            assert!(prefix.packed() < 1 << Prefix::BITS);
            let number = grammar.number(prefix);
            let on = next_symbols().into_iter().filter_map(|symbol| prefix.with(symbol));
            let on: Vec<Prefix> = on.filter(|&next| grammar.begins(next)).collect();
            assert!(number.is_some() || !on.is_empty(), "{prefix:?} leads nowhere");
            if let Some(number) = number {
                assert!(found.insert(number, prefix.symbols()).is_none(), "{number:?} twice");
            }
            open.extend(on);
        }
        found
    }

    fn listed(grammar: &NumberGrammar) -> BTreeMap<(u32, usize), Vec<Symbol>> {
        let numbers = 0..grammar.numbers() as u32;
        let texts = numbers.flat_map(|number| {
            let written = grammar.written(number).into_iter().enumerate();
            written.map(move |(way, text)| ((number, way), Prefix::of(&text).unwrap().symbols()))
        });
        texts.collect()
    }

    #[test]
    fn what_goes_on_by_hand() {
        let grammar = NumberGrammar::new(950, 12_345, 0);
        let on = |text: &str| -> BTreeSet<String> {
            let prefix = Prefix::of(text).unwrap();
            let next = next_symbols()
                .into_iter()
                .filter(|&symbol| prefix.with(symbol).is_some_and(|next| grammar.begins(next)));
            next.map(|symbol| format!("{symbol:?}")).collect()
        };
        // 13 is the beginning of no number up to 12,345 but 1300 to 1399 and "1.3 thousand".
        assert!(on("13").is_superset(&on("130")) && !on("13").contains("Comma"));
        assert_eq!(on("1.").len(), 9, "1.1 to 1.9 thousand");
        assert_eq!(on("12,34").len(), 6, "up to 12,345");
        assert_eq!(on("12 thousand").len(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        /// The grammar writes what the list writes, no more and no less.
        #[test]
        fn numbers_are_written_as_they_are_listed(
            first in prop_oneof![-30_i64..30, -20_000_i64..20_000, 999_000_i64..1_001_000, Just(999_999_000)],
            count in 1_i64..2_500,
            decimals in 0_u32..4,
        ) {
            let grammar = NumberGrammar::new(first, first + count - 1, decimals);
            let listed = listed(&grammar);
            let most = listed.keys().map(|(_, way)| way + 1).max();
            prop_assert_eq!(most, Some(grammar.most_ways()));
            prop_assert_eq!(walked(&grammar), listed);
        }
    }
}
