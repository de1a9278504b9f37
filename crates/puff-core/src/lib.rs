//! Puff's ground floor: what every other room uses and nothing that uses them.
//!
//! [`Text`] is the string of the Rust half of a program, [`task`] starts futures whose failures are
//! never silent, [`random`] makes ids and secrets, [`environment`] tells production from development. What checks
//! servers' certificates (`tls`) is for the clients of services, behind the feature `tls`.
//! Nothing here knows of Python, but for the conversions of [`Text`] behind the feature `python`: the
//! orphan rule leaves no other place for them.

pub mod environment;
pub mod random;
pub mod task;
pub mod text;
#[cfg(feature = "tls")]
pub mod tls;

/// The target of the spans that are made for traces (OpenTelemetry) and are too many for a log.
pub const TRACE_TARGET: &str = "puff::trace";

pub use bytes::Bytes;
pub use environment::Environment;
pub use text::Text;
