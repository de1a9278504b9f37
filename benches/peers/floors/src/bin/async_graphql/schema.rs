//! The common schema as async-graphql types.

use async_graphql::dataloader::DataLoader;
use async_graphql::{ComplexObject, Context, Object, Result, SimpleObject};
use deadpool_postgres::Pool;
use puff_bench_floors::query;

use crate::loaders::{CommentsOf, PostsOf};

#[derive(SimpleObject, Clone)]
#[graphql(complex)]
pub(crate) struct Author {
    id: i32,
    name: String,
}

#[derive(SimpleObject, Clone)]
#[graphql(complex)]
pub(crate) struct Post {
    pub(crate) id: i32,
    pub(crate) author_id: i32,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) views: i32,
    pub(crate) published: bool,
}

#[derive(SimpleObject, Clone)]
pub(crate) struct Comment {
    pub(crate) id: i32,
    pub(crate) body: String,
}

#[ComplexObject]
impl Author {
    async fn posts(&self, context: &Context<'_>) -> Result<Vec<Post>> {
        let loader = context.data_unchecked::<DataLoader<PostsOf>>();
        Ok(loader.load_one(self.id).await?.unwrap_or_default())
    }
}

#[ComplexObject]
impl Post {
    async fn comments(&self, context: &Context<'_>) -> Result<Vec<Comment>> {
        let loader = context.data_unchecked::<DataLoader<CommentsOf>>();
        Ok(loader.load_one(self.id).await?.unwrap_or_default())
    }
}

pub(crate) struct Query;

const AUTHORS: &str = "SELECT id, name FROM authors ORDER BY id LIMIT $1";
const POSTS: &str = "SELECT id, author_id, title, body, views, published FROM posts ORDER BY id LIMIT $1";

#[Object]
impl Query {
    async fn hello(&self) -> &'static str {
        "world"
    }

    async fn authors(&self, context: &Context<'_>, limit: i32) -> Result<Vec<Author>> {
        let connection = context.data_unchecked::<Pool>().get().await?;
        let rows = query(&connection, AUTHORS, &[&i64::from(limit)]).await?;
        let author = |row: &tokio_postgres::Row| Author {
            id: row.get(0),
            name: row.get(1),
        };
        Ok(rows.iter().map(author).collect())
    }

    async fn posts(&self, context: &Context<'_>, limit: i32) -> Result<Vec<Post>> {
        let connection = context.data_unchecked::<Pool>().get().await?;
        let rows = query(&connection, POSTS, &[&i64::from(limit)]).await?;
        let post = |row: &tokio_postgres::Row| Post {
            id: row.get(0),
            author_id: row.get(1),
            title: row.get(2),
            body: row.get(3),
            views: row.get(4),
            published: row.get(5),
        };
        Ok(rows.iter().map(post).collect())
    }
}
