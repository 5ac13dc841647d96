//! Text that is not UTF-8, made UTF-8 as it is read.

#![expect(
    clippy::indexing_slicing,
    reason = "ranges of own buffers: no reader and no decoder gives more than there is room for"
)]

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::steady::Steady;
use crate::error::{Result, cannot_read, setting};

/// Bytes of a file that are looked at to tell its encoding. Beyond them a byte that is not UTF-8 is an error.
const LOOKED_AT: u64 = 64 << 20;

/// The encoding of a file, and what should be said of it.
pub(super) fn find(
    path: &Path,
    start: &[u8],
    told: Option<&str>,
) -> Result<(&'static Encoding, Option<String>)> {
    if let Some(name) = told {
        let encoding = Encoding::for_label(name.as_bytes());
        let encoding = encoding.ok_or_else(|| {
            let expected = "the name of an encoding (utf-8, utf-16le, windows-1252, shift_jis, …)";
            setting("data.encoding", expected, name)
        })?;
        return Ok((encoding, None));
    }
    // "Unicode text" of spreadsheet programs; some leave the byte order mark out.
    let utf_16 = match start {
        [0xff, 0xfe, ..] => Some(UTF_16LE),
        [0xfe, 0xff, ..] => Some(UTF_16BE),
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => Some(UTF_16LE),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => Some(UTF_16BE),
        _ => None,
    };
    if let Some(encoding) = utf_16 {
        return Ok((encoding, None));
    }
    let remark = || {
        format!(
            "{} is not UTF-8: read as windows-1252, as Excel writes it in the west; set `data.encoding` if letters are wrong",
            path.display()
        )
    };
    match is_single_byte(path)? {
        true => Ok((WINDOWS_1252, Some(remark()))),
        false => Ok((UTF_8, None)),
    }
}

/// Whether a file has bytes that are not UTF-8 and nothing but ASCII besides: damaged UTF-8 has some letters that are
/// whole.
fn is_single_byte(path: &Path) -> Result<bool> {
    let fail = cannot_read(path);
    // What can be read only once is not looked at before.
    if !std::fs::metadata(path).map_err(fail)?.is_file() {
        return Ok(false);
    }
    let mut file = Steady(File::open(path).map_err(fail)?).take(LOOKED_AT);
    let mut buffer = vec![0; 1 << 18];
    // A letter may be cut in two by the end of a buffer.
    let (mut kept, mut is_broken) = (0, false);
    loop {
        let n = file.read(&mut buffer[kept..]).map_err(fail)?;
        let mut text = &buffer[..kept + n];
        let mut rest = 0;
        while !text.is_ascii() {
            match str::from_utf8(text) {
                Ok(_) => return Ok(false),
                Err(error) => {
                    let (valid, after) = text.split_at(error.valid_up_to());
                    if !valid.is_ascii() {
                        return Ok(false);
                    }
                    match error.error_len() {
                        Some(length) => {
                            is_broken = true;
                            text = &after[length..];
                        }
                        None if n > 0 => {
                            rest = after.len();
                            break;
                        }
                        None => {
                            is_broken = true;
                            break;
                        }
                    }
                }
            }
        }
        if n == 0 {
            return Ok(is_broken);
        }
        let end = kept + n;
        buffer.copy_within(end - rest..end, 0);
        kept = rest;
    }
}

/// The bytes of a text file as UTF-8.
#[derive(Debug)]
pub(super) enum Text {
    /// As they are.
    Plain(BufReader<Steady<File>>),
    /// From another encoding.
    Decoded(Box<Decoded>),
}

impl Text {
    pub(super) fn new(file: BufReader<Steady<File>>, encoding: &'static Encoding) -> Self {
        if encoding == UTF_8 {
            return Self::Plain(file);
        }
        Self::Decoded(Box::new(Decoded {
            file,
            decoder: encoding.new_decoder(),
            bytes: vec![0; 1 << 16],
            unread: 0..0,
            is_last: false,
            is_finished: false,
            text: vec![0; 1 << 17],
            given: 0..0,
        }))
    }
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Decoded(decoded) => decoded.read(buffer),
        }
    }
}

/// A file that is decoded as it is read.
pub(super) struct Decoded {
    file: BufReader<Steady<File>>,
    decoder: Decoder,
    bytes: Vec<u8>,
    /// Of `bytes`, those not yet decoded.
    unread: std::ops::Range<usize>,
    is_last: bool,
    is_finished: bool,
    text: Vec<u8>,
    /// Of `text`, what was not yet given out.
    given: std::ops::Range<usize>,
}

impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoded")
            .field("encoding", &self.decoder.encoding().name())
            .finish_non_exhaustive()
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A decoder that has ended may not be asked again; it ends with a letter where the file ends within one.
        while self.given.is_empty() && !self.is_finished {
            if self.unread.is_empty() && !self.is_last {
                let n = self.file.read(&mut self.bytes)?;
                (self.unread, self.is_last) = (0..n, n == 0);
            }
            // Malformed bytes become the replacement character, which a person sees.
            let bytes = &self.bytes[self.unread.clone()];
            let (result, n_read, n_written, _) =
                self.decoder
                    .decode_to_utf8(bytes, &mut self.text, self.is_last);
            self.unread.start += n_read;
            self.given = 0..n_written;
            self.is_finished = self.is_last && result == CoderResult::InputEmpty;
        }
        let n = buffer.len().min(self.given.len());
        let start = self.given.start;
        buffer[..n].copy_from_slice(&self.text[start..start + n]);
        self.given.start += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_cut_within_a_letter_ends_with_a_replacement() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        io::Write::write_all(&mut file, b"a\0,\0b\0\xe4").unwrap();
        let file = BufReader::new(Steady(file.reopen().unwrap()));
        let mut text = String::new();
        Text::new(file, UTF_16LE).read_to_string(&mut text).unwrap();
        assert_eq!(text, "a,b\u{fffd}");
    }
}
