//! Threads that run an event loop.

#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use crate::task::event_loop::LoopBuilder;
use crate::task::loop_handle::LoopHandle;

/// A thread of its own with an event loop: for more than one core, or for a program that has no loop, or another kind of loop.
///
/// It dereferences to the loop's [`LoopHandle`]. When it is dropped, the loop is stopped, its tasks are cancelled, and the
/// thread is waited for.
///
/// ```
/// use yieldfrom::{await_, task::LoopThread};
///
/// # fn main() -> Result<(), yieldfrom::Exception> {
/// let elsewhere = LoopThread::start("worker")?;
/// let task = elsewhere.spawn(|| Ok(std::thread::current().name().map(str::to_owned)));
/// assert_eq!(await_(task)??.as_deref(), Some("worker")); // in asynchronous code: `task.await?`
/// # Ok(())
/// # }
/// ```
pub struct LoopThread {
    handle: LoopHandle,
    /// `Some` until it is dropped.
    thread: Option<JoinHandle<()>>,
}

impl LoopThread {
    /// Starts a thread with this name.
    ///
    /// # Errors
    ///
    /// If there is no thread to be had.
    pub fn start(name: impl Into<String>) -> io::Result<Self> {
        LoopBuilder::new().start_thread(name)
    }

    /// The loop, for other threads.
    pub fn handle(&self) -> &LoopHandle {
        &self.handle
    }
}

impl LoopBuilder {
    /// As [`LoopThread::start`], with a loop of these properties. (What it reports goes to
    /// [`set_unraisable_hook`](crate::set_unraisable_hook), and what it does in a deadlock to nobody: those stay on their
    /// thread.)
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start_thread(&self, name: impl Into<String>) -> io::Result<LoopThread> {
        let (sender, receiver) = mpsc::channel();
        let properties = self.that_travel();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            let event_loop = properties.build();
            let sent = sender.send(event_loop.handle());
            debug_assert!(sent.is_ok());
            drop(sender);
            let run = event_loop.run_forever();
            debug_assert!(run.is_ok());
            event_loop.shutdown();
        })?;
        let handle = receiver.recv().expect("the thread sends it");
        let thread = Some(thread);
        Ok(LoopThread { handle, thread })
    }
}

impl Deref for LoopThread {
    type Target = LoopHandle;

    fn deref(&self) -> &LoopHandle {
        &self.handle
    }
}

impl Drop for LoopThread {
    fn drop(&mut self) {
        let _ = self.handle.stop(); // unless it has been
        if let Some(thread) = self.thread.take() {
            // It is the loop's own business what panics there.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for LoopThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopThread").finish_non_exhaustive()
    }
}
