//! How flags' values are read and shown: as Go's flag library does it.

use super::list;
use crate::config::{GoDuration, Quantity, VModuleItem, parse_ip, split_host_port};
use std::collections::BTreeMap;

/// A type that a flag may have.
pub(super) trait FlagValue {
    /// What `--help` calls it; nothing for a bool.
    const TYPE: &'static str;
    /// Takes the text of one occurrence of the flag.
    fn set(&mut self, text: &str) -> Result<(), String>;
    /// The value as `/flagz` and the log show it.
    fn show(&self) -> String;
}

impl FlagValue for String {
    const TYPE: &'static str = "string";

    fn set(&mut self, text: &str) -> Result<(), String> {
        text.clone_into(self);
        Ok(())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl FlagValue for bool {
    const TYPE: &'static str = "";

    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = parse_bool(text)?;
        Ok(())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

pub(super) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!(
            "strconv.ParseBool: parsing {text:?}: invalid syntax"
        )),
    }
}

impl FlagValue for i32 {
    const TYPE: &'static str = "int32";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let refuse = |why: &str| format!("strconv.ParseInt: parsing {text:?}: {why}");
        let value = parse_integer(text).ok_or_else(|| refuse("invalid syntax"))?;
        *self = Self::try_from(value).map_err(|_| refuse("value out of range"))?;
        Ok(())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// A number in the base that its prefix tells.
fn parse_integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = digits.to_lowercase();
    let (radix, digits) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, &digits[..]),
    };
    // A sign was taken already.
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -value } else { value })
}

/// A log level.
impl FlagValue for u32 {
    const TYPE: &'static str = "Level";

    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = parse_level(text)?;
        Ok(())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

fn parse_level(text: &str) -> Result<u32, String> {
    let refuse = |why: &str| format!("strconv.ParseUint: parsing {text:?}: {why}");
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refuse("invalid syntax"));
    }
    let value: i32 = text.parse().map_err(|_| refuse("value out of range"))?;
    Ok(value.unsigned_abs())
}

impl FlagValue for f32 {
    const TYPE: &'static str = "float32";

    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = text
            .parse()
            .map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))?;
        Ok(())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl FlagValue for GoDuration {
    const TYPE: &'static str = "duration";

    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = text.parse()?;
        Ok(())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl FlagValue for Quantity {
    const TYPE: &'static str = "quantity";

    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = text.parse()?;
        Ok(())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// Values that have a default by the time that flags are read.
impl<T: FlagValue + Default> FlagValue for Option<T> {
    const TYPE: &'static str = T::TYPE;

    fn set(&mut self, text: &str) -> Result<(), String> {
        let mut value = T::default();
        value.set(text)?;
        *self = Some(value);
        Ok(())
    }

    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }
}

/// A list whose items commas separate; further occurrences add to it.
impl FlagValue for Option<Vec<String>> {
    const TYPE: &'static str = "strings";

    fn set(&mut self, text: &str) -> Result<(), String> {
        self.get_or_insert_default().extend(list::split(text)?);
        Ok(())
    }

    fn show(&self) -> String {
        format!("[{}]", list::join(self.iter().flatten()))
    }
}

/// `Name=true,Other=false`; further occurrences add to it.
impl FlagValue for BTreeMap<String, bool> {
    const TYPE: &'static str = "mapStringBool";

    fn set(&mut self, text: &str) -> Result<(), String> {
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair
                .split_once('=')
                .ok_or("malformed pair, expect string=bool")?;
            let (name, value) = (name.trim(), value.trim());
            let value = parse_bool(value)
                .map_err(|error| format!("invalid value of {name}: {value}, err: {error}"))?;
            self.insert(name.to_owned(), value);
        }
        Ok(())
    }

    fn show(&self) -> String {
        let pairs: Vec<String> = self.iter().map(|(k, v)| format!("{k}={v}")).collect();
        pairs.join(",")
    }
}

/// `pattern=N,other=M`; further occurrences add to it.
impl FlagValue for Vec<VModuleItem> {
    const TYPE: &'static str = "pattern=N,...";

    fn set(&mut self, text: &str) -> Result<(), String> {
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let (pattern, level) = pair
                .split_once('=')
                .filter(|(pattern, level)| !pattern.is_empty() && !level.is_empty())
                .ok_or_else(|| format!("{pair:?} does not have the pattern=N format"))?;
            let verbosity = parse_level(level)
                .map_err(|error| format!("parsing verbosity in {pair:?}: {error}"))?;
            self.push(VModuleItem {
                file_pattern: pattern.to_owned(),
                verbosity,
            });
        }
        Ok(())
    }

    fn show(&self) -> String {
        let pair = |item: &VModuleItem| format!("{}={}", item.file_pattern, item.verbosity);
        self.iter().map(pair).collect::<Vec<_>>().join(",")
    }
}

/// Takes an IP address; an empty text leaves what there is.
pub(super) fn set_ip(value: &mut String, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    if parse_ip(text).is_none() {
        return Err(format!("{text:?} is not a valid IP address"));
    }
    text.clone_into(value);
    Ok(())
}

/// Takes an IP address with or without a port; an empty text leaves what there is.
pub(super) fn set_ip_port(value: &mut String, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    if parse_ip(text).is_none() {
        let (host, port) = split_host_port(text).ok_or_else(|| {
            format!("{text:?} is not in a valid format (ip or ip:port): port is missing")
        })?;
        if parse_ip(host).is_none() {
            return Err(format!("{host:?} is not a valid IP address"));
        }
        if port.parse::<u16>().is_err() {
            return Err(format!("{port:?} is not a valid number"));
        }
    }
    text.clone_into(value);
    Ok(())
}
