//! Conversions between Python objects and the plain data of the floors below. All run attached.

mod argument;
mod bytes;
mod cell;
mod param;
mod types;

pub(crate) use argument::{object_to_value, value_to_object};
pub(crate) use bytes::AsBytes;
pub(crate) use cell::cell_to_object;
pub(crate) use param::objects_to_params;
pub(crate) use types::json_loads;
