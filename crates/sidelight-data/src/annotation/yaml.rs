//! As much of YAML as `data.yaml` of a YOLO data set has: maps, lists, `[flow]` and `{flow}`, plain and quoted scalars. What else
//! YAML has (anchors, tags, texts of several lines) is an error with its line.

use std::path::Path;

use serde_json::{Map, Number, Value};

use super::{bad, json};
use crate::error::Result;

/// Lists and maps inside one another, at most.
const MAX_DEPTH: usize = 32;

/// What is wrong in a line.
struct Fault {
    line: usize,
    expected: &'static str,
    found: String,
}

type Outcome<T> = std::result::Result<T, Fault>;

/// A line that is not blank, without its comment.
#[derive(Clone)]
struct Line {
    number: usize,
    indent: usize,
    text: String,
}

/// Reads a file of YAML.
pub(super) fn read(path: &Path) -> Result<Value> {
    let text = json::text(path)?;
    parse(&text).map_err(|fault| {
        let at = format!("line {}", fault.line);
        bad(path, at, fault.expected, fault.found)
    })
}

fn parse(text: &str) -> Outcome<Value> {
    let lines = text.lines().enumerate().filter_map(|(at, line)| {
        let text = without_comment(line).trim_end();
        let content = text.trim_start_matches(' ');
        let is_mark = content == "---" || content == "..." || content.starts_with('%');
        (!content.is_empty() && !is_mark).then(|| Line {
            number: at + 1,
            indent: text.len() - content.len(),
            text: content.to_owned(),
        })
    });
    let mut block = Block {
        lines: lines.collect(),
        next: 0,
    };
    let Some(first) = block.lines.first() else {
        return Ok(Value::Null);
    };
    let value = block.value(first.indent, 0)?;
    match block.lines.get(block.next) {
        None => Ok(value),
        Some(line) => Err(fault(line, "a key of the same indentation")),
    }
}

fn fault(line: &Line, expected: &'static str) -> Fault {
    Fault {
        line: line.number,
        expected,
        found: format!("`{}`", line.text),
    }
}

/// A line up to `#`, where that stands at its beginning or after a blank and not in quotes.
fn without_comment(line: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, letter) in line.char_indices() {
        match (quote, letter) {
            (None, '#') if before.is_whitespace() => return line.get(..at).unwrap_or(line),
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
        before = letter;
    }
    line
}

struct Block {
    lines: Vec<Line>,
    next: usize,
}

impl Block {
    /// The list, the map or the scalar that begins with the next line.
    fn value(&mut self, indent: usize, depth: usize) -> Outcome<Value> {
        let Some(line) = self.lines.get(self.next).cloned() else {
            return Ok(Value::Null);
        };
        if depth > MAX_DEPTH {
            return Err(fault(&line, "fewer lists and maps inside one another"));
        }
        if is_item(&line.text) {
            return self.list(indent, depth);
        }
        match key_of(&line.text) {
            Some(_) => self.map(indent, depth),
            None => {
                self.next += 1;
                self.flow_or_scalar(&line, &line.text)
            }
        }
    }

    fn list(&mut self, indent: usize, depth: usize) -> Outcome<Value> {
        let mut items = Vec::new();
        while let Some(line) = self.lines.get_mut(self.next) {
            if line.indent != indent || !is_item(&line.text) {
                break;
            }
            let rest = line.text.get(1..).unwrap_or_default().trim_start();
            if rest.is_empty() {
                self.next += 1;
                items.push(self.nested(indent, depth)?);
                continue;
            }
            // What stands behind the dash is a line of its own, further in.
            line.indent += line.text.len() - rest.len();
            line.text = rest.to_owned();
            let inner = line.indent;
            items.push(self.value(inner, depth + 1)?);
        }
        self.ends(indent)?;
        Ok(Value::Array(items))
    }

    fn map(&mut self, indent: usize, depth: usize) -> Outcome<Value> {
        let mut members = Map::new();
        while let Some(line) = self.lines.get(self.next).cloned() {
            if line.indent != indent || is_item(&line.text) {
                break;
            }
            let (key, rest) = key_of(&line.text).ok_or_else(|| fault(&line, "`key: value`"))?;
            self.next += 1;
            let value = match rest {
                "" => self.nested(indent, depth)?,
                rest => self.flow_or_scalar(&line, rest)?,
            };
            members.insert(key, value);
        }
        self.ends(indent)?;
        Ok(Value::Object(members))
    }

    /// What is further in than a key or a dash; a list may be as far in as its key.
    fn nested(&mut self, indent: usize, depth: usize) -> Outcome<Value> {
        match self.lines.get(self.next) {
            Some(line) if line.indent > indent => self.value(line.indent, depth + 1),
            Some(line) if line.indent == indent && is_item(&line.text) => {
                self.value(indent, depth + 1)
            }
            _ => Ok(Value::Null),
        }
    }

    /// Whether what follows a block is further out.
    fn ends(&self, indent: usize) -> Outcome<()> {
        match self.lines.get(self.next) {
            Some(line) if line.indent > indent => Err(fault(line, "a line no further in")),
            _ => Ok(()),
        }
    }

