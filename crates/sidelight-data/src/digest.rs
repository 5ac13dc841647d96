//! SHA-256 as it is written down: hexadecimal digits.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::{Result, cannot_read};

/// Two digits a byte.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Gives what is read to `each`, piece by piece; the number of bytes.
///
/// # Errors
///
/// Those of the reader, but for an interruption: it is asked again.
pub fn for_each_piece(reader: &mut impl Read, mut each: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 18];
    let mut n_bytes = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(n_bytes),
            Ok(n) => {
                each(buffer.get(..n).unwrap_or(&buffer));
                n_bytes += n as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// SHA-256 of a file in hexadecimal digits, and its length.
///
/// # Errors
///
/// [`Error::Read`](crate::Error::Read).
pub fn of_file(path: &Path) -> Result<(String, u64)> {
    let cannot_read = cannot_read(path);
    let mut file = File::open(path).map_err(cannot_read)?;
    let mut digest = Sha256::new();
    let n_bytes = for_each_piece(&mut file, |piece| digest.update(piece)).map_err(cannot_read)?;
    Ok((hexadecimal(&digest.finalize()), n_bytes))
}
