//! What a program runs on: its configuration, its services, the handle that commands get.

mod config;
mod console;
mod services;

pub(crate) use config::ServiceUse;
pub use config::{GlobalStateFn, RuntimeConfig};
pub(crate) use console::Console;
pub use puff_python::{Runtime, ServiceError, Services};
pub(crate) use services::{ServicePlan, Started};
