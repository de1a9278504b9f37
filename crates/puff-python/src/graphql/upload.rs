//! Files that came with a request.

use std::fs::File;
use std::os::fd::IntoRawFd;

use bytes::Bytes;
use puff_graphql::Host;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyBytes;

/// A file that came with a request, as a client describes it.
#[derive(Debug)]
pub struct Upload {
    /// The name that it has with the client, without a path.
    pub filename: Option<String>,
    /// The media type that the client gives.
    pub content_type: Option<String>,
    /// How many bytes it has.
    pub size: u64,
    /// What is in it.
    pub content: Content,
}

/// Where the bytes of an [`Upload`] are.
#[derive(Debug)]
pub enum Content {
    /// A small file.
    Memory(Bytes),
    /// A larger one, in a file that no folder has: it ends with the last handle.
    File(File),
}

/// The object that resolvers see of something of the host's; None if it is no file.
pub(crate) fn host_to_object<'py>(py: Python<'py>, host: &Host) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some(upload) = host.get::<Upload>() else {
        return Ok(py.None().into_bound(py));
    };
    let source = match &upload.content {
        Content::Memory(bytes) => PyBytes::new(py, bytes).into_any(),
        // The object has a descriptor of its own, and closes it.
        Content::File(file) => file.try_clone()?.into_raw_fd().into_pyobject(py)?.into_any(),
    };
    let class = CLASS.import(py, "puff.graphql._uploads", "Upload")?;
    class.call1((&upload.filename, &upload.content_type, upload.size, source))
}
