//! The extension module _puff of the Python package.
