//! Binding the sockets, apart from serving on them: a port in use is known before anything slow starts.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::errors::{ConfigError, ProgramError};
use crate::settings::{BindAddress, SettingValue, Settings};

/// Connections that the system queues while the server is busy accepting others.
const BACKLOG: i32 = 2048;
/// The first descriptor that systemd hands over.
const FIRST_PASSED: RawFd = 3;

/// A place to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// A TCP port of an address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix {
        /// The socket's file.
        path: PathBuf,
        /// The file's permissions; `0o600` lets only the server's own user in.
        mode: u32,
    },
    /// A descriptor that systemd has opened (socket activation).
    Passed(RawFd),
}

/// Where a setting says to listen: addresses, `unix:/path`, separated by commas.
pub(super) struct Binds(Vec<Place>);

enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl SettingValue for Binds {
    const EXPECTED: &'static str = BindAddress::EXPECTED;

    fn parse(text: &str) -> Option<Self> {
        let place = |text: &str| match text.trim().strip_prefix("unix:") {
            Some(path) => (!path.is_empty()).then(|| Place::Unix(path.into())),
            None => BindAddress::parse(text).map(|address| Place::Tcp(address.socket_addr())),
        };
        text.split(',').map(place).collect::<Option<_>>().map(Binds)
    }
}

/// Permissions as `chmod` takes them.
pub(super) struct Mode(u32);

impl SettingValue for Mode {
    const EXPECTED: &'static str = "a file's mode such as 660";

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().trim_start_matches("0o");
        u32::from_str_radix(digits, 8)
            .ok()
            .filter(|mode| *mode <= 0o777)
            .map(Mode)
    }
}

impl Bind {
    /// Where `settings` say to listen. The sockets that systemd passes go before the setting.
    ///
    /// # Errors
    /// A value that does not parse.
    pub(super) fn from_settings(settings: &Settings, default: &[Bind]) -> Result<Vec<Bind>, ConfigError> {
        let binds = Bind::listed(settings, "bind")?;
        let passed = passed(|name| settings.variable(name), std::process::id());
        if !passed.is_empty() {
            return Ok(passed);
        }
        Ok(binds.unwrap_or_else(|| default.to_vec()))
    }

    /// The places that the setting `name` lists.
    ///
    /// # Errors
    /// A value that does not parse.
    pub(crate) fn listed(settings: &Settings, name: &str) -> Result<Option<Vec<Bind>>, ConfigError> {
        let Mode(mode) = settings.get_or("unix_mode", Mode(0o666))?;
        let bind = |place| match place {
            Place::Tcp(address) => Bind::Tcp(address),
            Place::Unix(path) => Bind::Unix { path, mode },
        };
        let places = settings.get::<Binds>(name)?;
        Ok(places.map(|Binds(places)| places.into_iter().map(bind).collect()))
    }
}

/// The sockets that the variables of systemd's protocol name, if they are meant for this process.
fn passed<'a>(variable: impl Fn(&str) -> Option<&'a str>, process: u32) -> Vec<Bind> {
    const MOST: RawFd = 64;
    let ours = variable("LISTEN_PID").and_then(|id| id.trim().parse().ok()) == Some(process);
    let count = variable("LISTEN_FDS").and_then(|count| count.trim().parse().ok());
    match count.filter(|_| ours) {
        Some(count @ 1..=MOST) => (FIRST_PASSED..FIRST_PASSED + count).map(Bind::Passed).collect(),
        _ => Vec::new(),
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bind::Tcp(address) => address.fmt(f),
            Bind::Unix { path, .. } => write!(f, "unix:{}", path.display()),
            Bind::Passed(descriptor) => write!(f, "descriptor {descriptor} (LISTEN_FDS)"),
        }
    }
}

/// A socket that listens. Dropping it closes it, and takes the file of a Unix socket away.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: ListeningSocket,
    pub(super) file: Option<SocketFile>,
}

#[derive(Debug)]
pub(super) enum ListeningSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Where it listens: `127.0.0.1:8000`, with the port that the system chose, or `unix:/path`.
    pub fn address(&self) -> String {
        match &self.socket {
            ListeningSocket::Tcp(socket) => socket.local_addr().map(|address| address.to_string()),
            ListeningSocket::Unix(socket) => socket.local_addr().map(|address| match address.as_pathname() {
                Some(path) => format!("unix:{}", path.display()),
                None => "a Unix socket without a name".to_owned(),
            }),
        }
        .unwrap_or_else(|error| format!("an address that the system does not tell ({error})"))
    }

    /// The same socket once more; the file of a Unix socket stays with this one.
    pub(crate) fn try_clone(&self) -> io::Result<Listener> {
        let socket = match &self.socket {
            ListeningSocket::Tcp(socket) => ListeningSocket::Tcp(socket.try_clone()?),
            ListeningSocket::Unix(socket) => ListeningSocket::Unix(socket.try_clone()?),
        };
        Ok(Listener { socket, file: None })
    }

    /// Whether it is a Unix socket.
    pub fn is_unix(&self) -> bool {
        matches!(self.socket, ListeningSocket::Unix(_))
    }
}

impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Self {
        Listener {
            socket: ListeningSocket::Tcp(socket),
            file: None,
        }
    }
}

/// A socket that listens, not yet accepted from.
///
/// Ask it for its address where the system chose the port. The file of a Unix socket that nobody listens on any
/// more is replaced.
///
/// # Errors
/// [`ProgramError::Listen`] with the address and what to do.
pub fn listen(bind: &Bind) -> Result<Listener, ProgramError> {
    let opened = match bind {
        Bind::Tcp(address) => tcp(*address).map(Listener::from),
        Bind::Unix { path, mode } => unix(path, *mode),
        Bind::Passed(descriptor) => adopt(*descriptor),
    };
    opened.map_err(|error| ProgramError::Listen {
        address: bind.to_string(),
        error,
    })
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Restarting within the minute in which the old connections linger must work. This does not let two
    // servers share a port; that would be SO_REUSEPORT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn unix(path: &Path, mode: u32) -> io::Result<Listener> {
    if let Ok(found) = std::fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a file that is no socket",
            ));
        }
        match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            Err(error) => return Err(error),
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        }
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    let file = SocketFile::new(path)?;
    // Before it listens, so that nobody gets in whom the mode keeps out.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(Listener {
        socket: ListeningSocket::Unix(OwnedFd::from(socket).into()),
        file: Some(file),
    })
}

fn adopt(descriptor: RawFd) -> io::Result<Listener> {
    #[expect(
        unsafe_code,
        reason = "there is no other way to take over a descriptor by its number"
    )]
    // SAFETY: systemd's protocol gives the descriptors from 3 on to the process whose id is in LISTEN_PID, which
    // has been compared with ours. Nothing else in this process has them, and `listen` is called once for each.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let view = SockRef::from(&socket);
    if !view.is_listener()? {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a socket that listens",
        ));
    }
    view.set_nonblocking(true)?;
    view.set_cloexec(true)?;
    let domain = view.domain()?;
    let socket = if domain == Domain::UNIX {
        ListeningSocket::Unix(socket.into())
    } else {
        ListeningSocket::Tcp(socket.into())
    };
    Ok(Listener { socket, file: None })
}

/// The file of a Unix socket that this server made.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<SocketFile> {
        let found = std::fs::symlink_metadata(path)?;
        Ok(SocketFile {
            path: path.to_owned(),
            identity: (found.dev(), found.ino()),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A server that was started in the meantime may have put its own there.
        if let Ok(found) = std::fs::symlink_metadata(&self.path)
            && (found.dev(), found.ino()) == self.identity
        {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        match &self.socket {
            ListeningSocket::Tcp(socket) => socket.as_fd(),
            ListeningSocket::Unix(socket) => socket.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_an_error() {
        let any = Bind::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)));
        let first = listen(&any).unwrap();
        let same = Bind::Tcp(first.address().parse().unwrap());
        let error = listen(&same).unwrap_err();
        assert!(error.to_string().contains("address already in use"), "{error}");
        assert_eq!(error.exit_status(), 2);
    }

    #[test]
    fn a_unix_socket_has_its_mode_and_goes_with_its_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web");
        let bind = Bind::Unix {
            path: path.clone(),
            mode: 0o600,
        };
        let first = listen(&bind).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(listen(&bind).unwrap_err().exit_status(), 2);
        drop(first);
        assert!(!path.exists());
        // What a killed server leaves.
        drop(UnixListener::bind(&path).unwrap());
        assert!(listen(&bind).is_ok());
        std::fs::write(&path, "precious").unwrap();
        assert!(listen(&bind).unwrap_err().to_string().contains("no socket"));
    }

    #[test]
    fn places_are_separated_by_commas() {
        let Binds(places) = Binds::parse("8000, unix:/run/web,[::1]:1").unwrap();
        assert!(matches!(
            &places[..],
            [Place::Tcp(_), Place::Unix(_), Place::Tcp(_)]
        ));
        assert!(Binds::parse("8000,").is_none());
        assert!(Binds::parse("unix:").is_none());
        assert!(Mode::parse("999").is_none());
    }

    #[test]
    fn sockets_for_other_processes_are_left_alone() {
        let variables = |process| move |name: &str| Some(if name == "LISTEN_PID" { process } else { "2" });
        assert_eq!(passed(variables("7"), 7), [Bind::Passed(3), Bind::Passed(4)]);
        assert_eq!(passed(variables("8"), 7), []);
        assert_eq!(passed(|_| None, 7), []);
    }
}