    /// A value on a line; a flow may go on over the lines after it.
    fn flow_or_scalar(&mut self, line: &Line, text: &str) -> Outcome<Value> {
        if text.starts_with(['&', '*', '!', '|', '>']) {
            return Err(fault(line, "a value without anchor, tag or several lines"));
        }
        if !text.starts_with(['[', '{']) {
            return Ok(scalar(text));
        }
        let mut text = text.to_owned();
        while !is_closed(&text)
            && let Some(more) = self.lines.get(self.next)
        {
            text.push(' ');
            text.push_str(&more.text);
            self.next += 1;
        }
        let mut rest = text.as_str();
        match flow(&mut rest, 0) {
            Some(value) if rest.trim().is_empty() => Ok(value),
            _ => Err(fault(line, "a closed `[…]` or `{…}`")),
        }
    }
}

fn is_item(text: &str) -> bool {
    text == "-" || text.starts_with("- ")
}

/// The key of a line and what stands behind its colon.
fn key_of(text: &str) -> Option<(String, &str)> {
    if let Some(quote) = text
        .chars()
        .next()
        .filter(|first| ['"', '\''].contains(first))
    {
        let (key, rest) = text.get(1..)?.split_once(quote)?;
        return Some((key.to_owned(), rest.trim_start().strip_prefix(':')?.trim()));
    }
    if text.starts_with(['[', '{']) {
        return None;
    }
    let (key, rest) = match text.split_once(": ") {
        Some(found) => found,
        None => (text.strip_suffix(':')?, ""),
    };
    Some((key.trim().to_owned(), rest.trim()))
}

/// Whether every bracket is closed.
fn is_closed(text: &str) -> bool {
    let count = |brackets: [char; 2]| text.matches(brackets).count();
    count(['[', '{']) <= count([']', '}'])
}

/// A list, a map or a scalar of flow; `None` where a bracket is missing.
fn flow(rest: &mut &str, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    *rest = rest.trim_start();
    if let Some(inner) = rest.strip_prefix('[') {
        *rest = inner;
        let mut items = Vec::new();
        while !closes(rest, ']') {
            items.push(flow(rest, depth + 1)?);
            separated(rest, ']')?;
        }
        return Some(Value::Array(items));
    }
    if let Some(inner) = rest.strip_prefix('{') {
        *rest = inner;
        let mut members = Map::new();
        while !closes(rest, '}') {
            let (key, after) = rest.split_once(':')?;
            *rest = after;
            let key = key.trim().trim_matches(['"', '\'']).to_owned();
            members.insert(key, flow(rest, depth + 1)?);
            separated(rest, '}')?;
        }
        return Some(Value::Object(members));
    }
    if let Some(quote) = rest
        .chars()
        .next()
        .filter(|first| ['"', '\''].contains(first))
    {
        let (text, after) = rest.get(1..)?.split_once(quote)?;
        *rest = after;
        return Some(text.into());
    }
    let end = rest.find([',', ']', '}'])?;
    let (text, after) = rest.split_at_checked(end)?;
    *rest = after;
    Some(scalar(text.trim()))
}

/// Whether the list or map ends here; then its bracket is passed.
fn closes(rest: &mut &str, bracket: char) -> bool {
    *rest = rest.trim_start();
    match rest.strip_prefix(bracket) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

/// Passes the comma between two items, unless the bracket follows.
fn separated(rest: &mut &str, bracket: char) -> Option<()> {
    *rest = rest.trim_start();
    if rest.starts_with(bracket) {
        return Some(());
    }
    *rest = rest.strip_prefix(',')?;
    Some(())
}

fn scalar(text: &str) -> Value {
    for quote in ['"', '\''] {
        let inner = text.strip_prefix(quote);
        if let Some(inner) = inner.and_then(|inner| inner.strip_suffix(quote)) {
            return inner.into();
        }
    }
    match text {
        "" | "~" | "null" => return Value::Null,
        "true" | "True" => return true.into(),
        "false" | "False" => return false.into(),
        _ => {}
    }
    if let Ok(whole) = text.parse::<i64>() {
        return whole.into();
    }
    let number = text.parse().ok().and_then(Number::from_f64);
    number.map_or_else(|| text.into(), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        parse(text).map_err(|fault| fault.line).unwrap()
    }

    #[test]
    fn what_a_data_set_says_is_read() {
        let text = "# of Ultralytics\npath: ../data sets/x # here\ntrain: images/train\nkpt_shape: [3, 2]\n\nnames:\n  0: person\n  1: 'a: b'\nflip_idx: [0, 2,\n  1]\nskeleton:\n- - 0\n  - 1\n- - 1\n  - 2\nnode_names:\n  - nose\n  - \"left # ear\"\nkpt_names: {0: [a, b]}\nnothing:\n";
        let expected = serde_json::json!({
            "path": "../data sets/x",
            "train": "images/train",
            "kpt_shape": [3, 2],
            "names": { "0": "person", "1": "a: b" },
            "flip_idx": [0, 2, 1],
            "skeleton": [[0, 1], [1, 2]],
            "node_names": ["nose", "left # ear"],
            "kpt_names": { "0": ["a", "b"] },
            "nothing": null,
        });
        assert_eq!(value(text), expected);
    }

    #[test]
    fn what_is_not_read_is_named_by_its_line() {
        for (text, line) in [
            ("a: 1\n b: 2\n", 2),
            ("a: [1, 2\n", 1),
            ("a: 1\nb\n", 2),
            ("a: |\n  text\n", 1),
            ("a: &b 1\n", 1),
        ] {
            assert_eq!(parse(text).map_err(|fault| fault.line), Err(line), "{text}");
        }
        let deep = "- ".repeat(100) + "1\n";
        assert_eq!(parse(&deep).map_err(|fault| fault.line), Err(1));
    }
}
