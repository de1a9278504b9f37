//! A server within a process that has something else to do: the live server of tests.

use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::Mutex;
use puff_python::wsgi::WsgiApp;
use puff_python::{Runtime, greenlet_async, new_hub};
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::web::{Application, Bind, DirectRoutes, ServerConfig, Site, listen, serve_on_seat};

/// How long requests may take to finish when the tests are over.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves a WSGI application from its making to `stop`.
#[pyclass(frozen, module = "puff", name = "TestServer")]
pub(crate) struct TestServer {
    port: u16,
    runtime: Runtime,
    /// Whether the requests have a queue of their own.
    apart: bool,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<Option<()>>>>,
}

#[pymethods]
impl TestServer {
    /// Listens on `address`, an IP address and a port; of port 0 the system makes a free one. With `apart` requests
    /// do not go to the hub: whoever drives `hub` runs them.
    ///
    /// Raises OSError if the port is in use.
    #[new]
    fn new(application: &Bound<'_, PyAny>, address: &str, apart: bool) -> PyResult<TestServer> {
        let failed = |error: &dyn std::fmt::Display| PyOSError::new_err(error.to_string());
        let address: SocketAddr = address.parse().map_err(|error| failed(&error))?;
        let program = Runtime::current()?;
        let runtime = match apart {
            true => program.beside().map_err(|error| failed(&error))?,
            false => program.clone(),
        };
        let config = ServerConfig {
            shutdown_timeout: DRAIN,
            ..ServerConfig::default()
        };
        let app = WsgiApp::new(&runtime, application, config.wsgi.clone())?;
        let listener = listen(&Bind::Tcp(address)).map_err(|error| failed(&error))?;
        let bound: SocketAddr = listener.address().parse().map_err(|error| failed(&error))?;
        let site = Site {
            app: Application::Wsgi(app),
            direct: DirectRoutes::default(),
            websockets: None,
        };
        let stop = program.shutdown().child_token();
        let serving = serve_on_seat(vec![listener], site, config, stop.clone(), None);
        let task = program.spawn("the live server", async move {
            if let Err(error) = serving.await {
                tracing::error!("the live server failed: {error}");
            }
        });
        Ok(TestServer {
            port: bound.port(),
            runtime,
            apart,
            stop,
            task: Mutex::new(Some(task)),
        })
    }

    /// Where it listens.
    #[getter]
    fn port(&self) -> u16 {
        self.port
    }

    /// The queue of the requests. Raises RuntimeError if the program's hub has them.
    fn hub<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.apart {
            true => new_hub(py, &self.runtime),
            false => Err(PyRuntimeError::new_err("the program's hub runs the requests")),
        }
    }

    /// Stops it; the wait ends when it has ended.
    fn stop(&self, return_func: Py<PyAny>) {
        self.stop.cancel();
        let task = self.task.lock().take();
        greenlet_async(return_func, async move {
            if let Some(task) = task {
                // An error is a panic, which has been logged.
                let _ = task.await;
            }
            Ok(())
        });
    }
}
