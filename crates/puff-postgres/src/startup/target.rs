//! Whether a server is the one that is looked for.

use rustc_hash::FxHashMap;

use super::handshake::Handshake;
use crate::config::TargetSession;
use crate::error::{ConnectFailure, Error};

impl Handshake<'_> {
    /// Refuses a server that is not what `target` says.
    ///
    /// Servers from 14 on report what is needed; older ones and poolers are asked.
    pub(super) async fn check_target(
        &mut self,
        parameters: &FxHashMap<String, String>,
        target: TargetSession,
    ) -> Result<(), Error> {
        let fits = match target {
            TargetSession::Any => true,
            TargetSession::ReadWrite => !self.is_read_only(parameters).await?,
            TargetSession::ReadOnly => self.is_read_only(parameters).await?,
            TargetSession::Primary => !self.is_standby(parameters).await?,
            TargetSession::Standby | TargetSession::PreferStandby => self.is_standby(parameters).await?,
        };
        if fits {
            return Ok(());
        }
        Err(self.failed(ConnectFailure::Target(target)))
    }

    async fn is_standby(&mut self, parameters: &FxHashMap<String, String>) -> Result<bool, Error> {
        match parameters.get("in_hot_standby") {
            Some(reported) => Ok(reported == "on"),
            None => Ok(self.ask("SELECT pg_catalog.pg_is_in_recovery()").await? == "t"),
        }
    }

    async fn is_read_only(&mut self, parameters: &FxHashMap<String, String>) -> Result<bool, Error> {
        let reported = [
            parameters.get("in_hot_standby"),
            parameters.get("default_transaction_read_only"),
        ];
        match reported {
            [Some(standby), Some(default)] => Ok(standby == "on" || default == "on"),
            _ => Ok(self.ask("SHOW transaction_read_only").await? == "on"),
        }
    }
}
