//! Every kind of image, good and bad. The references are Pillow's: `tests/reference/image.py` made them.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use sidelight_data::config::ResizeMethod;
use sidelight_data::error::{Error, Result};
use sidelight_data::image::resize::{fit, layout};
use sidelight_data::image::*;

use crate::reference;

const KINDS: [&str; 32] = [
    "cmyk.jpg",
    "grey.jpg",
    "orientation_1.jpg",
    "orientation_2.jpg",
    "orientation_3.jpg",
    "orientation_4.jpg",
    "orientation_5.jpg",
    "orientation_6.jpg",
    "orientation_7.jpg",
    "orientation_8.jpg",
    "progressive.jpg",
    "rgb.jpg",
    "subsampled.jpg",
    "grey_16.png",
    "grey_alpha.png",
    "one_bit.png",
    "palette.png",
    "palette_transparent.png",
    "rgb.png",
    "rgba.png",
    "lossy.webp",
    "orientation_6.webp",
    "rgb.webp",
    "rgba.webp",
    "grey_16.tif",
    "jpeg.tif",
    "rgb.tif",
    "grey.bmp",
    "rgb.bmp",
    "big.jpg",
    "big_progressive.jpg",
    "big_restarts.jpg",
];

/// A palette of 49 bytes, the last of which is a third of a colour: the decoder's index out of range is an error.
#[test]
fn what_a_decoder_panics_on_is_a_damaged_image() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/image/palette_of_49_bytes");
    let error = decode(&ImageSource::Path(path), None).unwrap_err();
    let Error::ImageDecode { format, source, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*format, "PNG");
    let said = source.to_string();
    assert!(said.starts_with("its decoder gave up: "), "{said}");
}

fn stored(name: &str) -> Vec<u8> {
    std::fs::read(reference(name)).unwrap()
}

fn expected() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/image.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes_of(hexadecimal: &serde_json::Value) -> Vec<u8> {
    let text = hexadecimal.as_str().unwrap().as_bytes();
    text.chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn of_bytes(name: &str, bytes: Vec<u8>) -> Result<Picture> {
    decode(
        &ImageSource::Bytes {
            name: name.into(),
            bytes: Arc::from(bytes),
        },
        None,
    )
}

fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    crate::message(&result.unwrap_err())
}

fn largest_difference(a: &[u8], b: &[u8]) -> u8 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap_or(0)
}

#[test]
fn every_kind_of_image_decodes_to_what_pillow_makes_of_it() {
    let expected = expected();
    let decoded = expected["decoded"].as_object().unwrap();
    assert_eq!(decoded.len(), 29);
    for (name, expected) in decoded {
        let picture = decode(&ImageSource::Path(reference(name)), None).unwrap();
        assert_eq!(
            picture.width as u64,
            expected["width"].as_u64().unwrap(),
            "{name}"
        );
        assert_eq!(
            picture.height as u64,
            expected["height"].as_u64().unwrap(),
            "{name}"
        );
        // JPEG and lossy WebP leave the inverse transform's and the upsampling's rounding to the decoder.
        let tolerance = match name.rsplit_once('.').unwrap() {
            ("subsampled" | "lossy", _) => 6,
            ("jpeg", _) | (_, "jpg") => 3,
            _ => 1,
        };
        let difference = largest_difference(&picture.rgb, &bytes_of(&expected["rgb"]));
        assert!(difference <= tolerance, "{name} differs by {difference}");
    }
}

#[test]
fn a_pixel_of_the_stored_image_is_found_where_the_affine_says() {
    // The red rectangle of the stored image spans columns 5..11 and rows 4..9.
    for orientation in 1..=8 {
        let picture = decode(
            &ImageSource::Path(reference(&format!("orientation_{orientation}.jpg"))),
            None,
        )
        .unwrap();
        for [x, y] in [[5.5, 4.5], [10.5, 4.5], [5.5, 8.5], [10.5, 8.5]] {
            let [x, y] = picture.from_stored.apply([x, y]);
            let start = (y as usize * picture.width + x as usize) * 3;
            let pixel = &picture.rgb[start..start + 3];
            assert!(
                pixel[0] > 200 && pixel[1] < 80,
                "orientation {orientation}: {pixel:?} at {x}, {y}"
            );
        }
    }
}

