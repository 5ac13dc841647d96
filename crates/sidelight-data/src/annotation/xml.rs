//! XML as a tree: bounded in depth, no entity expanded but the five that XML has itself.

use std::borrow::Cow;
use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::{bad, json};
use crate::error::Result;

/// Elements inside one another, at most.
const MAX_DEPTH: usize = 64;

/// An element with all that is in it.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
    /// The text directly in it.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
    /// The line in which its tag ends.
    pub(super) line: usize,
}

impl Element {
    /// Its attribute of this name.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The elements of this name directly in it.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first element of this name in it, without blanks around.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        let text = self.all(name).next()?.text.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The elements of this name in it, at any depth.
    pub(super) fn below<'a>(&'a self, name: &str) -> Vec<&'a Element> {
        let mut found = Vec::new();
        let mut left: Vec<&Element> = vec![self];
        while let Some(element) = left.pop() {
            if element.name == name {
                found.push(element);
            }
            left.extend(element.children.iter().rev());
        }
        found
    }
}

/// Reads a file of XML.
pub(super) fn read(path: &Path) -> Result<Element> {
    parse(path, &json::text(path)?)
}

/// Reads the one element that a text is.
pub(super) fn parse(path: &Path, text: &str) -> Result<Element> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut lines = Lines::of(text);
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event = reader.read_event();
        let at = match &event {
            Ok(_) => reader.buffer_position(),
            Err(_) => reader.error_position(),
        };
        let line = lines.at(at);
        let damaged = |found: String| bad(path, format!("line {line}"), "XML", found);
        let fault = |error: quick_xml::Error| damaged(error.to_string());
        match event.map_err(fault)? {
            Event::Start(tag) | Event::Empty(tag) => {
                if open.len() == MAX_DEPTH {
                    let expected = format!("at most {MAX_DEPTH} elements inside one another");
                    return Err(bad(path, format!("line {line}"), expected, "more"));
                }
                open.push(element(&tag, line).map_err(damaged)?);
            }
            Event::End(_) => {
                let Some(done) = open.pop() else {
                    return Err(damaged("a tag that closes nothing".into()));
                };
                match open.last_mut() {
                    Some(parent) => parent.children.push(done),
                    None => return Ok(done),
                }
            }
            Event::Text(text) => {
                let text = text.xml10_content().map_err(|error| fault(error.into()))?;
                add_text(&mut open, &text);
            }
            Event::CData(text) => {
                let text = text.xml10_content().map_err(|error| fault(error.into()))?;
                add_text(&mut open, &text);
            }
            Event::GeneralRef(name) => {
                let letter = letter(&name).map_err(damaged)?;
                add_text(&mut open, letter.encode_utf8(&mut [0; 4]));
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => return Err(damaged("its end before the last tag is closed".into())),
        }
    }
}

fn add_text(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn element(tag: &BytesStart<'_>, line: usize) -> Result<Element, String> {
    let mut attributes = Vec::new();
    // Looking for names that are there twice takes the square of their number.
    for attribute in tag.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = str::from_utf8(&attribute.value).map_err(|error| error.to_string())?;
        let value: Cow<'_, str> =
            quick_xml::escape::unescape(value).map_err(|error| error.to_string())?;
        let name = String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned();
        attributes.push((name, value.into_owned()));
    }
    Ok(Element {
        name: String::from_utf8_lossy(tag.local_name().as_ref()).into_owned(),
        attributes,
        line,
        ..Element::default()
    })
}

/// What `&amp;`, `&#x41;` and the like stand for.
fn letter(name: &BytesRef<'_>) -> Result<char, String> {
    let number = name.resolve_char_ref().map_err(|error| error.to_string())?;
    match (number, &**name) {
        (Some(letter), _) => Ok(letter),
        (None, b"amp") => Ok('&'),
        (None, b"lt") => Ok('<'),
        (None, b"gt") => Ok('>'),
        (None, b"quot") => Ok('"'),
        (None, b"apos") => Ok('\''),
        (None, other) => Err(format!("the entity `{}`", String::from_utf8_lossy(other))),
    }
}

/// Counts lines as a text is read.
struct Lines<'a> {
    text: &'a [u8],
    read: usize,
    line: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            read: 0,
            line: 1,
        }
    }

    /// The line of this byte.
    fn at(&mut self, byte: u64) -> usize {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX);
        let passed = self.text.get(self.read..byte).unwrap_or_default();
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.read = self.read.max(byte);
        self.line
    }
}
