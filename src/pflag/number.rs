//! Numbers as Go's `strconv` reads and shows them.

use super::quote;

/// Why a text is no number, in the words of `strconv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Syntax,
    Range,
}

impl Refusal {
    fn of(self, function: &str, text: &str) -> String {
        let why = match self {
            Self::Syntax => "invalid syntax",
            Self::Range => "value out of range",
        };
        format!("strconv.{function}: parsing {}: {why}", quote(text))
    }
}

/// `ParseInt(text, 0, 32)`: a number in the base that its prefix tells, `_` between digits.
pub(super) fn parse_int32(text: &str) -> Result<i32, String> {
    let refuse = |refusal: Refusal| refusal.of("ParseInt", text);
    let (is_negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let size = unsigned(digits, None, 32).map_err(refuse)?;
    let size = i64::try_from(size).map_err(|_| refuse(Refusal::Range))?;
    i32::try_from(if is_negative { -size } else { size }).map_err(|_| refuse(Refusal::Range))
}

/// `ParseUint(text, 10, bits)`.
///
/// # Errors
/// The text is not only digits, or the number has more bits; in Go's words.
pub(crate) fn parse_uint(text: &str, bits: u32) -> Result<u64, String> {
    unsigned(text, Some(10), bits).map_err(|refusal| refusal.of("ParseUint", text))
}

fn unsigned(text: &str, base: Option<u32>, bits: u32) -> Result<u64, Refusal> {
    if text.is_empty() {
        return Err(Refusal::Syntax);
    }
    let (radix, digits) = match base {
        Some(base) => (base, text),
        None => radix(text),
    };
    let limit = u64::MAX >> (64 - bits);
    let mut value: u64 = 0;
    for char in digits.chars() {
        if char == '_' && base.is_none() {
            continue;
        }
        let digit = char.to_digit(radix).ok_or(Refusal::Syntax)?;
        // Go looks no further than this.
        value = value
            .checked_mul(u64::from(radix))
            .and_then(|value| value.checked_add(u64::from(digit)))
            .filter(|value| *value <= limit)
            .ok_or(Refusal::Range)?;
    }
    if base.is_none() && !underscores_separate(text) {
        return Err(Refusal::Syntax);
    }
    Ok(value)
}

fn radix(text: &str) -> (u32, &str) {
    let prefixes = [("0b", 2), ("0o", 8), ("0x", 16)];
    for (prefix, radix) in prefixes {
        if text.len() > 2
            && let Some(start) = text.get(..2)
            && start.eq_ignore_ascii_case(prefix)
        {
            return (radix, &text[2..]);
        }
    }
    match text.strip_prefix('0') {
        Some(digits) => (8, digits),
        None => (10, text),
    }
}

/// Each `_` has a digit or the prefix of a base before it, and a digit behind it.
fn underscores_separate(text: &str) -> bool {
    let is_prefixed = radix(text).1.len() + 2 == text.len();
    let mut before = is_prefixed;
    let mut chars = text
        .chars()
        .skip(if is_prefixed { 2 } else { 0 })
        .peekable();
    while let Some(char) = chars.next() {
        if char == '_' && !(before && chars.peek().is_some_and(char::is_ascii_alphanumeric)) {
            return false;
        }
        before = char.is_ascii_alphanumeric();
    }
    true
}

/// `ParseFloat(text, 32)`, but for numbers of base 16.
pub(super) fn parse_float32(text: &str) -> Result<f32, String> {
    let refuse = |refusal: Refusal| refusal.of("ParseFloat", text);
    let is_signed_nan = text.len() == 4 && text.to_lowercase().ends_with("nan");
    if is_signed_nan || !underscores_separate(text) {
        return Err(refuse(Refusal::Syntax));
    }
    let is_name = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let digits = text.replace('_', "");
    match digits.parse::<f32>() {
        Ok(value) if value.is_infinite() && !is_name => Err(refuse(Refusal::Range)),
        Ok(value) => Ok(value),
        Err(_) => Err(refuse(Refusal::Syntax)),
    }
}

/// `FormatFloat(value, 'g', -1, 32)`.
pub(super) fn format_float32(value: f32) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => value.to_string(),
    }
}
