//! What a Parquet file says of itself, looked through before its reader does: how deep the groups of the schema are nested,
//! into which it recurses, and whether all is there that a list claims to hold, which it counts through to the end of a list of
//! 2³¹ items where the file ended long ago.
//!
//! # Source
//!
//! The footer is Thrift's compact protocol: github.com/apache/thrift, `doc/specs/thrift-compact-protocol.md`; its
//! structures: github.com/apache/parquet-format, `parquet.thrift`.

/// The depth of the schema in a footer's metadata; nothing where they are no such metadata.
pub(super) fn schema_depth(metadata: &[u8]) -> Option<usize> {
    let mut bytes = Compact(metadata);
    let mut deepest = None;
    bytes.fields(|bytes, field, kind| match (field, kind) {
        (2, 9) => {
            deepest = Some(bytes.schema()?);
            Some(())
        }
        _ => bytes.skip(kind, 0),
    })?;
    deepest
}

/// Whether these bytes begin with the whole header of a page.
///
/// A field that has a meaning must be of its kind: the reader takes it for that, whatever kind it says it is of, and would go on
/// elsewhere than what is seen here.
pub(super) fn begins_with_page_header(bytes: &[u8]) -> bool {
    const HEADER: &[u8] = &[I32, I32, I32, I32, STRUCT, STRUCT, STRUCT, STRUCT];
    const OF_DATA: &[u8] = &[I32, I32, I32, I32, STRUCT];
    const OF_DICTIONARY: &[u8] = &[I32, I32, BOOL];
    const OF_DATA_2: &[u8] = &[I32, I32, I32, I32, I32, I32, BOOL, STRUCT];
    let mut bytes = Compact(bytes);
    let header = bytes.fields(|bytes, field, kind| {
        is_of_kind(HEADER, field, kind)?;
        let fields = match field {
            5 => OF_DATA,
            7 => OF_DICTIONARY,
            8 => OF_DATA_2,
            _ => return bytes.skip(kind, 0),
        };
        bytes.fields(|bytes, field, kind| {
            is_of_kind(fields, field, kind)?;
            bytes.skip(kind, 1)
        })
    });
    header.is_some()
}

/// Kinds of fields; a truth value is of either of two.
const BOOL: u8 = 2;
const I32: u8 = 5;
const STRUCT: u8 = 12;

/// Nothing where a field, numbered from 1, is of another kind than it must be.
fn is_of_kind(kinds: &[u8], field: i64, kind: u8) -> Option<()> {
    let place = usize::try_from(field).ok()?.checked_sub(1)?;
    let kind = if kind == 1 { BOOL } else { kind };
    kinds
        .get(place)
        .is_none_or(|known| *known == kind)
        .then_some(())
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
                0 => self.signed()?,
                more => field.checked_add(more.into())?,
            };
            each(self, field, head & 15)?;
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
            1 | 2 => {}
            3 => {
                self.byte()?;
            }
            4..=6 => {
                self.varint()?;
            }
            7 => {
                self.take(8)?;
            }
            8 => {
                let n = self.varint()?;
                self.take(usize::try_from(n).ok()?)?;
            }
            9 | 10 if depth < DEEPEST => {
                let (kind, n) = self.list()?;
                // Lists of truth values are nowhere in a footer or a header, and the reader takes no byte of theirs.
                if kind <= 2 && n > 0 {
                    return None;
                }
                for _ in 0..n {
                    self.skip(kind, depth + 1)?;
                }
            }
            12 if depth < DEEPEST => self.fields(|bytes, _, kind| bytes.skip(kind, depth + 1))?,
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
            self.fields(|bytes, field, kind| match (field, kind) {
                (5, 5) => {
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
    fn a_list_that_is_longer_than_the_file_is_noticed() {
        // A page of the dictionary: kind, sizes, a structure of two numbers; and field 9, which is new, a list of three.
        let header = |list: &[u8]| {
            [
                &[0x15, 4, 0x15, 8, 0x15, 8, 0x4c, 0x15, 2, 0x15, 4, 0, 0x29],
                list,
            ]
            .concat()
        };
        assert!(begins_with_page_header(&header(&[0x35, 2, 4, 6, 0, 99])));
        assert!(!begins_with_page_header(&header(&[0x35, 2, 4, 6])));
        // Truth values, and 2³¹ - 1 of anything, of which nothing is there.
        assert!(!begins_with_page_header(&header(&[0x32, 1, 1, 1, 0])));
        for kind in 1..=12 {
            let claims = [0xf0 | kind, 0xff, 0xff, 0xff, 0xff, 7];
            assert!(!begins_with_page_header(&header(&claims)), "{kind}");
        }
        // A number that says it is a list; a number in a structure that says it is a truth value.
        assert!(!begins_with_page_header(&[0x19, 0x15, 2, 0]));
        assert!(!begins_with_page_header(&[0x7c, 0x11, 0, 0]));
        assert!(begins_with_page_header(&[0x7c, 0x15, 2, 0, 0]));
    }
}
