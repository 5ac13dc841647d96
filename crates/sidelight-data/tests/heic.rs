//! HEIC against libheif: `tests/reference/heic.py` made the files and what they show.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use std::path::Path;

use sidelight_data::Error;
use sidelight_data::image::{ImageSource, Limits, decode, decode_within, facts};

fn path(name: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/image");
    folder.join(name)
}

/// The largest and the mean difference from what libheif shows.
fn difference(name: &str) -> (u8, f64) {
    let source = ImageSource::Path(path(&format!("heic_{name}.heic")));
    let found = decode(&source, None).unwrap();
    let wanted = std::fs::read(path(&format!("heic_{name}.rgb"))).unwrap();
    let (sides, pixels) = wanted.split_at(8);
    let side = |at: usize| u32::from_le_bytes(*sides[at..].first_chunk().unwrap()) as usize;
    assert_eq!([found.width, found.height], [side(0), side(4)]);
    let facts = facts(&source).unwrap();
    assert_eq!((facts.width, facts.height), (side(0), side(4)));
    assert_eq!(facts.format, "HEIC");
    let apart = found.rgb.iter().zip(pixels).map(|(a, b)| a.abs_diff(*b));
    let sum: f64 = apart.clone().map(f64::from).sum();
    (apart.max().unwrap(), sum / pixels.len() as f64)
}

#[test]
fn photographs_are_those_that_libheif_shows() {
    assert_eq!(difference("grey"), (0, 0.0));
    // Colours are stored at half the pixels. libheif draws lines between them, this decoder steps: on colours that change by
    // up to six levels a pixel, that is up to six.
    let (most, mean) = difference("colour");
    assert!(most <= 6 && mean < 2.0, "{most} {mean}");
}

#[test]
fn a_damaged_photograph_is_an_error_that_names_it() {
    let bytes = std::fs::read(path("heic_colour.heic")).unwrap();
    for length in [16, 200, bytes.len() / 2, bytes.len() - 40] {
        let source = ImageSource::Bytes {
            name: "cut.heic".into(),
            bytes: bytes[..length].to_vec().into(),
        };
        let error = decode(&source, None).unwrap_err();
        assert!(error.to_string().starts_with("cut.heic: "), "{error}");
    }
    let small = Limits {
        max_pixels: 100,
        ..Limits::default()
    };
    let source = ImageSource::Path(path("heic_colour.heic"));
    let error = decode_within(&source, None, &small).unwrap_err();
    assert!(matches!(error, Error::ImagePixels { .. }), "{error}");
}
