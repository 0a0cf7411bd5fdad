//! What `--help` and `--version` print.

pub const VERSION: &str = concat!(
    "grep (an example of yieldfrom) ",
    env!("CARGO_PKG_VERSION"),
    "\nBehaves as GNU grep 3.8.\n"
);

pub const HELP: &str = "\
Usage: grep [OPTION]... PATTERNS [FILE]...
Prints the lines of each FILE that match one of PATTERNS (one per line).
Without FILE, and for the FILE -, reads standard input; with -r and without FILE, the working directory.

What PATTERNS are:
  -G, --basic-regexp         basic regular expressions of POSIX with GNU's extensions; the default
  -E, --extended-regexp      extended ones
  -F, --fixed-strings        strings
  -e, --regexp=PATTERNS      patterns; may be repeated
  -f, --file=FILE            patterns from FILE, one per line
  -i, -y, --ignore-case      upper and lower case match each other
      --no-ignore-case       they do not; the default
  -w, --word-regexp          a match has no letter, digit or _ beside it
  -x, --line-regexp          a match is a whole line
  -z, --null-data            a line ends in a NUL

Which lines:
  -v, --invert-match         selects the lines that do not match
  -m, --max-count=NUM        stops reading a file after NUM selected lines
  -A, --after-context=NUM    also prints NUM lines behind each selected one
  -B, --before-context=NUM   also prints NUM lines before each selected one
  -C, --context=NUM, -NUM    both
      --group-separator=SEP  prints SEP between groups of lines instead of --
      --no-group-separator   prints nothing between them

What is printed:
  -n, --line-number          the line's number before each line
  -b, --byte-offset          its offset in the file, or with -o that of the match
  -H, --with-filename        the file's name before each line; the default with several files or with -r
  -h, --no-filename          no names
      --label=NAME           calls standard input NAME
  -T, --initial-tab          a tab before the line, so that tabs in it line up
  -Z, --null                 a NUL behind a name instead of : or a line end
  -o, --only-matching        only the matches, each on a line of its own
      --color[=WHEN]         colours; WHEN is always, never or auto
  -c, --count                only how many lines each file has
  -l, --files-with-matches   only the names of files that have one
  -L, --files-without-match  only the names of files that have none
  -q, --quiet, --silent      nothing; ends with the first selected line
  -s, --no-messages          no message about files that cannot be read
      --line-buffered        each line at once

Which files:
  -r, --recursive            every regular file below a FILE that is a directory, in the order of their names;
                             symbolic links are followed only if they are a FILE
  -R, --dereference-recursive  the same, but follows all symbolic links
      --include=GLOB         only files whose name matches GLOB
      --exclude=GLOB         no files whose name matches GLOB
      --exclude-from=FILE    the same for the globs in FILE, one per line
      --exclude-dir=GLOB     no directories whose name matches GLOB
      --gitignore            in directories, no files that .gitignore or .ignore leave out, and no .git
  -d, --directories=ACTION   read (the default, which fails), recurse (-r) or skip
  -D, --devices=ACTION       read or skip
  -a, --text                 prints binary files too, as does --binary-files=text
  -I                         binary files do not match, as with --binary-files=without-match
      --binary-files=TYPE    binary (the default), text or without-match
      --max-line=SIZE        the longest line in bytes, or with K, M or G behind the number; 256M by default

      --help                 prints this
  -V, --version              prints the version

Text is UTF-8. A file with a NUL byte is binary: that it matches is told on standard error instead of printing it, as is
a selected line that is not UTF-8. From its first block with a NUL on, NUL ends a line too.

Exit status: 0 if a line is selected, 1 if none, 2 if there was an error (but 0 with -q and a selected line).
";
