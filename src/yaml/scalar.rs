//! How a string is quoted in YAML: as little as it takes, as upstream's library does.

/// A string as a scalar of block style.
pub(super) fn scalar(text: &str) -> String {
    if text.is_empty() || resolves(text) {
        return double_quoted(text);
    }
    if text.chars().any(|c| c.is_control() || c == '\u{feff}') {
        return double_quoted(text);
    }
    if is_plain(text) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// A string as a key, where `<<` would be a command to merge.
pub(super) fn key(text: &str) -> String {
    match text {
        "<<" => double_quoted(text),
        text => scalar(text),
    }
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\x{:02X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Whether an unquoted reader takes it for something else than a string.
fn resolves(text: &str) -> bool {
    const WORDS: [&str; 10] = [
        "y", "yes", "true", "on", "n", "no", "false", "off", "null", "~",
    ];
    let lower = text.to_lowercase();
    let word = WORDS.contains(&lower.as_str())
        && (text == lower || text == text.to_uppercase() || is_capitalised(text, &lower));
    word || is_number(text, &lower) || is_date(text)
}

fn is_capitalised(text: &str, lower: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(char::is_uppercase) && Some(chars.as_str()) == lower.get(1..)
}

fn is_number(text: &str, lower: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']).replace('_', "");
    let unsigned = digits.to_lowercase();
    if text.len() - text.trim_start_matches(['+', '-']).len() > 1 {
        return false;
    }
    if matches!(unsigned.as_str(), ".inf") || lower == ".nan" {
        return true;
    }
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8)] {
        if let Some(rest) = unsigned.strip_prefix(prefix) {
            return !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix));
        }
    }
    let first = unsigned.chars().next();
    let begins = first.is_some_and(|c| c.is_ascii_digit() || c == '.');
    begins && (unsigned.parse::<f64>().is_ok() || is_base_60(&unsigned))
}

/// `1:30`, a number of minutes for YAML 1.1.
fn is_base_60(text: &str) -> bool {
    let mut parts = text.split(':');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.contains(':')
        && parts.next().is_some_and(digits)
        && parts.all(|part| {
            let whole = part.split('.').next().unwrap_or_default();
            digits(whole) && whole.len() <= 2 && whole.parse::<u8>().is_ok_and(|part| part < 60)
        })
}

/// `2006-01-02`, alone or before a time.
fn is_date(text: &str) -> bool {
    let day = text.split(['T', 't', ' ']).next().unwrap_or_default();
    let parts: Vec<&str> = day.split('-').collect();
    parts.len() == 3
        && parts[0].len() == 4
        && parts
            .iter()
            .all(|part| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether nothing in it means something in YAML.
fn is_plain(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let blank_after = |at: usize| chars.get(at + 1).is_none_or(|c| c.is_whitespace());
    if text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    if text.starts_with(' ') || text.ends_with(' ') {
        return false;
    }
    chars.iter().enumerate().all(|(at, c)| match c {
        '#' if at > 0 => !chars[at - 1].is_whitespace(),
        ':' => !blank_after(at),
        '-' | '?' if at == 0 => !blank_after(at),
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
        | '@' | '`' => at > 0,
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_as_little_as_it_takes() {
        for (text, written) in [
            ("", "\"\""),
            ("plain", "plain"),
            ("10.0.0.0/8,fd00::/8", "10.0.0.0/8,fd00::/8"),
            ("0.0.0.0:10256", "0.0.0.0:10256"),
            ("[::]:10256", "'[::]:10256'"),
            ("::", "'::'"),
            ("::1", "::1"),
            ("0", "\"0\""),
            ("1.5", "\"1.5\""),
            ("0x10", "\"0x10\""),
            ("true", "\"true\""),
            ("No", "\"No\""),
            ("nO", "nO"),
            ("<<", "<<"),
            ("=", "="),
            ("null", "\"null\""),
            ("1:30", "\"1:30\""),
            ("2006-01-02", "\"2006-01-02\""),
            ("a: b", "'a: b'"),
            ("a #b", "'a #b'"),
            ("it's", "it's"),
            ("'a'", "'''a'''"),
            ("- a", "'- a'"),
            ("-a", "-a"),
            (" a", "' a'"),
            ("a\tb", "\"a\\tb\""),
        ] {
            assert_eq!(scalar(text), written, "{text:?}");
        }
    }
}
