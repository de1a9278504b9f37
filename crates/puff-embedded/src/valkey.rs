//! How Valkey (or Redis) is run and asked.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::server::Durability;
use crate::{Error, place, wire};

/// The server's socket in its directory.
pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("valkey.sock")
}

/// The URL of the server whose socket lies in `dir`.
pub(crate) fn url(dir: &Path) -> Result<String, Error> {
    Ok(format!("unix://{}", place::text(&socket(dir))?))
}

/// The arguments of a server that keeps its data in `data`.
pub(crate) fn arguments(
    data: &Path,
    dir: &Path,
    durability: Durability,
    settings: &[(String, String)],
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [
        "--port",
        "0",
        "--daemonize",
        "no",
        "--unixsocketperm",
        "700",
        "--unixsocket",
    ]
    .map(OsString::from)
    .to_vec();
    arguments.extend([socket(dir).into(), "--dir".into(), data.into()]);
    arguments.extend(["--appendonly", "no", "--save"].map(OsString::from));
    // With a save point, a clean stop saves too.
    arguments.push(match durability {
        Durability::Throwaway => "".into(),
        Durability::Kept => "60 1".into(),
    });
    for (name, value) in settings {
        arguments.extend([OsString::from(format!("--{name}")), value.into()]);
    }
    arguments
}

/// Whether the server answers; `Ok(false)` while it loads its data.
pub(crate) fn is_ready(dir: &Path) -> io::Result<bool> {
    match wire::valkey_ping(&socket(dir))? {
        Ok(()) => Ok(true),
        Err(refusal) if refusal.message.starts_with("LOADING") => Ok(false),
        Err(refusal) => Err(io::Error::other(refusal.message)),
    }
}
