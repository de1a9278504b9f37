//! Puff's PostgreSQL connection and pool, on postgres-protocol.
