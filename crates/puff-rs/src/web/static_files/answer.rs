//! One request for a file, answered on a thread that may block.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, LOCATION,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tracing::{error, warn};

use super::body::body;
use super::conditions::{Conditions, Outcome, Validators};
use super::name::{Wanted, content_type};
use super::open::open_beneath;
use super::range::{self, Part};
use crate::web::body::text_response;
use crate::web::coding::{Accepted, Coding, is_compressible, vary};

/// All that the answer depends on.
pub(super) struct Question {
    pub(super) folder: Arc<PathBuf>,
    pub(super) wanted: Wanted,
    /// The name of the file that stands for its folder.
    pub(super) index: Option<Arc<str>>,
    pub(super) is_head: bool,
    pub(super) accepted: Accepted,
    pub(super) conditions: Conditions,
    /// The value of `Cache-Control`.
    pub(super) cache: HeaderValue,
    /// Where the browser is sent if this is a folder.
    pub(super) with_slash: Option<HeaderValue>,
}

/// A file that is to be sent.
struct Found {
    file: File,
    metadata: Metadata,
    content_type: HeaderValue,
    /// Whether it depends on `Accept-Encoding` which file it is.
    varies: bool,
    coding: Option<Coding>,
}

enum Lookup {
    File(Box<Found>),
    /// Its address has a slash at the end.
    Folder,
    Nothing,
}

impl Question {
    /// The answer; `None` if there is no such file. Blocks.
    pub(super) fn answer(self) -> Option<Response<Body>> {
        let name = self.folder.join(&self.wanted.path);
        match self.look_up() {
            Ok(Lookup::File(found)) => Some(self.send(*found).unwrap_or_else(|error| refused(&name, &error))),
            Ok(Lookup::Folder) => self.with_slash.map(moved),
            Ok(Lookup::Nothing) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(refused(&name, &error)),
        }
    }

    fn look_up(&self) -> io::Result<Lookup> {
        let path = &self.wanted.path;
        let file = open_beneath(&self.folder, path)?;
        let metadata = file.metadata()?;
        if metadata.is_file() && !self.wanted.slash {
            return self
                .variant(path, file, metadata)
                .map(|found| Lookup::File(Box::new(found)));
        }
        let Some(index) = self.index.as_ref().filter(|_| metadata.is_dir()) else {
            return Ok(Lookup::Nothing);
        };
        let path = path.join(&**index);
        let file = open_beneath(&self.folder, &path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(Lookup::Nothing);
        }
        if !self.wanted.slash {
            return Ok(Lookup::Folder); // links in the page are relative to the folder
        }
        self.variant(&path, file, metadata)
            .map(|found| Lookup::File(Box::new(found)))
    }

    /// The file at `path`, or one beside it that was compressed before, if the client takes that.
    fn variant(&self, path: &Path, file: File, metadata: Metadata) -> io::Result<Found> {
        let content_type = content_type(path);
        let varies = is_compressible(content_type.as_bytes());
        let mut found = Found {
            file,
            metadata,
            content_type,
            varies,
            coding: None,
        };
        for coding in self.accepted.preferred().filter(|_| varies) {
            let mut sibling = path.as_os_str().to_owned();
            sibling.push(coding.extension());
            let Ok(file) = open_beneath(&self.folder, Path::new(&sibling)) else {
                continue;
            };
            let metadata = file.metadata()?;
            if metadata.is_file() {
                found.file = file;
                found.metadata = metadata;
                found.coding = Some(coding);
                break;
            }
        }
        Ok(found)
    }

    fn send(self, found: Found) -> io::Result<Response<Body>> {
        let length = found.metadata.len();
        let suffix = found.coding.map(Coding::extension).unwrap_or_default();
        let validators = Validators::new(found.metadata.modified().ok(), length, suffix);
        let mut headers = HeaderMap::with_capacity(12);
        set(&mut headers, CACHE_CONTROL, Some(self.cache));
        set(&mut headers, ETAG, validators.etag());
        set(&mut headers, LAST_MODIFIED, validators.last_modified());
        if found.varies {
            vary(&mut headers);
        }
        let range = match self.conditions.decide(&validators) {
            Outcome::Send { range } => range.filter(|_| !self.is_head), // RFC 9110, 14.2
            Outcome::NotModified => {
                return Ok(response(StatusCode::NOT_MODIFIED, headers, Body::empty()));
            }
            Outcome::Failed => {
                let text = "the file is not the one that the request is about";
                return Ok(text_response(StatusCode::PRECONDITION_FAILED, text));
            }
        };
        let part = range.map_or(Part::Whole, |range| range::parse(range.as_bytes(), length));
        let (status, offset, count) = match part {
            Part::Whole => (StatusCode::OK, 0, length),
            Part::Piece(offset, count) => (StatusCode::PARTIAL_CONTENT, offset, count),
            Part::Unsatisfiable => {
                let text = "the file has nothing in that range";
                let mut response = text_response(StatusCode::RANGE_NOT_SATISFIABLE, text);
                set(
                    response.headers_mut(),
                    CONTENT_RANGE,
                    HeaderValue::try_from(format!("bytes */{length}")).ok(),
                );
                return Ok(response);
            }
        };
        if status == StatusCode::PARTIAL_CONTENT {
            let place = format!("bytes {offset}-{}/{length}", offset + count - 1);
            set(&mut headers, CONTENT_RANGE, HeaderValue::try_from(place).ok());
        }
        set(&mut headers, CONTENT_TYPE, Some(found.content_type));
        set(&mut headers, CONTENT_LENGTH, Some(HeaderValue::from(count)));
        set(
            &mut headers,
            ACCEPT_RANGES,
            Some(HeaderValue::from_static("bytes")),
        );
        let coding = found.coding.map(|coding| HeaderValue::from_static(coding.name()));
        set(&mut headers, CONTENT_ENCODING, coding);
        let content = if self.is_head {
            Body::empty()
        } else {
            body(found.file, offset, count)?
        };
        Ok(response(status, headers, content))
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn moved(place: HeaderValue) -> Response<Body> {
    let mut response = text_response(
        StatusCode::MOVED_PERMANENTLY,
        "the folder's address ends with a slash",
    );
    response.headers_mut().insert(LOCATION, place);
    response
}

/// A file that is there but cannot be had.
fn refused(name: &Path, error: &io::Error) -> Response<Body> {
    if error.kind() == io::ErrorKind::PermissionDenied {
        warn!("the file {} must not be read: {error}", name.display());
        return text_response(StatusCode::FORBIDDEN, "forbidden");
    }
    error!("cannot read the file {}: {error}", name.display());
    text_response(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
}
