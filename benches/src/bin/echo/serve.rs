//! The process of one server.
//!
//! Its first line of standard output is the port. From then on each line of standard input is answered with what the
//! process has taken so far: microseconds in the program, microseconds in the kernel, KiB resident. With the end of
//! standard input it ends.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process;
use std::thread;

use crate::cpu::Cpu;
use crate::machine;
use crate::memory::resident;
use crate::servers::Serve;

/// Serves on the core of servers until standard input ends.
pub fn serve(serve: Serve) -> io::Result<()> {
    machine::allow_descriptors()?;
    machine::stay_on_core(machine::Side::Server)?;
    serve()
}

/// Says where the server listens. A thread that only waits for requests answers them from now on.
pub fn announce(address: SocketAddr) -> io::Result<()> {
    writeln!(io::stdout(), "{}", address.port())?;
    thread::Builder::new().spawn(|| {
        let status = match answer() {
            Ok(()) => 0,
            Err(error) => {
                eprintln!("a server could not answer: {error}");
                2
            }
        };
        process::exit(status)
    })?;
    Ok(())
}

fn answer() -> io::Result<()> {
    for line in io::stdin().lines() {
        line?;
        let cpu = Cpu::of(libc::RUSAGE_SELF)?;
        writeln!(
            io::stdout(),
            "{} {} {}",
            cpu.user.as_micros(),
            cpu.system.as_micros(),
            resident()?
        )?;
    }
    Ok(())
}
