//! JSON as it is read, as long as not too many objects are within each other: the library takes terms apart by
//! recursion, and a stack that overflows ends the process.

use std::io::{self, Read};

/// How many objects may be within each other. Results need four, and two for each triple within another.
const MOST_NESTED: usize = 64;

/// See the module.
pub(super) struct Shallow<R> {
    inner: R,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl<R: Read> Shallow<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, depth: 0, in_string: false, escaped: false }
    }
}

impl<R: Read> Read for Shallow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for &byte in &buffer[..count] {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' if !self.in_string => self.depth += 1,
                b'}' if !self.in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            if self.depth > MOST_NESTED {
                let message = format!("more than {MOST_NESTED} objects are within each other");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_in_strings_do_not_count() {
        let read = |text: &str| Shallow::new(text.as_bytes()).read_to_end(&mut Vec::new()).is_ok();
        assert!(read(&"{\"a\\\"{\":1}".repeat(1000)) && read(&format!("\"{}\"", "{".repeat(1000))));
        assert!(read(&"{".repeat(MOST_NESTED)) && !read(&"{".repeat(MOST_NESTED + 1)));
    }
}
