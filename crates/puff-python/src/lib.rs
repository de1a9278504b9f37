//! Where Rust meets Python: the hub, conversions, WSGI, GraphQL resolvers. The only user of PyO3.
//!
//! One Python thread, the hub, runs every greenlet; Tokio's threads never attach to Python. Between them lie
//! two queues of plain Rust data: the [reactor](hub) takes finished operations and new requests to the hub
//! in batches, and each started operation carries its result back through a waiter.
//!
//! The rules of the bridge, which every function here keeps:
//!
//! * A native call *starts* an operation and returns; it never waits while attached.
//! * No Python code runs under `Python::detach` on the hub's thread.
//! * No lock is held across code that may switch greenlets, and no native frame is left on a parked stack.
//! * Results stay Rust data until the greenlet that waits for them resumes; it converts them.

pub mod graphql;
pub mod hub;
pub mod import;
pub mod interpreter;
pub mod live;
pub mod services;
pub mod websocket;
pub mod wsgi;

mod bell;
mod bindings;
mod call;
mod convert;
mod driver;
mod errors;
mod greenlet;
mod lifeline;
mod method;
mod operation;
mod permits;
mod poller;
mod quick;
mod reactor;
mod runtime;
mod status;
mod tasks;
mod waiter;

use pyo3::prelude::*;

pub use call::{CallError, PythonCall, PythonFunction};
pub use greenlet::{BoxError, greenlet_async};
pub use hub::{new_hub, run_background, run_main};
pub use runtime::Runtime;
pub use services::{OpenedPool, Opener, ServiceError, Services};
pub use status::{HubLoad, HubStatus};
pub use tasks::Unfinished;
pub use waiter::Waiter;

/// Adds the classes and functions of this floor to the native module `_puff`.
///
/// # Errors
/// Only if Python runs out of memory.
pub fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DatabaseError", module.py().get_type::<errors::DatabaseError>())?;
    module.add("ServiceError", module.py().get_type::<errors::ServiceError>())?;
    module.add_class::<Waiter>()?;
    module.add_class::<waiter::ReturnFunc>()?;
    module.add_class::<permits::Permits>()?;
    module.add_class::<call::FunctionCall>()?;
    hub::populate(module)?;
    bindings::populate(module)?;
    driver::populate(module)?;
    graphql::populate(module)?;
    live::populate(module)?;
    websocket::populate(module)?;
    wsgi::populate(module)
}
