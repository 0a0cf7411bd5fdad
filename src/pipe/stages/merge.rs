//! Several sources as one.

#![forbid(unsafe_code)]

use std::cmp::Ordering;

use crate::builder::Builder;
use crate::exception::Exception;
use crate::pipe::pull::Pull;
use crate::pipe::sender::Sender;
use crate::pipe::source::Source;

impl<T: ?Sized + 'static> Source<T> {
    /// Sends its items, and then those of `next`. To chain many, use [`chain`](crate::pipe::chain()).
    pub fn chain(self, next: Source<T>) -> Source<T> {
        chain([self, next])
    }
}

/// Makes a source of the items of several ones, one source after the other.
///
/// # Errors
///
/// The first failure of a source ends all of them. So it does in [`merge`] and [`merge_by`], which then drop the items that
/// they hold.
pub fn chain<T: ?Sized + 'static>(
    sources: impl IntoIterator<Item = Source<T>> + 'static,
) -> Source<T> {
    Builder::named("chain").source(move |out: &mut Sender<T>| {
        for source in sources {
            let mut items = source.pull();
            pass(&mut items, out)?;
        }
        Ok(())
    })
}

fn pass<T: ?Sized>(items: &mut Pull<T>, out: &mut Sender<T>) -> Result<(), Exception> {
    while let Some(item) = items.recv()? {
        out.send(item)?;
    }
    Ok(())
}

/// Makes a source of the items of several ones, one of each in turn. One that has no more is left out.
///
/// ```
/// use yieldfrom::pipe::{collect, from_iter, merge};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let merged = merge([from_iter(vec![1, 2, 3]), from_iter(vec![10, 20])]);
/// assert_eq!(merged.into(collect())?, [1, 10, 2, 20, 3]);
/// # Ok(())
/// # }
/// ```
pub fn merge<T: ?Sized + 'static>(sources: impl IntoIterator<Item = Source<T>>) -> Source<T> {
    let sources: Vec<_> = sources.into_iter().map(Source::pull).collect();
    Builder::named("merge").source(move |out: &mut Sender<T>| {
        let mut sources = sources;
        while !sources.is_empty() {
            let mut next = 0;
            while let Some(source) = sources.get_mut(next) {
                if let Some(item) = source.recv()? {
                    out.send(item)?;
                    next += 1;
                } else {
                    drop(sources.remove(next));
                }
            }
        }
        Ok(())
    })
}

/// Makes one sorted source of several sorted ones: the logs of several servers in the order of time.
///
/// `compare` says which of two items comes first; of equal ones it is that of the earlier source. It holds one item of
/// each source, lent.
///
/// ```
/// use yieldfrom::pipe::{collect, from_iter, merge_by};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let merged = merge_by([from_iter(vec![1, 4, 6]), from_iter(vec![2, 3, 9])], Ord::cmp);
/// assert_eq!(merged.into(collect())?, [1, 2, 3, 4, 6, 9]);
/// # Ok(())
/// # }
/// ```
pub fn merge_by<T: ?Sized + 'static>(
    sources: impl IntoIterator<Item = Source<T>>,
    mut compare: impl FnMut(&T, &T) -> Ordering + 'static,
) -> Source<T> {
    let sources: Vec<_> = sources.into_iter().map(Source::pull).collect();
    Builder::named("merge_by").source(move |out: &mut Sender<T>| {
        let mut sources = sources;
        for source in &mut sources {
            source.recv()?;
        }
        loop {
            let mut first: Option<(usize, &T)> = None;
            for (index, source) in sources.iter().enumerate() {
                let Some(item) = source.current() else {
                    continue;
                };
                if first.is_none_or(|(_, least)| compare(item, least) == Ordering::Less) {
                    first = Some((index, item));
                }
            }
            let Some((index, item)) = first else {
                return Ok(());
            };
            out.send(item)?;
            sources[index].recv()?;
        }
    })
}
