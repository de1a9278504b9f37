//! Random data: ids for people and machines, secrets, bytes.
//!
//! All of it comes from the thread's cryptographic generator (`rand::rng`), seeded by the system.

use bytes::Bytes;
use rand::RngCore;
use rand::distr::{Alphanumeric, SampleString};

use crate::Text;

/// A random UUID (version 4) in its usual text form, 36 characters.
///
/// ```
/// assert_eq!(puff_core::random::uuid().len(), 36);
/// ```
pub fn uuid() -> Text {
    Text::from(uuid::Uuid::new_v4().to_string())
}

/// `length` random ASCII letters and digits; about 5.95 bits of entropy each.
///
/// ```
/// let token = puff_core::random::alphanumeric(32);
/// assert!(token.chars().all(|c| c.is_ascii_alphanumeric()));
/// ```
pub fn alphanumeric(length: usize) -> Text {
    Text::from(Alphanumeric.sample_string(&mut rand::rng(), length))
}

/// `length` random bytes, for keys and salts.
///
/// ```
/// let key = puff_core::random::bytes(32);
/// assert_eq!(key.len(), 32);
/// assert_ne!(key, puff_core::random::bytes(32));
/// ```
pub fn bytes(length: usize) -> Bytes {
    let mut buffer = vec![0; length];
    rand::rng().fill_bytes(&mut buffer);
    Bytes::from(buffer)
}
