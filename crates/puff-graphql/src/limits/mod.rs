//! Limits on a document that hold before anything that takes long is done with it.
//!
//! [`text::check`] goes over the tokens, before the parser; [`tree::check`] over the syntax tree, before the
//! validator, some of whose rules compare everything with everything.

pub(crate) mod text;
pub(crate) mod tree;
