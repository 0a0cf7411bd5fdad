//! Stages that keep items until others have come.

#![forbid(unsafe_code)]

use std::borrow::Borrow;
use std::collections::VecDeque;

use crate::builder::Builder;
use crate::pipe::receiver::Receiver;
use crate::pipe::sender::Sender;
use crate::pipe::stage::Stage;

/// Sends on the last `n` items, once there are no more. It keeps `n` items.
pub fn tail<T>(n: usize) -> Stage<T>
where
    T: ?Sized + ToOwned + 'static,
{
    Builder::named("tail").stage(move |items: &mut Receiver<T>, out: &mut Sender<T>| {
        let mut last = VecDeque::new();
        while let Some(item) = items.recv() {
            // The oldest one's memory serves the newest.
            match last.len() < n {
                true => last.push_back(item.to_owned()),
                false => {
                    if let Some(mut oldest) = last.pop_front() {
                        item.clone_into(&mut oldest);
                        last.push_back(oldest);
                    }
                }
            }
        }
        out.send_each(last)?;
        Ok(())
    })
}

/// Sends on the first of several equal items in a row. It keeps one item.
pub fn uniq<T>() -> Stage<T>
where
    T: ?Sized + ToOwned + PartialEq + 'static,
{
    Builder::named("uniq").stage(|items: &mut Receiver<T>, out: &mut Sender<T>| {
        let Some(first) = items.recv() else {
            return Ok(());
        };
        out.send(first)?;
        let mut last = first.to_owned();
        while let Some(item) = items.recv() {
            if item != last.borrow() {
                item.clone_into(&mut last);
                out.send(item)?;
            }
        }
        Ok(())
    })
}

/// Counts how often an item comes in a row, and sends on the number and the item.
///
/// ```
/// use yieldfrom::pipe::{collect, from_iter, uniq_count};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let counted = from_iter(["a", "a", "b"]).pipe(uniq_count()).into(collect())?;
/// assert_eq!(counted, [(2, "a"), (1, "b")]);
/// # Ok(())
/// # }
/// ```
pub fn uniq_count<T>() -> Stage<T, (u64, T::Owned)>
where
    T: ?Sized + ToOwned<Owned: 'static> + PartialEq + 'static,
{
    Builder::named("uniq_count").stage(
        |items: &mut Receiver<T>, out: &mut Sender<(u64, T::Owned)>| {
            let Some(first) = items.recv() else {
                return Ok(());
            };
            let mut last = (1, first.to_owned());
            while let Some(item) = items.recv() {
                if item == last.1.borrow() {
                    last.0 += 1;
                } else {
                    out.send(&last)?;
                    item.clone_into(&mut last.1);
                    last.0 = 1;
                }
            }
            out.send(&last)?;
            Ok(())
        },
    )
}

/// Sends on `n` items at once, as a slice; the last ones may be fewer.
///
/// ```
/// use yieldfrom::pipe::{batch, collect, from_iter, map};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let sums = from_iter(1..=5).pipe(batch(2)).pipe(map(|numbers: &[i32]| numbers.iter().sum::<i32>()));
/// assert_eq!(sums.into(collect())?, [3, 7, 5]);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// If `n` is 0.
pub fn batch<T>(n: usize) -> Stage<T, [T::Owned]>
where
    T: ?Sized + ToOwned<Owned: 'static> + 'static,
{
    assert!(n > 0, "`batch` needs batches of at least one item");
    Builder::named("batch").stage(
        move |items: &mut Receiver<T>, out: &mut Sender<[T::Owned]>| {
            let mut batch = Vec::new();
            while let Some(item) = items.recv() {
                batch.push(item.to_owned());
                if batch.len() == n {
                    out.send(&batch)?;
                    batch.clear();
                }
            }
            if !batch.is_empty() {
                out.send(&batch)?;
            }
            Ok(())
        },
    )
}
