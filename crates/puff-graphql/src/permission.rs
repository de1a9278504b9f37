//! Permissions: what a backend is asked before objects or fields are shown.

use crate::backend::{Backend, Parents};
use crate::error::FieldError;
use crate::value::Arguments;

/// The number by which a backend knows a permission; see [`SchemaRule::Permission`](crate::SchemaRule).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PermissionId(pub u32);

/// One permission that a layer needs.
pub struct PermissionCall<B: Backend> {
    /// Which.
    pub id: PermissionId,
    /// The arguments of the field that it guards; none where it guards objects.
    pub arguments: Arguments,
    /// The objects whose field it guards; `None` at a root field, and where it guards objects of a type.
    pub parents: Option<Parents<B>>,
}

/// The answer to a [`PermissionCall`].
#[derive(Debug, Clone, PartialEq)]
pub enum Permit {
    /// All may be shown.
    Granted,
    /// Nothing is: the error is that of the field for every parent, or of every object.
    Refused(FieldError),
    /// For each of the parents: `None` if its field may be shown.
    Each(Vec<Option<FieldError>>),
}
