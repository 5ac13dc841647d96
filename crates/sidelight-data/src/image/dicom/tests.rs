use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::dataset::{Fact, ImageSource, image_facts};
use crate::image::{PixelFormat, decode, decode_as, decode_bytes, facts};

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(reference().join(format!("dicom/{name}.dcm"))).unwrap()
}

/// How far the grey or RGB values are from those of pydicom at most.
fn distance(name: &str, expected: &[u8]) -> u8 {
    let picture = decode(
        &ImageSource::Path(reference().join(format!("dicom/{name}.dcm"))),
        None,
    )
    .unwrap();
    assert_eq!((picture.width, picture.height), (12, 8), "{name}");
    let step = picture.rgb.len() / expected.len();
    if step == 3 {
        assert!(
            picture
                .rgb
                .as_chunks::<3>()
                .0
                .iter()
                .all(|[r, g, b]| r == g && g == b)
        );
    }
    let seen = picture.rgb.iter().step_by(step);
    seen.zip(expected)
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap()
}

#[test]
fn pixels_are_those_of_pydicom() {
    let expected = std::fs::read(reference().join("dicom.json")).unwrap();
    let expected: BTreeMap<String, Vec<u8>> = serde_json::from_slice(&expected).unwrap();
    assert_eq!(expected.len(), 18);
    let distances = expected
        .iter()
        .map(|(name, expected)| (distance(name, expected), name));
    // Two decoders of JPEG round colours in other places.
    let most = |name: &str| if name == "jpeg_rgb" { 2 } else { 1 };
    let far: Vec<_> = distances
        .filter(|(distance, name)| *distance > most(name))
        .collect();
    assert!(far.is_empty(), "{far:?}");
}

#[test]
fn a_jpeg_that_says_it_is_rgb_is_so_outside_of_dicom() {
    let within = file("jpeg_adobe");
    let at = within
        .windows(3)
        .position(|bytes| bytes == [0xff, 0xd8, 0xff]);
    let alone = &within[at.unwrap()..];
    let read = |bytes: &[u8]| decode_bytes("a", bytes, None, &Limits::default()).unwrap();
    assert_eq!(read(alone).rgb, read(&within).rgb);
}

#[test]
fn a_range_goes_before_the_window_of_the_file() {
    let limits = Limits::default();
    let seen = |range| {
        let reading = PixelFormat {
            range,
            ..PixelFormat::default()
        };
        let picture = decode_as("a.dcm", &file("window"), None, &limits, reading).unwrap();
        [picture.rgb[0], picture.rgb[95 * 3]]
    };
    // Stored are 900 to 1700, that is -124 to 676 HU; the window is 40 ± 200.
    assert_eq!(seen(None), [23, 255]);
    assert_eq!(seen(Some([-124.0, 676.0])), [0, 255]);
    assert_eq!(seen(Some([-1124.0, 1676.0])), [91, 164]);
    let range = |name: &str| deep_range(name, &file(name), &limits).unwrap();
    assert_eq!(range("inverted"), Some([0.0, 4095.0]));
    assert_eq!(range("signed"), Some([-2048.0, 2047.0]));
    // What has a window, eight bits or colours is seen as it is meant.
    assert_eq!(
        [range("window"), range("eight"), range("planar")],
        [None; 3]
    );
}

#[test]
fn attributes_can_be_asked_for() {
    let ask = |name: &str| {
        let source = ImageSource::Path(reference().join(format!("dicom/{name}.dcm")));
        let names = [
            "dicom.PatientAge",
            "image.width",
            "dicom.PatientSex",
            "dicom.StudyDate",
            "dicom.KVP",
            "dicom.Manufacturer",
            "dicom.WindowWidth",
            "dicom.00100040",
            "dicom.ViewPosition",
        ];
        image_facts(&source, &names)
    };
    let (number, text) = (
        |n| Some(Fact::Number(n)),
        |t: &str| Some(Fact::Text(t.into())),
    );
    assert_eq!(
        ask("window"),
        [
            number(45.0),
            number(12.0),
            text("F"),
            text("2004-01-19"),
            number(120.0),
            text("ACME"),
            number(400.0),
            // Without kinds in the file nothing says what it is but the letters.
            text("F"),
            None
        ]
    );
    let inverted = ask("inverted");
    assert_eq!((&inverted[0], &inverted[8]), (&number(1.5), &text("PA")));
    assert_eq!(
        facts(&ImageSource::Path(reference().join("dicom/jpeg_rgb.dcm")))
            .unwrap()
            .format,
        "DICOM"
    );
}

#[test]
fn what_is_cut_or_changed_is_an_error_or_an_image() {
    for name in ["window", "palette", "runs_rgb", "jpeg_frames", "lossless"] {
        let bytes = file(name);
        let read = |bytes: &[u8]| decode_bytes(name, bytes, None, &Limits::default());
        for end in 132..bytes.len() - 24 {
            assert!(
                read(&bytes[..end]).is_err(),
                "{name}, {end} of {}",
                bytes.len()
            );
        }
        for at in 132..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x80;
            let _ = read(&changed);
            changed[at] = 0xff;
            let _ = read(&changed);
        }
    }
}

#[test]
fn what_is_not_read_is_named_with_the_way_out() {
    let cause = |bytes: &[u8]| {
        let error = decode_bytes("a.dcm", bytes, None, &Limits::default()).unwrap_err();
        std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string)
    };
    let mut other = file("lossless");
    let syntax = b"1.2.840.10008.1.2.4.70";
    let at = other
        .windows(syntax.len())
        .position(|bytes| bytes == syntax)
        .unwrap();
    other[at + 20..at + 22].copy_from_slice(b"90");
    let why = cause(&other);
    assert!(
        why.contains("JPEG 2000") && why.contains("gdcmconv --raw"),
        "{why}"
    );
    // Rows and columns of 65,535 pixels.
    let mut large = file("eight");
    for tag in [[0x28, 0, 0x10, 0], [0x28, 0, 0x11, 0]] {
        let at = large.windows(4).position(|bytes| bytes == tag).unwrap();
        large[at + 8..at + 10].fill(0xff);
    }
    let why = cause(&large);
    assert!(why.contains("65535") && why.contains("200000000"), "{why}");
}
