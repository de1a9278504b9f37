//! CPython inside a Rust program.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use pyo3::ffi;
use pyo3::prelude::*;
use thiserror::Error;

/// How the interpreter is started.
#[derive(Debug, Clone, Default)]
pub struct EmbedOptions {
    /// `sys.argv`.
    pub argv: Vec<OsString>,
    /// Put in front of `sys.path`, in this order.
    pub path: Vec<PathBuf>,
}

/// Why the interpreter did not start.
#[derive(Debug, Error)]
pub enum InterpreterError {
    /// An argument or path holds a NUL byte.
    #[error("{0:?} holds a NUL byte, which Python cannot be given")]
    Nul(OsString),
    /// CPython's own words.
    #[error("Python could not be started: {0}")]
    Start(String),
    /// It started, but its path could not be set.
    #[error("Python could not be set up: {0}")]
    Setup(#[from] PyErr),
}

/// Starts CPython in this process; the calling thread is its main thread and is left detached.
///
/// The virtual environment in `VIRTUAL_ENV` is used as its own `python` would use it; `PYTHONPATH` and its
/// like work as usual. A native module must be registered before, with `pyo3::append_to_inittab!`. Does
/// nothing if Python runs already.
///
/// # Errors
/// [`InterpreterError`].
pub fn start_embedded(options: &EmbedOptions) -> Result<(), InterpreterError> {
    if is_started() {
        return Ok(());
    }
    initialize(options)?;
    Python::attach(|py| {
        let path = py.import("sys")?.getattr("path")?;
        for (index, folder) in options.path.iter().enumerate() {
            path.call_method1("insert", (index, folder.as_os_str()))?;
        }
        Ok::<(), PyErr>(())
    })?;
    Ok(())
}

/// Whether CPython runs in this process.
#[allow(unsafe_code)]
pub fn is_started() -> bool {
    // SAFETY: may be called at any time, also before initialisation.
    unsafe { ffi::Py_IsInitialized() != 0 }
}

/// The `python` of the active virtual environment.
fn virtual_env_python() -> Option<PathBuf> {
    let python = Path::new(&std::env::var_os("VIRTUAL_ENV")?).join("bin/python");
    python.exists().then_some(python)
}

fn c_string(text: &std::ffi::OsStr) -> Result<CString, InterpreterError> {
    CString::new(text.as_bytes()).map_err(|error| InterpreterError::Nul(OsString::from_vec(error.into_vec())))
}

#[allow(unsafe_code)]
fn initialize(options: &EmbedOptions) -> Result<(), InterpreterError> {
    let program = virtual_env_python()
        .map(|python| c_string(python.as_os_str()))
        .transpose()?;
    let argv = options
        .argv
        .iter()
        .map(|arg| c_string(arg))
        .collect::<Result<Vec<_>, _>>()?;
    let mut argv: Vec<*const std::ffi::c_char> = argv.iter().map(|arg| arg.as_ptr()).collect();
    // SAFETY: the calls are those of CPython's "Python Initialization Configuration", in its order: the
    // config is initialised before any other use, cleared once at the end, and the C strings live until
    // then. `PyEval_SaveThread` is called by the thread that Py_InitializeFromConfig has left attached.
    unsafe {
        let mut config = std::mem::MaybeUninit::<ffi::PyConfig>::uninit();
        ffi::PyConfig_InitPythonConfig(config.as_mut_ptr());
        let mut config = config.assume_init();
        config.parse_argv = 0;
        // Ctrl-C is the hub's business, from `run_main` on; before, it ends the process at once.
        config.install_signal_handlers = 0;
        let mut status = ffi::PyConfig_SetBytesArgv(&mut config, argv.len() as isize, argv.as_mut_ptr());
        if let Some(program) = &program
            && ffi::PyStatus_Exception(status) == 0
        {
            status =
                ffi::PyConfig_SetBytesString(&mut config, &raw mut config.program_name, program.as_ptr());
        }
        if ffi::PyStatus_Exception(status) == 0 {
            status = ffi::Py_InitializeFromConfig(&config);
        }
        ffi::PyConfig_Clear(&mut config);
        if ffi::PyStatus_Exception(status) != 0 {
            let message = if status.err_msg.is_null() {
                "no reason given".to_owned()
            } else {
                std::ffi::CStr::from_ptr(status.err_msg)
                    .to_string_lossy()
                    .into_owned()
            };
            return Err(InterpreterError::Start(message));
        }
        ffi::PyEval_SaveThread();
    }
    Ok(())
}
