//! Names of Python objects, as users write them: `pkg.mod:attr` or `pkg.mod.attr`.

use pyo3::exceptions::{PyAttributeError, PyModuleNotFoundError};
use pyo3::prelude::*;
use thiserror::Error;

/// Why a name does not lead to an object. The text is for the person who typed it.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// The name has no attribute part, or is not made of identifiers.
    #[error("{path:?} does not name a Python object: write pkg.module:attribute")]
    Malformed {
        /// What was written.
        path: String,
    },
    /// A file in place of a module.
    #[error("{path:?} is a file: write its module, as in pkg.module:attribute")]
    File {
        /// What was written.
        path: String,
    },
    /// There is no such module.
    #[error(
        "no Python module {module:?} (from {path:?}): is it spelled right, and does its folder lie in the \
         working directory or on PYTHONPATH?"
    )]
    NoModule {
        /// What was written.
        path: String,
        /// The module that is missing.
        module: String,
    },
    /// The module has no such attribute.
    #[error("module {module:?} has no attribute {attribute:?} (from {path:?})")]
    NoAttribute {
        /// What was written.
        path: String,
        /// The module that was found.
        module: String,
        /// The attribute that is missing.
        attribute: String,
    },
    /// The module's own code failed while it was imported.
    #[error("the import of {module:?} failed")]
    Import {
        /// The module.
        module: String,
        /// What it raised; print it for its traceback.
        source: PyErr,
    },
}

/// Imports the object that `path` names. Call it attached.
///
/// # Errors
/// [`ResolveError`], told apart by what the user has to mend.
pub fn resolve<'py>(py: Python<'py>, path: &str) -> Result<Bound<'py, PyAny>, ResolveError> {
    let malformed = || ResolveError::Malformed {
        path: path.to_owned(),
    };
    let (module, attribute) = path
        .split_once(':')
        .or_else(|| path.rsplit_once('.'))
        .ok_or_else(malformed)?;
    if module.ends_with(".py") || module.contains('/') {
        return Err(ResolveError::File {
            path: path.to_owned(),
        });
    }
    let is_name = |part: &str| !part.is_empty() && !part.contains([' ', ':', '/']);
    if !module.split('.').all(is_name) || !attribute.split('.').all(is_name) {
        return Err(malformed());
    }
    let mut object = import(py, path, module)?.into_any();
    for name in attribute.split('.') {
        object = object.getattr(name).map_err(|error| {
            if error.is_instance_of::<PyAttributeError>(py) {
                ResolveError::NoAttribute {
                    path: path.to_owned(),
                    module: module.to_owned(),
                    attribute: attribute.to_owned(),
                }
            } else {
                ResolveError::Import {
                    module: module.to_owned(),
                    source: error,
                }
            }
        })?;
    }
    Ok(object)
}

fn import<'py>(py: Python<'py>, path: &str, module: &str) -> Result<Bound<'py, PyModule>, ResolveError> {
    py.import(module).map_err(|error| {
        let missing: Option<String> = error
            .is_instance_of::<PyModuleNotFoundError>(py)
            .then(|| error.value(py).getattr("name").ok()?.extract().ok())
            .flatten();
        match missing {
            // `a.b` asked for, `a` or `a.b` missing; another name is a missing import inside the module.
            Some(name) if module == name || module.starts_with(&format!("{name}.")) => {
                ResolveError::NoModule {
                    path: path.to_owned(),
                    module: name,
                }
            }
            _ => ResolveError::Import {
                module: module.to_owned(),
                source: error,
            },
        }
    })
}
