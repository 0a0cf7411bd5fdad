//! Where text is on this machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// In bytes. Files with longer lines are not what people write.
pub const LONGEST_LINE: usize = 4096;

const LONGEST_FILE: u64 = 1 << 22;

/// Files of one kind, in random order.
pub struct Source {
    pub name: &'static str,
    pub files: Vec<PathBuf>,
}

/// All there are. None of them has much more text than a sixth of `size`, lest one makes the whole.
pub fn sources(size: u64, random: &mut Random) -> Vec<Source> {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo = env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let rust = rust();
    let python = ["3.13", "3.12", "3.11"].map(|version| format!("/usr/lib/python{version}"));
    let kinds: [(&str, Vec<PathBuf>); 6] = [
        (
            "this repository",
            vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("..")],
        ),
        (
            "Rust's documentation",
            vec![rust.join("share/doc"), rust.join("lib/rustlib/src")],
        ),
        ("sources of crates", vec![cargo.join("registry/src")]),
        (
            "Python's library",
            python.iter().map(PathBuf::from).collect(),
        ),
        (
            "Perl's library",
            vec!["/usr/share/perl".into(), "/usr/share/perl5".into()],
        ),
        ("documentation", vec!["/usr/share/doc".into()]),
    ];
    kinds
        .into_iter()
        .map(|(name, folders)| {
            let mut files = Vec::new();
            for folder in &folders {
                walk(folder, &mut files);
            }
            files.sort_unstable();
            random.shuffle(&mut files);
            let mut room = size / 6;
            let takes = |(_, length): &(PathBuf, u64)| {
                let takes = room > 0;
                room = room.saturating_sub(*length);
                takes
            };
            let files = files.into_iter().take_while(takes);
            let files = files.map(|(path, _)| path).collect();
            Source { name, files }
        })
        .collect()
}

/// Where the toolchain is.
fn rust() -> PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let path = output.ok().and_then(|o| String::from_utf8(o.stdout).ok());
    path.map_or_else(PathBuf::new, |path| path.trim_end().into())
}

/// Adds all files below a folder, and their lengths. What is hidden and what was built is left out.
fn walk(folder: &Path, files: &mut Vec<(PathBuf, u64)>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return; // there is none, or not for us
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") || name == "target" {
            continue;
        }
        // What a symbolic link leads to has been found, or will be.
        match entry.metadata() {
            Ok(data) if data.is_dir() => walk(&entry.path(), files),
            Ok(data) if data.is_file() && data.len() <= LONGEST_FILE => {
                files.push((entry.path(), data.len()));
            }
            _ => {}
        }
    }
}

/// What is in a file, if it is text.
pub fn read_text(path: &Path) -> Option<String> {
    let text = String::from_utf8(fs::read(path).ok()?).ok()?;
    let is_text = !text.contains('\0') && text.split('\n').all(|line| line.len() < LONGEST_LINE);
    is_text.then_some(text)
}

/// Always the same numbers: xorshift64*.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        ((u128::from(number) * end as u128) >> 64) as usize
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
