//! One statement with parameters, in the extended protocol.

use std::io;

use super::{DirectConnection, Exchange};
use crate::error::Error;
use crate::param::Param;
use crate::request::Query;
use crate::statement::Statement;

impl DirectConnection {
    /// Starts an exchange of one statement with parameters `$1`, `$2`..., which is prepared for this once.
    ///
    /// `ahead` is a statement without parameters, such as `BEGIN`, that runs first, in the same packet. If it
    /// fails, `sql` is not run.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if an exchange is under way, or for what cannot be sent, such as a NUL;
    /// [`Error::Closed`].
    pub fn start_query(&mut self, sql: &str, params: &[Param], ahead: Option<&str>) -> Result<(), Error> {
        self.check_free()?;
        let query = Query::new(sql, params)?;
        let out = &mut self.wire.outgoing;
        if let Some(ahead) = ahead {
            super::put_ahead(ahead, out)?;
        }
        let unnamed = Statement::new(String::new(), sql);
        let invalid = |error: io::Error| Error::InvalidInput(error.to_string());
        query.encode(&unnamed, true, out).map_err(invalid)?;
        self.session_state |= unnamed.leaves_state;
        self.exchange = Some(Exchange {
            beginning: ahead.is_some(),
            synced: true,
            ..Exchange::default()
        });
        Ok(())
    }
}
