//! Rows become an answer without an allocation per cell.
//!
//! Alone in its file: the counting allocator counts everything in the process.
#![allow(missing_docs, unsafe_code)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{MemoryRows, World, joined, respond, rows, sql};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; the counter touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: `pointer` came from `System` with this layout.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn table(columns: &str, count: usize, row: impl Fn(usize) -> Vec<String>) -> MemoryRows {
    let cells: Vec<Vec<String>> = (0..count).map(row).collect();
    let cells: Vec<Vec<&str>> = cells
        .iter()
        .map(|row| row.iter().map(String::as_str).collect())
        .collect();
    let cells: Vec<&[&str]> = cells.iter().map(Vec::as_slice).collect();
    rows(columns, &cells)
}

#[tokio::test]
async fn a_nested_answer_costs_allocations_per_layer_only() {
    let authors = table("id:int4 name", 20, |n| vec![n.to_string(), format!("author {n}")]);
    let posts = table("id:int8 author_id:int4 title", 200, |n| {
        vec![n.to_string(), (n / 10).to_string(), format!("\"{n}\"")]
    });
    let comments = table("id:int8 post_id:int8 body", 1000, |n| {
        vec![n.to_string(), (n / 5).to_string(), "text ".repeat(10)]
    });
    // The tables are handed over, not copied, when they are loaded: copies would be counted.
    let once = |table: MemoryRows| {
        let tables = std::sync::Mutex::new(vec![table.clone(), table]);
        move |_: &[puff_graphql::Value]| Ok(tables.lock().unwrap().pop().unwrap())
    };
    let engine = World::new(
        "type Query { authors: [Author!]! } type Author { id: ID! name: String! posts: [Post!]! }
         type Post { id: Int! title: String! comments: [Comment!]! } type Comment { id: Int! body: String! }",
    )
    .call("Query.authors", |_| sql("authors"))
    .call("Author.posts", |_| joined("posts", "id", "author_id"))
    .call("Post.comments", |_| joined("comments", "id", "post_id"))
    .load("authors", once(authors))
    .load("posts", once(posts))
    .load("comments", once(comments))
    .engine();
    let query = "{ authors { id name posts { id title comments { id body } } } }";
    let first = respond(&engine, query, serde_json::Value::Null).await;
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let second = respond(&engine, query, serde_json::Value::Null).await;
    let count = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(first.body, second.body);
    assert!(second.body.len() > 70_000, "{}", second.body.len());
    // 1,220 rows with 2,440 cells.
    assert!(count < 150, "{count} allocations");
    println!("{count} allocations for {} bytes", second.body.len());
}
