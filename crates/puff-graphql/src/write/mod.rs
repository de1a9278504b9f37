//! Results become JSON bytes.

pub(crate) mod answer;
pub(crate) mod cell;
pub(crate) mod errors;
pub(crate) mod leaf;
pub(crate) mod string;