#[test]
fn facts_agree_with_the_decoded_image() {
    for kind in KINDS {
        let source = ImageSource::Path(reference(kind));
        let (facts, picture) = (facts(&source).unwrap(), decode(&source, None).unwrap());
        assert_eq!(facts.upright(), [picture.width, picture.height], "{kind}");
        assert_eq!(facts.from_stored, picture.from_stored, "{kind}");
    }
    let facts = facts(&ImageSource::Path(reference("orientation_6.jpg"))).unwrap();
    assert_eq!((facts.format, facts.width, facts.height), ("JPEG", 29, 21));
    assert_eq!(facts.upright(), [21, 29]);
}

#[test]
fn the_extension_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really_a_png.jpg");
    std::fs::copy(reference("rgb.png"), &path).unwrap();
    let picture = decode(&ImageSource::Path(path.clone()), None).unwrap();
    assert_eq!(
        picture.rgb,
        decode(&ImageSource::Path(reference("rgb.png")), None)
            .unwrap()
            .rgb
    );
    assert_eq!(facts(&ImageSource::Path(path)).unwrap().format, "PNG");
}

#[test]
fn a_missing_image_is_named() {
    let error = decode(&ImageSource::Path("nowhere/a.jpg".into()), None).unwrap_err();
    assert_eq!(error.to_string(), "cannot read nowhere/a.jpg");
    assert!(matches!(error, Error::Read { source, .. } if source.kind() == ErrorKind::NotFound));
}

#[test]
fn a_folder_is_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub");
    std::fs::create_dir(&path).unwrap();
    let text = message(decode(&ImageSource::Path(path.clone()), None));
    assert_eq!(text, format!("{}: not a file", path.display()));
}

#[test]
fn an_empty_image_is_named() {
    assert_eq!(
        message(of_bytes("a.jpg", vec![])),
        "a.jpg: the image is empty (0 bytes)"
    );
    let hint = of_bytes("a.jpg", vec![]).unwrap_err().hint().unwrap();
    assert_eq!(
        hint,
        "the file is incomplete: copy it again from its source, or leave its row out"
    );
}

#[test]
fn what_is_no_image_is_said_by_its_first_bytes() {
    let of = |bytes: &[u8]| message(of_bytes("a.jpg", bytes.to_vec()));
    let start = "a.jpg: not a JPEG, PNG, WebP, TIFF, BMP or DICOM image";
    assert_eq!(
        of(b"hello"),
        format!("{start} (it begins with bytes 68 65 6c 6c 6f)")
    );
    assert_eq!(of(b"GIF89a..."), format!("{start} (a GIF)"));
    assert_eq!(of(b"%PDF-1.7"), format!("{start} (a PDF)"));
    assert_eq!(
        of(b"<!DOCTYPE html>"),
        format!("{start} (markup, such as a web page or SVG)")
    );
    assert_eq!(
        of(b"\0\0\0\x18ftypheic"),
        format!("{start} (a HEIC, AVIF or video file)")
    );
    assert_eq!(
        of(&[&[0; 128][..], b"DICM"].concat()),
        "a.jpg: cannot decode the DICOM image: it does not say how many pixels it has"
    );
    assert_eq!(
        of(b"version https://git-lfs.github.com/spec/v1\noid"),
        format!("{start} (a Git LFS pointer: `git lfs pull` fetches the image)")
    );
}

#[test]
fn half_of_any_image_is_truncated() {
    for (kind, format) in [
        ("big.jpg", "JPEG"),
        ("big_progressive.jpg", "JPEG"),
        ("noisy.png", "PNG"),
        ("rgb.webp", "WebP"),
        ("rgb.tif", "TIFF"),
        ("rgb.bmp", "BMP"),
    ] {
        let mut bytes = stored(kind);
        bytes.truncate(bytes.len() / 2);
        let n_bytes = bytes.len();
        assert_eq!(
            message(of_bytes(kind, bytes)),
            format!("{kind}: the {format} image is truncated after {n_bytes} bytes")
        );
    }
}

#[test]
fn no_part_of_an_image_passes_for_the_whole() {
    for kind in KINDS {
        let whole = stored(kind);
        for n_bytes in (0..whole.len())
            .step_by((whole.len() / 40).max(1))
            .chain([whole.len() - 1])
        {
            let result = of_bytes(kind, whole[..n_bytes].to_vec());
            assert!(
                result.is_err(),
                "{kind}: {n_bytes} of {} bytes were enough",
                whole.len()
            );
        }
    }
}

