//! Results become JSON bytes.

pub(crate) mod answer;
pub(crate) mod cell;
pub(crate) mod errors;
pub(crate) mod leaf;
mod moment;
pub(crate) mod string;
mod values;
