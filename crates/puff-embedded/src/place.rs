//! Where things lie: the project's `.puff/`, the short directory for sockets, root's own directory.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::getuid;

use crate::Error;
use crate::account::Account;

/// Where root keeps what an account of the servers cannot reach elsewhere.
pub(crate) const SYSTEM_DIR: &str = "/var/lib/puff";

/// The longest path of a Unix socket: `sun_path` without its final zero byte.
pub(crate) const SOCKET_PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The longest file name that a server puts into its socket directory, with the slash.
const LONGEST_SOCKET_NAME: usize = "/.s.PGSQL.5432.lock".len();

/// A number that two paths share only by accident; stable across runs and versions (FNV-1a).
pub(crate) fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Root's directory for what the servers' account must reach when the project lies where it cannot.
///
/// Not below `/tmp`: there, another user could have made it first.
pub(crate) fn root_home() -> Result<PathBuf, Error> {
    let home = PathBuf::from(SYSTEM_DIR);
    fs::create_dir_all(&home).map_err(Error::io("create", &home))?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755))
        .map_err(Error::io("set the mode of", &home))?;
    Ok(home)
}

/// Makes a fresh private directory with a short random name for one throw-away server.
pub(crate) fn make_temporary(account: Account) -> Result<PathBuf, Error> {
    let parent = Path::new("/tmp");
    loop {
        let path = parent.join(format!("puff-t-{:08x}", rand::random::<u32>()));
        match account.make_private_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => {
                return Err(Error::Io {
                    action: "create",
                    path,
                    source,
                });
            }
        }
    }
}

/// Makes or reuses the private directory for a project's sockets.
///
/// It is short whatever the project's path is, because a socket's path is limited. An ordinary user's lies in
/// `$XDG_RUNTIME_DIR` when that is really theirs, else in `/tmp` under a name with the user id. A directory of that
/// name that is not private to the account is refused, not repaired: someone else may have made it.
pub(crate) fn socket_dir(account: Account, project: &Path, name: &str) -> Result<PathBuf, Error> {
    let hash = fingerprint(&format!("{} {name}", project.display()));
    let own = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| {
        let ours =
            |meta: fs::Metadata| meta.is_dir() && meta.uid() == account.uid && meta.mode() & 0o077 == 0;
        !account.is_dropped() && dir.is_absolute() && fs::metadata(dir).is_ok_and(ours)
    });
    let candidates = [
        own.map(|dir| dir.join(format!("puff-{hash:016x}"))),
        Some(PathBuf::from(format!("/tmp/puff-{}-{hash:016x}", account.uid))),
    ];
    let mut refused = None;
    for path in candidates.into_iter().flatten() {
        if path.as_os_str().len() + LONGEST_SOCKET_NAME > SOCKET_PATH_LIMIT {
            refused.get_or_insert(Error::SocketPathTooLong {
                path,
                limit: SOCKET_PATH_LIMIT,
            });
            continue;
        }
        match private_dir(account, &path) {
            Ok(()) => return Ok(path),
            Err(error) => {
                refused = Some(error);
            }
        }
    }
    Err(refused.unwrap_or(Error::NoUnprivilegedUser))
}

/// Removes a socket directory and what a killed server left in it.
///
/// By name and not as a tree: where it lies is read from a state file, which must not become a way to delete others'.
pub(crate) fn remove_socket_dir(dir: &Path) {
    for name in [".s.PGSQL.5432", ".s.PGSQL.5432.lock", "valkey.sock"] {
        let _ = fs::remove_file(dir.join(name));
    }
    let _ = fs::remove_dir(dir);
}

/// Makes a private directory, or checks that the one that exists is private to the account.
pub(crate) fn private_dir(account: Account, path: &Path) -> Result<(), Error> {
    match account.make_private_dir(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => {
            return Err(Error::Io {
                action: "create",
                path: path.to_owned(),
                source,
            });
        }
    }
    let meta = fs::symlink_metadata(path).map_err(Error::io("read", path))?;
    let problem = if !meta.is_dir() {
        "it is not a directory".to_owned()
    } else if meta.uid() != account.uid {
        let (owner, wanted, us) = (meta.uid(), account.uid, getuid());
        format!(
            "it belongs to user id {owner}, not to {wanted} (this process is {us}); remove it or change its owner"
        )
    } else if meta.mode() & 0o077 != 0 {
        format!(
            "others may enter it (mode {:o}); run `chmod 700` on it",
            meta.mode() & 0o777
        )
    } else {
        return Ok(());
    };
    Err(Error::UnsafeDirectory {
        path: path.to_owned(),
        problem,
    })
}

/// A path as text, for URLs, arguments and state files.
pub(crate) fn text(path: &Path) -> Result<&str, Error> {
    path.to_str().ok_or_else(|| Error::NotUtf8 {
        path: path.to_owned(),
    })
}
