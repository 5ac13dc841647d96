//! The same rows with other metadata: of other rows, with gaps, with nothing but gaps.
//!
//! All of it is done on encoded rows, so that an encoder is never fitted on anything but true training rows.

use rand::Rng as _;

use crate::encode::{EncodedMetadata, Encoder};
use crate::random::named;
use crate::random::shuffle;

/// Metadata permuted among the rows of each part, whole rows at a time: what columns say of each other stays, what
/// they say of the image and the target is gone. Parts (a fold's training, inner validation and test rows) are
/// permuted each on its own, so that no test row's metadata comes into training.
pub(super) fn permuted(
    encoded: &EncodedMetadata,
    parts: &[&[usize]],
    seed: u64,
) -> EncodedMetadata {
    let mut out = encoded.clone();
    for (part, rows) in parts.iter().enumerate() {
        let mut from = rows.to_vec();
        shuffle(
            &mut from,
            &mut named(seed, &format!("shuffled metadata, part {part}")),
        );
        for (&to, from) in rows.iter().zip(from) {
            let (dense, codes) = out.row_mut(to);
            dense.copy_from_slice(encoded.dense_row(from));
            codes.copy_from_slice(encoded.codes_row(from));
        }
    }
    out
}

/// One column permuted among these rows, all else as it is.
pub(super) fn column_permuted(
    encoded: &EncodedMetadata,
    encoder: &Encoder,
    column: usize,
    rows: &[usize],
    seed: u64,
) -> EncodedMetadata {
    let span = &encoder.spans()[column];
    let mut from = rows.to_vec();
    shuffle(
        &mut from,
        &mut named(seed, &format!("shuffled column {column}")),
    );
    let mut out = encoded.clone();
    for (&to, from) in rows.iter().zip(from) {
        let (dense, codes) = out.row_mut(to);
        dense[span.dense.clone()].copy_from_slice(&encoded.dense_row(from)[span.dense.clone()]);
        codes[span.codes.clone()].copy_from_slice(&encoded.codes_row(from)[span.codes.clone()]);
    }
    out
}

/// Each cell of these rows missing with this probability. A cell that is missing at one share is missing at every
/// larger one, and the same cells are missing for every arm.
pub(super) fn with_gaps(
    encoded: &EncodedMetadata,
    encoder: &Encoder,
    share: f64,
    rows: &[usize],
    seed: u64,
) -> EncodedMetadata {
    let mut out = encoded.clone();
    for &row in rows {
        let mut draw = named(seed, &format!("missing metadata, row {row}"));
        let (dense, codes) = out.row_mut(row);
        for column in 0..encoder.columns.len() {
            // In [0, 1): at a share of 1 every cell is missing.
            if ((draw.next_u64() >> 11) as f64) < share * (1_u64 << 53) as f64 {
                encoder.set_missing(column, dense, codes);
            }
        }
    }
    out
}

/// Of every row only which columns are missing.
pub(super) fn only_gaps(encoded: &EncodedMetadata, encoder: &Encoder) -> EncodedMetadata {
    let mut out = encoded.clone();
    for row in 0..out.n_rows {
        let (dense, codes) = out.row_mut(row);
        encoder.keep_only_gaps(dense, codes);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::dataset::{Metadata, MetadataColumn, MetadataValues};

    fn encoded() -> (EncodedMetadata, Encoder) {
        let column = |name: &str, values| MetadataColumn {
            name: name.into(),
            values: MetadataValues::Continuous(values),
        };
        let metadata = Metadata {
            columns: vec![
                column("a", (0..40).map(|row| Some(f64::from(row))).collect()),
                column(
                    "b",
                    (0..40)
                        .map(|row| (row % 4 != 0).then_some(f64::from(-row)))
                        .collect(),
                ),
            ],
            n_rows: 40,
        };
        let rows: Vec<usize> = (0..40).collect();
        let encoder = Encoder::fit(&metadata, &BTreeMap::new(), &rows).unwrap();
        (encoder.encode(&metadata).unwrap().0, encoder)
    }

    #[test]
    fn rows_are_permuted_whole_and_within_their_part() {
        let (encoded, _) = encoded();
        let (first, second): (Vec<usize>, Vec<usize>) = (0..40).partition(|row| row % 3 == 0);
        let permuted = permuted(&encoded, &[&first, &second], 1);
        assert_ne!(permuted, encoded);
        for part in [first, second] {
            let sorted = |encoded: &EncodedMetadata| {
                let mut rows: Vec<Vec<u32>> = part
                    .iter()
                    .map(|&row| encoded.dense_row(row).iter().map(|x| x.to_bits()).collect())
                    .collect();
                rows.sort();
                rows
            };
            assert_eq!(sorted(&permuted), sorted(&encoded));
        }
    }

    #[test]
    fn only_one_column_is_permuted() {
        let (encoded, encoder) = encoded();
        let rows: Vec<usize> = (0..40).collect();
        let permuted = column_permuted(&encoded, &encoder, 0, &rows, 1);
        assert!((0..40).all(|row| permuted.dense_row(row)[2..] == encoded.dense_row(row)[2..]));
        assert!((0..40).any(|row| permuted.dense_row(row)[0] != encoded.dense_row(row)[0]));
    }

    #[test]
    fn gaps_grow_and_at_the_end_all_is_missing() {
        let (encoded, encoder) = encoded();
        let rows: Vec<usize> = (0..40).collect();
        let known = |encoded: &EncodedMetadata| -> Vec<bool> {
            (0..40)
                .flat_map(|row| {
                    [
                        encoded.dense_row(row)[1] > 0.5,
                        encoded.dense_row(row)[3] > 0.5,
                    ]
                })
                .collect()
        };
        let mut before = known(&encoded);
        for share in [0.25, 0.5, 0.75] {
            let now = known(&with_gaps(&encoded, &encoder, share, &rows, 3));
            assert!(now.iter().zip(&before).all(|(now, before)| !now || *before));
            assert!(
                now.iter().filter(|known| **known).count()
                    < before.iter().filter(|known| **known).count()
            );
            before = now;
        }
        let (dense, _) = encoder.all_missing();
        let all = with_gaps(&encoded, &encoder, 1.0, &rows, 3);
        assert!((0..40).all(|row| all.dense_row(row) == dense));
        assert_eq!(with_gaps(&encoded, &encoder, 0.0, &rows, 3), encoded);
    }

    #[test]
    fn values_are_gone_and_gaps_stay() {
        let (encoded, encoder) = encoded();
        let gaps = only_gaps(&encoded, &encoder);
        assert!((0..40).all(|row| gaps.dense_row(row)[0] == 0.0 && gaps.dense_row(row)[1] == 1.0));
        assert!((0..40).all(|row| (gaps.dense_row(row)[3] == 0.0) == (row % 4 == 0)));
    }
}
