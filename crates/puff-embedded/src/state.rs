//! What a supervisor writes down about its server.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::account::own_like;

/// A running service, as its supervisor describes it in `.puff/run/SERVICE.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct State {
    /// Where clients connect.
    pub url: String,
    /// The directory of the server's socket.
    pub socket_dir: PathBuf,
    /// Where the data is; for root not always in `.puff/`, because the servers' account may not be able to go there.
    pub data_dir: PathBuf,
    /// The server's program.
    pub program: PathBuf,
    /// The program's version, for example `18.6`.
    pub version: String,
    /// The id of the server's main process.
    pub server_pid: i32,
    /// The id of the supervisor's process.
    pub supervisor_pid: i32,
    /// The user id that the server runs as.
    pub uid: u32,
    /// When the server became ready, in seconds since 1970.
    pub started: u64,
}

impl State {
    /// The state that is written down, if there is one that this version understands.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Writes the state in one step, so that no reader sees half of it.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let partial = path.with_extension("json.new");
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| Error::Io {
            action: "write",
            path: path.to_owned(),
            source: error.into(),
        })?;
        text.push(b'\n');
        fs::write(&partial, text).map_err(Error::io("write", &partial))?;
        if let Some(dir) = path.parent() {
            own_like(&partial, dir);
        }
        fs::rename(&partial, path).map_err(Error::io("write", path))
    }
}
