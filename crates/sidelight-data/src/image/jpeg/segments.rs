//! The segments of a JPEG: what they say before the first scan, and whether all scans are there.
//!
//! # Source
//!
//! ITU-T T.81, annexes B (markers) and G (progressive coding).

use ::image::metadata::Orientation;
use zune_jpeg::errors::DecodeErrors;

use crate::error::{Error, Result};
use crate::image::broken;

/// What the markers before the first scan say.
#[derive(Debug, Clone, Copy)]
pub(in crate::image) struct Header {
    pub(in crate::image) width: usize,
    pub(in crate::image) height: usize,
    pub(in crate::image) orientation: Orientation,
    /// Written by Adobe software, which stores CMYK inverted.
    pub(super) is_adobe: bool,
    /// Values of each pixel.
    pub(super) n_components: u8,
}

/// Reads the markers up to the first scan.
pub(in crate::image) fn header(name: &str, bytes: &[u8]) -> Result<Header> {
    let truncated = || Error::ImageTruncated {
        name: name.into(),
        format: "JPEG",
        n_bytes: bytes.len(),
    };
    let mut is_adobe = false;
    let mut orientation = Orientation::NoTransforms;
    let mut size = None;
    let mut n_components = 0;
    let mut at = 2;
    loop {
        let Segment {
            marker, data, end, ..
        } = next_segment(bytes, at).ok_or_else(truncated)?;
        match marker {
            _ if is_frame(marker) => {
                let &[_, h1, h0, w1, w0, n, ..] = data else {
                    return Err(truncated());
                };
                n_components = n;
                size = Some(
                    [u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0])].map(usize::from),
                );
            }
            0xe1 => {
                let exif = data.strip_prefix(b"Exif\0\0");
                orientation = exif
                    .and_then(Orientation::from_exif_chunk)
                    .unwrap_or(orientation);
            }
            0xee if data.starts_with(b"Adobe") => is_adobe = true,
            0xda | 0xd9 => break,
            _ => {}
        }
        at = end;
    }
    match size {
        Some([width, height]) if width > 0 && height > 0 => Ok(Header {
            width,
            height,
            orientation,
            is_adobe,
            n_components,
        }),
        Some([width, height]) => Err(broken(
            name,
            "JPEG",
            bytes.len(),
            DecodeErrors::Format(format!("its header says {width} × {height} pixels")),
        )),
        None => Err(broken(
            name,
            "JPEG",
            bytes.len(),
            DecodeErrors::FormatStatic("it has no frame header"),
        )),
    }
}

/// Start of frame, of any coding (C4, C8 and CC are something else).
fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// The file as a decoder must read it, so that it cannot make up pixels; `None`: there is no end marker, or scans are
/// missing before it.
///
/// Before the first scan the segments alone, as [`header`] saw them: cameras write bytes between them, which hurt nobody.
/// After the last scan something that is reached only where its pixels are missing, and that no decoder takes for pixels.
pub(super) fn strict(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut strict = Vec::with_capacity(bytes.len() + 64);
    strict.extend_from_slice(bytes.get(..2)?);
    let mut scans = Scans::default();
    let (mut at, mut has_restarts, mut has_begun) = (2, false, false);
    let end = loop {
        let segment = next_segment(bytes, at)?;
        match segment.marker {
            0xd9 => break segment.start,
            0xdd => has_restarts |= segment.data != [0, 0],
            0xda => scans.add_scan(segment.data),
            marker if is_frame(marker) => scans.begin(marker, segment.data),
            _ => {}
        }
        // From the first scan on, what lies between two segments is coded pixels.
        let from = if has_begun { at } else { segment.start };
        strict.extend_from_slice(bytes.get(from..segment.end)?);
        has_begun |= segment.marker == 0xda;
        at = segment.end;
    };
    if !scans.are_whole() {
        return None;
    }
    strict.extend_from_slice(bytes.get(at..end)?);
    // Ones, which are no code word of any table (C.2), as far as the decoder reads ahead.
    strict.extend([0xff, 0x00].repeat(8));
    if scans.is_sequential {
        // Without the end marker the decoder complains, once it has read through what follows.
        strict.extend([0; 32]);
    } else {
        // A reserved marker may stand between scans, but not among pixels (F.2.2.5). Where pixels have restart markers, the
        // last one is looked for in any case.
        if !has_restarts {
            strict.extend([0xff, 0x02, 0x00, 0x02]);
        }
        strict.extend([0xff, 0xd9]);
    }
    Some(strict)
}

/// Which bits of which coefficients the scans have brought.
#[derive(Debug, Default)]
struct Scans {
    is_sequential: bool,
    /// For each component its number, and how many low bits of each coefficient are still missing.
    components: Vec<(u8, [u8; 64])>,
}

impl Scans {
    /// A frame header: no component has any of its coefficients.
    fn begin(&mut self, marker: u8, data: &[u8]) {
        self.is_sequential = marker <= 0xc1;
        let (components, _) = data.get(6..).unwrap_or_default().as_chunks::<3>();
        // More than four no decoder reads.
        self.components = components
            .iter()
            .take(4)
            .map(|&[number, ..]| (number, [u8::MAX; 64]))
            .collect();
    }

    fn add_scan(&mut self, data: &[u8]) {
        let Some((&n, rest)) = data.split_first() else {
            return;
        };
        let Some((selectors, spectrum)) = rest.split_at_checked(2 * usize::from(n)) else {
            return;
        };
        let (coefficients, bit) = match spectrum {
            &[start, end, bits, ..] if !self.is_sequential => {
                (usize::from(start)..usize::from(end) + 1, bits & 0x0f)
            }
            _ => (0..64, 0),
        };
        let (selectors, _) = selectors.as_chunks::<2>();
        for (number, missing) in &mut self.components {
            let is_in = selectors.iter().any(|[selected, _]| selected == number);
            if let (true, Some(missing)) = (is_in, missing.get_mut(coefficients.clone())) {
                missing.fill(bit);
            }
        }
    }

    fn are_whole(&self) -> bool {
        let mut missing = self.components.iter().flat_map(|(_, missing)| missing);
        missing.all(|bits| *bits == 0)
    }
}

struct Segment<'a> {
    marker: u8,
    /// Where its marker begins.
    start: usize,
    data: &'a [u8],
    end: usize,
}

/// The next marker at or after `at`, with its data. Coded pixels and stray bytes before it are passed over:
/// within them FF is followed by 00 or by a restart marker.
fn next_segment(bytes: &[u8], at: usize) -> Option<Segment<'_>> {
    let mut at = at;
    loop {
        at += bytes.get(at..)?.iter().position(|&byte| byte == 0xff)?;
        let marker = *bytes.get(at + 1)?;
        match marker {
            0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
            0xff => at += 1,
            0xd9 => {
                return Some(Segment {
                    marker,
                    start: at,
                    data: &[],
                    end: at + 2,
                });
            }
            _ => {
                let length = bytes.get(at + 2..)?.first_chunk()?;
                let length = usize::from(u16::from_be_bytes(*length));
                let data = bytes.get(at + 4..(at + 2 + length).max(at + 4))?;
                return Some(Segment {
                    marker,
                    start: at,
                    data,
                    end: at + 2 + length.max(2),
                });
            }
        }
    }
}
