//! Puff's Redis pool and pub-sub, on redis-rs.
