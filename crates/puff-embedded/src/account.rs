//! The operating system account that the servers run as.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Gid, Uid, User, getgid, getuid};

use crate::Error;

/// Who runs the servers and owns their files.
///
/// For an ordinary user that is the user. Root hands over to an unprivileged account, because PostgreSQL refuses
/// to run as root and because nothing here needs root's powers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// This process is root and the account is another.
    dropped: bool,
}

impl Account {
    /// The account for a project: ourselves, or for root the first of the owner of `owned` (the existing data or
    /// the project directory, so that `sudo` does not lock the owner out), `postgres`, `nobody`.
    ///
    /// # Errors
    /// [`Error::NoUnprivilegedUser`] for root on a system with none of them.
    pub(crate) fn choose(owned: &[&Path]) -> Result<Self, Error> {
        if !getuid().is_root() {
            return Ok(Self {
                uid: getuid().as_raw(),
                gid: getgid().as_raw(),
                dropped: false,
            });
        }
        let owner = owned
            .iter()
            .filter_map(|path| fs::symlink_metadata(path).ok())
            .filter(|meta| meta.uid() != 0)
            .find_map(|meta| lookup(meta.uid()));
        let named = || {
            ["postgres", "nobody"]
                .iter()
                .find_map(|name| User::from_name(name).ok().flatten())
        };
        let user = owner
            .or_else(named)
            .filter(|user| !user.uid.is_root())
            .ok_or(Error::NoUnprivilegedUser)?;
        Ok(Self {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            dropped: true,
        })
    }

    /// Fails when `initdb` would, for an account without an entry in the user database.
    pub(crate) fn require_passwd_entry(self) -> Result<(), Error> {
        match lookup(self.uid) {
            Some(_) => Ok(()),
            None => Err(Error::NoPasswdEntry { uid: self.uid }),
        }
    }

    /// Makes `command` run as this account. `std` clears root's supplementary groups along the way.
    pub(crate) fn apply(self, command: &mut Command) {
        if self.dropped {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives a file that this process made to the account; does nothing for an ordinary user.
    pub(crate) fn give(self, path: &Path) -> Result<(), Error> {
        if self.dropped {
            chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io("change the owner of", path))?;
        }
        Ok(())
    }

    /// Makes a directory with mode 0700 that belongs to the account.
    ///
    /// # Errors
    /// The operating system's, `AlreadyExists` among them.
    pub(crate) fn make_private_dir(self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().create(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        if self.dropped {
            chown(path, Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }

    /// Whether the account may enter every directory above `path` and enter or execute `path` itself: a checkout
    /// under `/root` does not allow it.
    ///
    /// Reads mode bits only. An access list can say more, in which case the answer errs towards `false`.
    pub(crate) fn can_reach(self, path: &Path) -> bool {
        !self.dropped
            || path
                .ancestors()
                .filter(|dir| !dir.as_os_str().is_empty())
                .all(|dir| {
                    fs::metadata(dir).is_ok_and(|meta| {
                        let needed = if meta.uid() == self.uid {
                            0o100
                        } else if meta.gid() == self.gid {
                            0o010
                        } else {
                            0o001
                        };
                        meta.mode() & needed != 0
                    })
                })
    }

    /// Whether this process is root acting for another account.
    pub(crate) fn is_dropped(self) -> bool {
        self.dropped
    }
}

fn lookup(uid: u32) -> Option<User> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten()
}

/// Gives `path` to the owner of `like` when this process is root and the owner is not.
pub(crate) fn own_like(path: &Path, like: &Path) {
    if !getuid().is_root() {
        return;
    }
    if let Ok(meta) = fs::metadata(like)
        && meta.uid() != 0
    {
        // Failing leaves a file of root's in a user's directory: untidy, and not worth refusing to start for.
        let _ = nix::unistd::chown(
            path,
            Some(Uid::from_raw(meta.uid())),
            Some(Gid::from_raw(meta.gid())),
        );
    }
}
