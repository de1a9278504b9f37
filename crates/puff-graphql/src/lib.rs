//! Puff's GraphQL engine: schema, plan, layered execution, JSON writing. It does no I/O.
//!
//! A [`Schema`] is SDL plus a [`FieldResolver`] for each field that is not a plain column or attribute. An
//! [`Engine`] joins it with a [`Backend`], which runs resolvers and statements. A request becomes a plan once
//! per document; the plan runs breadth first: each field with a resolver is asked once for all the objects it
//! belongs to, however many they are; what it returns is kept as it came (rows as PostgreSQL's text) and
//! written as JSON in one pass at the end.

mod array;
mod backend;
mod cache;
mod cell;
mod document;
mod engine;
mod error;
mod execute;
mod explain;
mod options;
mod plan;
mod request;
mod rows;
mod schema;
mod table;
mod value;
mod write;

pub use backend::{
    Backend, Call, FieldName, Join, ParentSource, Parents, Resolved, ResolverId, Spread, SqlResult, Statement,
};
pub use engine::Engine;
pub use error::{FieldError, Location, RequestError, RequestErrorCode, RequestProblem, SchemaError};
pub use explain::{LayerTrace, PlanDescription, PlannedLayer, Trace};
pub use options::SchemaOptions;
pub use request::{Outcome, Request, Response};
pub use rows::{CellType, Rows, ScalarType};
pub use schema::{FieldResolver, ResolverKind, Schema, SqlParam, SqlResolver};
pub use table::{Column, Nested, Shape, Slot, Table, Wanted, WantedField, WantedKind, WantedObjects};
pub use value::{Arguments, Value};
