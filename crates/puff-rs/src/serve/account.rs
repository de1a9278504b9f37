//! The user that a server becomes once root has bound its sockets.

use std::ffi::CString;
use std::io;
use std::path::PathBuf;

use nix::unistd::{self, Gid, Group, Uid, User};

use crate::errors::{ConfigError, ProgramError};
use crate::settings::Settings;

/// A user and a group to run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    uid: Uid,
    gid: Gid,
    /// What the system knows of the user; nothing of one that is only a number.
    known: Option<Known>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    name: String,
    home: PathBuf,
}

impl Account {
    /// The account that `settings` name; `None` to stay who we are.
    ///
    /// # Errors
    /// A user or a group that the system does not know.
    pub(super) fn from_settings(settings: &Settings) -> Result<Option<Account>, ConfigError> {
        let group = settings.get_with("group", find_group)?;
        let user = settings.get_with("user", |text| find_user(text, group))?;
        Ok(match (user, group) {
            (None, None) => None,
            (None, Some(gid)) => Some(Account {
                uid: Uid::effective(),
                gid,
                known: None,
            }),
            (account, _) => account,
        })
    }

    /// Becomes the account, for good: user, group and the user's further groups. The process has one thread.
    ///
    /// # Errors
    /// If we are neither root nor that account already.
    pub(crate) fn enter(&self) -> Result<(), ProgramError> {
        if self.uid == Uid::effective() && self.gid == Gid::effective() {
            return Ok(());
        }
        if !Uid::effective().is_root() {
            return Err(ProgramError::Config(ConfigError::Missing(
                "only root can become another user: leave out --user and --group, or start the server as root"
                    .into(),
            )));
        }
        self.change().map_err(|error| ProgramError::System {
            context: "cannot change to the user of --user",
            error: error.into(),
        })?;
        if Uid::effective() != self.uid || !self.uid.is_root() && unistd::setuid(Uid::from_raw(0)).is_ok() {
            return Err(ProgramError::System {
                context: "cannot change to the user of --user",
                error: io::Error::other("the change does not hold"),
            });
        }
        Ok(())
    }

    fn change(&self) -> nix::Result<()> {
        match &self.known {
            Some(known) => {
                let name = CString::new(known.name.as_str()).map_err(|_| nix::errno::Errno::EINVAL)?;
                unistd::initgroups(&name, self.gid)?;
            }
            None => unistd::setgroups(&[self.gid])?,
        }
        unistd::setgid(self.gid)?;
        unistd::setuid(self.uid)
    }

    /// The variables that tell programs whose process it is, as `su` and systemd set them.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let Some(known) = &self.known else {
            return Vec::new();
        };
        let home = known.home.to_string_lossy().into_owned();
        [
            ("HOME", home),
            ("USER", known.name.clone()),
            ("LOGNAME", known.name.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

fn find_user(text: &str, group: Option<Gid>) -> Result<Account, String> {
    let number = text.parse().ok().map(Uid::from_raw);
    let found = match number {
        Some(uid) => User::from_uid(uid),
        None => User::from_name(text),
    };
    let found = found.map_err(|error| format!("the user {text} cannot be looked up: {error}"))?;
    match (found, number, group) {
        (Some(user), _, _) => Ok(Account {
            uid: user.uid,
            gid: group.unwrap_or(user.gid),
            known: Some(Known {
                name: user.name,
                home: user.dir,
            }),
        }),
        (None, Some(uid), Some(gid)) => Ok(Account {
            uid,
            gid,
            known: None,
        }),
        (None, Some(_), None) => Err(format!(
            "the system knows no user {text}: it needs --group as well"
        )),
        (None, None, _) => Err(format!("the system knows no user {text:?}")),
    }
}

fn find_group(text: &str) -> Result<Gid, String> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    match Group::from_name(text) {
        Ok(Some(group)) => Ok(group.gid),
        Ok(None) => Err(format!("the system knows no group {text:?}")),
        Err(error) => Err(format!("the group {text} cannot be looked up: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(pairs: &[(&str, &str)]) -> Result<Option<Account>, String> {
        let set = |settings: Settings, (name, value): &(&str, &str)| {
            settings.with_program_value(name, Some((*value).to_owned()))
        };
        let settings = pairs.iter().fold(Settings::default(), set);
        Account::from_settings(&settings).map_err(|error| error.to_string())
    }

    #[test]
    fn users_have_names_or_numbers() {
        assert_eq!(account(&[]), Ok(None));
        let root = account(&[("user", "root")]).unwrap().unwrap();
        assert_eq!(Ok(Some(root.clone())), account(&[("user", "0")]));
        assert_eq!(root.environment()[1], ("USER".to_owned(), "root".to_owned()));
        let error = account(&[("user", "no-such-user")]).unwrap_err();
        assert!(
            error.ends_with("the system knows no user \"no-such-user\""),
            "{error}"
        );
        assert!(
            account(&[("user", "4000123456")])
                .unwrap_err()
                .contains("--group")
        );
        let stranger = account(&[("user", "4000123456"), ("group", "7")])
            .unwrap()
            .unwrap();
        assert_eq!(stranger.environment(), []);
        assert!(account(&[("group", "no-such-group")]).is_err());
    }
}
