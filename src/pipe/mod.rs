//! Push pipelines: stages that are sent items which they may look at until they ask for the next one.
//!
//! A stage is a [`Sink`]: a body that receives. It pushes on into a [`Target`] that it owns, mostly another sink.
//!
//! ```
//! use yieldfrom::pipe::{sink, Receiver, Sink, Target};
//!
//! /// Passes the lines on that contain `pattern`.
//! fn grep(pattern: &'static str, mut target: impl Target<str> + 'static) -> Sink<str> {
//!     sink(move |lines: &mut Receiver<str>| {
//!         while let Some(line) = lines.recv() {
//!             if line.contains(pattern) && target.send(line).is_err() {
//!                 break; // nobody wants more lines
//!             }
//!         }
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
//! let mut counter = count();
//! counter.send("no snakes here").unwrap();
//! counter.send("Python, you are so cool").unwrap();
//! assert_eq!(counter.close(), 2);
//! # let mut stage = grep("Python", count());
//! # stage.send("Python").unwrap();
//! ```

mod sink;
mod target;

pub use sink::{Receiver, Sink, sink};
pub use target::{Closed, Target};
