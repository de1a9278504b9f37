//! The client against a real, private PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

mod authentication;
mod copy;
mod crowd;
mod direct;
mod direct_query;
mod faults;
mod hosts;
mod listen;
mod pgbouncer;
mod pipeline;
mod pool;
mod query;
mod session_pool;
mod statements;
mod support;
mod tls;
mod tls_server;
mod transaction;
mod values;
