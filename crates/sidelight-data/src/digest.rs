//! SHA-256 as it is written down: hexadecimal digits.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::{Result, cannot_read};

/// Two digits a byte.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
    let mut buffer = vec![0; 1 << 20];
    let mut n_bytes = 0;
    loop {
        match file.read(&mut buffer).map_err(cannot_read)? {
            0 => break,
            n => {
                digest.update(&buffer[..n]);
                n_bytes += n as u64;
            }
        }
    }
    Ok((hexadecimal(&digest.finalize()), n_bytes))
}
