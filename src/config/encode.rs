//! From the fields to YAML and JSON, as upstream writes them.

mod scalar;

use super::schema::{Section, Visitor};
use super::{API_VERSION, GoDuration, KIND, KubeProxyConfiguration, Quantity, VModuleItem};
use scalar::yaml_scalar;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;

impl KubeProxyConfiguration {
    /// What `--write-config-to` writes: keys in alphabetical order.
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        write_map(&mut out, &self.members(), 0);
        out
    }

    /// What `/configz` holds: keys in upstream's order.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write_json(&mut out, &Member::Map(self.members()));
        out
    }

    fn members(&self) -> Members {
        let mut writer = Writer::default();
        writer.add("kind", Member::Text(KIND.to_owned()));
        writer.add("apiVersion", Member::Text(API_VERSION.to_owned()));
        // The lists of fields are made for reading, too.
        self.clone().fields(&mut writer);
        writer.members
    }
}

type Members = Vec<(String, Member)>;

/// A value in the order of its fields.
enum Member {
    Null,
    /// Numbers and bools, as they are written in both.
    Plain(String),
    Text(String),
    List(Vec<Member>),
    Map(Members),
}

#[derive(Default)]
struct Writer {
    members: Members,
}

impl Writer {
    fn add(&mut self, name: &str, member: Member) {
        self.members.push((name.to_owned(), member));
    }

    fn plain(&mut self, name: &str, value: impl ToString) {
        self.add(name, Member::Plain(value.to_string()));
    }

    fn optional(&mut self, name: &str, value: Option<impl ToString>) {
        let member = value.map_or(Member::Null, |value| Member::Plain(value.to_string()));
        self.add(name, member);
    }
}

fn section(value: &mut dyn Section) -> Member {
    let mut inner = Writer::default();
    value.fields(&mut inner);
    Member::Map(inner.members)
}

impl Visitor for Writer {
    fn text(&mut self, name: &'static str, value: &mut String) {
        self.add(name, Member::Text(value.clone()));
    }

    fn flag(&mut self, name: &'static str, value: &mut bool) {
        self.plain(name, *value);
    }

    fn flag_or_absent(&mut self, name: &'static str, value: &mut bool) {
        if *value {
            self.plain(name, true);
        }
    }

    fn optional_flag(&mut self, name: &'static str, value: &mut Option<bool>) {
        self.optional(name, *value);
    }

    fn integer(&mut self, name: &'static str, value: &mut i32) {
        self.plain(name, *value);
    }

    fn optional_integer(&mut self, name: &'static str, value: &mut Option<i32>) {
        self.optional(name, *value);
    }

    fn verbosity(&mut self, name: &'static str, value: &mut u32) {
        self.plain(name, *value);
    }

    fn float(&mut self, name: &'static str, value: &mut f32) {
        self.plain(name, *value);
    }

    fn duration(&mut self, name: &'static str, value: &mut GoDuration) {
        self.add(name, Member::Text(value.to_string()));
    }

    fn optional_duration(&mut self, name: &'static str, value: &mut Option<GoDuration>) {
        let member = value.map_or(Member::Null, |value| Member::Text(value.to_string()));
        self.add(name, member);
    }

    fn duration_or_nanos(
        &mut self,
        name: &'static str,
        value: &mut GoDuration,
        is_number: &mut bool,
    ) {
        if *is_number {
            self.plain(name, value.nanos());
        } else {
            self.duration(name, value);
        }
    }

    fn texts(&mut self, name: &'static str, value: &mut Option<Vec<String>>) {
        let list = |items: &Vec<String>| items.iter().cloned().map(Member::Text).collect();
        let member = value
            .as_ref()
            .map_or(Member::Null, |items| Member::List(list(items)));
        self.add(name, member);
    }

    fn joined(&mut self, name: &'static str, value: &mut Vec<String>) {
        self.add(name, Member::Text(value.join(",")));
    }

    fn gates(&mut self, name: &'static str, value: &mut BTreeMap<String, bool>) {
        if !value.is_empty() {
            let gate = |(name, on): (&String, &bool)| (name.clone(), Member::Plain(on.to_string()));
            self.add(name, Member::Map(value.iter().map(gate).collect()));
        }
    }

    fn vmodule(&mut self, name: &'static str, value: &mut Vec<VModuleItem>) {
        if !value.is_empty() {
            let items = value.iter_mut().map(|module| section(module)).collect();
            self.add(name, Member::List(items));
        }
    }

    fn quantity(&mut self, name: &'static str, value: &mut Quantity) {
        self.add(name, Member::Text(value.to_string()));
    }

    fn section(&mut self, name: &'static str, value: &mut dyn Section) {
        self.add(name, section(value));
    }
}

fn write_map(out: &mut String, members: &Members, indent: usize) {
    let mut sorted: Vec<&(String, Member)> = members.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    for (at, (name, member)) in sorted.into_iter().enumerate() {
        // The first key of a list's item stands behind its dash.
        if at > 0 || !out.ends_with("- ") {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(&yaml_scalar(name));
        out.push(':');
        write_value(out, member, indent);
    }
}

/// What comes after a key's colon.
fn write_value(out: &mut String, member: &Member, indent: usize) {
    match member {
        Member::Null => out.push_str(" null\n"),
        Member::Plain(text) => {
            let _ = writeln!(out, " {text}");
        }
        Member::Text(text) => {
            let _ = writeln!(out, " {}", yaml_scalar(text));
        }
        Member::Map(members) if members.is_empty() => out.push_str(" {}\n"),
        Member::Map(members) => {
            out.push('\n');
            write_map(out, members, indent + 2);
        }
        Member::List(items) if items.is_empty() => out.push_str(" []\n"),
        Member::List(items) => {
            out.push('\n');
            for item in items {
                out.push_str(&" ".repeat(indent));
                match item {
                    Member::Map(members) => {
                        out.push_str("- ");
                        write_map(out, members, indent + 2);
                    }
                    _ => {
                        out.push('-');
                        write_value(out, item, indent);
                    }
                }
            }
        }
    }
}

fn write_json(out: &mut String, member: &Member) {
    match member {
        Member::Null => out.push_str("null"),
        Member::Plain(text) => out.push_str(text),
        Member::Text(text) => out.push_str(&json_text(text)),
        Member::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(out, item);
            }
            out.push(']');
        }
        Member::Map(members) => {
            out.push('{');
            for (at, (name, member)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&json_text(name));
                out.push(':');
                write_json(out, member);
            }
            out.push('}');
        }
    }
}

fn json_text(text: &str) -> String {
    // Go writes these so that JSON is safe within HTML.
    Value::String(text.to_owned())
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}