#[test]
fn damage_within_the_coded_pixels_is_an_error() {
    let mut bytes = stored("rgb.png");
    let at = bytes.len() - 30;
    bytes[at] ^= 0xff;
    let text = message(of_bytes("a.png", bytes));
    assert!(
        text.starts_with("a.png: cannot decode the PNG image: "),
        "{text}"
    );

    // A code of 16 ones is in no Huffman table. Restart markers would let a lenient decoder go on.
    let mut bytes = stored("big.jpg");
    let half = bytes.len() / 2;
    for pair in bytes[half..half + 40].chunks_mut(2) {
        pair.copy_from_slice(&[0xff, 0x00]);
    }
    let text = message(of_bytes("a.jpg", bytes));
    assert!(
        text.starts_with("a.jpg: cannot decode the JPEG image: "),
        "{text}"
    );
}

#[test]
fn a_decompression_bomb_is_refused_by_its_header() {
    // A PNG header that promises 60 000 × 60 000 pixels, with no pixels behind it.
    let mut png = stored("rgb.png");
    png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(
        message(of_bytes("bomb.png", png)),
        "bomb.png: 60000 × 60000 pixels exceed the limit of 200000000"
    );
    let mut jpeg = stored("rgb.jpg");
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    assert_eq!(
        message(of_bytes("bomb.jpg", jpeg)),
        "bomb.jpg: 65500 × 65500 pixels exceed the limit of 200000000"
    );
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[test]
fn limits_are_the_callers() {
    let source = ImageSource::Path(reference("rgb.png"));
    let limits = Limits {
        max_bytes: 100,
        ..Limits::default()
    };
    let text = message(decode_within(&source, None, &limits));
    assert!(
        text.ends_with("rgb.png: 286 bytes exceed the limit of 100"),
        "{text}"
    );
    let limits = Limits {
        max_pixels: 600,
        ..Limits::default()
    };
    let text = message(decode_within(&source, None, &limits));
    assert!(
        text.ends_with("rgb.png: 29 × 21 pixels exceed the limit of 600"),
        "{text}"
    );
}

#[test]
fn an_image_without_extent_is_an_error() {
    let mut jpeg = stored("rgb.jpg");
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 7..frame + 9].copy_from_slice(&[0, 0]);
    let text = message(of_bytes("flat.jpg", jpeg));
    assert!(
        text.starts_with("flat.jpg: cannot decode the JPEG image: "),
        "{text}"
    );
    assert!(text.contains("its header says 0 × 21 pixels"), "{text}");
    let mut bmp = stored("rgb.bmp");
    bmp[18..22].copy_from_slice(&[0; 4]);
    let text = message(of_bytes("flat.bmp", bmp));
    assert!(
        text.starts_with("flat.bmp: cannot decode the BMP image"),
        "{text}"
    );
}

#[test]
fn resizing_is_pillows_to_a_level() {
    let expected = expected();
    let noisy = decode(&ImageSource::Path(reference("noisy.png")), None).unwrap();
    for (size, expected) in expected["resized"].as_object().unwrap() {
        let size: usize = size.parse().unwrap();
        let fitted = fit(&noisy, size, ResizeMethod::Squish, [0; 3]);
        let difference = largest_difference(&fitted.rgb, &bytes_of(expected));
        assert!(
            difference <= 1,
            "at {size} pixels it differs by {difference}"
        );
    }
}

#[test]
fn each_method_puts_the_image_where_its_affine_says() {
    let picture = Picture {
        width: 40,
        height: 20,
        rgb: [200, 100, 50].repeat(800),
        deep: None,
        further: Vec::new(),
        from_stored: Affine::IDENTITY,
    };
    let squished = fit(&picture, 16, ResizeMethod::Squish, [0; 3]);
    assert_eq!((squished.width, squished.height), (16, 16));
    assert_eq!(squished.from_stored.apply([40.0, 20.0]), [16.0, 16.0]);

    let padded = fit(&picture, 16, ResizeMethod::Pad, [1, 2, 3]);
    assert_eq!((padded.width, padded.height), (16, 16));
    assert_eq!(padded.from_stored.apply([0.0, 0.0]), [0.0, 4.0]);
    assert_eq!(padded.from_stored.apply([40.0, 20.0]), [16.0, 12.0]);
    let row = |y: usize| &padded.rgb[y * 48..(y + 1) * 48];
    assert_eq!(
        (row(3), row(4)),
        (&[1, 2, 3].repeat(16)[..], &[200, 100, 50].repeat(16)[..])
    );
    assert_eq!(
        (row(11), row(12)),
        (&[200, 100, 50].repeat(16)[..], &[1, 2, 3].repeat(16)[..])
    );

    let cropped = fit(&picture, 16, ResizeMethod::Crop, [0; 3]);
    assert_eq!((cropped.width, cropped.height), (32, 16));
    assert_eq!(cropped.from_stored.apply([40.0, 20.0]), [32.0, 16.0]);
}

