//! Reads that are as long as they were asked to be.

use std::io::{self, ErrorKind, Read};

/// Fills what it is given, to the end of what it reads: a pipe or a file system on the network has perhaps only some bytes
/// at hand, or is interrupted, and what is found in the beginning of a table must not hang on that.
#[derive(Debug)]
pub(super) struct Steady<R>(pub(super) R);

impl<R: Read> Read for Steady<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        while n < buffer.len() {
            match self.0.read(buffer.get_mut(n..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(more) => n += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, and is interrupted before each.
    struct Halting<'a>(&'a [u8], bool);

    impl Read for Halting<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            let Some((first, rest)) = self.0.split_first() else {
                return Ok(0);
            };
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            (buffer[0], self.0) = (*first, rest);
            Ok(1)
        }
    }

    #[test]
    fn a_byte_at_a_time_fills_the_buffer() {
        let mut steady = Steady(Halting(b"a;b;c", false));
        let mut buffer = [0; 4];
        assert_eq!(steady.read(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer, b"a;b;");
        assert_eq!(steady.read(&mut buffer).unwrap(), 1);
        assert_eq!(steady.read(&mut buffer).unwrap(), 0);
    }
}
