//! A program as users write them: `puff-bench-hub run` calls `hub.on_puff.native`, with Rust operations as its
//! global state.

use puff_rs::prelude::*;
use puff_rs::program::commands::PythonCommand;

/// Operations that do nothing: what they cost is the way there and back.
#[pyclass(frozen)]
struct Operations;

#[pymethods]
impl Operations {
    /// Starts a future that is ready when it is polled for the first time.
    fn ready(&self, return_func: PyObject) {
        greenlet_async(return_func, async { Ok(1) });
    }

    /// Starts a future that becomes ready later, on a thread of Tokio's.
    fn later(&self, return_func: PyObject) {
        greenlet_async(return_func, async {
            let value = tokio::spawn(async { 1 }).await?;
            Ok(value)
        });
    }
}

fn main() -> ExitCode {
    let config = RuntimeConfig::default().set_global_state_fn(|py| Ok(Operations.into_py(py)));
    Program::new("puff-bench-hub")
        .runtime_config(config)
        .command(PythonCommand::new("run", "hub.on_puff.native"))
        .run()
}
