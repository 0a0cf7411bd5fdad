//! Files.

#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::path::PathBuf;

use blocking::unblock;

use super::blocking::Blocking;
use super::wait::wait;

/// A file, read and written on other threads.
///
/// ```
/// use std::io::{Read, Write};
/// use yieldfrom::{fiber, io::File};
///
/// let path = std::env::temp_dir().join(format!("yieldfrom-{}", std::process::id()));
/// # let clean_up = path.clone();
/// let text = futures_lite::future::block_on(fiber(move || {
///     File::create(&path)?.write_all(b"written by a fiber")?;
///     std::io::read_to_string(File::open(&path)?)
/// }));
/// assert_eq!(text?, "written by a fiber");
/// # std::fs::remove_file(clean_up)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub type File = Blocking<fs::File>;

impl File {
    /// Opens a file to read it.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::open`].
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        Self::open_with(path, fs::OpenOptions::new().read(true).clone())
    }

    /// Opens a file to write it. What it held is lost.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::create`].
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let options = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .clone();
        Self::open_with(path, options)
    }

    /// Opens a file as `options` say.
    ///
    /// # Errors
    ///
    /// As [`std::fs::OpenOptions::open`].
    pub fn open_with(path: impl Into<PathBuf>, options: fs::OpenOptions) -> io::Result<Self> {
        let path = path.into();
        wait(unblock(move || options.open(path))).map(Self::new)
    }
}
