//! Prepared statements of one connection.

use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;

use crate::oid::Oid;
use crate::rows::Column;
use crate::session_state;

/// A longer text is not kept: it is likely one with its values written into it, and never comes again.
const MAX_KEPT_SQL: usize = 64 * 1024;

/// What makes two queries share a prepared statement.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct StatementKey {
    pub(crate) sql: Box<str>,
    pub(crate) oids: Box<[Oid]>,
}

/// A statement that the server has prepared or is about to.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Its name on the server; empty for one that is used once.
    pub(crate) name: String,
    /// The columns of its rows, once the server has described them; `None` if it returns none.
    ///
    /// They cannot go stale: if a changed table changes them, the server refuses the old plan.
    pub(crate) columns: OnceLock<Option<Arc<[Column]>>>,
    /// Whether it names what outlives it in the session.
    pub(crate) leaves_state: bool,
}

impl Statement {
    /// What the server is about to prepare.
    pub(crate) fn new(name: String, sql: &str) -> Self {
        Self {
            name,
            columns: OnceLock::new(),
            leaves_state: session_state::left_by_text(sql.as_bytes()),
        }
    }

    /// Whether the server has prepared the statement and told its columns.
    pub(crate) fn is_described(&self) -> bool {
        self.columns.get().is_some()
    }

    pub(crate) fn columns(&self) -> Option<Arc<[Column]>> {
        self.columns.get().cloned().flatten()
    }
}

/// The statements that are kept, bounded; the one that was not used for longest goes first.
#[derive(Debug)]
pub(crate) struct StatementCache {
    capacity: usize,
    entries: FxHashMap<Arc<StatementKey>, Entry>,
    /// Grows with every use; the smallest `last_used` is the oldest.
    clock: u64,
    next_name: u64,
}

#[derive(Debug)]
struct Entry {
    statement: Arc<Statement>,
    last_used: u64,
}

impl StatementCache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: FxHashMap::default(),
            clock: 0,
            next_name: 0,
        }
    }

    pub(crate) fn get(&mut self, key: &StatementKey) -> Option<Arc<Statement>> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.last_used = self.clock;
        Some(entry.statement.clone())
    }

    /// Makes a statement for `key` and returns the one that must leave the server for it, if any.
    ///
    /// Looking for the oldest walks the whole cache: 256 comparisons per eviction are nothing beside the
    /// round trip that a new statement costs, and hits stay free of list keeping.
    pub(crate) fn insert(&mut self, key: &Arc<StatementKey>) -> (Arc<Statement>, Option<Arc<Statement>>) {
        if self.capacity == 0 || key.sql.len() > MAX_KEPT_SQL {
            return (Arc::new(Statement::new(String::new(), &key.sql)), None);
        }
        let oldest = (self.entries.len() >= self.capacity)
            .then(|| self.entries.iter().min_by_key(|(_, entry)| entry.last_used))
            .flatten()
            .map(|(key, _)| key.clone());
        let evicted = oldest
            .and_then(|key| self.entries.remove(&key))
            .map(|entry| entry.statement);

        self.next_name += 1;
        let name = format!("puff_{}", self.next_name);
        let statement = Arc::new(Statement::new(name, &key.sql));
        self.clock += 1;
        let entry = Entry {
            statement: statement.clone(),
            last_used: self.clock,
        };
        self.entries.insert(key.clone(), entry);
        (statement, evicted)
    }

    /// Forgets `statement`, unless another has taken its place already.
    pub(crate) fn remove(&mut self, key: &StatementKey, statement: &Arc<Statement>) {
        if self
            .entries
            .get(key)
            .is_some_and(|entry| Arc::ptr_eq(&entry.statement, statement))
        {
            self.entries.remove(key);
        }
    }

    /// Forgets all: the session's statements were discarded on the server.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(sql: &str) -> Arc<StatementKey> {
        Arc::new(StatementKey {
            sql: sql.into(),
            oids: Box::default(),
        })
    }

    #[test]
    fn the_least_recently_used_statement_leaves() {
        let mut cache = StatementCache::new(2);
        let (one, _) = cache.insert(&key("1"));
        let (two, evicted) = cache.insert(&key("2"));
        assert!(evicted.is_none());
        assert!(Arc::ptr_eq(&cache.get(&key("1")).expect("kept"), &one));
        let (_, evicted) = cache.insert(&key("3"));
        assert!(Arc::ptr_eq(&evicted.expect("full"), &two));
        assert!(cache.get(&key("2")).is_none());
    }

    #[test]
    fn a_successor_is_not_forgotten_with_its_predecessor() {
        let mut cache = StatementCache::new(2);
        let (old, _) = cache.insert(&key("1"));
        cache.remove(&key("1"), &old);
        let (new, _) = cache.insert(&key("1"));
        assert_ne!(old.name, new.name);
        cache.remove(&key("1"), &old);
        assert!(cache.get(&key("1")).is_some());
    }

    #[test]
    fn without_capacity_nothing_is_named() {
        let mut cache = StatementCache::new(0);
        assert_eq!(cache.insert(&key("1")).0.name, "");
        assert!(cache.get(&key("1")).is_none());
    }

    #[test]
    fn very_long_texts_are_not_kept() {
        let mut cache = StatementCache::new(2);
        let long = key(&"1".repeat(MAX_KEPT_SQL + 1));
        assert_eq!(cache.insert(&long).0.name, "");
        assert!(cache.get(&long).is_none());
    }
}
