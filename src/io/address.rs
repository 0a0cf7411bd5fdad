//! Where to connect to.

#![forbid(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use blocking::unblock;

use super::wait::wait;

/// Where to connect to or to listen: socket addresses, or a name that has still to be looked up.
///
/// Made of what [`ToSocketAddrs`] is implemented for, so that `connect` and `bind` take any of these. Unlike there, a name is
/// looked up on a thread of its own ([`blocking`]), as the system's resolver blocks.
///
/// ```
/// use yieldfrom::io::Address;
///
/// let address = Address::from(("localhost", 80));
/// assert!(address.resolve()?.iter().all(|a| a.port() == 80));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Known(Vec<SocketAddr>),
    /// A host with a port.
    Pair(String, u16),
    /// `host:port`.
    Text(String),
}

impl Address {
    /// Looks the name up, if it is one. Waits.
    ///
    /// # Errors
    ///
    /// If the name is not known, or the fiber is cancelled meanwhile.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match self.0.clone() {
            Kind::Known(addresses) => Ok(addresses),
            Kind::Pair(host, port) => match host.parse::<IpAddr>() {
                Ok(address) => Ok(vec![(address, port).into()]),
                Err(_) => look_up((host, port)),
            },
            Kind::Text(text) => match text.parse() {
                Ok(address) => Ok(vec![address]),
                Err(_) => look_up(text),
            },
        }
    }

    /// Tries each address until one works, as the standard library does.
    pub(super) fn try_each<T>(
        &self,
        mut try_one: impl FnMut(SocketAddr) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut last = None;
        for address in self.resolve()? {
            match try_one(address) {
                Ok(done) => return Ok(done),
                Err(error) if crate::cancelled::Cancelled::is_behind(&error) => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "there is no address to use")
        }))
    }
}

fn look_up(name: impl ToSocketAddrs + Send + 'static) -> io::Result<Vec<SocketAddr>> {
    wait(unblock(move || Ok(name.to_socket_addrs()?.collect())))
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self(Kind::Known(vec![address]))
    }
}

impl From<&[SocketAddr]> for Address {
    fn from(addresses: &[SocketAddr]) -> Self {
        Self(Kind::Known(addresses.to_vec()))
    }
}

impl From<(IpAddr, u16)> for Address {
    fn from(pair: (IpAddr, u16)) -> Self {
        SocketAddr::from(pair).into()
    }
}

impl From<(Ipv4Addr, u16)> for Address {
    fn from(pair: (Ipv4Addr, u16)) -> Self {
        SocketAddr::from(pair).into()
    }
}

impl From<(Ipv6Addr, u16)> for Address {
    fn from(pair: (Ipv6Addr, u16)) -> Self {
        SocketAddr::from(pair).into()
    }
}

impl From<(&str, u16)> for Address {
    fn from((host, port): (&str, u16)) -> Self {
        Self(Kind::Pair(host.to_owned(), port))
    }
}

impl From<(String, u16)> for Address {
    fn from((host, port): (String, u16)) -> Self {
        Self(Kind::Pair(host, port))
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        Self(Kind::Text(text.to_owned()))
    }
}

impl From<&String> for Address {
    fn from(text: &String) -> Self {
        Self(Kind::Text(text.clone()))
    }
}

impl From<String> for Address {
    fn from(text: String) -> Self {
        Self(Kind::Text(text))
    }
}
