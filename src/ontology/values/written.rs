//! How texts write numbers, years and dates.

use std::str::FromStr;

use oxsdatatypes::{Date, DayTimeDuration, Decimal};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const EPOCH: &str = "1970-01-01";
const SECONDS_A_DAY: i64 = 86_400;

/// So many steps of 10^-`decimals` as a decimal, without zeros at its end.
pub(super) fn decimal(steps: i64, decimals: u32) -> String {
    let (sign, size) = (if steps < 0 { "-" } else { "" }, steps.unsigned_abs());
    let one = 10_u64.pow(decimals);
    let fraction = format!("{:0width$}", size % one, width = decimals as usize);
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{}", size / one),
        fraction => format!("{sign}{}.{fraction}", size / one),
    }
}

/// A number as digits, with its thousands parted, and in words where it is round.
pub(super) fn numbers(steps: i64, decimals: u32) -> Vec<String> {
    let plain = decimal(steps, decimals);
    let (whole, fraction) = match plain.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (&*plain, None),
    };
    let digits = whole.trim_start_matches('-');
    let sign = &whole[..whole.len() - digits.len()];
    let mut all = vec![plain.clone()];
    if digits.len() > 3 {
        let parted: Vec<&str> = digits
            .as_bytes()
            .rchunks(3)
            .rev()
            // Digits are single bytes.
            .map(|three| std::str::from_utf8(three).unwrap_or_default())
            .collect();
        let fraction = fraction.map_or(String::new(), |fraction| format!(".{fraction}"));
        all.push(format!("{sign}{}{fraction}", parted.join(",")));
    }
    let scales = [(9, "billion"), (6, "million"), (3, "thousand")];
    let scale = scales.into_iter().find(|(zeros, _)| digits.len() > *zeros);
    if let (None, Some((zeros, word))) = (fraction, scale) {
        let (front, rest) = digits.split_at(digits.len() - zeros);
        let (tenth, others) = rest.split_at(1);
        if others.bytes().all(|digit| digit == b'0') {
            let tenth = if tenth == "0" { String::new() } else { format!(".{tenth}") };
            all.push(format!("{sign}{front}{tenth} {word}"));
        }
    }
    all
}

/// A year, of which 0 is 1 BC.
pub(super) fn years(year: i64) -> Vec<String> {
    if year > 0 {
        vec![year.to_string()]
    } else {
        ["BC", "BCE"].map(|era| format!("{} {era}", 1 - year)).to_vec()
    }
}

/// The day so many days after 1970-01-01.
pub(super) fn date_of(days: i64) -> Option<Date> {
    let on = DayTimeDuration::new(Decimal::from(days.checked_mul(SECONDS_A_DAY)?));
    Date::from_str(EPOCH).ok()?.checked_add_day_time_duration(on)
}

/// How many days a day without a time zone is after 1970-01-01.
pub(super) fn days_since_1970(date: Date) -> Option<i64> {
    let since = date.checked_sub(Date::from_str(EPOCH).ok()?)?;
    Some(since.days())
}

/// The day with a date, counted from 1970-01-01.
pub(super) fn day_of(year: i64, month: u8, day: u8) -> Option<i64> {
    let (sign, year) = (if year < 0 { "-" } else { "" }, year.unsigned_abs());
    let text = format!("{sign}{year:04}-{month:02}-{day:02}");
    days_since_1970(Date::from_str(&text).ok()?)
}

/// A month, in words and as tables write it; `day` is one of its days.
pub(super) fn months(day: i64) -> Vec<String> {
    let Some(date) = date_of(day) else { return vec![String::new()] };
    let (year, month) = (date.year(), date.month());
    let name = MONTHS[usize::from(month - 1)];
    vec![format!("{name} {year}"), format!("{year:04}-{month:02}")]
}

/// A day, as British and American texts and tables write it.
pub(super) fn dates(days: i64) -> Vec<String> {
    let Some(date) = date_of(days) else { return vec![String::new()] };
    let (year, month, day) = (date.year(), MONTHS[usize::from(date.month() - 1)], date.day());
    vec![format!("{day} {month} {year}"), format!("{month} {day}, {year}"), date.to_string()]
}
