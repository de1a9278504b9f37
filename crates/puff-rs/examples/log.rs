//! Rust and Python write one log. The Python module `shop` lies in the working directory.

use puff_rs::prelude::*;
use puff_rs::program::commands::PythonCommand;

/// Work that logs while a greenlet waits for it.
#[pyclass(frozen)]
struct Stock;

#[pymethods]
impl Stock {
    fn count(&self, return_func: PyObject, item: Text) {
        greenlet_async(return_func, async move {
            info!(item = %item, "counted in Rust");
            Ok(3)
        });
    }
}

fn main() -> ExitCode {
    let config = RuntimeConfig::default().set_global_state_fn(|py| Ok(Stock.into_py(py)));
    Program::new("shop")
        .runtime_config(config)
        .command(PythonCommand::new("count", "shop.count"))
        .run()
}
