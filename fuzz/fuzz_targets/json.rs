//! Bodies of GraphQL requests: JSON read by hand, with the digits of its numbers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use puff_graphql::{JsonError, Request, Value};

fuzz_target!(|bytes: &[u8]| {
    let _ = Request::from_json(bytes);
    let _ = Request::batch_from_json(bytes, 3);
    // What is no UTF-8 is no JSON.
    if let Ok(Value::Str(_)) | Err(JsonError::Depth) = Value::from_json(bytes) {
        assert!(std::str::from_utf8(bytes).is_ok());
    }
});
