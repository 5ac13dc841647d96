//! The rows of a sheet, one after another.

use std::ops::Range;

use super::package::{Outcome, bad};
use super::workbook::{Meaning, is_true};
use super::xml::{Node, Start, Xml, cut_short, push_unescaped};

/// The rows and columns that a sheet can have.
const MAX_ROWS: u32 = 1 << 20;
const MAX_COLUMNS: u32 = 1 << 14;

/// The rows of a sheet that have cells.
pub(super) struct Rows {
    xml: Xml,
    /// The last row that began, from 1.
    number: u32,
    is_over: bool,
    /// The value of the cell in hand.
    value: String,
}

/// A row.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// Its number in the sheet, from 1.
    pub(super) number: u32,
    /// Its cells that are not empty, by their columns, which count from 0 and increase.
    pub(super) cells: Vec<(u32, Content)>,
    /// What they say.
    text: String,
}

/// What a cell holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// `#N/A`: not available.
    Missing,
    /// Text of the row.
    Text(Range<usize>),
    /// A shared string.
    Shared(usize),
    /// An error of a formula, as `#DIV/0!`.
    Error(Range<usize>),
}

impl Row {
    /// A cell's text; `None` where it is missing.
    pub(super) fn text<'a>(&'a self, found: &Content, meaning: &'a Meaning) -> Option<&'a str> {
        match found {
            Content::Missing => None,
            Content::Shared(position) => meaning.strings.get(*position),
            Content::Text(range) | Content::Error(range) => self.text.get(range.clone()),
        }
    }

    /// Bytes of all its cells' text.
    pub(super) fn n_bytes(&self, meaning: &Meaning) -> usize {
        let texts = self.cells.iter();
        let texts = texts.filter_map(|(_, found)| self.text(found, meaning));
        texts.map(str::len).sum()
    }
}

impl Rows {
    /// The rows of a sheet whose part this is.
    pub(super) fn new(mut xml: Xml) -> Outcome<Self> {
        loop {
            match xml.next()? {
                Node::Start(tag) if tag.is("sheetData") => break,
                Node::Over => return bad("a sheet of it has no place for cells"),
                _ => {}
            }
        }
        Ok(Self {
            xml,
            number: 0,
            is_over: false,
            value: String::new(),
        })
    }

    /// Reads the next row that has cells; `false` at the end.
    pub(super) fn next(&mut self, meaning: &Meaning, row: &mut Row) -> Outcome<bool> {
        while !self.is_over {
            match self.xml.next()? {
                Node::Start(tag) if tag.is("row") => {
                    let number = match tag.attribute("r")? {
                        Some(number) => number.trim().parse().unwrap_or(0),
                        None => self.number + 1,
                    };
                    if number <= self.number || number > MAX_ROWS {
                        return bad(format!("after its row {} comes row {number}", self.number));
                    }
                    self.number = number;
                    row.number = number;
                    self.read_row(meaning, row)?;
                    if !row.cells.is_empty() {
                        return Ok(true);
                    }
                }
                Node::End(tag) if tag.is("sheetData") => self.is_over = true,
                Node::Over => return cut_short(),
                _ => {}
            }
        }
        Ok(false)
    }

    fn read_row(&mut self, meaning: &Meaning, row: &mut Row) -> Outcome<()> {
        row.cells.clear();
        row.text.clear();
        let (mut next, mut is_sorted) = (0, true);
        loop {
            match self.xml.next()? {
                Node::Start(tag) if tag.is("c") => {
                    let column = match tag.attribute("r")? {
                        Some(place) => column_of(&place)?,
                        None => next,
                    };
                    if column >= MAX_COLUMNS {
                        return bad(format!(
                            "a cell of its row {} is beyond the last column",
                            row.number
                        ));
                    }
                    let kind = Kind::of(&tag, meaning)?;
                    is_sorted &= column >= next;
                    next = column + 1;
                    if let Some(found) = self.read_cell(&kind, meaning, &mut row.text)? {
                        row.cells.push((column, found));
                    }
                }
                Node::End(tag) if tag.is("row") => break,
                Node::Over => return cut_short(),
                _ => {}
            }
        }
        if !is_sorted {
            // Of cells in one place the last one counts.
            row.cells.reverse();
            row.cells.sort_by_key(|(column, _)| *column);
            row.cells.dedup_by_key(|(column, _)| *column);
        }
        Ok(())
    }

