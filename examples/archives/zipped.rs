//! A folder as a `.zip`, made while it is sent and unpacked while it is received. Files are read and written on other threads.
//!
//! `ZipWriter::new_stream` writes to anything, but puts the length of a file *behind* it, where `read_zipfile_from_stream` says
//! that "the file length is not available". So this uses the `ZipWriter` that goes back to put the length in front, and keeps
//! for it [what it may go back to](Entry): the file that is being compressed, and no more.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use yieldfrom::io::File;
use zip::ZipWriter;
use zip::read::read_zipfile_from_stream;
use zip::result::{ZipError, ZipResult};
use zip::write::SimpleFileOptions;

/// Sends all files and folders in `folder`, in the order of their names.
pub fn send(folder: &Path, to: impl Write) -> ZipResult<()> {
    let mut archive = ZipWriter::new(Entry::new(to));
    archive.set_flush_on_finish_file(true);
    send_within(folder, Path::new(""), &mut archive)?;
    archive.finish()?.flush()?;
    Ok(())
}

fn send_within<W: Write>(
    folder: &Path,
    within: &Path,
    archive: &mut ZipWriter<Entry<W>>,
) -> ZipResult<()> {
    let entries = fs::read_dir(folder.join(within))?;
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = within.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            archive.add_directory_from_path(&path, SimpleFileOptions::default())?;
            send_within(folder, &path, archive)?;
        } else if kind.is_file() {
            archive.start_file_from_path(&path, SimpleFileOptions::default())?;
            io::copy(&mut File::open(entry.path())?, archive)?;
        }
    }
    Ok(())
}

/// Receives into `folder`. Returns how many files and folders there were.
///
/// # Errors
///
/// Also if something is to be put elsewhere. What came before it is there.
pub fn receive(from: impl Read, folder: &Path) -> ZipResult<usize> {
    let mut from = BufReader::new(from);
    let mut count = 0;
    while let Some(mut file) = read_zipfile_from_stream(&mut from)? {
        let path = place(folder, file.enclosed_name()).ok_or_else(|| {
            ZipError::Io(io::Error::other(format!(
                "{:?}: outside of the folder",
                file.name()
            )))
        })?;
        if file.is_dir() {
            fs::create_dir_all(path)?;
        } else {
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            io::copy(&mut file, &mut File::create(path)?)?;
        }
        count += 1;
    }
    // What is left is the directory, which says it all again.
    io::copy(&mut from, &mut io::sink())?;
    Ok(count)
}

/// No link can lead elsewhere: there are none but those that were in `folder` before.
fn place(folder: &Path, name: Option<PathBuf>) -> Option<PathBuf> {
    Some(folder.join(name?))
}

/// Keeps back what has been written since the last [`flush`](Write::flush), and seeks in that.
pub struct Entry<W> {
    to: W,
    kept: Vec<u8>,
    /// How many bytes have gone before.
    gone: u64,
    /// Where in what is kept the next write goes.
    position: usize,
}

impl<W: Write> Entry<W> {
    pub fn new(to: W) -> Self {
        Self {
            to,
            kept: Vec::new(),
            gone: 0,
            position: 0,
        }
    }
}

impl<W: Write> Write for Entry<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let over = bytes.len().min(self.kept.len() - self.position);
        self.kept[self.position..][..over].copy_from_slice(&bytes[..over]);
        self.kept.extend_from_slice(&bytes[over..]);
        self.position += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.write_all(&self.kept)?;
        self.gone += self.kept.len() as u64;
        self.kept.clear();
        self.position = 0;
        self.to.flush()
    }
}

/// `set_flush_on_finish_file` asks for this, though nothing is read then.
impl<W> Read for Entry<W> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl<W> Seek for Entry<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let wanted = match to {
            SeekFrom::Start(position) => position.checked_sub(self.gone),
            SeekFrom::Current(by) => (self.position as u64).checked_add_signed(by),
            SeekFrom::End(by) => (self.kept.len() as u64).checked_add_signed(by),
        };
        let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok());
        match wanted.filter(|&wanted| wanted <= self.kept.len()) {
            Some(position) => self.position = position,
            None => return Err(io::Error::other("that has gone, or is still to come")),
        }
        Ok(self.gone + self.position as u64)
    }
}
