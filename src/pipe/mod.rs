//! Push pipelines: stages that are sent items which they may look at until they ask for the next one.
//!
//! A stage is a [`Sink`]: a body that receives. It pushes on into a [`Target`] that it owns, mostly another sink.
//!
//! The closure's argument needs its type, as below: rustc does not carry it there from the return type.
//!
//! ```
//! use yieldfrom::pipe::{sink, Receiver, Sink};
//!
//! /// Passes the lines on that contain `pattern`, and returns what the target returns.
//! fn grep<R: 'static>(pattern: &'static str, mut target: Sink<str, R>) -> Sink<str, R> {
//!     sink(move |lines: &mut Receiver<str>| {
//!         while let Some(line) = lines.recv() {
//!             if line.contains(pattern) && target.send(line).is_err() {
//!                 break; // nobody wants more lines
//!             }
//!         }
//!         target.close()
//!     })
//! }
//!
//! /// Counts lines, and returns how many there were.
//! fn count() -> Sink<str, usize> {
//!     sink(|lines: &mut Receiver<str>| {
//!         let mut n = 0;
//!         while lines.recv().is_some() {
//!             n += 1;
//!         }
//!         n
//!     })
//! }
//!
//! let mut pipeline = grep("Python", count());
//! pipeline.send("no snakes here").unwrap();
//! pipeline.send("Python, you are so cool").unwrap();
//! assert_eq!(pipeline.close(), 1);
//! ```

mod pull;
mod receiver;
mod sender;
mod sink;
mod source;
mod stage;
mod stages;
mod stats;
mod target;

pub use pull::{Items, Pull};
pub use receiver::Receiver;
pub use sender::Sender;
pub use sink::{Sink, sink};
pub use source::{Source, from_iter, source};
pub use stage::{Stage, stage};
pub use stages::adapt::{
    NotUtf8, filter, filter_map, flat_map, head, inspect, map, map_ref, skip, split_lines,
    take_while, try_map, utf8, utf8_lossy,
};
pub use stages::block::Block;
pub use stages::fan::{broadcast, tee};
pub use stages::files::walk;
pub use stages::follow::{Follow, follow};
pub use stages::grep::{
    IntoPattern, Literal, Pattern, Predicate, count_matches, grep, grep_blocks,
};
pub use stages::hold::{batch, tail, uniq, uniq_count};
pub use stages::line::Line;
pub use stages::merge::{chain, merge, merge_by};
pub use stages::parallel::parallel;
pub use stages::reader::{SourceReader, read_from};
#[cfg(feature = "regex")]
pub use stages::regex::LineRegex;
pub use stages::sinks::{collect, count, deliver, fold, print, sum, write, write_raw};
pub use stages::span::{Span, spans};
pub use stages::text::{ReadError, Text, blocks, blocks_of, lines, lines_of, read_spans};
pub use stats::{StageStats, Stats};
pub use target::{Closed, Target};
