//! The XML of a part, tag by tag. No entity is expanded but the five that XML has itself.

use std::borrow::Cow;
use std::io::{self, BufReader, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesEnd, BytesRef, BytesStart, Event};

use super::package::{Fault, Outcome, Part, bad};
use crate::table::pieces::MAX_ROW_BYTES;

/// Elements inside one another, at most.
const MAX_DEPTH: usize = 64;
/// Bytes that are read ahead of what is looked at.
const READ_AHEAD: usize = 1 << 16;

/// What comes next.
#[derive(Debug)]
pub(super) enum Node<'a> {
    /// A tag that opens, an empty one too.
    Start(Start<'a>),
    /// A tag that closes.
    End(End<'a>),
    /// Text between tags.
    Text(Cow<'a, str>),
    /// A comment and the like.
    Other,
    /// The end of the part.
    Over,
}

/// A tag that opens. Names are told apart without their namespaces, which differ between editions of the format.
#[derive(Debug)]
pub(super) struct Start<'a>(BytesStart<'a>);

impl Start<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.0.local_name().as_ref() == name.as_bytes()
    }

    /// Its attribute of this name.
    pub(super) fn attribute(&self, name: &str) -> Outcome<Option<Cow<'_, str>>> {
        // Looking for names that are there twice takes the square of their number.
        for attribute in self.0.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| Fault::Bad(error.to_string()))?;
            if attribute.key.local_name().as_ref() == name.as_bytes() {
                return match attribute.value {
                    Cow::Borrowed(value) => Ok(Some(unescaped(value)?)),
                    Cow::Owned(value) => Ok(Some(unescaped(&value)?.into_owned().into())),
                };
            }
        }
        Ok(None)
    }
}

/// A tag that closes.
#[derive(Debug)]
pub(super) struct End<'a> {
    tag: BytesEnd<'a>,
    /// How deep what follows it is.
    depth: usize,
}

impl End<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.tag.local_name().as_ref() == name.as_bytes()
    }
}

/// A part of XML.
pub(super) struct Xml {
    reader: Reader<BufReader<Bounded>>,
    buffer: Vec<u8>,
    depth: usize,
}

impl Xml {
    pub(super) fn new(part: Part) -> Self {
        let bytes = Bounded { part, left: 0 };
        let mut reader = Reader::from_reader(BufReader::with_capacity(READ_AHEAD, bytes));
        reader.config_mut().expand_empty_elements = true;
        Self {
            reader,
            buffer: Vec::new(),
            depth: 0,
        }
    }

    pub(super) fn next(&mut self) -> Outcome<Node<'_>> {
        // Rows and shared strings are of the third level: none of them may fill the memory.
        if self.depth <= 2 {
            self.reader.get_mut().get_mut().left = MAX_ROW_BYTES + READ_AHEAD;
        }
        self.buffer.clear();
        let event = self.reader.read_event_into(&mut self.buffer);
        Ok(match event.map_err(fault)? {
            Event::Start(tag) | Event::Empty(tag) => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return bad(format!("its elements are more than {MAX_DEPTH} deep"));
                }
                Node::Start(Start(tag))
            }
            Event::End(tag) => {
                self.depth = self.depth.saturating_sub(1);
                Node::End(End {
                    tag,
                    depth: self.depth,
                })
            }
            Event::Text(text) => Node::Text(text.xml10_content().map_err(not_utf8)?),
            Event::CData(text) => Node::Text(text.xml10_content().map_err(not_utf8)?),
            Event::GeneralRef(name) => Node::Text(letter(&name)?.to_string().into()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => Node::Other,
            Event::Eof => Node::Over,
        })
    }

    /// Appends the text of the element that was opened last, and passes over its end.
    pub(super) fn text_into(&mut self, text: &mut String) -> Outcome<()> {
        let depth = self.depth;
        loop {
            match self.next()? {
                Node::Text(more) => text.push_str(&more),
                Node::End(end) if end.depth < depth => return Ok(()),
                Node::Over => return cut_short(),
                _ => {}
            }
        }
    }

    /// Appends the text of an element of rich text (`si`, `is`) that was opened last: all that its runs say, without how
    /// it is pronounced.
    pub(super) fn rich_text_into(&mut self, text: &mut String) -> Outcome<()> {
        let depth = self.depth;
        let mut said = String::new();
        let mut is_phonetic = false;
        loop {
            match self.next()? {
                Node::Start(tag) if tag.is("rPh") => is_phonetic = true,
                Node::End(tag) if tag.is("rPh") => is_phonetic = false,
                Node::Start(tag) if tag.is("t") && !is_phonetic => {
                    let keeps = tag
                        .attribute("space")?
                        .is_some_and(|space| space == "preserve");
                    said.clear();
                    self.text_into(&mut said)?;
                    push_unescaped(text, if keeps { &said } else { trim(&said) });
                }
                Node::End(end) if end.depth < depth => return Ok(()),
                Node::Over => return cut_short(),
                _ => {}
            }
        }
    }
}

/// The error of a part that ends before it should.
pub(super) fn cut_short<T>() -> Outcome<T> {
    bad("it is cut short")
}

/// Without the blanks that XML has around text.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Appends text in which `_x000D_` and the like stand for letters that XML cannot have.
///
/// # Source
///
/// ECMA-376, part 1, 22.9.2.19 (`ST_Xstring`).
pub(super) fn push_unescaped(text: &mut String, mut rest: &str) {
    while let Some((before, after)) = rest.split_once("_x") {
        let code = after
            .get(..4)
            .filter(|_| after.as_bytes().get(4) == Some(&b'_'));
        let letter = code
            .filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|code| u32::from_str_radix(code, 16).ok())
            .and_then(char::from_u32);
        text.push_str(before);
        match (letter, after.get(5..)) {
            (Some(letter), Some(after)) => {
                text.push(letter);
                rest = after;
            }
            _ => {
                text.push_str("_x");
                rest = after;
            }
        }
    }
    text.push_str(rest);
}

/// The value of an attribute.
fn unescaped(value: &[u8]) -> Outcome<Cow<'_, str>> {
    let value = str::from_utf8(value).map_err(|error| Fault::Bad(error.to_string()))?;
    quick_xml::escape::unescape(value).map_err(|error| fault(error.into()))
}

/// What `&amp;`, `&#x41;` and the like stand for.
fn letter(name: &BytesRef<'_>) -> Outcome<char> {
    if let Some(letter) = name.resolve_char_ref().map_err(fault)? {
        return Ok(letter);
    }
    match &**name {
        b"amp" => Ok('&'),
        b"lt" => Ok('<'),
        b"gt" => Ok('>'),
        b"quot" => Ok('"'),
        b"apos" => Ok('\''),
        _ => bad("it names an entity that XML does not have"),
    }
}

fn fault(error: quick_xml::Error) -> Fault {
    match error {
        quick_xml::Error::Io(error) => match error.raw_os_error() {
            Some(code) => Fault::Io(io::Error::from_raw_os_error(code)),
            None => Fault::Bad(error.to_string()),
        },
        error => Fault::Bad(format!("its XML is damaged: {error}")),
    }
}

fn not_utf8(error: quick_xml::encoding::EncodingError) -> Fault {
    fault(error.into())
}

/// A part of which so much may be read until more is granted.
struct Bounded {
    part: Part,
    left: usize,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.part.read(buffer)?;
        match self.left.checked_sub(n) {
            Some(left) => self.left = left,
            None => {
                return Err(io::Error::other(format!(
                    "a row or a text of it has more than {MAX_ROW_BYTES} bytes"
                )));
            }
        }
        Ok(n)
    }
}
