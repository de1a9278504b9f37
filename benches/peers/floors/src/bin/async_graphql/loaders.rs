//! The two loaders: children of many parents with one statement.

use std::collections::HashMap;

use async_graphql::dataloader::Loader;
use deadpool_postgres::Pool;
use puff_bench_floors::query;

use crate::schema::{Comment, Post};

const POSTS: &str = "SELECT id, author_id, title FROM posts WHERE author_id = ANY($1) ORDER BY id";
const COMMENTS: &str = "SELECT id, post_id, body FROM comments WHERE post_id = ANY($1) ORDER BY id";

/// Posts by author.
pub(crate) struct PostsOf(pub(crate) Pool);

/// Comments by post.
pub(crate) struct CommentsOf(pub(crate) Pool);

impl Loader<i32> for PostsOf {
    type Value = Vec<Post>;
    type Error = String;

    async fn load(&self, keys: &[i32]) -> Result<HashMap<i32, Vec<Post>>, String> {
        let connection = self.0.get().await.map_err(|error| error.to_string())?;
        let rows = query(&connection, POSTS, &[&keys])
            .await
            .map_err(|error| error.to_string())?;
        let mut posts: HashMap<i32, Vec<Post>> = HashMap::with_capacity(keys.len());
        for row in rows {
            let author_id = row.get(1);
            posts.entry(author_id).or_default().push(Post {
                id: row.get(0),
                author_id,
                title: row.get(2),
                body: String::new(),
                views: 0,
                published: false,
            });
        }
        Ok(posts)
    }
}

impl Loader<i32> for CommentsOf {
    type Value = Vec<Comment>;
    type Error = String;

    async fn load(&self, keys: &[i32]) -> Result<HashMap<i32, Vec<Comment>>, String> {
        let connection = self.0.get().await.map_err(|error| error.to_string())?;
        let rows = query(&connection, COMMENTS, &[&keys])
            .await
            .map_err(|error| error.to_string())?;
        let mut comments: HashMap<i32, Vec<Comment>> = HashMap::with_capacity(keys.len());
        for row in rows {
            comments.entry(row.get(1)).or_default().push(Comment {
                id: row.get(0),
                body: row.get(2),
            });
        }
        Ok(comments)
    }
}
