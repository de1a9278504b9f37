//! Puff's ground floor: text and bytes, shutdown, supervised tasks, random data.