#[test]
fn a_long_strip_is_cut_before_it_fills_the_memory() {
    let picture = Picture {
        width: 1000,
        height: 1,
        rgb: vec![9; 3000],
        deep: None,
        further: Vec::new(),
        from_stored: Affine::IDENTITY,
    };
    let cropped = fit(&picture, 64, ResizeMethod::Crop, [0; 3]);
    assert_eq!((cropped.width, cropped.height), (256, 64));
    assert_eq!(cropped.from_stored.apply([500.0, 0.5]), [128.0, 32.0]);
    let padded = fit(&picture, 64, ResizeMethod::Pad, [0; 3]);
    assert_eq!((padded.width, padded.height), (64, 64));
}

fn an_affine() -> impl Strategy<Value = Affine> {
    (
        0.2f32..3.0,
        0.2f32..3.0,
        -3.0f32..3.0,
        -50.0f32..50.0,
        -50.0f32..50.0,
    )
        .prop_map(|(sx, sy, angle, x, y)| {
            let (sin, cos) = angle.sin_cos();
            Affine::scale(sx, sy)
                .then(&Affine([cos, -sin, 0.0, sin, cos, 0.0]))
                .then(&Affine::translation(x, y))
        })
}

fn near(a: [f32; 2], b: [f32; 2], tolerance: f32) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

