//! Text in Go's double quotes.

use std::fmt::Write;

/// A text as Go's `%q` shows it.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        let escape = match char {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\x07' => "\\a",
            '\x08' => "\\b",
            '\x0b' => "\\v",
            '\x0c' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            _ => {
                push(&mut quoted, char);
                continue;
            }
        };
        quoted.push_str(escape);
    }
    quoted.push('"');
    quoted
}

fn push(quoted: &mut String, char: char) {
    let is_printable = char == '\'' || char.escape_debug().len() == 1;
    // A String takes whatever it is given.
    let _ = match u32::from(char) {
        _ if is_printable => quoted.write_char(char),
        code @ 0..0x80 => write!(quoted, "\\x{code:02x}"),
        code @ 0x80..0x1_0000 => write!(quoted, "\\u{code:04x}"),
        code => write!(quoted, "\\U{code:08x}"),
    };
}
