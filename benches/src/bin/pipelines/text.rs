//! The file that is searched.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use memchr::{memchr, memchr_iter};

use crate::blocks::BUFFER;
use crate::progress::progress;
use crate::sources::{LONGEST_LINE, Random, Source, read_text, sources};
use crate::table::thousands;

pub const MEGABYTE: u64 = 1_000_000;

/// A file with text. What was made is removed when it is dropped, unless it is to be kept.
pub struct Text {
    path: PathBuf,
    origin: String,
    size: u64,
    lines: u64,
    is_removed: bool,
}

impl Text {
    /// Takes what is at `path`, or in the build's folder, or makes it there.
    ///
    /// # Errors
    ///
    /// Those of reading and writing, with the path; and if there is nothing to search, or a NUL.
    pub fn find_or_make(path: Option<&Path>, size: u64, keep: bool) -> io::Result<Self> {
        let is_given = path.is_some();
        let path = match path {
            Some(path) => path.to_owned(),
            None => build_folder()?.join(format!("pipelines-{}.txt", size / MEGABYTE)),
        };
        let name = path.display().to_string();
        let text = Self::at(path, is_given, size, keep);
        text.map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
    }

    fn at(path: PathBuf, is_given: bool, size: u64, keep: bool) -> io::Result<Self> {
        // A file that was made ends before the line that would have exceeded the size.
        let fits = |found: u64| is_given || (size - LONGEST_LINE as u64..=size).contains(&found);
        let is_there = fs::metadata(&path).is_ok_and(|data| fits(data.len()));
        let mut text = Self {
            path,
            origin: String::from("what was there"),
            size: 0,
            lines: 0,
            is_removed: !is_there && !keep,
        };
        if !is_there {
            text.origin = make_whole(&text.path, size)?;
            fs::write(text.about(), &text.origin)?;
        } else if let Ok(origin) = fs::read_to_string(text.about()) {
            text.origin = origin;
        }
        (text.size, text.lines) = measure(&text.path)?;
        if text.lines == 0 {
            return Err(io::Error::other("there is nothing in it to search"));
        }
        Ok(text)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The file that says where the text is from.
    fn about(&self) -> PathBuf {
        beside(&self.path, ".origin")
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        if self.is_removed {
            // Nobody is left to tell.
            let _ = fs::remove_file(self.about());
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (size, lines) = (thousands(self.size), thousands(self.lines));
        let mean = self.size as f64 / self.lines as f64;
        write!(
            f,
            "{size} bytes in {lines} lines of {mean:.1} bytes each, with the \\n, from {}",
            self.origin
        )
    }
}

/// Cargo's target folder: that of the profile's folder in which this program lies.
fn build_folder() -> io::Result<PathBuf> {
    let program = env::current_exe()?;
    let folder = program.ancestors().nth(2);
    Ok(folder.map_or_else(env::temp_dir, Path::to_owned))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// As [`make`], but leaves no part of a file behind.
fn make_whole(path: &Path, size: u64) -> io::Result<String> {
    let part = beside(path, ".part");
    let made = make(&part, size).and_then(|origin| {
        fs::rename(&part, path)?;
        Ok(origin)
    });
    if made.is_err() {
        let _ = fs::remove_file(&part); // the error is what matters
    }
    made
}

/// Writes whole lines of whole files, in one random order after the other, until `size` is reached. Returns what from.
fn make(path: &Path, size: u64) -> io::Result<String> {
    progress("looking for text");
    let mut random = Random::new();
    let mut sources = sources(size, &mut random);
    let mut files: Vec<(usize, PathBuf)> = Vec::new();
    for (i, source) in sources.iter_mut().enumerate() {
        files.extend(source.files.drain(..).map(|file| (i, file)));
    }
    let mut written = vec![0; sources.len()];
    let mut out = BufWriter::new(File::create(path)?);
    let mut left = size;
    'rounds: loop {
        random.shuffle(&mut files);
        let before = left;
        for (i, file) in &files {
            let Some(text) = read_text(file) else {
                continue;
            };
            for line in text.split_inclusive('\n') {
                let line = line.strip_suffix('\n').unwrap_or(line);
                let length = line.len() as u64 + 1;
                if length > left {
                    break 'rounds;
                }
                out.write_all(line.as_bytes())?;
                out.write_all(b"\n")?;
                left -= length;
                written[*i] += length;
            }
            progress(&format!("{} MB of text to write", left / MEGABYTE));
        }
        if left == before {
            return Err(io::Error::other("no text was found on this machine"));
        }
    }
    out.flush()?;
    progress("");
    let origin = |(source, bytes): (&Source, &u64)| {
        let percent = (100 * bytes + size / 2) / size;
        (percent > 0).then(|| format!("{} ({percent} %)", source.name))
    };
    let origins: Vec<String> = sources.iter().zip(&written).filter_map(origin).collect();
    Ok(origins.join(", "))
}

/// How many bytes and lines there are. From then on the file is in the page cache.
fn measure(path: &Path) -> io::Result<(u64, u64)> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BUFFER];
    let (mut size, mut lines, mut last) = (0, 0, b'\n');
    loop {
        let read = file.read(&mut buffer)?;
        let Some(&end) = buffer[..read].last() else {
            break;
        };
        last = end;
        if memchr(b'\0', &buffer[..read]).is_some() {
            return Err(io::Error::other(
                "there is a NUL in it, which programs take for binary data",
            ));
        }
        size += read as u64;
        lines += memchr_iter(b'\n', &buffer[..read]).count() as u64;
    }
    Ok((size, lines + u64::from(last != b'\n')))
}
