//! What Go 1.26's `encoding/csv` does with each text: read as one record, and that written again.

use super::{join, split};

type Row = (
    &'static str,
    Result<(&'static [&'static str], &'static str), &'static str>,
);

const ROWS: &[Row] = &[
    ("", Ok((&[], ""))),
    ("a", Ok((&["a"], "a"))),
    ("a,b", Ok((&["a", "b"], "a,b"))),
    ("a,", Ok((&["a", ""], "a,"))),
    (",", Ok((&["", ""], ","))),
    (",a", Ok((&["", "a"], ",a"))),
    ("\"a,b\",c", Ok((&["a,b", "c"], "\"a,b\",c"))),
    ("\"a\"\"b\"", Ok((&["a\"b"], "\"a\"\"b\""))),
    ("\"\"", Ok((&[""], ""))),
    (
        "\"a\" ,b",
        Err("parse error on line 1, column 3: extraneous or missing \" in quoted-field"),
    ),
    (
        "\"a\"b",
        Err("parse error on line 1, column 3: extraneous or missing \" in quoted-field"),
    ),
    (
        "\"a",
        Err("parse error on line 1, column 3: extraneous or missing \" in quoted-field"),
    ),
    (
        "[\"a\"]",
        Err("parse error on line 1, column 2: bare \" in non-quoted-field"),
    ),
    (
        "a\"b",
        Err("parse error on line 1, column 2: bare \" in non-quoted-field"),
    ),
    (
        "x,a\"b",
        Err("parse error on line 1, column 4: bare \" in non-quoted-field"),
    ),
    ("a\nb", Ok((&["a"], "a"))),
    ("\na", Ok((&["a"], "a"))),
    ("\n", Err("EOF")),
    ("\r\n", Err("EOF")),
    ("a\r\nb", Ok((&["a"], "a"))),
    ("a\r", Ok((&["a"], "a"))),
    ("\"a\nb\",c", Ok((&["a\nb", "c"], "\"a\nb\",c"))),
    (
        "\"a\nb",
        Err(
            "record on line 1; parse error on line 2, column 2: extraneous or missing \" in quoted-field",
        ),
    ),
    (
        "\"a\nb\"c",
        Err(
            "record on line 1; parse error on line 2, column 2: extraneous or missing \" in quoted-field",
        ),
    ),
    ("\"a\r\nb\"", Ok((&["a\nb"], "\"a\nb\""))),
    (
        "\"a\n",
        Err("parse error on line 1, column 4: extraneous or missing \" in quoted-field"),
    ),
    ("\r", Err("EOF")),
    (" a, b", Ok((&[" a", " b"], "\" a\",\" b\""))),
    ("\"a\"\n", Ok((&["a"], "a"))),
    ("\"a\"\r", Ok((&["a"], "a"))),
    (
        "é\"",
        Err("parse error on line 1, column 3: bare \" in non-quoted-field"),
    ),
    (
        "\n\nx\"",
        Err("parse error on line 3, column 2: bare \" in non-quoted-field"),
    ),
    (
        "\"\"\"",
        Err("parse error on line 1, column 4: extraneous or missing \" in quoted-field"),
    ),
    ("\"\"\"\"", Ok((&["\""], "\"\"\"\""))),
    (
        "a,\"\n",
        Err("parse error on line 1, column 5: extraneous or missing \" in quoted-field"),
    ),
    ("\"a\"\r\n", Ok((&["a"], "a"))),
    (
        "\"\nb\"\"\n\"x",
        Err(
            "record on line 1; parse error on line 3, column 1: extraneous or missing \" in quoted-field",
        ),
    ),
];

#[test]
fn lists_are_read_and_written_as_go_does() {
    for (text, expected) in ROWS {
        let read = split(text);
        let written = read.as_ref().map(|items| join(items.iter()));
        let expected = expected.map(|(items, written)| {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            (items, written.to_owned())
        });
        let expected_items = expected.clone().map(|(items, _)| items);
        assert_eq!(read, expected_items.map_err(str::to_owned), "{text:?}");
        assert_eq!(written.ok(), expected.ok().map(|(_, own)| own), "{text:?}");
    }
}
