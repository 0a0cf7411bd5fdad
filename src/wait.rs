//! How whoever runs in a fiber waits.

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::cancelled::Cancelled;
use crate::interrupt::{Interrupt, Waits, poll_interruptibly, with_interrupt};
use crate::scope::{
    Keep, Own, Place, Refusal, Scope, Source, at_place, expect_end, in_fiber, marked, number_in,
    park, task, thread_ends,
};

/// Polls a future and marks that it is being polled.
#[inline]
fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    marked(|| future.poll(&mut Context::from_waker(waker)))
}

/// Whether somebody may be suspended now. Not while a panic unwinds: whoever runs next would find the thread panicking.
#[inline]
fn may_suspend() -> bool {
    !std::thread::panicking() && !thread_ends()
}

/// Waits for a future: suspends the fiber that the caller runs in, or blocks the thread if there is none.
///
/// `place` is where to say that this is.
///
/// In a task, all of this down to the switch is part of the function that waits: the processor predicts where a `ret` goes by
/// counting calls, and a fiber that is suspended in deeper calls than it is resumed from has every return after it mispredicted,
/// also those of the loop. (Not without optimisation, where it would make the stack frames of functions that wait large.)
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn wait<F: Future>(
    mut future: Pin<&mut F>,
    place: Option<&'static Location<'static>>,
) -> Result<F::Output, Refusal> {
    let mut waits = Waits::Not;
    if let Some((mut number, task)) = task() {
        let waker = task.waker();
        loop {
            let polled = poll_interruptibly(&mut waits, || poll(future.as_mut(), waker));
            if let Poll::Ready(output) = polled {
                return output.map_err(|_| Refusal::Cancelled);
            }
            if !may_suspend() {
                return Err(Refusal::Cancelled);
            }
            with_interrupt(|interrupt| interrupt.set_place(place));
            park(number);
            match number_in(&task) {
                Some(same_task) => number = same_task,
                None => break,
            }
        }
    }
    wait_anywhere(future, place, waits)
}

/// What a wait holds on to for its wakers.
enum Held {
    None,
    /// In which scope it was cloned, and the clone.
    Waker(u64, Waker),
    Task(Rc<dyn Keep>),
}

impl Held {
    /// What to replace it by in the scope with this number. `None` if it will do as it is.
    ///
    /// # Safety
    ///
    /// What the source points to is there, and stays so during this call even if something is suspended.
    unsafe fn renewed(&self, number: u64, source: Source) -> Option<Self> {
        match (source, self) {
            (Source::None, _) => None,
            // SAFETY: it is there, says our caller.
            (Source::Task(task), Self::Task(own)) if Rc::ptr_eq(unsafe { &*task }, own) => None,
            // SAFETY: as above.
            (Source::Task(task), _) => Some(Self::Task(unsafe { (*task).clone() })),
            (Source::Poll(_), Self::Waker(cloned_in, _)) if *cloned_in == number => None,
            // SAFETY: as above.
            (Source::Poll(waker), Self::Waker(_, own)) if own.will_wake(unsafe { &*waker }) => None,
            (Source::Poll(waker), _) => {
                // SAFETY: as above; a wait in there is refused.
                Some(Self::Waker(number, marked(|| unsafe { (*waker).clone() })))
            }
        }
    }

    fn waker(&self) -> &Waker {
        match self {
            Self::None => unreachable!("a wait that polls has a waker"),
            Self::Waker(_, waker) => waker,
            Self::Task(task) => task.waker(),
        }
    }
}

