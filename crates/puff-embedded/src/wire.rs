//! Just enough of both servers' protocols to ask "are you ready?" and to create a database.
//!
//! The real clients live in other crates of the same floor, which this one must not know; `psql` may be missing
//! and costs a process per question.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};

/// How long a server may take to greet us.
const GREETING: Duration = Duration::from_secs(3);
/// How long a statement may take; creating a database is the longest.
const STATEMENT: Duration = Duration::from_secs(30);
/// No answer to our questions is longer; a longer one is not from the server that we think it is.
const LONGEST: usize = 1 << 20;
/// The protocol version 3.0 of PostgreSQL's startup packet.
const PROTOCOL: u32 = 3 << 16;

/// An answer that is an error: the SQLSTATE (empty for Valkey) and the text.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

/// A session with PostgreSQL that has passed the start-up.
#[derive(Debug)]
pub(crate) struct Postgres {
    stream: UnixStream,
}

impl Postgres {
    /// Connects; the outer error is the connection's, the inner one the server's answer.
    pub(crate) fn connect(socket: &Path, user: &str, database: &str) -> io::Result<Result<Self, Refusal>> {
        let mut stream = open(socket)?;
        let mut packet = vec![0; 4];
        packet.extend(PROTOCOL.to_be_bytes());
        for text in [
            "user",
            user,
            "database",
            database,
            "application_name",
            "puff-embedded",
        ] {
            packet.extend(text.as_bytes());
            packet.push(0);
        }
        packet.push(0);
        let length = u32::try_from(packet.len()).map_err(io::Error::other)?;
        packet[..4].copy_from_slice(&length.to_be_bytes());
        stream.write_all(&packet)?;
        let mut session = Self { stream };
        Ok(session.until_ready()?.map(|()| session))
    }

    /// Runs statements and throws their rows away.
    pub(crate) fn execute(&mut self, sql: &str) -> io::Result<Result<(), Refusal>> {
        let length = u32::try_from(sql.len() + 5).map_err(io::Error::other)?;
        let mut packet = vec![b'Q'];
        packet.extend(length.to_be_bytes());
        packet.extend(sql.as_bytes());
        packet.push(0);
        self.stream.set_read_timeout(Some(STATEMENT))?;
        self.stream.write_all(&packet)?;
        self.until_ready()
    }

    fn until_ready(&mut self) -> io::Result<Result<(), Refusal>> {
        let mut outcome = Ok(());
        let mut ready = false;
        loop {
            let mut head = [0; 5];
            match self.stream.read_exact(&mut head) {
                Ok(()) => {}
                // During start-up and shutdown the server says why and hangs up.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && outcome.is_err() => {
                    return Ok(outcome);
                }
                Err(error) => return Err(error),
            }
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let length = length
                .checked_sub(4)
                .filter(|n| *n <= LONGEST)
                .ok_or_else(nonsense)?;
            let mut body = vec![0; length];
            self.stream.read_exact(&mut body)?;
            match head[0] {
                b'R' if body != [0; 4] => {
                    let message = "it asks for a password".to_owned();
                    return Ok(Err(Refusal {
                        code: String::new(),
                        message,
                    }));
                }
                b'E' => outcome = Err(error_fields(&body)),
                b'Z' => ready = true,
                _ => {}
            }
            if ready {
                return Ok(outcome);
            }
        }
    }
}

/// Asks Valkey whether it is ready; the outer error is the connection's.
pub(crate) fn valkey_ping(socket: &Path) -> io::Result<Result<(), Refusal>> {
    let mut stream = open(socket)?;
    stream.write_all(b"*1\r\n$4\r\nPING\r\n")?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
        if answer.len() > 512 {
            return Err(nonsense());
        }
    }
    if answer == b"+PONG\r\n" {
        return Ok(Ok(()));
    }
    let message = String::from_utf8_lossy(&answer)
        .trim()
        .trim_start_matches('-')
        .to_owned();
    Ok(Err(Refusal {
        code: String::new(),
        message,
    }))
}

/// The id of the process that listens on `socket`, from the kernel: it cannot be stale as a pid file can.
pub(crate) fn listener_pid(socket: &Path) -> Option<i32> {
    let stream = UnixStream::connect(socket).ok()?;
    #[cfg(target_os = "linux")]
    let pid = getsockopt(&stream, sockopt::PeerCredentials).ok()?.pid();
    #[cfg(target_os = "macos")]
    let pid = getsockopt(&stream, sockopt::LocalPeerPid).ok()?;
    (pid > 0).then_some(pid)
}

fn open(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(GREETING))?;
    stream.set_write_timeout(Some(GREETING))?;
    Ok(stream)
}

fn error_fields(body: &[u8]) -> Refusal {
    let mut refusal = Refusal {
        code: String::new(),
        message: String::new(),
    };
    for field in body.split(|byte| *byte == 0) {
        match field.split_first() {
            Some((b'C', text)) => refusal.code = String::from_utf8_lossy(text).into_owned(),
            Some((b'M', text)) => refusal.message = String::from_utf8_lossy(text).into_owned(),
            _ => {}
        }
    }
    refusal
}

fn nonsense() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the answer is not of the expected protocol",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_response_yields_code_and_message() {
        let refusal = error_fields(b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0");
        assert_eq!(refusal.code, "57P03");
        assert_eq!(refusal.message, "the database system is starting up");
    }

    #[test]
    fn a_peer_that_speaks_something_else_is_an_error_and_not_a_hang() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.write_all(&[b'x'; 2000]);
            }
        });
        assert!(Postgres::connect(&path, "a", "b").is_err());
        assert!(valkey_ping(&path).is_err());
        server.join().unwrap();
    }
}
