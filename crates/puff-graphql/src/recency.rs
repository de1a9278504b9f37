//! What leaves a bounded store: the entries that were not used for longest.

/// Of entries given as `(when it was last used, its bytes)`, since when those were used that stay, so that they are at
/// most `entries` that take at most `bytes`. Times may be those of any clock that does not go backwards.
///
/// It sorts, so a store that is full should ask for less than it may have, by an eighth for example, and rarely.
///
/// ```
/// use puff_graphql::used_since;
/// let store = [(1, 10), (2, 10), (3, 10)];
/// assert_eq!(used_since(store, 2, 100), 2);
/// assert_eq!(used_since(store, 3, 15), 3);
/// assert_eq!(used_since(store, 0, 100), u64::MAX);
/// ```
#[must_use]
pub fn used_since(all: impl IntoIterator<Item = (u64, usize)>, entries: usize, bytes: usize) -> u64 {
    let mut ages: Vec<_> = all.into_iter().collect();
    ages.sort_unstable_by(|a, b| b.cmp(a));
    let (mut sum, mut oldest) = (0, u64::MAX);
    for (used, size) in ages.into_iter().take(entries) {
        sum += size;
        if sum > bytes {
            break;
        }
        oldest = used;
    }
    oldest
}
