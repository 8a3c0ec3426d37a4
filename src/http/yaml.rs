//! YAML as Kubernetes' servers write it: block style, keys sorted, lists as deep
//! as their key. Only for what the pages hold: objects, lists of scalars, scalars.

use serde_json::Value;

/// The longest line that is not folded.
const WIDTH: usize = 80;

/// The document of an object.
pub(super) fn write(value: &Value) -> String {
    let mut text = String::new();
    write_fields(value, "", &mut text);
    text
}

fn write_fields(value: &Value, indent: &str, text: &mut String) {
    for (key, value) in value.as_object().into_iter().flatten() {
        text.push_str(indent);
        text.push_str(key);
        match value {
            Value::Object(fields) if fields.is_empty() => text.push_str(": {}\n"),
            Value::Object(_) => {
                text.push_str(":\n");
                write_fields(value, &format!("{indent}  "), text);
            }
            Value::Array(items) => {
                text.push_str(":\n");
                for item in items {
                    text.push_str(&format!("{indent}- {}\n", scalar(item, 0)));
                }
            }
            _ => {
                let begin = indent.len() + key.len() + 2;
                text.push_str(&format!(": {}\n", scalar(value, begin)));
            }
        }
    }
}

/// A scalar that begins in this column.
fn scalar(value: &Value, column: usize) -> String {
    match value {
        Value::String(string) => quote(string, column),
        other => other.to_string(),
    }
}

/// Plain if that reads back as the same string; else with single quotes if it
/// could not be anything but a string, with double quotes if it could.
fn quote(string: &str, column: usize) -> String {
    let is_control = |c: char| c.is_control();
    if string.is_empty() || is_another_type(string) || string.contains(is_control) {
        return Value::from(string).to_string();
    }
    let special = [
        '[', ']', '{', '}', ',', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`',
    ];
    let begins = string.starts_with(special)
        || string.starts_with(' ')
        || string == "-"
        || string.starts_with("- ")
        || string.starts_with("? ");
    let within = string.contains(": ")
        || string.contains(" #")
        || string.ends_with(':')
        || string.ends_with(' ');
    if begins || within {
        return fold(&format!("'{}'", string.replace('\'', "''")), column);
    }
    fold(string, column)
}

/// Breaks at the first space past the width; the rest is indented.
fn fold(text: &str, column: usize) -> String {
    let mut folded = String::new();
    let mut used = column;
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 {
            let wide = used > WIDTH;
            folded.push_str(if wide { "\n  " } else { " " });
            used = if wide { 2 } else { used + 1 };
        }
        folded.push_str(word);
        used += word.len();
    }
    folded
}

/// Whether a reader would take the plain text for a number, a boolean, a null
/// or a time.
fn is_another_type(text: &str) -> bool {
    let words = [
        "true", "false", "yes", "no", "on", "off", "y", "n", "null", "~",
    ];
    words.contains(&text.to_lowercase().as_str())
        || text.parse::<f64>().is_ok()
        || text.parse::<jiff::Timestamp>().is_ok()
        || text.starts_with("0x")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn looks_as_the_servers_write_it() {
        let object = json!({
            "message": "only the following media types are accepted: application/json, \
                        application/yaml, text/plain",
            "metadata": {}, "code": 406, "empty": "", "list": ["/a", "1"], "no": "-999",
            "in": {"ranges": "[a,b]", "time": "2026-11-24T15:46:50Z", "plain": "fd00::/48"},
        });
        insta::assert_snapshot!(write(&object), @r#"
        code: 406
        empty: ""
        in:
          plain: fd00::/48
          ranges: '[a,b]'
          time: "2026-11-24T15:46:50Z"
        list:
        - /a
        - "1"
        message: 'only the following media types are accepted: application/json, application/yaml,
          text/plain'
        metadata: {}
        no: "-999"
        "#);
    }
}
