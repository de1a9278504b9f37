//! The behaviours that the reference implementation, graphql-js, tests of its executor, one for one.
//!
//! Each module stands for one of its test files: `nonnull`, `lists`, `mutations`, `variables`, `abstract` and
//! `union-interface` (`abstract_types`), `directives`, `oneof`, `executor`, `resolve`, `schema`. Abstract types have
//! more tests in `tests/abstract_types.rs`; `subscribe` is `tests/subscriptions.rs`, which needs sources of events.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod abstract_types;
mod directives;
mod executor;
mod lists;
mod mutations;
mod nonnull;
mod one_of;
mod resolve;
mod schema;
mod variables;

use puff_graphql::{Call, FieldError, Resolved, Value};
use serde_json::{Map, Value as Json};
use support::{Memory, value};

/// A resolver that tells its arguments, as JSON in a string.
fn echo(call: Call<Memory>) -> Result<Resolved<Memory>, FieldError> {
    let given: Map<String, Json> = call
        .arguments
        .iter()
        .map(|(name, value)| (name.to_owned(), plain(value)))
        .collect();
    value(Value::str(Json::from(given).to_string()))
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Big(text) | Value::Json(text) => serde_json::from_str(text).unwrap(),
        Value::Str(text) => (**text).into(),
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.to_string(), plain(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Host(_) => panic!("a file"),
        Value::Error(error) => panic!("{error}"),
    }
}

/// The paths of an answer's errors.
fn paths(answer: &Json) -> Vec<Json> {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["path"].clone()).collect()
}
