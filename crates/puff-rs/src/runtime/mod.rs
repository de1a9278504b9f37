//! What a program runs on: its configuration, its services, and [`Runtime`], the handle that commands and
//! handlers get.
//!
//! | to | |
//! |---|---|
//! | call Python and wait for its value | [`Runtime::call_python`] |
//! | let Python wait for Rust | [`greenlet_async`] |
//! | run a future beside everything else | [`Runtime::spawn`] |
//! | run what blocks | [`Runtime::blocking`] |
//! | learn that the program ends | [`Runtime::shutdown`] |
//!
//! Cancellation goes both ways across the border, and is always a drop on the side of Rust. A greenlet that is
//! killed drops the future it waits for, at its next `.await`. A [`PythonCall`] that is dropped (its task was
//! aborted, the client of its request has gone, a time-out won) kills its greenlet: `GreenletExit` is raised
//! where it waits, so that `finally` and `with` do their work; Python that computes is not interrupted. What a
//! handler awaits is dropped with its request, what it gave to `spawn` goes on.
//!
//! ```
//! use std::time::Duration;
//! use puff_rs::errors::BoxError;
//! use puff_rs::runtime::{PythonFunction, Runtime};
//!
//! /// The price of many things at once, each in a greenlet; all within a second or not at all.
//! async fn prices(runtime: &Runtime, names: Vec<String>) -> Result<Vec<f64>, BoxError> {
//!     let price = PythonFunction::named("shop.prices:price");
//!     let calls: Vec<_> = names.into_iter().map(|name| runtime.call_python(&price, (name,))).collect();
//!     tokio::time::timeout(Duration::from_secs(1), async {
//!         let mut prices = Vec::new();
//!         for call in calls {
//!             prices.push(call.await?);
//!         }
//!         Ok(prices)
//!     })
//!     .await?
//! }
//! # let _ = prices;
//! ```

mod config;
mod console;
mod pool_settings;
mod private;
mod pubsub;
mod services;

pub(crate) use config::ServiceUse;
pub use config::{GlobalStateFn, RuntimeConfig};
pub(crate) use console::Console;
pub use pool_settings::{PostgresSettings, RedisSettings};
pub use puff_core::task::BlockingError;
pub use puff_python::{
    CallError, PythonCall, PythonFunction, Runtime, ServiceError, Services, greenlet_async,
};
pub(crate) use services::{ServicePlan, Started};
