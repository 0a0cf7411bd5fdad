//! Whose turn it is.

use std::cell::Cell;
use std::ptr;
use std::rc::Rc;

use crate::task::entry::AnyTask;

thread_local! {
    /// The task that has its turn. Null if there is none.
    static CURRENT: Cell<*const Rc<dyn AnyTask>> = const { Cell::new(ptr::null()) };
}

/// The task whose turn it is on this thread.
#[inline]
pub(crate) fn running_task() -> Option<Rc<dyn AnyTask>> {
    let current = CURRENT.get();
    // SAFETY: it is borrowed for as long as the turn lasts, see `with_current`. Attacked by tests/task_misuse.rs.
    unsafe { current.as_ref() }.cloned()
}

/// Runs `turn` as a turn of `task`.
#[inline]
pub(crate) fn with_current<R>(task: &Rc<dyn AnyTask>, turn: impl FnOnce() -> R) -> R {
    struct Leave(*const Rc<dyn AnyTask>);
    impl Drop for Leave {
        #[inline]
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _leave = Leave(CURRENT.replace(task));
    turn()
}
