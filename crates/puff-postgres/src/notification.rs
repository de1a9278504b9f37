//! What `NOTIFY` sends to sessions that `LISTEN`.

/// One notification.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Notification {
    /// The process of the session that sent it, as in `pg_stat_activity`.
    pub process_id: i32,
    /// The channel.
    pub channel: Box<str>,
    /// The payload; empty if there was none.
    pub payload: Box<str>,
}
