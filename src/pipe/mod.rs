//! Pipelines of items that are lent from stage to stage: no copy and no allocation on the way.
//!
//! ```no_run
//! use yieldfrom::pipe::{grep, head, lines, print};
//!
//! # fn main() -> Result<(), yieldfrom::Exception> {
//! let log = std::fs::File::open("access.log")?;
//! lines(log).pipe(grep("Python")).pipe(head(10)).into(print())?;
//! # Ok(())
//! # }
//! ```
//!
//! A [`Source`] sends, [`Stage`]s receive and send on, a [`Sink`] receives and returns something. Each stage is a coroutine:
//! an ordinary function with its state in local variables, that waits in [`recv`](Receiver::recv).
//!
//! ```
//! use yieldfrom::pipe::{collect, from_iter, stage, Receiver, Sender, Stage};
//!
//! /// Joins lines that end with a backslash with the next one.
//! fn unfold() -> Stage<String> {
//!     stage(|lines: &mut Receiver<String>, out: &mut Sender<String>| {
//!         let mut joined = String::new();
//!         while let Some(line) = lines.recv() {
//!             match line.strip_suffix('\\') {
//!                 Some(part) => joined += part,
//!                 None => {
//!                     joined += line;
//!                     out.send(&joined)?; // lent, until the next stage asks for another
//!                     joined.clear();
//!                 }
//!             }
//!         }
//!         Ok(())
//!     })
//! }
//!
//! # fn main() -> Result<(), yieldfrom::Exception> {
//! let lines = ["to be \\", "or not", "to be"].map(String::from);
//! assert_eq!(from_iter(lines).pipe(unfold()).into(collect())?, ["to be or not", "to be"]);
//! # Ok(())
//! # }
//! ```
//!
//! The closure's arguments need their types: rustc does not carry them there from the return type.
//!
//! # What there is
//!
//! | | |
//! |---|---|
//! | sources | [`from_iter`], [`source()`]; [`lines`], [`lines_of`], [`follow`] (`tail -F`) send [`Line`]s; [`blocks`], [`blocks_of`] send [`Block`]s; [`walk`] finds files; [`chain`], [`merge`], [`merge_by`] make one of several |
//! | items through | [`grep`], [`filter`], [`head`], [`tail`], [`skip`], [`take_while`], [`uniq`], [`inspect`], [`tee`] |
//! | items made | [`map`], [`map_ref`], [`try_map`], [`filter_map`], [`flat_map`], [`batch`], [`uniq_count`], [`utf8`], [`utf8_lossy`], [`split_lines`] |
//! | blocks | [`grep_blocks`], [`count_matches`], [`spans`] and [`read_spans`]; on several threads with [`parallel`] |
//! | sinks | [`print()`], [`write()`], [`write_raw`], [`count`], [`sum`], [`fold`], [`collect`], [`broadcast`] to several, [`deliver`] to a [`Coroutine`](crate::Coroutine) |
//! | readers | [`read_from`] makes one of what writes, [`into_reader`](Source::into_reader) of a pipeline of bytes |
//! | options | [`Text`]: length of lines, size of blocks, what to do about files that cannot be read; [`Follow`]; [`Literal`], `LineRegex` (feature `regex`), [`not`] |
//! | measuring | [`Stats`]: items, bytes and time of each stage |
//! | of one's own | [`source()`], [`stage()`], [`sink()`]; with a name or another stack: [`Builder::stage`](crate::Builder::stage) and its like; a sink can be [made of stages](Stage::into) too |
//!
//! # Who drives
//!
//! A pipeline that ends `into` a sink is *pushed*: the source runs on the caller's stack, and each `send` resumes the next
//! stage. The same pipeline can be [*pulled*](Source::pull), and is then an iterator ([`for item in source`](Items)), a
//! [reader](Source::into_reader) or a [loop that may borrow](Source::for_each); each `recv` resumes the stage before. Stages
//! need not know.
//!
//! # How it ends
//!
//! - *Early.* A stage that has enough returns. With that very item, `send` in the stage before says [`Closed`]; `?` ends that
//!   one too, and so on up to the source. Nothing more is read.
//! - *At the close*, from the source down: `recv` returns `None`, the stage sends what it has kept back and returns, and then
//!   the next one is closed.
//! - *With a failure.* A stage, source or sink that fails ends the pipeline as above, and the error comes out where it was
//!   started, with its [cause](std::error::Error::source). That a stage fails *because* the next one is closed is no failure:
//!   then what counts is how that one ended.
//! - *With a panic.* It comes out where the pipeline was started.
//!
//! # By hand
//!
//! A [`Sink`] is what all of this is made of. In the style of the books, a stage is a function that is given its target:
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
//!
//! # Speed
//!
//! A stage costs some 4 ns an item. Keep `recv` and `send` in the body itself: a switch in a function of its own, called from
//! the body, makes the processor mispredict returns, 10 to 20 ns an item. (Closures and small functions are inlined anyway.)

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
    IntoPattern, Literal, Not, Pattern, Predicate, count_matches, grep, grep_blocks, not,
};
pub use stages::hold::{batch, tail, uniq, uniq_count};
pub use stages::line::Line;
pub use stages::merge::{chain, merge, merge_by};
pub use stages::parallel::parallel;
pub use stages::read_error::ReadError;
pub use stages::reader::{SourceReader, read_from};
#[cfg(feature = "regex")]
pub use stages::regex::LineRegex;
pub use stages::sinks::{collect, count, deliver, fold, print, sum, write, write_raw};
pub use stages::span::{Span, spans};
pub use stages::text::{Text, blocks, blocks_of, lines, lines_of, read_spans};
pub use stats::{StageStats, Stats};
pub use target::{Closed, Target};
