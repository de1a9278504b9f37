//! Puff's private PostgreSQL and Valkey: find the binaries, start, supervise, stop.
