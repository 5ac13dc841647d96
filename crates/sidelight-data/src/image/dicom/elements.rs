//! The elements of a DICOM file, one after the other, up to its pixels.

use super::Failure;

/// Group and element.
pub(super) type Tag = (u16, u16);

pub(super) const PIXEL_DATA: Tag = (0x7fe0, 0x0010);
const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);
const ITEM: Tag = (0xfffe, 0xe000);
const END_OF_ITEM: Tag = (0xfffe, 0xe00d);
const END_OF_SEQUENCE: Tag = (0xfffe, 0xe0dd);
/// A length that is not said: an end follows instead.
const UNDEFINED: u32 = u32::MAX;
/// Sequences within one another, at most.
const DEEPEST: u32 = 32;

/// An element of the data set; of a sequence only that it is there.
pub(super) struct Element<'a> {
    pub(super) tag: Tag,
    /// Two letters, where the file says them (PS3.5, 6.2).
    pub(super) kind: Option<[u8; 2]>,
    pub(super) value: Value<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Bytes(&'a [u8]),
    /// Compressed pixels: items, the first of which says where frames begin.
    Items(&'a [u8]),
    Sequence,
}

impl<'a> Element<'a> {
    pub(super) fn bytes(&self) -> Option<&'a [u8]> {
        match self.value {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
    /// The first of 16-bit numbers.
    pub(super) fn u16(&self) -> Option<u16> {
        self.bytes()?.first_chunk().copied().map(u16::from_le_bytes)
    }
    /// Text, the padding at its ends left out.
    pub(super) fn text(&self) -> Option<String> {
        let text = String::from_utf8_lossy(self.bytes()?);
        Some(text.trim_matches([' ', '\0']).to_owned())
    }
    /// The first of several decimal numbers.
    pub(super) fn decimal(&self) -> Option<f64> {
        let text = self.text()?;
        let number: f64 = text.split('\\').next()?.trim().parse().ok()?;
        number.is_finite().then_some(number)
    }
}

/// Gives each element of the data set, pixels being the last, until none is wanted any more; returns the transfer syntax.
pub(super) fn each<'a>(
    bytes: &'a [u8],
    mut wanted: impl FnMut(&Element<'a>) -> bool,
) -> Result<String, Failure> {
    let mut reader = Reader {
        rest: bytes.get(132..).ok_or(Failure::Truncated)?,
        is_explicit: true,
    };
    let mut syntax = String::new();
    while let Some(&[2, 0, ..]) = reader.rest.first_chunk::<4>() {
        let element = reader.element()?;
        if element.tag == TRANSFER_SYNTAX {
            syntax = element.text().unwrap_or_default();
        }
    }
    reader.is_explicit = match syntax.as_str() {
        "1.2.840.10008.1.2" => false,
        "1.2.840.10008.1.2.2" => return Err(Failure::unread("big-endian", &syntax)),
        "1.2.840.10008.1.2.1.99" => return Err(Failure::unread("deflated", &syntax)),
        _ => true,
    };
    let mut last = None;
    while !reader.rest.is_empty() {
        let element = reader.element()?;
        if last.replace(element.tag) >= Some(element.tag) {
            return Err(Failure::Damaged("its elements are not in order"));
        }
        if !wanted(&element) || element.tag >= PIXEL_DATA {
            break;
        }
    }
    Ok(syntax)
}

/// What the items of compressed pixels hold, the first apart.
pub(super) fn items(bytes: &[u8]) -> Result<(&[u8], Vec<&[u8]>), Failure> {
    let mut reader = Reader {
        rest: bytes,
        is_explicit: true,
    };
    let mut items = Vec::new();
    loop {
        match (reader.tag()?, reader.u32()?) {
            (ITEM, length) if length != UNDEFINED => items.push(reader.take(length as usize)?),
            (END_OF_SEQUENCE, _) => break,
            _ => return Err(Failure::Damaged("the items of its pixels do not end")),
        }
    }
    match items.split_first() {
        Some((offsets, frames)) => Ok((offsets, frames.to_vec())),
        None => Err(Failure::Damaged("its pixels have no items")),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    is_explicit: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Failure> {
        self.rest.split_off(..n).ok_or(Failure::Truncated)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        let (first, rest) = self.rest.split_first_chunk().ok_or(Failure::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }
    fn u32(&mut self) -> Result<u32, Failure> {
        self.array().map(u32::from_le_bytes)
    }
    fn tag(&mut self) -> Result<Tag, Failure> {
        let [a, b, c, d] = self.array()?;
        Ok((u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])))
    }
    /// Kind and length of the value behind a tag (PS3.5, 7.1).
    fn head(&mut self) -> Result<(Option<[u8; 2]>, u32), Failure> {
        if !self.is_explicit {
            return Ok((None, self.u32()?));
        }
        let kind = self.array()?;
        let is_long = matches!(
            &kind,
            b"OB"
                | b"OD"
                | b"OF"
                | b"OL"
                | b"OV"
                | b"OW"
                | b"SQ"
                | b"SV"
                | b"UC"
                | b"UN"
                | b"UR"
                | b"UT"
                | b"UV"
        );
        let length = match is_long {
            true => {
                self.take(2)?;
                self.u32()?
            }
            false => u16::from_le_bytes(self.array()?).into(),
        };
        Ok((Some(kind), length))
    }
    fn element(&mut self) -> Result<Element<'a>, Failure> {
        let tag = self.tag()?;
        let (kind, length) = self.head()?;
        let value = match length {
            UNDEFINED if tag == PIXEL_DATA => Value::Items(std::mem::take(&mut self.rest)),
            UNDEFINED => {
                self.skip_sequence(kind, 0)?;
                Value::Sequence
            }
            length => {
                let bytes = self.take(length as usize)?;
                match kind == Some(*b"SQ") {
                    true => Value::Sequence,
                    false => Value::Bytes(bytes),
                }
            }
        };
        Ok(Element { tag, kind, value })
    }
    fn skip_sequence(&mut self, kind: Option<[u8; 2]>, depth: u32) -> Result<(), Failure> {
        if depth == DEEPEST {
            return Err(Failure::Damaged(
                "its sequences are too deep within one another",
            ));
        }
        let was_explicit = self.is_explicit;
        // What is of unknown kind is written without kinds (PS3.5, 6.2.2).
        self.is_explicit &= kind != Some(*b"UN");
        loop {
            match (self.tag()?, self.u32()?) {
                (END_OF_SEQUENCE, _) => break,
                (ITEM, UNDEFINED) => self.skip_item(depth)?,
                (ITEM, length) => {
                    self.take(length as usize)?;
                }
                _ => return Err(Failure::Damaged("a sequence of it has no end")),
            }
        }
        self.is_explicit = was_explicit;
        Ok(())
    }
    fn skip_item(&mut self, depth: u32) -> Result<(), Failure> {
        loop {
            if self.tag()? == END_OF_ITEM {
                self.u32()?;
                return Ok(());
            }
            match self.head()? {
                (kind, UNDEFINED) => self.skip_sequence(kind, depth + 1)?,
                (_, length) => {
                    self.take(length as usize)?;
                }
            }
        }
    }
}
