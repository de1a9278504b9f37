//! [`Text`]: an immutable string that is cheap to clone and crosses to Python and back.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// An immutable UTF-8 string; `clone` copies a pointer.
///
/// The string type of the Rust half of a program: it may wait in a future, sit in a map and be handed
/// to Python without a lifetime. With the feature `python` it converts from and to Python's `str`, as
/// [`Bytes`](crate::Bytes) does from and to `bytes`.
///
/// ```
/// use puff_core::Text;
/// let text: Text = format!("Hello {}", 42).into();
/// assert_eq!(text, "Hello 42");
/// assert!(text.starts_with("Hello"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<str>);

impl Text {
    /// The text as a string slice.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Text {
    fn default() -> Self {
        Text(Arc::from(""))
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl From<&str> for Text {
    fn from(value: &str) -> Self {
        Text(Arc::from(value))
    }
}

impl From<String> for Text {
    fn from(value: String) -> Self {
        Text(Arc::from(value))
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(value: Cow<'_, str>) -> Self {
        Text(Arc::from(value))
    }
}

impl From<Text> for String {
    fn from(value: Text) -> Self {
        value.as_str().to_owned()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl serde::Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Cow<'de, str>>::deserialize(deserializer).map(Text::from)
    }
}

#[cfg(feature = "python")]
mod python {
    use std::convert::Infallible;

    use pyo3::prelude::*;
    use pyo3::types::PyString;

    use super::Text;

    impl<'py> IntoPyObject<'py> for Text {
        type Target = PyString;
        type Output = Bound<'py, PyString>;
        type Error = Infallible;

        fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
            Ok(PyString::new(py, &self))
        }
    }

    impl<'py> IntoPyObject<'py> for &Text {
        type Target = PyString;
        type Output = Bound<'py, PyString>;
        type Error = Infallible;

        fn into_pyobject(self, py: Python<'py>) -> Result<Self::Output, Self::Error> {
            Ok(PyString::new(py, self))
        }
    }

    impl<'a, 'py> FromPyObject<'a, 'py> for Text {
        type Error = PyErr;

        fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
            Ok(Text::from(object.cast::<PyString>()?.to_str()?))
        }
    }
}
