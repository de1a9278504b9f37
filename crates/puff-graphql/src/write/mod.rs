//! Results become JSON bytes.

pub(crate) mod errors;
pub(crate) mod string;
