//! Files on Tokio.

use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::sync::Mutex;

use crate::convert::AsBytes;
use crate::greenlet::start;
use crate::waiter::Waiter;

#[pyfunction]
fn read_file(path: PathBuf, waiter: Py<Waiter>) {
    start(waiter, async move { Ok(AsBytes(tokio::fs::read(path).await?)) });
}

#[pyfunction]
fn write_file(path: PathBuf, data: PyBackedBytes, waiter: Py<Waiter>) {
    start(waiter, async move { Ok(tokio::fs::write(path, &data).await?) });
}

/// An open file on Tokio; one operation at a time, the others wait their turn.
#[pyclass(frozen, module = "puff", name = "FileHandle")]
struct FileHandle {
    file: Arc<Mutex<Option<File>>>,
}

/// Opens `path`; `mode` is one of Python's, without `t`: the file is always binary.
#[pyfunction]
fn open_file(path: PathBuf, mode: &str, waiter: Py<Waiter>) -> PyResult<()> {
    let options = open_options(mode).ok_or_else(|| {
        PyValueError::new_err(format!(
            "the mode {mode:?} is none of rb, wb, ab, xb, with or without +; files of puff are binary"
        ))
    })?;
    start(waiter, async move {
        let file = options.open(path).await?;
        Ok(FileHandle {
            file: Arc::new(Mutex::new(Some(file))),
        })
    });
    Ok(())
}

fn open_options(mode: &str) -> Option<OpenOptions> {
    let mut options = OpenOptions::new();
    let plain: String = mode
        .chars()
        .filter(|letter| !matches!(letter, 'b' | '+'))
        .collect();
    let update = mode.contains('+');
    match plain.as_str() {
        "r" => options.read(true).write(update),
        "w" => options.write(true).create(true).truncate(true).read(update),
        "a" => options.append(true).create(true).read(update),
        "x" => options.write(true).create_new(true).read(update),
        _ => return None,
    };
    (mode.matches('b').count() <= 1 && mode.matches('+').count() <= 1).then_some(options)
}

#[pymethods]
impl FileHandle {
    /// Completes `waiter` with at most `size` bytes, with all that is left if `size` is negative.
    fn read(&self, size: i64, waiter: Py<Waiter>) {
        self.start(waiter, Operation::Read(u64::try_from(size).unwrap_or(u64::MAX)));
    }

    /// Completes `waiter` with the number of bytes, all of `data`, once the system has them.
    fn write(&self, data: PyBackedBytes, waiter: Py<Waiter>) {
        self.start(waiter, Operation::Write(data));
    }

    /// Completes `waiter` with the new position.
    fn seek(&self, offset: i64, whence: u8, waiter: Py<Waiter>) -> PyResult<()> {
        let target = match (whence, u64::try_from(offset)) {
            (0, Ok(offset)) => SeekFrom::Start(offset),
            (1, _) => SeekFrom::Current(offset),
            (2, _) => SeekFrom::End(offset),
            _ => {
                return Err(PyValueError::new_err(
                    "seek goes to 0 or beyond; whence is 0, 1 or 2",
                ));
            }
        };
        self.start(waiter, Operation::Seek(target));
        Ok(())
    }

    /// Completes `waiter` when the file is closed; it may have been closed before.
    fn close(&self, waiter: Py<Waiter>) {
        let file = self.file.clone();
        start(waiter, async move {
            file.lock().await.take();
            Ok(())
        });
    }
}

enum Operation {
    Read(u64),
    Write(PyBackedBytes),
    Seek(SeekFrom),
}

impl FileHandle {
    fn start(&self, waiter: Py<Waiter>, operation: Operation) {
        let file = self.file.clone();
        start(waiter, async move {
            let mut file = file.lock().await;
            let Some(file) = file.as_mut() else {
                return Err(PyValueError::new_err("the file is closed").into());
            };
            match operation {
                Operation::Read(limit) => {
                    let mut data = Vec::new();
                    file.take(limit).read_to_end(&mut data).await?;
                    Ok(Outcome::Data(AsBytes(data)))
                }
                Operation::Write(data) => {
                    file.write_all(&data).await?;
                    // Tokio writes on another thread: without this an error shows at the next operation.
                    file.flush().await?;
                    Ok(Outcome::Number(data.len() as u64))
                }
                Operation::Seek(target) => Ok(Outcome::Number(file.seek(target).await?)),
            }
        });
    }
}

/// What an operation on a file gives.
enum Outcome {
    Data(AsBytes<Vec<u8>>),
    Number(u64),
}

impl<'py> IntoPyObject<'py> for Outcome {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        match self {
            Outcome::Data(content) => content.into_bound_py_any(py),
            Outcome::Number(number) => number.into_bound_py_any(py),
        }
    }
}

pub(super) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<FileHandle>()?;
    module.add_function(wrap_pyfunction!(open_file, module)?)?;
    module.add_function(wrap_pyfunction!(read_file, module)?)?;
    module.add_function(wrap_pyfunction!(write_file, module)?)
}