proptest! {
    #[test]
    fn an_affine_then_its_inverse_is_no_change(map in an_affine(), x in -500f32..500.0, y in -500f32..500.0) {
        prop_assert!(near(map.inverse().apply(map.apply([x, y])), [x, y], 5e-3));
        prop_assert!(near(map.then(&map.inverse()).apply([x, y]), [x, y], 5e-3));
    }

    #[test]
    fn composing_affines_is_applying_one_after_the_other(
        first in an_affine(), second in an_affine(), x in -500f32..500.0, y in -500f32..500.0,
    ) {
        let both = first.then(&second).apply([x, y]);
        prop_assert!(near(both, second.apply(first.apply([x, y])), 1e-2));
    }

    #[test]
    fn a_layout_is_what_fitting_does(
        width in 1usize..300, height in 1usize..300, size in 1usize..70,
        method in prop_oneof![Just(ResizeMethod::Squish), Just(ResizeMethod::Crop), Just(ResizeMethod::Pad)],
    ) {
        let picture = Picture { width, height, rgb: vec![7; width * height * 3], deep: None, further: vec![], from_stored: Affine::IDENTITY };
        let fitted = fit(&picture, size, method, [0; 3]);
        let layout = layout([width, height], size, method);
        prop_assert_eq!(layout.sides, [fitted.width, fitted.height]);
        prop_assert_eq!(layout.map, fitted.from_stored);
        prop_assert_eq!(fitted.rgb.len(), fitted.width * fitted.height * 3);
        prop_assert!(fitted.width >= size && fitted.height >= size);
        // The middle of the image stays in the middle, to the pixel that a side is rounded by.
        let [x, y] = fitted.from_stored.apply([width as f32 / 2.0, height as f32 / 2.0]);
        let middle = [fitted.width as f32 / 2.0, fitted.height as f32 / 2.0];
        prop_assert!(near([x, y], middle, 0.51));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(
        kind in 0..KINDS.len(), damage in prop::collection::vec((0.0f64..1.0, any::<u8>()), 1..12),
    ) {
        let mut bytes = stored(KINDS[kind]);
        for (place, value) in damage {
            let at = (place * bytes.len() as f64) as usize;
            bytes[at] = value;
        }
        let limits = Limits { max_pixels: 4_000_000, ..Limits::default() };
        // Either outcome is right; to come back is what is asked.
        if let Ok(picture) = decode_bytes("damaged", &bytes, Some(16), &limits) {
            prop_assert_eq!(picture.rgb.len(), picture.width * picture.height * 3);
        }
    }
}

/// The JPEG with a second frame header, of this size, where one of two parsers does not look: behind a marker that one
/// takes for a segment and the other for nothing.
fn with_two_headers(first: [u16; 2], second: [u16; 2]) -> Vec<u8> {
    let mut jpeg = stored("rgb.jpg");
    let is_frame = |pair: &[u8]| pair == [0xff, 0xc0];
    let frame = jpeg.windows(2).position(is_frame).unwrap();
    let length = usize::from(u16::from_be_bytes([jpeg[frame + 2], jpeg[frame + 3]]));
    let header = jpeg[frame..frame + 2 + length].to_vec();
    let sized = |[width, height]: [u16; 2]| {
        let mut header = header.clone();
        header[5..7].copy_from_slice(&height.to_be_bytes());
        header[7..9].copy_from_slice(&width.to_be_bytes());
        header
    };
    let mut both = sized(first);
    both.extend([0xff, 0xd0]);
    both.extend((2 + header.len() as u16).to_be_bytes());
    both.extend(sized(second));
    jpeg.splice(frame..frame + header.len(), both);
    jpeg
}

#[test]
fn a_jpeg_of_two_headers_is_no_larger_than_what_was_checked() {
    for (first, second) in [
        ([65_500, 65_500], [8, 8]),
        ([20_000, 20_000], [8, 8]),
        ([20, 24], [100, 100]),
        ([8, 8], [65_500, 65_500]),
    ] {
        let text = message(of_bytes("two.jpg", with_two_headers(first, second)));
        assert!(text.starts_with("two.jpg: "), "{text}");
    }
}

#[test]
fn a_jpeg_that_lacks_pixels_before_its_end_marker_is_truncated() {
    let whole = stored("big.jpg");
    assert!(of_bytes("whole.jpg", whole.clone()).is_ok());
    for share in [10, 2] {
        let cut = ended_at(&whole, whole.len() / share);
        let text = message(of_bytes("cut.jpg", cut));
        assert!(text.starts_with("cut.jpg: "), "{text}");
    }
}

/// The file up to here, with an end marker, as programs that repair files write it.
fn ended_at(jpeg: &[u8], n_bytes: usize) -> Vec<u8> {
    let mut cut = jpeg[..n_bytes].to_vec();
    // No half of an escaped byte or of a marker.
    while cut.last() == Some(&0xff) {
        cut.pop();
    }
    cut.extend([0xff, 0xd9]);
    cut
}

#[test]
fn a_progressive_jpeg_is_refused_wherever_it_was_cut() {
    for name in ["progressive.jpg", "big_progressive.jpg"] {
        let whole = stored(name);
        assert!(of_bytes("whole.jpg", whole.clone()).is_ok());
        // The decoder reads 8 bytes ahead of what it needs.
        let last = whole.len() - 12;
        for n_bytes in (200..last).step_by(last / 60).chain([last]) {
            let text = message(of_bytes("cut.jpg", ended_at(&whole, n_bytes)));
            assert!(text.starts_with("cut.jpg: "), "{n_bytes}: {text}");
        }
    }
}

#[test]
fn bytes_between_the_headers_of_a_jpeg_change_nothing_and_hide_nothing() {
    let whole = stored("big.jpg");
    let with_strays = |jpeg: &[u8]| {
        let tables = jpeg.windows(2).position(|pair| pair == [0xff, 0xdb]);
        let mut jpeg = jpeg.to_vec();
        let at = tables.unwrap();
        jpeg.splice(at..at, *b"between the headers");
        jpeg
    };
    assert_eq!(
        of_bytes("strays.jpg", with_strays(&whole)).unwrap(),
        of_bytes("whole.jpg", whole.clone()).unwrap()
    );
    for n_bytes in [whole.len() / 10, whole.len() / 2] {
        let text = message(of_bytes("cut.jpg", with_strays(&ended_at(&whole, n_bytes))));
        assert!(text.starts_with("cut.jpg: "), "{text}");
    }
}

/// What `tests/reference/bands.py` wrote: the value of channel `c` at a pixel.
fn band(c: u32, pixel: usize) -> u32 {
    let (x, y) = (pixel as u32 % 6, pixel as u32 / 6);
    3 * x + 7 * y + 40 * c
}

/// `[channel][pixel]` of a TIFF of bands as a network of so many channels reads it.
fn read_bands(name: &str, channels: usize, range: Option<[f32; 2]>) -> Result<Vec<Vec<u32>>> {
    let reading = PixelFormat {
        range,
        channels: Some(channels),
    };
    let limits = Limits::default();
    let picture = decode_as(
        name,
        &stored(&format!("bands_{name}.tif")),
        None,
        &limits,
        reading,
    )?;
    assert_eq!((picture.width, picture.height), (6, 4));
    let threes: Vec<Vec<u32>> = picture
        .in_threes()
        .map(|three| match &three.deep {
            Some(deep) => deep.iter().copied().map(u32::from).collect(),
            None => three.rgb.iter().copied().map(u32::from).collect(),
        })
        .collect();
    let channel = |c: usize| {
        threes[c / 3]
            .iter()
            .skip(c % 3)
            .step_by(3)
            .copied()
            .collect()
    };
    Ok((0..channels).map(channel).collect())
}

#[test]
fn channels_of_a_tiff_are_those_that_tifffile_wrote() {
    for (name, channels, factor) in [
        ("five", 5, 1),
        ("five_planar", 5, 200),
        ("two", 2, 1),
        ("pages", 4, 1),
        ("rgba", 4, 1),
        ("colours_and_two", 5, 1),
    ] {
        let found = read_bands(name, channels, None).unwrap();
        for (c, values) in found.iter().enumerate() {
            let wanted: Vec<u32> = (0..24)
                .map(|pixel| factor * band(c as u32, pixel))
                .collect();
            assert_eq!(values, &wanted, "{name}, channel {c}");
        }
    }
    // A range is of all channels: 0 to 51,000 becomes 0 to 65,535.
    let found = read_bands("five_planar", 5, Some([0.0, 51_000.0])).unwrap();
    let wanted = (f64::from(200 * band(4, 23)) / 51_000.0 * 65_535.0).round();
    assert_eq!(f64::from(found[4][23]), wanted);
}

#[test]
fn greys_in_floating_point_and_below_zero_are_seen_in_their_range() {
    let grey = |name: &str, range| read_bands(name, 1, range).unwrap().swap_remove(0);
    let wanted = |value: &dyn Fn(usize) -> f64, [low, high]: [f64; 2]| -> Vec<u32> {
        (0..24)
            .map(|pixel| ((value(pixel) - low) / (high - low)).clamp(0.0, 1.0))
            .map(|share| (share * 65_535.0).round() as u32)
            .collect()
    };
    let float = |pixel: usize| f64::from(band(0, pixel)) / 16.0 - 1.0;
    let signed = |pixel: usize| f64::from(band(0, pixel)) * 100.0 - 1000.0;
    let near = |found: Vec<u32>, wanted: Vec<u32>| {
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!(found.abs_diff(*wanted) <= 1, "{found} {wanted}");
        }
    };
    near(
        grey("float", Some([-1.0, 1.25])),
        wanted(&float, [-1.0, 1.25]),
    );
    near(grey("float", None), wanted(&float, [0.0, 1.0]));
    near(
        grey("signed", Some([-1000.0, 2600.0])),
        wanted(&signed, [-1000.0, 2600.0]),
    );
    let range = |name: &str| {
        let bytes = stored(&format!("bands_{name}.tif"));
        deep_range(name, &bytes, &Limits::default()).unwrap()
    };
    assert_eq!(range("float"), Some([-1.0, 36.0 / 16.0 - 1.0]));
    assert_eq!(range("signed"), Some([-1000.0, 2600.0]));
    assert_eq!(range("five"), None);
}

#[test]
fn a_network_of_other_channels_than_the_image_says_so_and_a_person_sees_colours() {
    for (name, found, expected) in [
        ("five", 5, 3),
        ("five", 5, 4),
        ("two", 2, 1),
        ("pages", 1, 5),
    ] {
        let error = read_bands(name, expected, None).unwrap_err();
        let Error::ImageChannels {
            found: has,
            expected: takes,
            ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!((has, takes), (found, expected), "{name}");
    }
    let limits = Limits::default();
    let shown = |name: &str| {
        let bytes = stored(&format!("bands_{name}.tif"));
        decode_bytes(name, &bytes, None, &limits).unwrap().rgb
    };
    assert_eq!(shown("five")[..6], [0, 40, 80, 3, 43, 83]);
    assert_eq!(shown("two")[..6], [0, 0, 0, 3, 3, 3]);
    let facts = facts(&ImageSource::Path(reference("bands_five.tif"))).unwrap();
    assert_eq!((facts.width, facts.height, facts.format), (6, 4, "TIFF"));
}
