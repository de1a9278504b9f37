//! The `errors` list of an answer.

use super::leaf::json_value;
use super::string::json_string;
use crate::error::{FieldError, Location, RequestError};

/// Where in the answer we are: a list through the stack, followed only when an error needs it.
#[derive(Clone, Copy)]
pub(crate) struct Path<'p> {
    pub(crate) parent: Option<&'p Path<'p>>,
    pub(crate) step: Step<'p>,
}

/// One step of a path.
#[derive(Clone, Copy)]
pub(crate) enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

/// The field errors of one answer, encoded as they come, bounded.
pub(crate) struct FieldErrors {
    encoded: Vec<u8>,
    count: usize,
    max: usize,
}

impl FieldErrors {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            encoded: Vec::new(),
            count: 0,
            max,
        }
    }

    /// How many errors happened, listed or not.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn add(&mut self, error: &FieldError, places: &[Location], path: Option<&Path<'_>>) {
        self.count += 1;
        if self.count > self.max {
            return;
        }
        let out = &mut self.encoded;
        if !out.is_empty() {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"message\":");
        json_string(out, error.message.as_bytes());
        locations(out, places);
        if let Some(path) = path {
            out.extend_from_slice(b",\"path\":[");
            write_path(out, path);
            out.push(b']');
        }
        out.extend_from_slice(b",\"extensions\":{\"code\":");
        json_string(out, error.code.as_bytes());
        for (name, value) in &error.extensions {
            out.push(b',');
            json_string(out, name.as_bytes());
            out.push(b':');
            let start = out.len();
            if json_value(out, value).is_err() {
                out.truncate(start);
                out.extend_from_slice(b"null");
            }
        }
        out.extend_from_slice(b"}}");
    }

    /// Appends `,"errors":[...]` unless there are none.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) {
        if self.count == 0 {
            return;
        }
        if self.count > self.max {
            let message = format!("{} more errors are not listed", self.count - self.max);
            (self.count, self.max) = (0, 1);
            self.add(&FieldError::new("ERRORS_OMITTED", message), &[], None);
        }
        out.extend_from_slice(b",\"errors\":[");
        out.extend_from_slice(&self.encoded);
        out.push(b']');
    }
}

fn write_path(out: &mut Vec<u8>, path: &Path<'_>) {
    if let Some(parent) = path.parent {
        write_path(out, parent);
        out.push(b',');
    }
    match path.step {
        Step::Key(key) => json_string(out, key.as_bytes()),
        Step::Index(index) => out.extend_from_slice(itoa::Buffer::new().format(index).as_bytes()),
    }
}

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
