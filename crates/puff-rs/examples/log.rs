//! Rust and Python write one log; with the variable `SHOP_OWN_LOG` through a subscriber of the program's own.
//! The Python module `shop` lies in the working directory.

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
    if std::env::var_os("SHOP_OWN_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .without_time()
            .init();
    }
    let config = RuntimeConfig::default().set_global_state_fn(|py| Ok(Stock.into_py(py)));
    Program::new("shop")
        .runtime_config(config)
        .command(PythonCommand::new("count", "shop.count"))
        .run()
}
