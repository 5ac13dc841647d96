//! The socket that accepts, and what the operating system holds for each connection.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Bytes that the system buffers for a connection in each direction. By itself it would take megabytes for each client
/// that does not read, and 1,024 of them all the memory that it has for TCP.
const BUFFER: u32 = 128 << 10;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// Files that are open for other reasons: models being read again, the listener, standard streams.
#[cfg(unix)]
const OTHER_FILES: u64 = 64;

/// Listens on `at`.
pub(crate) fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = match at {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A server that was just stopped may be started again. (On Windows this would let two servers share an address.)
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    // Accepted connections have what the listener has.
    socket.set_send_buffer_size(BUFFER)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

/// How many of `wanted` connections the system lets this process hold, after its soft limit of open files (often 1,024)
/// was raised as far as that needs.
#[cfg(unix)]
pub(crate) fn places(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let needed = wanted as u64 + OTHER_FILES;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return wanted;
    }
    let raised = limit.maximum.map_or(needed, |most| most.min(needed));
    let raised = Rlimit {
        current: Some(raised),
        ..limit
    };
    // Where it cannot be raised, it is what it was.
    let _ = setrlimit(Resource::Nofile, raised);
    let has = getrlimit(Resource::Nofile).current.unwrap_or(needed);
    let left = usize::try_from(has.saturating_sub(OTHER_FILES)).unwrap_or(wanted);
    left.clamp(1, wanted)
}

/// Files are not counted here.
#[cfg(not(unix))]
pub(crate) fn places(wanted: usize) -> usize {
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_system_buffers_for_a_connection_is_bounded() {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let at = listener.local_addr().unwrap();
        // Reads nothing.
        let _client = std::net::TcpStream::connect(at).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let bytes = vec![0; 1 << 16];
        let mut n = 0;
        stream.writable().await.unwrap();
        while let Ok(written) = stream.try_write(&bytes) {
            n += written;
        }
        // What the client's side holds is in it. Without a bound it is several megabytes.
        assert!(n < 1 << 20, "{n} bytes");
    }
}
