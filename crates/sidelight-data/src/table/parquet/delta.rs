//! Lengths of texts that are written as differences: how many there are is said in the page, and the reader makes room for them.
//!
//! # Source
//!
//! `DELTA_BINARY_PACKED`, `DELTA_LENGTH_BYTE_ARRAY` and `DELTA_BYTE_ARRAY`: github.com/apache/parquet-format, `Encodings.md`.

/// The values that a sequence of differences claims to hold, and the bytes behind it.
pub(super) fn claimed(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut rest = bytes;
    let block = varint(&mut rest)?;
    let n_parts = varint(&mut rest)?;
    let n_values = varint(&mut rest)?;
    let _first = varint(&mut rest)?;
    let part = block.checked_div(n_parts)?;
    let mut left = n_values.saturating_sub(1);
    while left > 0 && part > 0 {
        let _smallest = varint(&mut rest)?;
        let widths = rest.split_off(..usize::try_from(n_parts).ok()?)?;
        for width in widths {
            // Parts behind the last value may be of any width, and have no bytes.
            if left == 0 {
                break;
            }
            let n_bytes = u64::from(*width).checked_mul(part)? / 8;
            rest.split_off(..usize::try_from(n_bytes).ok()?)?;
            left = left.saturating_sub(part);
        }
        if widths.is_empty() {
            return None;
        }
    }
    Some((n_values, rest))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_counted_and_passed_over() {
        // Blocks of 128 in 4 parts, 40 values from 0 on: the smallest difference, widths of 2, 1 and any bits, the bytes of two.
        let mut bytes = vec![0x80, 1, 4, 40, 0, 0, 2, 1, 99, 99];
        bytes.extend([7; 8]);
        bytes.extend([7; 4]);
        bytes.push(5);
        assert_eq!(claimed(&bytes), Some((40, &[5][..])));
        // The last bytes may be left out of no part that holds a value.
        assert_eq!(claimed(&bytes[..20]), None);
        assert_eq!(claimed(&[0x80, 1, 4, 0, 0]), Some((0, &[][..])));
        assert_eq!(claimed(&[0x80, 1, 4, 1, 0, 9]), Some((1, &[9][..])));
        // Neither blocks nor parts, of which none would ever be the last.
        assert_eq!(claimed(&[0x80, 1, 0, 9, 0, 0]), None);
    }
}
