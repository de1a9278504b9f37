//! The environ of any request, for the checks that the fuzz target drives; not a part of the interface.

use bytes::Bytes;
use http::Request;
use pyo3::prelude::*;

use super::environ::EnvironBuilder;
use super::input::RequestBody;
use super::{ConnectionInfo, WsgiOptions};

/// What of the environ is text, and the bytes that `wsgi.input` gives. Python is started if it does not run.
///
/// # Panics
/// If there is no environ.
pub fn environ(request: Request<Bytes>) -> (Vec<(String, String)>, Vec<u8>) {
    let info = ConnectionInfo {
        local: None,
        peer: None,
        tls: false,
    };
    let request = request.map(RequestBody::whole);
    Python::initialize();
    let read = Python::attach(|py| -> PyResult<_> {
        stand_in(py)?;
        let environ = EnvironBuilder::new(py, &WsgiOptions::default())?.build(py, &request, info)?;
        let mut texts = Vec::new();
        for (key, value) in environ.iter() {
            if let Ok(text) = value.extract::<String>() {
                texts.push((key.extract::<String>()?, text));
            }
        }
        let body = environ.as_any().get_item("wsgi.input")?.call_method0("read")?;
        Ok((texts, body.extract::<Vec<u8>>()?))
    });
    match read {
        Ok(read) => read,
        Err(error) => panic!("no environ: {error}"),
    }
}

/// The Python half of the package need not be installed: it has nothing to do with what is checked.
fn stand_in(py: Python<'_>) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?;
    if modules.contains("puff._wsgi")? {
        return Ok(());
    }
    let half = PyModule::new(py, "puff._wsgi")?;
    half.add("FileWrapper", py.None())?;
    half.add("Input", py.None())?;
    modules.set_item("puff", PyModule::new(py, "puff")?)?;
    modules.set_item("puff._wsgi", half)
}
