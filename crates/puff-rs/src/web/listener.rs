//! Binding the socket, apart from serving on it: a port in use is known before anything slow starts.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::errors::ProgramError;

/// Connections that the system queues while the server is busy accepting others.
const BACKLOG: i32 = 2048;

/// A socket that listens on `address`, not yet accepted from.
///
/// Port 0 lets the system choose; ask the listener for its address then.
///
/// # Errors
/// [`ProgramError::Listen`] with the address and what to do.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ProgramError> {
    open(address).map_err(|error| ProgramError::Listen { address, error })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Restarting within the minute in which the old connections linger must work. This does not let two
    // servers share a port; that would be SO_REUSEPORT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_an_error() {
        let first = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let error = listen(first.local_addr().unwrap()).unwrap_err();
        assert!(error.to_string().contains("address already in use"), "{error}");
        assert_eq!(error.exit_status(), 2);
    }
}
