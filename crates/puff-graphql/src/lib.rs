//! Puff's GraphQL engine: schema, plan, layered execution, JSON writing. It does no I/O.
//!
//! A [`Schema`] is SDL plus a [`FieldResolver`] for each field that is not a plain column or attribute. An
//! [`Engine`] joins it with a [`Backend`], which runs resolvers and statements. A request becomes a plan once
//! per document; the plan runs breadth first: each field with a resolver is asked once for all the objects it
//! belongs to, however many they are; what it returns is kept as it came (rows as PostgreSQL's text) and
//! written as JSON in one pass at the end.
//!
//! # How SQL cells become JSON
//!
//! The field's type decides, with the column's type:
//!
//! | field | column | answer |
//! |---|---|---|
//! | `Int` | whole numbers | the number; beyond 32 bits a field error |
//! | `Float` | numbers | the number as PostgreSQL prints it; `NaN` and the infinities are field errors |
//! | `String`, `ID` | any | PostgreSQL's text as a string (`true` and `false` for `bool`) |
//! | `Boolean` | `bool`, numbers | the truth value; a number is true unless zero |
//! | an enum | text, whole numbers | the value of this name; [`SchemaRule::Enum`] adds other texts |
//! | a scalar of the schema | numbers, `bool`, `json` | as they are, without a look at them |
//! | a scalar of the schema | times, `interval`, `bytea` | ISO 8601 and base64, as strings |
//! | a scalar of the schema | anything else | PostgreSQL's text as a string |
//! | a list | arrays, `json` | a list; elements as above |
//!
//! [`CellRule`] has other rules for scalars.
//!
//! # Parents and joins
//!
//! Join keys compare by value: whole numbers of all widths, `numeric` without trailing zeros, text exactly,
//! `bpchar` without trailing blanks; null equals nothing. A field that is not a list takes the first row or null.
//! A leaf field with a statement of its own takes the column of its name, else the first that is no join key.
//! A row type that is an interface or union needs a column `__typename`.
//!
//! # Subscriptions
//!
//! [`Engine::subscribe`] asks the backend for a source of events ([`EventSource`]). Each event is what the root
//! field's resolver would have returned, and is executed like any other answer. [`transport`] has the protocols
//! by which clients subscribe, as state machines without sockets.

mod array;
mod backend;
mod cache;
mod cell;
mod constant;
mod document;
mod engine;
mod error;
mod execute;
mod explain;
mod json;
mod limits;
mod options;
mod page;
mod permission;
mod plan;
mod recency;
mod request;
mod rows;
mod schema;
mod subscription;
mod table;
mod trace;
pub mod transport;
mod validate;
mod value;
mod write;

pub use backend::{
    Backend, Call, Cells, FieldName, Given, Join, Operation, ParentSource, Parents, Resolved, ResolverId,
    Spread, SqlResult, Statement,
};
pub use engine::{Engine, OperationKind};
pub use error::{FieldError, Location, RequestError, RequestErrorCode, RequestProblem, SchemaError};
pub use explain::{PlanDescription, PlannedLayer};
pub use json::JsonError;
pub use options::SchemaOptions;
pub use page::Page;
pub use permission::{PermissionCall, PermissionId, Permit};
pub use recency::used_since;
pub use request::{Outcome, Request, Response};
pub use rows::{CellType, Rows, ScalarType};
pub use schema::{CellRule, FieldResolver, ResolverKind, Schema, SchemaRule, SqlParam, SqlResolver};
pub use subscription::{Event, EventSource, Events, Subscription};
pub use table::{
    Column, Nested, Selection, Shape, Slot, Table, Wanted, WantedField, WantedKind, WantedObjects,
};
pub use trace::{LayerTrace, Record, Times, Trace};
pub use validate::{DocumentProblem, SourceDocument, Validation};
pub use value::{Arguments, Host, Value};
