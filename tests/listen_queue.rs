//! How many connections may wait to be accepted.

#![cfg(target_os = "linux")]

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use yieldfrom::io::TcpListener;

/// The standard library's listener has room for 128, and who comes then tries again after a second. Clients on the listener's
/// own thread all come before it has its turn. Nobody accepts here, so who finds the queue full never gets in.
#[test]
fn hundreds_of_clients_connect_before_the_first_is_accepted() {
    let most = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let most: usize = most.trim().parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let clients: Vec<_> = (0..most.min(300))
        .map(|n| {
            TcpStream::connect_timeout(&address, Duration::from_secs(10))
                .unwrap_or_else(|error| panic!("client {n}: {error}"))
        })
        .collect();
    drop(clients);
}