    /// Reads a cell, appending its text; `None` where it is empty.
    fn read_cell(
        &mut self,
        kind: &Kind,
        meaning: &Meaning,
        text: &mut String,
    ) -> Outcome<Option<Content>> {
        let start = text.len();
        self.value.clear();
        loop {
            match self.xml.next()? {
                Node::Start(tag) if tag.is("v") => self.xml.text_into(&mut self.value)?,
                Node::Start(tag) if tag.is("is") => self.xml.rich_text_into(text)?,
                Node::End(tag) if tag.is("c") => break,
                Node::Over => return cut_short(),
                _ => {}
            }
        }
        let value = self.value.as_str();
        match kind {
            Kind::Inline => {}
            Kind::Text => push_unescaped(text, value),
            _ if value.trim().is_empty() => {}
            Kind::Shared => {
                let position = value.trim().parse().ok();
                let shared = position.and_then(|position| {
                    let shared = meaning.strings.get(position)?;
                    Some((position, shared.is_empty()))
                });
                return match shared {
                    Some((position, false)) => Ok(Some(Content::Shared(position))),
                    Some((_, true)) => Ok(None),
                    None => bad("a cell of it names a shared string that is not there"),
                };
            }
            Kind::Boolean => text.push_str(match value.trim() {
                flag if is_true(flag) => "TRUE",
                "0" | "false" | "off" => "FALSE",
                other => other,
            }),
            Kind::Error if matches!(value.trim(), "#N/A" | "#GETTING_DATA") => {
                return Ok(Some(Content::Missing));
            }
            Kind::Error => {
                text.push_str(value.trim());
                return Ok(Some(Content::Error(start..text.len())));
            }
            Kind::Number(form) => match value.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => form.write(number, meaning.is_1904, text),
                _ => text.push_str(value),
            },
            Kind::AsIs => text.push_str(value),
        }
        Ok((text.len() > start).then_some(Content::Text(start..text.len())))
    }
}

/// What a cell says its value is.
enum Kind {
    Number(super::number::Form),
    Boolean,
    Error,
    Shared,
    /// Text beside the value.
    Inline,
    /// What a formula says.
    Text,
    /// A date of ISO 8601.
    AsIs,
}

impl Kind {
    fn of(tag: &Start<'_>, meaning: &Meaning) -> Outcome<Self> {
        Ok(match tag.attribute("t")?.as_deref() {
            Some("s") => Self::Shared,
            Some("b") => Self::Boolean,
            Some("e") => Self::Error,
            Some("str") => Self::Text,
            Some("inlineStr") => Self::Inline,
            Some("d") => Self::AsIs,
            _ => {
                let style = tag.attribute("s")?.and_then(|style| style.parse().ok());
                let form = meaning.forms.get(style.unwrap_or(0_usize));
                Self::Number(form.copied().unwrap_or_default())
            }
        })
    }
}

/// The column of a place as `AB12`, from 0.
fn column_of(place: &str) -> Outcome<u32> {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic);
    let column = letters.fold(0_u32, |column, letter| {
        let letter = u32::from(letter.to_ascii_uppercase() - b'A') + 1;
        column.saturating_mul(26).saturating_add(letter)
    });
    match column.checked_sub(1) {
        Some(column) => Ok(column),
        None => bad(format!(
            "a cell of it is at `{}`",
            place.chars().take(20).collect::<String>()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_in_letters() {
        let columns = [("A1", 0), ("z9", 25), ("AA10", 26), ("XFD1048576", 16383)];
        for (place, column) in columns {
            assert_eq!(column_of(place).unwrap(), column, "{place}");
        }
        assert!(column_of("12").is_err());
        assert_eq!(column_of("ZZZZZZZZZZZZ1").unwrap(), u32::MAX - 1);
    }
}
