//! A file in blocks of whole lines, which is how all loops of this program read.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use memchr::memrchr;

/// How much is read at once, in bytes.
pub const BUFFER: usize = 128 * 1024;

pub struct Blocks {
    file: File,
    buffer: Vec<u8>,
    /// What has been lent ends at `lent`; from there to `filled` a line has begun.
    lent: usize,
    filled: usize,
}

impl Blocks {
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            buffer: vec![0; BUFFER],
            lent: 0,
            filled: 0,
        })
    }

    /// The next lines, lent until the next call. Each ends with its `\n`, but for the last one of a file without.
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.buffer.copy_within(self.lent..self.filled, 0);
        self.filled -= self.lent;
        self.lent = 0;
        loop {
            if self.filled == self.buffer.len() {
                self.buffer.resize(2 * self.filled, 0);
            }
            let read = read(&mut self.file, &mut self.buffer[self.filled..])?;
            let new = self.filled..self.filled + read;
            self.filled = new.end;
            self.lent = match memrchr(b'\n', &self.buffer[new.clone()]) {
                Some(last) => new.start + last + 1,
                None if read == 0 => self.filled,
                None => continue,
            };
            return Ok((self.lent > 0).then(|| &self.buffer[..self.lent]));
        }
    }
}

/// Reads once; 0 is the end of the file.
pub fn read(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
