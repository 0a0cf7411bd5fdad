//! The command line.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

pub const HELP: &str = "\
cluster_grep: prints the lines of files that contain a text, as FILE:LINE; the same
stage as in a pipeline, run by timely dataflow on several threads and processes

Run it with: cargo run --example cluster_grep -- [OPTIONS] TEXT FILE...

  -c, --count         print only how many lines there are
      --local         the same as a pipeline on this thread, without timely dataflow
      --piece BYTES   how much of a file is one piece of work, by default 1 MiB
      --wait SECONDS  how long to wait for the other processes at the start, by default 60
      --help          this text

and these of timely dataflow's own, with its names (so -h is not --help):

  -w, --threads N     worker threads in each process, by default 1
  -n, --processes N   how many processes there are, by default 1
  -p, --process I     which of them this one is, from 0
  -h, --hostfile FILE a file with a line HOST:PORT for each process, in their order; by
                      default they are on this machine, at the ports from 2101 on

After -- nothing is an option. Start all processes with the same arguments but for -p,
where all see the same files under the same names. Process 0 prints:

  cluster_grep -n 2 -w 2 -p 1 TEXT FILE... &
  cluster_grep -n 2 -w 2 -p 0 TEXT FILE...

Exit status: 0 if there are such lines (other processes than 0: if all went well), 1 if
there are none, 2 if a file could not be read or another error came up, 3 if another
process was lost or did not come.

If one process dies, the computation stops on all, with status 3. What process 0 has
printed is then correct, has nothing twice, and may lack the end; start them again. This
is noticed if the connections of the dead process are closed, but not if its machine
loses power or network.
";

/// What to do.
pub enum Command {
    Help,
    Search(Search),
}

/// What to search for, and where, and on which threads.
pub struct Search {
    pub pattern: Vec<u8>,
    pub files: Vec<PathBuf>,
    pub is_count: bool,
    pub is_local: bool,
    pub piece_size: u64,
    pub wait: Duration,
    /// Worker threads in each process.
    pub threads: usize,
    /// Which process this is.
    pub process: usize,
    /// Where each process listens. Empty if there is but one.
    pub addresses: Vec<String>,
}

impl Search {
    /// The same for processes that belong together.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.pattern, &self.files, self.is_count).hash(&mut hasher);
        (self.piece_size, self.threads, self.addresses.len()).hash(&mut hasher);
        hasher.finish()
    }
}

pub fn parse() -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_env();
    let (mut is_count, mut is_local) = (false, false);
    let (mut piece_size, mut wait) = (1 << 20, 60);
    let (mut threads, mut processes, mut process) = (1, 1, 0);
    let mut hosts: Option<OsString> = None;
    let mut operands: Vec<OsString> = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("help") => return Ok(Command::Help),
            Short('c') | Long("count") => is_count = true,
            Long("local") => is_local = true,
            Long("piece") => piece_size = parser.value()?.parse()?,
            Long("wait") => wait = parser.value()?.parse()?,
            Short('w') | Long("threads") => threads = parser.value()?.parse()?,
            Short('n') | Long("processes") => processes = parser.value()?.parse()?,
            Short('p') | Long("process") => process = parser.value()?.parse()?,
            Short('h') | Long("hostfile") => hosts = Some(parser.value()?),
            Value(operand) => operands.push(operand),
            Long(_) | Short(_) => return Err(argument.unexpected()),
        }
    }
    if threads == 0 || piece_size == 0 {
        return Err("neither -w nor --piece can be 0".into());
    }
    if process >= processes {
        return Err(format!("there is no process {process} of {processes}").into());
    }
    if operands.len() < 2 {
        return Err("there must be a TEXT and a FILE".into());
    }
    let pattern = operands.remove(0);
    Ok(Command::Search(Search {
        pattern: pattern.into_encoded_bytes(),
        files: operands.into_iter().map(PathBuf::from).collect(),
        is_count,
        is_local,
        piece_size,
        wait: Duration::from_secs(wait),
        threads,
        process,
        addresses: addresses(processes, hosts)?,
    }))
}

fn addresses(processes: usize, hosts: Option<OsString>) -> Result<Vec<String>, lexopt::Error> {
    if processes == 1 {
        return Ok(Vec::new());
    }
    let Some(hosts) = hosts else {
        let ports = (0..processes).map(|process| 2101 + process);
        return Ok(ports.map(|port| format!("127.0.0.1:{port}")).collect());
    };
    let name = PathBuf::from(hosts);
    let text = fs::read_to_string(&name).map_err(|error| format!("{}: {error}", name.display()))?;
    let addresses: Vec<String> = text.lines().take(processes).map(str::to_owned).collect();
    if addresses.len() < processes {
        let found = addresses.len();
        let name = name.display();
        return Err(format!("{name} has {found} addresses for {processes} processes").into());
    }
    Ok(addresses)
}
