//! The sources, stages and sinks that come with this crate.

pub(crate) mod adapt;
pub(crate) mod block;
pub(crate) mod fan;
pub(crate) mod files;
pub(crate) mod follow;
pub(crate) mod grep;
pub(crate) mod hold;
pub(crate) mod line;
pub(crate) mod merge;
pub(crate) mod parallel;
pub(crate) mod read_error;
pub(crate) mod reader;
#[cfg(feature = "regex")]
pub(crate) mod regex;
pub(crate) mod scan;
pub(crate) mod sinks;
pub(crate) mod span;
pub(crate) mod split;
pub(crate) mod text;