/// [`wait`], wherever that is, and if what is waited for has been polled before.
#[cold]
#[inline(never)]
fn wait_anywhere<F: Future>(
    mut future: Pin<&mut F>,
    place: Option<&'static Location<'static>>,
    mut waits: Waits,
) -> Result<F::Output, Refusal> {
    enum Next {
        Poll(u64, Source),
        Block,
        Refuse(Refusal),
        End(*const Scope),
    }
    let mut held = Held::None;
    loop {
        let next = at_place(|place| match place {
            Place::Fiber(scope) if scope.has_to_end() => Next::End(scope),
            Place::Fiber(scope) => Next::Poll(scope.number(), scope.source()),
            Place::Thread => Next::Block,
            Place::Misplaced(refusal) => Next::Refuse(refusal),
        });
        match next {
            Next::Block if thread_ends() => {
                return match poll(future, Waker::noop()) {
                    Poll::Ready(output) => Ok(output),
                    Poll::Pending => Err(Refusal::Cancelled),
                };
            }
            Next::Poll(number, source) => {
                // SAFETY: what it points to outlives the resume, which goes on meanwhile.
                if let Some(new) = unsafe { held.renewed(number, source) } {
                    let old = std::mem::replace(&mut held, new);
                    if !matches!(old, Held::None) {
                        // What a waker does when it is dropped is its own business. If it waits, the scope is another one
                        // afterwards. Attacked by `a_waker_may_wait_where_it_is_dropped`.
                        drop(old);
                        continue;
                    }
                }
                let polled = poll_interruptibly(&mut waits, || poll(future.as_mut(), held.waker()));
                if let Poll::Ready(output) = polled {
                    return output.map_err(|_| Refusal::Cancelled);
                }
                if !may_suspend() {
                    return Err(Refusal::Cancelled);
                }
                with_interrupt(|interrupt| interrupt.set_place(place));
                park(number);
            }
            Next::Block => {
                let blocked = async_io::block_on(poll_fn(|context| {
                    match poll(future.as_mut(), context.waker()) {
                        Poll::Ready(output) => Poll::Ready(Some(output)),
                        // A generator has yielded from the poll, and is gone on with in a fiber.
                        Poll::Pending if in_fiber() => Poll::Ready(None),
                        Poll::Pending => Poll::Pending,
                    }
                }));
                // After async-io's, so that it is dropped before them.
                expect_end();
                if let Some(output) = blocked {
                    return Ok(output);
                }
            }
            Next::Refuse(refusal) => return Err(refusal),
            Next::End(scope) => {
                // SAFETY: it is current, and nothing has been suspended or ended since.
                unsafe { (*scope).refuse() };
                return Err(Refusal::Cancelled);
            }
        }
    }
}

/// Whether an operation may begin that may not have to wait: not if the fiber has to come to its end. Lets others have
/// their turn from time to time, as an operation that never waits would not.
pub(crate) fn checkpoint() -> Result<(), Cancelled> {
    enum Next {
        Go,
        Rest(u64, Source),
        End(*const Scope),
    }
    loop {
        let next = at_place(|place| match place {
            Place::Fiber(scope) if scope.has_to_end() => Next::End(scope),
            Place::Fiber(scope) if scope.spend() || !may_suspend() => Next::Go,
            Place::Fiber(scope) => Next::Rest(scope.number(), scope.source()),
            Place::Thread | Place::Misplaced(_) => Next::Go,
        });
        match next {
            Next::Go => return Ok(()),
            Next::Rest(number, source) => give_way(number, source)?,
            Next::End(scope) => {
                // SAFETY: it is current, and nothing has been suspended or ended since.
                unsafe { (*scope).refuse() };
                return Err(Cancelled::new());
            }
        }
    }
}

/// Suspends the current fiber until the others have had their turn.
fn give_way(number: u64, source: Source) -> Result<(), Cancelled> {
    // SAFETY: as in `wait_anywhere`.
    let Some(held) = (unsafe { Held::None.renewed(number, source) }) else {
        return Ok(());
    };
    // Of a clone, because to be woken may be to wait: then the scope, and what its waker was, are over. Attacked by
    // `a_waker_may_wait_where_it_is_woken`.
    held.waker().wake_by_ref();
    park(number);
    match with_interrupt(Interrupt::take) {
        Some(true) => Err(Cancelled::new()),
        _ => Ok(()),
    }
}

/// Lets all others that are ready have their turn. `false` if the caller is in no fiber, and there is nobody to let.
pub(crate) fn rest() -> Result<bool, Cancelled> {
    let turn = at_place(|place| match place {
        Place::Fiber(scope) if !scope.has_to_end() && !std::thread::panicking() => {
            Some((scope.number(), scope.source()))
        }
        _ => None,
    });
    if let Some((number, source)) = turn {
        give_way(number, source)?;
    }
    checkpoint().map(|()| turn.is_some())
}

/// Suspends the caller's fiber after a call of `before`, if it is `own`. Whoever polls it next has it go on.
pub(crate) fn suspend(own: &Own, before: impl FnOnce()) -> Result<(), Refusal> {
    enum Next {
        Rest(u64),
        Refuse(Refusal),
        End(*const Scope),
    }
    let find = || {
        at_place(|place| match place {
            Place::Fiber(scope) if scope.port() != own.0 => Next::Refuse(Refusal::InPoll),
            Place::Fiber(scope) if scope.has_to_end() => Next::End(scope),
            Place::Fiber(_) if !may_suspend() => Next::Refuse(Refusal::Cancelled),
            Place::Fiber(scope) => Next::Rest(scope.number()),
            Place::Thread => Next::Refuse(Refusal::OnLoop),
            Place::Misplaced(refusal) => Next::Refuse(refusal),
        })
    };
    let mut next = find();
    if let Next::Rest(number) = next {
        before();
        park(number);
        next = find();
    }
    match next {
        Next::Rest(_) => Ok(()),
        Next::Refuse(refusal) => Err(refusal),
        Next::End(scope) => {
            // SAFETY: it is current, and nothing has been suspended or ended since.
            unsafe { (*scope).refuse() };
            Err(Refusal::Cancelled)
        }
    }
}
