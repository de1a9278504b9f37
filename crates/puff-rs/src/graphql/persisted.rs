//! Automatic persisted queries: documents that clients have sent once with their SHA-256, and name by it from then on.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use puff_graphql::used_since;

/// Most bytes of all documents that are kept.
const MAX_BYTES: usize = 16 << 20;

/// The documents that clients have sent, bounded: those that were not used for longest go first.
pub(super) struct PersistedQueries {
    most: usize,
    /// Counts look-ups: the age of documents.
    clock: AtomicU64,
    kept: RwLock<Kept>,
}

#[derive(Default)]
struct Kept {
    by_hash: HashMap<String, Entry>,
    bytes: usize,
}

struct Entry {
    document: Arc<str>,
    used: AtomicU64,
}

impl PersistedQueries {
    /// A store of at most so many documents; of none, it keeps nothing.
    pub(super) fn new(most: usize) -> PersistedQueries {
        PersistedQueries {
            most,
            clock: AtomicU64::new(0),
            kept: RwLock::default(),
        }
    }

    /// Whether anything is kept at all.
    pub(super) fn is_on(&self) -> bool {
        self.most > 0
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// The document of this hash.
    pub(super) fn get(&self, hash: &str) -> Option<Arc<str>> {
        let now = self.now();
        let kept = self.kept.read();
        let entry = kept.by_hash.get(hash)?;
        entry.used.store(now, Ordering::Relaxed);
        Some(entry.document.clone())
    }

    /// Keeps a document, whose hash has been checked.
    pub(super) fn put(&self, hash: &str, document: &str) {
        if self.get(hash).is_some() || document.len() > MAX_BYTES / 16 {
            return;
        }
        let entry = Entry {
            document: document.into(),
            used: AtomicU64::new(self.now()),
        };
        let mut kept = self.kept.write();
        kept.bytes += document.len();
        if let Some(known) = kept.by_hash.insert(hash.to_owned(), entry) {
            kept.bytes -= known.document.len();
        }
        if kept.by_hash.len() > self.most || kept.bytes > MAX_BYTES {
            kept.shrink((self.most * 7).div_ceil(8), MAX_BYTES / 8 * 7);
        }
    }
}

impl Kept {
    /// Drops what was not used for longest. Dropping an eighth at once makes the sort rare.
    fn shrink(&mut self, most: usize, bytes: usize) {
        let age = |entry: &Entry| entry.used.load(Ordering::Relaxed);
        let all = self.by_hash.values();
        let oldest = used_since(all.map(|one| (age(one), one.document.len())), most, bytes);
        self.by_hash.retain(|_, entry| age(entry) >= oldest);
        self.bytes = self.by_hash.values().map(|entry| entry.document.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_all_is_bounded() {
        let store = PersistedQueries::new(16);
        store.put("kept", "{ kept }");
        for number in 0..200 {
            store.put(&number.to_string(), &"x".repeat(100));
            assert_eq!(store.get("kept").as_deref(), Some("{ kept }"));
            assert!(store.kept.read().by_hash.len() <= 16);
        }
        assert!(store.get("0").is_none());
        assert!(store.get("199").is_some());
        let store = PersistedQueries::new(1_000);
        for number in 0..100 {
            store.put(&number.to_string(), &"x".repeat(MAX_BYTES / 20));
            let kept = store.kept.read();
            assert!(kept.bytes <= MAX_BYTES);
            assert_eq!(kept.bytes, kept.by_hash.len() * (MAX_BYTES / 20));
        }
        store.put("large", &"x".repeat(MAX_BYTES));
        assert!(store.get("large").is_none());
    }

    #[test]
    fn one_document_is_kept_if_there_may_be_one() {
        let store = PersistedQueries::new(1);
        for number in 0..3 {
            store.put(&number.to_string(), "x");
            assert!(store.get(&number.to_string()).is_some());
            assert_eq!(store.kept.read().by_hash.len(), 1);
        }
    }
}
