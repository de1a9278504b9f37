//! Plans by document text: bounded, each worked out once, failures kept as well.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use hashbrown::{Equivalent, HashMap};
use parking_lot::RwLock;

use crate::error::RequestError;
use crate::plan::Plan;
use crate::recency::used_since;

/// What a document and an operation name come to.
pub(crate) type Planned = Result<Arc<Plan>, RequestError>;

/// Plans of one schema.
pub(crate) struct PlanCache {
    max_entries: usize,
    max_bytes: usize,
    /// Counts look-ups: the age of entries.
    clock: AtomicU64,
    plans: RwLock<Plans>,
}

#[derive(Default)]
struct Plans {
    entries: HashMap<Key, Arc<Entry>>,
    bytes: usize,
}

#[derive(PartialEq, Eq)]
struct Key {
    query: Box<str>,
    operation: Option<Box<str>>,
}

#[derive(Clone, Copy, Hash)]
struct KeyRef<'k> {
    query: &'k str,
    operation: Option<&'k str>,
}

struct Entry {
    used: AtomicU64,
    /// Of the key and, once it is known, the plan.
    bytes: AtomicUsize,
    /// Empty while the first request plans; others wait for it.
    planned: OnceLock<Planned>,
}

impl Key {
    fn bytes(&self) -> usize {
        self.query.len() + self.operation.as_ref().map_or(0, |name| name.len())
    }
}

/// About how many bytes a plan or a refusal takes.
fn weight(planned: &Planned) -> usize {
    match planned {
        Ok(plan) => plan.weight(),
        Err(error) => error
            .problems
            .iter()
            .map(|problem| problem.message.len() + 64)
            .sum(),
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        KeyRef {
            query: &self.query,
            operation: self.operation.as_deref(),
        }
        .hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.query == &*key.query && self.operation == key.operation.as_deref()
    }
}

impl PlanCache {
    pub(crate) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self {
            max_entries,
            max_bytes,
            clock: AtomicU64::new(0),
            plans: RwLock::default(),
        }
    }

    /// The plan of an operation; `build` runs if it is not known.
    ///
    /// Concurrent callers with the same document wait, on their threads, for the one that plans: that takes
    /// some milliseconds at most, since the schema's limits bound it.
    pub(crate) fn get(
        &self,
        query: &str,
        operation: Option<&str>,
        build: impl FnOnce() -> Planned,
    ) -> Planned {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let key = KeyRef { query, operation };
        let known = self.plans.read().entries.get(&key).cloned();
        let entry = known.unwrap_or_else(|| self.insert(key));
        entry.used.store(now, Ordering::Relaxed);
        let mut is_new = false;
        let planned = entry.planned.get_or_init(|| {
            is_new = true;
            build()
        });
        if is_new {
            self.weigh(key, &entry, weight(planned));
        }
        planned.clone()
    }

    /// Counts the bytes of a plan that is in the cache from now on.
    fn weigh(&self, key: KeyRef<'_>, entry: &Arc<Entry>, bytes: usize) {
        let mut plans = self.plans.write();
        match plans.entries.get(&key) {
            Some(known) if Arc::ptr_eq(known, entry) => {}
            // It was not kept, or is gone already.
            _ => return,
        }
        if bytes > self.max_bytes / 4 {
            plans.bytes -= entry.bytes.load(Ordering::Relaxed);
            plans.entries.remove(&key);
            return;
        }
        entry.bytes.fetch_add(bytes, Ordering::Relaxed);
        plans.bytes += bytes;
        if plans.bytes > self.max_bytes {
            plans.shrink(self.max_entries, self.max_bytes * 7 / 8);
        }
    }

    fn insert(&self, key: KeyRef<'_>) -> Arc<Entry> {
        let mut plans = self.plans.write();
        if let Some(known) = plans.entries.get(&key) {
            return known.clone();
        }
        let key = Key {
            query: key.query.into(),
            operation: key.operation.map(Into::into),
        };
        let bytes = key.bytes();
        let entry = Arc::new(Entry {
            used: AtomicU64::new(0),
            bytes: AtomicUsize::new(bytes),
            planned: OnceLock::new(),
        });
        if self.max_entries == 0 || bytes > self.max_bytes {
            return entry;
        }
        if plans.entries.len() >= self.max_entries || plans.bytes + bytes > self.max_bytes {
            plans.shrink(
                self.max_entries.saturating_sub(1) * 7 / 8,
                (self.max_bytes - bytes) * 7 / 8,
            );
        }
        plans.bytes += bytes;
        plans.entries.insert(key, entry.clone());
        entry
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.plans.read().entries.len()
    }
}

impl Plans {
    /// Drops the entries that were not used for longest. Shrinking by an eighth at once makes the sort rare.
    fn shrink(&mut self, entries: usize, bytes: usize) {
        let ages = self.entries.values().map(|entry| {
            (
                entry.used.load(Ordering::Relaxed),
                entry.bytes.load(Ordering::Relaxed),
            )
        });
        let oldest = used_since(ages, entries, bytes);
        self.entries
            .retain(|_, entry| entry.used.load(Ordering::Relaxed) >= oldest);
        let bytes = |entry: &Arc<Entry>| entry.bytes.load(Ordering::Relaxed);
        self.bytes = self.entries.values().map(bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::{PlanCache, Planned};
    use crate::error::{RequestError, RequestErrorCode};

    fn failure() -> Planned {
        Err(RequestError::new(RequestErrorCode::ParseFailed, "no"))
    }

    #[test]
    fn plans_once_even_when_many_ask_and_it_fails() {
        let cache = PlanCache::new(10, 1000);
        let runs = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let planned = cache.get("{ a }", None, || {
                        runs.fetch_add(1, Ordering::SeqCst);
                        thread::sleep(Duration::from_millis(20));
                        failure()
                    });
                    assert!(planned.is_err());
                });
            }
        });
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert!(cache.get("{ a }", Some("a"), failure).is_err());
        assert_eq!(cache.len(), 2);
    }

    #[test]
    fn stays_within_entries_and_bytes_and_keeps_what_is_used() {
        let cache = PlanCache::new(16, 1000);
        for round in 0..200 {
            let _ = cache.get("kept", None, failure);
            let _ = cache.get(&format!("query {round}"), None, failure);
            assert!(cache.len() <= 16);
        }
        let _ = cache.get("kept", None, || panic!("was dropped"));
        let _ = cache.get(&"x".repeat(2000), None, failure);
        for round in 0..20 {
            let _ = cache.get(&format!("{round}{}", "x".repeat(300)), None, failure);
        }
        let plans = cache.plans.read();
        assert!(plans.bytes <= 1000);
        assert_eq!(
            plans.bytes,
            plans
                .entries
                .values()
                .map(|entry| entry.bytes.load(Ordering::Relaxed))
                .sum::<usize>()
        );
    }

    #[test]
    fn plans_have_weight_and_one_that_is_too_heavy_is_not_kept() {
        let refusal = |bytes: usize| {
            let message = "x".repeat(bytes - 64);
            move || Err(RequestError::new(RequestErrorCode::ParseFailed, message))
        };
        let cache = PlanCache::new(100, 10_000);
        for round in 0..50 {
            let _ = cache.get(&format!("{round:03}"), None, refusal(997));
            assert!(cache.plans.read().bytes <= 10_000);
        }
        assert!((7..=10).contains(&cache.len()), "{}", cache.len());
        for _ in 0..2 {
            let mut ran = false;
            let _ = cache.get("heavy", None, || {
                ran = true;
                refusal(5_000)()
            });
            assert!(ran);
        }
    }
}
