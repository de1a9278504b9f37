//! Folders that are served below paths, by the setting `static`: without Python, before everything else.
//!
//! tower-http's `ServeDir` is not used: it follows links out of the folder, serves dotfiles, and knows neither
//! `If-Range` nor names that never change. What is left of it when these are in front is little.

mod answer;
mod body;
mod conditions;
mod config;
mod name;
mod open;
mod range;

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use tracing::error;

use self::answer::Question;
use self::conditions::Conditions;
pub use self::config::StaticFiles;
pub(super) use self::name::content_type;
use super::body::text_response;
use super::coding::Accepted;

/// A folder below a path.
#[derive(Debug, Clone)]
struct Mount {
    /// The path without a slash at its end; empty for all of the server.
    prefix: String,
    folder: Arc<PathBuf>,
}

impl Mount {
    /// What is left of `path` below the mount, with its slash; `None` if it is not below it.
    fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(self.prefix.as_str())
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// A path below a mount.
pub(super) struct Place<'a> {
    files: &'a StaticFiles,
    mount: &'a Mount,
    /// What is left of the path below the mount.
    rest: &'a str,
}

impl StaticFiles {
    /// The place that `path` is below a mount, if it is below one.
    pub(super) fn find<'a>(&'a self, path: &'a str) -> Option<Place<'a>> {
        self.mounts.iter().find_map(|mount| {
            Some(Place {
                files: self,
                mount,
                rest: mount.below(path)?,
            })
        })
    }
}

impl Place<'_> {
    /// Answers a request for a file; `None` if it is none, and the application's.
    pub(super) async fn answer(
        self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<Response<Body>> {
        let Place { files, mount, rest } = self;
        let path = uri.path();
        // Below `/` is everything that the application has, so what is no file is the application's.
        let is_final = !files.fallthrough && !mount.prefix.is_empty();
        if method != Method::GET && method != Method::HEAD {
            return is_final.then(not_allowed);
        }
        let missing = || is_final.then(|| text_response(StatusCode::NOT_FOUND, "not found"));
        let Some(wanted) = name::parse(rest) else {
            return missing();
        };
        let question = Question {
            folder: mount.folder.clone(),
            wanted,
            index: files.index.clone(),
            is_head: method == Method::HEAD,
            accepted: Accepted::by(headers),
            conditions: Conditions::of(headers),
            cache: files.cache_of(path),
            with_slash: with_slash(uri),
        };
        // Opening a file and reading it blocks; all of it is one visit to a thread for that.
        match tokio::task::spawn_blocking(move || question.answer()).await {
            Ok(Some(response)) => Some(response),
            Ok(None) => missing(),
            Err(panic) => {
                error!("serving the file {path} failed: {panic}");
                Some(text_response(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal server error",
                ))
            }
        }
    }
}

fn not_allowed() -> Response<Body> {
    let mut response = text_response(StatusCode::METHOD_NOT_ALLOWED, "files are read, with GET or HEAD");
    let methods = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(ALLOW, methods);
    response
}

/// Where a folder is that was asked for as if it were a file.
fn with_slash(uri: &Uri) -> Option<HeaderValue> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::from_bytes(format!("{}/{query}", uri.path()).as_bytes()).ok()
}
