//! Documents that the server knows: a request names one by its id, or by its hash.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use puff_graphql::{Request, RequestError, RequestErrorCode};
use ring::digest::{SHA256, digest};

use super::persisted::PersistedQueries;
use crate::errors::ConfigError;

/// The documents of a file or a folder, by their ids, and those that clients have sent.
#[derive(Clone)]
pub struct Documents {
    inner: Arc<Inner>,
    persisted: Arc<PersistedQueries>,
}

impl Default for Documents {
    fn default() -> Documents {
        Documents {
            inner: Arc::default(),
            persisted: Arc::new(PersistedQueries::new(0)),
        }
    }
}

#[derive(Default)]
struct Inner {
    by_id: HashMap<String, Arc<str>>,
    /// Whether other documents are refused.
    only: bool,
}

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents")
            .field("ids", &self.inner.by_id.len())
            .field("only", &self.inner.only)
            .finish()
    }
}

impl Documents {
    /// Reads the documents at `path`: a JSON file of an object with ids and documents, or a folder whose files
    /// `ID.graphql` have one document each. Every document is known by the SHA-256 of its text as well.
    ///
    /// # Errors
    /// What cannot be read.
    pub(crate) fn read(path: &Path, only: bool) -> Result<Documents, ConfigError> {
        let problem = |file: &Path, reason: String| ConfigError::File {
            file: file.to_owned(),
            reason,
        };
        let text =
            |file: &Path| std::fs::read_to_string(file).map_err(|error| problem(file, error.to_string()));
        let mut named: HashMap<String, String> = HashMap::new();
        if path.is_dir() {
            let entries = std::fs::read_dir(path).map_err(|error| problem(path, error.to_string()))?;
            for entry in entries {
                let file = entry.map_err(|error| problem(path, error.to_string()))?.path();
                let is_document = file
                    .extension()
                    .is_some_and(|ending| ending == "graphql" || ending == "gql");
                if let Some(name) = file
                    .file_stem()
                    .filter(|_| is_document)
                    .and_then(|name| name.to_str())
                {
                    named.insert(name.to_owned(), text(&file)?);
                }
            }
        } else {
            named = serde_json::from_str(&text(path)?)
                .map_err(|error| problem(path, format!("no JSON object of ids and documents: {error}")))?;
        }
        let mut by_id = HashMap::with_capacity(2 * named.len());
        for (id, text) in named {
            let text: Arc<str> = text.into();
            by_id.insert(hash(&text), text.clone());
            by_id.insert(plain_id(&id).to_owned(), text);
        }
        Ok(Documents {
            inner: Arc::new(Inner { by_id, only }),
            ..Documents::default()
        })
    }

    /// Likewise, and those that clients send with their hash, of which it keeps so many.
    #[must_use]
    pub(crate) fn with_persisted(self, most: usize) -> Documents {
        Documents {
            persisted: Arc::new(PersistedQueries::new(most)),
            ..self
        }
    }

    /// Puts the document that a request names into it, and refuses one that is not known.
    ///
    /// # Errors
    /// The id is not known, or the document is not where only those that are known may run.
    pub(crate) fn settle(&self, request: &mut Request) -> Result<(), RequestError> {
        let Inner { by_id, only } = &*self.inner;
        let refused = |code, message: &str| Err(RequestError::new(code, message));
        let Some(id) = request.document_id.as_ref().or(request.sha256.as_ref()) else {
            if *only && !by_id.contains_key(&hash(&request.query)) {
                let message = "this server runs only documents that it knows: send the `documentId` of one";
                return refused(RequestErrorCode::DocumentNotTrusted, message);
            }
            return Ok(());
        };
        if let Some(document) = by_id.get(plain_id(id)) {
            document.as_ref().clone_into(&mut request.query);
            return Ok(());
        }
        // Clients know these two errors by the very words.
        let unknown = || refused(RequestErrorCode::DocumentUnknown, "PersistedQueryNotFound");
        let Some(sha256) = request.sha256.as_ref().filter(|_| self.persisted.is_on()) else {
            return match by_id.is_empty() {
                true => refused(RequestErrorCode::DocumentsOff, "PersistedQueryNotSupported"),
                // It comes with its text, which may run without a hash, too.
                false if !*only && request.sha256.as_deref() == Some(&*hash(&request.query)) => Ok(()),
                false => unknown(),
            };
        };
        if request.query.is_empty() {
            let Some(document) = self.persisted.get(sha256) else {
                return unknown();
            };
            document.as_ref().clone_into(&mut request.query);
        } else if *sha256 == hash(&request.query) {
            self.persisted.put(sha256, &request.query);
        } else {
            let message = "the `sha256Hash` is not that of the `query`";
            return refused(RequestErrorCode::BadRequest, message);
        }
        Ok(())
    }
}

/// An id without the name of its kind.
fn plain_id(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}

fn hash(text: &str) -> String {
    use std::fmt::Write;
    let digest = digest(&SHA256, text.as_bytes());
    digest
        .as_ref()
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
