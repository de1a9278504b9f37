//! The `errors` list of an answer.

use super::string::json_string;
use crate::error::{Location, RequestError};

/// The whole answer to a request that never ran.
pub(crate) fn request_error(error: &RequestError) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"errors\":[");
    for (number, problem) in error.problems.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"message\":");
        json_string(&mut out, problem.message.as_bytes());
        locations(&mut out, &problem.locations);
        out.extend_from_slice(b",\"extensions\":{\"code\":");
        json_string(&mut out, error.code.as_str().as_bytes());
        out.extend_from_slice(b"}}");
    }
    out.extend_from_slice(b"]}");
    out
}

/// Appends `,"locations":[...]` unless there are none.
pub(crate) fn locations(out: &mut Vec<u8>, locations: &[Location]) {
    if locations.is_empty() {
        return;
    }
    out.extend_from_slice(b",\"locations\":[");
    for (number, place) in locations.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"line\":");
        out.extend_from_slice(itoa::Buffer::new().format(place.line).as_bytes());
        out.extend_from_slice(b",\"column\":");
        out.extend_from_slice(itoa::Buffer::new().format(place.column).as_bytes());
        out.push(b'}');
    }
    out.push(b']');
}
