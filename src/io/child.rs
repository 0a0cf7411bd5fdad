//! Child processes.

#![forbid(unsafe_code)]

use std::io::{self, Read};
use std::process::{ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};

use blocking::unblock;

use super::blocking::Blocking;
use super::wait::wait;

/// A child process whose pipes are read and written, and whose end is waited for, on other threads.
///
/// ```
/// # #[cfg(unix)]
/// # fn main() -> std::io::Result<()> {
/// use std::io::Write;
/// use std::process::{Command, Stdio};
/// use yieldfrom::{fiber, io::Child};
///
/// let sorted = futures_lite::future::block_on(fiber(|| {
///     let mut sort = Child::spawn(Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::piped()))?;
///     sort.stdin.take().unwrap().write_all(b"pears\napples\n")?;
///     let sorted = std::io::read_to_string(sort.stdout.take().unwrap())?;
///     assert!(sort.wait()?.success());
///     Ok::<_, std::io::Error>(sorted)
/// }));
/// assert_eq!(sorted?, "apples\npears\n");
/// # Ok(())
/// # }
/// # #[cfg(not(unix))]
/// # fn main() {}
/// ```
///
/// As with the standard library, a child goes on when this is dropped.
#[derive(Debug)]
pub struct Child {
    /// Its standard input, if that is a pipe.
    pub stdin: Option<Blocking<ChildStdin>>,
    /// Its standard output, if that is a pipe.
    pub stdout: Option<Blocking<ChildStdout>>,
    /// Its standard error, if that is a pipe.
    pub stderr: Option<Blocking<ChildStderr>>,
    child: std::process::Child,
}

impl Child {
    /// Starts a process. That takes a moment, in place.
    ///
    /// # Errors
    ///
    /// As [`Command::spawn`].
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let mut child = command.spawn()?;
        Ok(Self {
            stdin: child.stdin.take().map(Blocking::new),
            stdout: child.stdout.take().map(Blocking::new),
            stderr: child.stderr.take().map(Blocking::new),
            child,
        })
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the process, which has still to be waited for.
    ///
    /// # Errors
    ///
    /// As [`std::process::Child::kill`].
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()
    }

    /// Closes its standard input and waits for its end.
    ///
    /// # Errors
    ///
    /// If the fiber is cancelled.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.stdin = None;
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        self.until_it_ends()?;
        self.child.wait()
    }

    /// Waits for its end, and for all that it writes to pipes.
    ///
    /// # Errors
    ///
    /// If the pipes cannot be read, or the fiber is cancelled.
    pub fn wait_with_output(mut self) -> io::Result<std::process::Output> {
        fn read_all(pipe: Option<impl Read>) -> io::Result<Vec<u8>> {
            let mut all = Vec::new();
            pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut all))?;
            Ok(all)
        }
        self.stdin = None;
        // At the same time: a child that writes much to both would wait for ever.
        let (stdout, stderr) = (self.stdout.take(), self.stderr.take());
        let stderr = match stderr {
            Some(stderr) => {
                let stderr = stderr.into_inner()?;
                Some(unblock(move || read_all(Some(stderr))))
            }
            None => None,
        };
        Ok(std::process::Output {
            stdout: read_all(stdout)?,
            stderr: stderr.map_or(Ok(Vec::new()), wait)?,
            status: self.wait()?,
        })
    }
}

#[cfg(unix)]
impl Child {
    /// Waits on another thread until the process has ended, and leaves it to be waited for: until then its number is not
    /// given to another.
    fn until_it_ends(&self) -> io::Result<()> {
        use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
        let id = Pid::from_child(&self.child);
        wait(unblock(move || {
            loop {
                match waitid(
                    WaitId::Pid(id),
                    WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
                ) {
                    Err(rustix::io::Errno::INTR) => {}
                    done => return Ok(done.map(drop)?),
                }
            }
        }))
    }
}

#[cfg(not(unix))]
impl Child {
    /// Asks a hundred times a second: here only its owner can wait for a process, and that has to be able to kill it
    /// meanwhile.
    fn until_it_ends(&mut self) -> io::Result<()> {
        while self.child.try_wait()?.is_none() {
            wait(async {
                async_io::Timer::after(std::time::Duration::from_millis(10)).await;
                Ok(())
            })?;
        }
        Ok(())
    }
}
