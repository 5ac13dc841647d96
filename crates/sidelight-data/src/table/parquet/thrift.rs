//! What a Parquet file says of itself, looked through before its reader does: whether each field is of its kind, whether all is
//! there that a list claims to hold, and how deep the groups of the schema are nested. The reader takes a field that it knows
//! for what it should be, whatever kind it says it is of; it recurses into groups; and it counts through to the end of a list
//! of 2³¹ items where the file ended long ago.
//!
//! # Source
//!
//! The footer is Thrift's compact protocol: github.com/apache/thrift, `doc/specs/thrift-compact-protocol.md`; its
//! structures: github.com/apache/parquet-format, `parquet.thrift`.

/// What a field holds. Integers of 16, 32 and 64 bits are written alike.
#[derive(Clone, Copy)]
enum Kind {
    Bool,
    Byte,
    Integer,
    Double,
    Binary,
    List(&'static Self),
    /// The fields, numbered from 1; others may follow.
    Struct(&'static [Self]),
}

use Kind::{Binary, Bool, Byte, Double, Integer, List, Struct};

/// `FileMetaData`, as far as it is read without a key.
const FILE: Kind = Struct(&[
    Integer,
    List(&SCHEMA_ELEMENT),
    Integer,
    List(&ROW_GROUP),
    List(&KEY_VALUE),
    Binary,
    List(&UNION_OF_EMPTY),
]);
const EMPTY: Kind = Struct(&[]);
const UNION_OF_EMPTY: Kind = Struct(&[EMPTY, EMPTY, EMPTY]);
const SCHEMA_ELEMENT: Kind = Struct(&[
    Integer,
    Integer,
    Integer,
    Binary,
    Integer,
    Integer,
    Integer,
    Integer,
    Integer,
    LOGICAL_TYPE,
]);
/// From `STRING` (1) to `GEOGRAPHY` (18); 9 is not in use.
const LOGICAL_TYPE: Kind = Struct(&[
    EMPTY,
    EMPTY,
    EMPTY,
    EMPTY,
    Struct(&[Integer, Integer]),
    EMPTY,
    TIME,
    TIME,
    EMPTY,
    Struct(&[Byte, Bool]),
    EMPTY,
    EMPTY,
    EMPTY,
    EMPTY,
    EMPTY,
    Struct(&[Byte]),
    Struct(&[Binary]),
    Struct(&[Binary, Integer]),
]);
const TIME: Kind = Struct(&[Bool, UNION_OF_EMPTY]);
const ROW_GROUP: Kind = Struct(&[
    List(&COLUMN_CHUNK),
    Integer,
    Integer,
    List(&Struct(&[Integer, Bool, Bool])),
    Integer,
    Integer,
    Integer,
]);
const COLUMN_CHUNK: Kind = Struct(&[
    Binary, Integer, COLUMN, Integer, Integer, Integer, Integer, ENCRYPTION, Binary,
]);
const ENCRYPTION: Kind = Struct(&[EMPTY, Struct(&[List(&Binary), Binary])]);
const COLUMN: Kind = Struct(&[
    Integer,
    List(&Integer),
    List(&Binary),
    Integer,
    Integer,
    Integer,
    Integer,
    List(&KEY_VALUE),
    Integer,
    Integer,
    Integer,
    STATISTICS,
    List(&Struct(&[Integer, Integer, Integer])),
    Integer,
    Integer,
    Struct(&[Integer, List(&Integer), List(&Integer)]),
    Struct(&[BOX, List(&Integer)]),
]);
const KEY_VALUE: Kind = Struct(&[Binary, Binary]);
const STATISTICS: Kind = Struct(&[
    Binary, Binary, Integer, Integer, Binary, Binary, Bool, Bool, Integer,
]);
const BOX: Kind = Struct(&[
    Double, Double, Double, Double, Double, Double, Double, Double,
]);
/// `PageHeader`, with those of data, of an index, of a dictionary, and of data in the second version.
const PAGE: Kind = Struct(&[
    Integer,
    Integer,
    Integer,
    Integer,
    Struct(&[Integer, Integer, Integer, Integer, STATISTICS]),
    EMPTY,
    Struct(&[Integer, Integer, Bool]),
    Struct(&[
        Integer, Integer, Integer, Integer, Integer, Integer, Bool, STATISTICS,
    ]),
]);

/// The depth of the schema in a footer's metadata; nothing where they are no such metadata.
pub(super) fn schema_depth(metadata: &[u8]) -> Option<usize> {
    Compact(metadata).value(FILE, STRUCT, 0)?;
    let mut deepest = None;
    Compact(metadata).fields(|bytes, field, kind| match field {
        2 => {
            deepest = Some(bytes.schema()?);
            Some(())
        }
        _ => bytes.skip(kind, 0),
    })?;
    deepest
}

/// The bytes of a page after and before it was compressed, where these bytes begin with the whole header of one.
pub(super) fn page_sizes(bytes: &[u8]) -> Option<(u64, u64)> {
    Compact(bytes).value(PAGE, STRUCT, 0)?;
    let (mut compressed, mut plain) = (0, 0);
    Compact(bytes).fields(|bytes, field, kind| {
        let size = match field {
            2 => &mut plain,
            3 => &mut compressed,
            _ => return bytes.skip(kind, 0),
        };
        *size = u64::try_from(bytes.signed()?).ok()?;
        Some(())
    })?;
    Some((compressed, plain))
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl Kind {
    /// Whether what says it is of this kind is written as that.
    fn is_written_as(self, kind: u8) -> bool {
        match self {
            Bool => matches!(kind, TRUE | FALSE),
            Byte => kind == BYTE,
            Integer => (I16..=I64).contains(&kind),
            Double => kind == DOUBLE,
            Binary => kind == BINARY,
            List(_) => kind == LIST,
            Struct(_) => kind == STRUCT,
        }
    }
}

/// No structure of a footer is nested deeper.
const DEEPEST: usize = 16;

struct Compact<'a>(&'a [u8]);

impl<'a> Compact<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }
    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
    fn signed(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
    /// Gives each field of a structure with its number and kind.
    fn fields(&mut self, mut each: impl FnMut(&mut Self, i64, u8) -> Option<()>) -> Option<()> {
        let mut field = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(());
            }
            field = match head >> 4 {
                // In full where it is far from the last one; the reader, not everywhere, where it need not be.
                0 => self.signed().filter(|full| *full > i64::from(u8::MAX))?,
                more => field.checked_add(more.into())?,
            };
            if field > i16::MAX.into() {
                return None;
            }
            each(self, field, head & 15)?;
        }
    }
    /// Passes over a value that must be of one kind and says it is of another.
    fn value(&mut self, expected: Kind, kind: u8, depth: usize) -> Option<()> {
        if !expected.is_written_as(kind) {
            return None;
        }
        match expected {
            List(of) => {
                let (kind, n) = self.list()?;
                for _ in 0..n {
                    self.value(*of, kind, depth)?;
                }
                Some(())
            }
            Struct(known) => self.fields(|bytes, field, kind| {
                let place = usize::try_from(field).ok()?.checked_sub(1)?;
                match known.get(place) {
                    Some(expected) => bytes.value(*expected, kind, depth),
                    None => bytes.skip(kind, depth + 1),
                }
            }),
            _ => self.skip(kind, depth),
        }
    }
    /// Kind and number of a list's items.
    fn list(&mut self) -> Option<(u8, u64)> {
        let head = self.byte()?;
        let n = match head >> 4 {
            15 => self.varint()?,
            n => n.into(),
        };
        Some((head & 15, n))
    }
    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            TRUE | FALSE => {}
            BYTE => {
                self.byte()?;
            }
            I16..=I64 => {
                self.varint()?;
            }
            DOUBLE => {
                self.take(8)?;
            }
            BINARY => {
                let n = self.varint()?;
                self.take(usize::try_from(n).ok()?)?;
            }
            LIST | 10 if depth < DEEPEST => {
                let (kind, n) = self.list()?;
                // Lists of truth values are nowhere in a footer or a header, and the reader takes no byte of theirs.
                if kind <= FALSE && n > 0 {
                    return None;
                }
                for _ in 0..n {
                    self.skip(kind, depth + 1)?;
                }
            }
            STRUCT if depth < DEEPEST => {
                self.fields(|bytes, _, kind| bytes.skip(kind, depth + 1))?
            }
            _ => return None,
        }
        Some(())
    }
    /// The depth of a schema, a list of elements that each say how many of the next are inside them.
    fn schema(&mut self) -> Option<usize> {
        let (_, n) = self.list()?;
        let (mut left_inside, mut deepest) = (Vec::new(), 0);
        for _ in 0..n {
            let mut n_children = 0;
            self.fields(|bytes, field, kind| match field {
                5 => {
                    n_children = bytes.signed()?;
                    Some(())
                }
                _ => bytes.skip(kind, 0),
            })?;
            while left_inside.last() == Some(&0) {
                left_inside.pop();
            }
            if let Some(left) = left_inside.last_mut() {
                *left -= 1;
            }
            left_inside.push(n_children.max(0));
            deepest = deepest.max(left_inside.len());
        }
        Some(deepest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer whose schema is a root, so many groups inside one another, and a column.
    fn nested(groups: usize) -> Vec<u8> {
        // Fields: version = 1, the schema.
        let mut bytes = vec![0x15, 2, 0x19, 0xfc];
        let (mut n, n_elements) = (groups as u64 + 2, groups + 2);
        while n >= 0x80 {
            bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        bytes.push(n as u8);
        for element in 0..n_elements {
            // Name `a`, then the number of children.
            bytes.extend([0x48, 1, b'a']);
            if element + 1 < n_elements {
                bytes.extend([0x15, 2]);
            }
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn groups_are_counted_without_recursion() {
        assert_eq!(schema_depth(&nested(0)), Some(2));
        assert_eq!(schema_depth(&nested(1_000_000)), Some(1_000_002));
        assert_eq!(schema_depth(&nested(3)[..10]), None);
        assert_eq!(schema_depth(b""), None);
    }

    #[test]
    fn a_field_of_a_footer_is_of_its_kind() {
        // Behind the schema: the rows, no groups of rows; then a field that nobody knows.
        let with = |rest: &[u8]| {
            let mut footer = nested(1);
            footer.pop();
            footer.extend(rest);
            schema_depth(&footer)
        };
        assert_eq!(with(&[0x16, 2, 0x19, 0x0c, 0]), Some(3));
        assert_eq!(with(&[0x16, 2, 0x19, 0x0c, 0x59, 0x25, 2, 4, 0]), Some(3));
        // The rows say they are a list of truth values; groups are numbers; there is a group of which nothing is there; a group
        // whose columns are truth values, 2³¹ - 1 of them.
        assert_eq!(with(&[0x19, 0x12, 0x19, 0x0c, 0]), None);
        assert_eq!(with(&[0x16, 2, 0x19, 0x15, 2, 0]), None);
        assert_eq!(with(&[0x16, 2, 0x19, 0x1c]), None);
        let claims = [0x19, 0xf2, 0xff, 0xff, 0xff, 0xff, 7, 0, 0];
        assert_eq!(with(&[&[0x16, 2, 0x19, 0x1c], &claims[..]].concat()), None);
        // The same field again, counted backwards.
        assert_eq!(with(&[0x16, 2, 0x06, 6, 2, 0]), None);
    }

    #[test]
    fn a_list_that_is_longer_than_the_file_is_noticed() {
        // A page of the dictionary: kind, sizes, a structure of two numbers; and field 9, which is new, a list of three.
        let header = |list: &[u8]| {
            [
                &[0x15, 4, 0x15, 8, 0x15, 8, 0x4c, 0x15, 2, 0x15, 4, 0, 0x29],
                list,
            ]
            .concat()
        };
        assert_eq!(page_sizes(&header(&[0x35, 2, 4, 6, 0, 99])), Some((4, 4)));
        assert_eq!(page_sizes(&header(&[0x35, 2, 4, 6])), None);
        // Truth values, and 2³¹ - 1 of anything, of which nothing is there.
        assert_eq!(page_sizes(&header(&[0x32, 1, 1, 1, 0])), None);
        for kind in 1..=12 {
            let claims = [0xf0 | kind, 0xff, 0xff, 0xff, 0xff, 7];
            assert_eq!(page_sizes(&header(&claims)), None, "{kind}");
        }
        // A number that says it is a list; a number in a structure that says it is a truth value.
        assert_eq!(page_sizes(&[0x19, 0x15, 2, 0]), None);
        assert_eq!(page_sizes(&[0x7c, 0x11, 0, 0]), None);
        assert!(page_sizes(&[0x7c, 0x15, 2, 0, 0]).is_some());
    }
}
