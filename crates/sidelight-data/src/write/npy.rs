//! A matrix of single precision as NumPy's `.npy`, written row by row; it appears when it is whole.
//!
//! # Source
//!
//! NumPy's [format, version 1.0](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::whole::WholeFile;
use crate::error::{Result, cannot_write};

/// Bytes of the header: room for any number of rows, and a multiple of 64 as the format asks.
const HEADER: u16 = 128;
/// Magic and version.
const START: &[u8; 8] = b"\x93NUMPY\x01\x00";

/// A matrix `[rows, width]` of f32 in the making. Dropped before [`finish`](Self::finish), it leaves nothing.
///
/// # Example
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("features.npy");
/// let mut matrix = sidelight_data::write::NpyWriter::create(&path, 2)?;
/// matrix.write(&[1.0, 2.0, 3.0, 4.0])?;
/// matrix.finish()?;
/// assert_eq!(std::fs::metadata(&path)?.len(), 128 + 4 * 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct NpyWriter {
    path: PathBuf,
    file: WholeFile,
    width: usize,
    n_numbers: usize,
}

impl NpyWriter {
    /// Begins a matrix of so many columns. How many rows it has is written when it is whole.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write).
    pub fn create(path: &Path, width: usize) -> Result<Self> {
        let mut file = WholeFile::create(path)?;
        file.write_all(&header(0, width))
            .map_err(cannot_write(path))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            width,
            n_numbers: 0,
        })
    }

    /// Appends whole rows, one after another.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write).
    ///
    /// # Panics
    ///
    /// Where the numbers are not whole rows.
    pub fn write(&mut self, rows: &[f32]) -> Result<()> {
        let is_whole = rows.len().checked_rem(self.width).unwrap_or(rows.len()) == 0;
        assert!(is_whole, "whole rows of {} numbers", self.width);
        rows.iter()
            .try_for_each(|number| self.file.write_all(&number.to_le_bytes()))
            .map_err(cannot_write(&self.path))?;
        self.n_numbers += rows.len();
        Ok(())
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write); of a pipe, in which nothing can be written twice, as well.
    pub fn finish(mut self) -> Result<()> {
        let n_rows = self.n_numbers.checked_div(self.width).unwrap_or(0);
        let begun = self.file.seek(SeekFrom::Start(0));
        begun
            .and_then(|_| self.file.write_all(&header(n_rows, self.width)))
            .map_err(cannot_write(&self.path))?;
        self.file.finish()
    }
}

/// Magic, version, the header's own length, and a Python dictionary filled up with spaces.
fn header(n_rows: usize, width: usize) -> Vec<u8> {
    let text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n_rows}, {width}), }}");
    // What follows it: all but magic, version and itself.
    let length = HEADER - 10;
    let mut bytes = START.to_vec();
    bytes.extend(length.to_le_bytes());
    // Two numbers of 64 bits leave room to spare.
    bytes.extend(format!("{text:<0$}\n", usize::from(length) - 1).bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_its_length_whatever_the_shape() {
        for shape in [(0, 0), (12, 1280), (usize::MAX, usize::MAX)] {
            let header = header(shape.0, shape.1);
            assert_eq!(header.len(), usize::from(HEADER));
            assert_eq!(header[8..10], 118_u16.to_le_bytes());
            assert_eq!(header.last(), Some(&b'\n'));
        }
    }

    #[test]
    fn a_matrix_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let mut matrix = NpyWriter::create(&path, 3).unwrap();
        matrix.write(&[0.5, f32::NAN, -1.0]).unwrap();
        matrix.write(&[1.0; 6]).unwrap();
        assert!(!path.exists());
        matrix.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let start = usize::from(HEADER);
        let text = String::from_utf8_lossy(&bytes[10..start]);
        assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3), }"));
        assert_eq!(bytes[start..][..4], 0.5_f32.to_le_bytes());
        assert_eq!(bytes.len(), start + 9 * 4);
        drop(NpyWriter::create(&folder.path().join("b.npy"), 3).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
