//! A folder as a `.tar.gz`, made while it is sent and unpacked while it is received.
//!
//! `tar` reads and writes the files itself, in place. That is what local disks are quick enough for; `zipped.rs` does it on
//! other threads.

#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Archive, Builder};

/// Sends all that is in `folder`. Symbolic links are sent as such.
///
/// If this fails, the destructors have put an end to the archive as if that were all: close the connection in another way
/// than after a success.
pub fn send(folder: &Path, to: impl Write) -> io::Result<()> {
    let mut archive = Builder::new(GzEncoder::new(to, Compression::fast()));
    archive.follow_symlinks(false);
    archive.append_dir_all("", folder)?;
    archive.into_inner()?.finish()?.flush()
}

/// Receives into `folder`. Returns how many files and folders there were.
///
/// # Errors
///
/// Also if something is to be put elsewhere: by `..`, or through a symbolic link. What came before it is there.
pub fn receive(from: impl Read, folder: &Path) -> io::Result<usize> {
    let mut archive = Archive::new(GzDecoder::new(from));
    let mut count = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        // It unpacks `/x` as `x`, and says no to what lies outside.
        if !entry.unpack_in(folder)? {
            let path = entry.path_bytes().escape_ascii().to_string();
            return Err(io::Error::other(format!("{path}: outside of the folder")));
        }
        count += 1;
    }
    // The archive ends before the data do, and `GzDecoder` compares checksums only when it comes to their end. They end before
    // the body does, and only its last chunk says that the sender meant this to be all.
    let mut data = archive.into_inner();
    io::copy(&mut data, &mut io::sink())?;
    io::copy(data.get_mut(), &mut io::sink())?;
    Ok(count)
}
