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

mod sink;
mod target;

pub use sink::{Receiver, Sink, sink};
pub use target::{Closed, Target};
