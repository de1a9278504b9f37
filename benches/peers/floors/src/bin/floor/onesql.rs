//! One statement for the whole answer: PostgreSQL builds the JSON, the text passes through.

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use deadpool_postgres::Pool;
use puff_bench_floors::{Failure, json, query};
use tokio_postgres::types::ToSql;

use crate::Request;

const QUESTIONS: &str = "
SELECT array_to_json(ARRAY(SELECT row_to_json(q) FROM (
  SELECT q.id, q.question_text AS text, (SELECT array_to_json(ARRAY(SELECT row_to_json(c) FROM (
      SELECT c.id, c.choice_text AS text, c.votes FROM polls_choice c WHERE c.question_id = q.id ORDER BY c.id
    ) c))) AS choices
  FROM polls_question q ORDER BY q.id LIMIT 20
) q))::text";

const NESTED: &str = "
SELECT row_to_json(d)::text FROM (SELECT row_to_json(r) AS data FROM (
  SELECT array_to_json(ARRAY(SELECT row_to_json(a) FROM (
    SELECT a.id, a.name, (SELECT array_to_json(ARRAY(SELECT row_to_json(p) FROM (
      SELECT p.id, p.title, (SELECT array_to_json(ARRAY(SELECT row_to_json(c) FROM (
        SELECT c.id, c.body FROM comments c WHERE c.post_id = p.id ORDER BY c.id
      ) c))) AS comments
      FROM posts p WHERE p.author_id = a.id ORDER BY p.id
    ) p))) AS posts
    FROM authors a ORDER BY a.id LIMIT $1
  ) a)) AS authors
) r) d";

const POLLS: &str = "
SELECT row_to_json(d)::text FROM (SELECT row_to_json(r) AS data FROM (
  SELECT array_to_json(ARRAY(SELECT row_to_json(q) FROM (
    SELECT q.id, q.question_text AS \"questionText\", (SELECT array_to_json(ARRAY(SELECT row_to_json(c) FROM (
      SELECT c.id, c.choice_text AS \"choiceText\", c.votes FROM polls_choice c
      WHERE c.question_id = q.id ORDER BY c.id
    ) c))) AS choices
    FROM polls_question q ORDER BY q.id LIMIT $1
  ) q)) AS questions
) r) d";

const FLAT: &str = "
SELECT row_to_json(d)::text FROM (SELECT row_to_json(r) AS data FROM (
  SELECT array_to_json(ARRAY(SELECT row_to_json(p) FROM (
    SELECT id, author_id AS \"authorId\", title, body, views, published FROM posts ORDER BY id LIMIT $1
  ) p)) AS posts
) r) d";

async fn answer(pool: &Pool, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Response, Failure> {
    let rows = query(&pool.get().await?, sql, parameters).await?;
    let text: &str = rows.first().ok_or("no row")?.try_get(0)?;
    Ok(json(Bytes::copy_from_slice(text.as_bytes())))
}

pub(crate) async fn questions(State(pool): State<Pool>) -> Result<Response, Failure> {
    answer(&pool, QUESTIONS, &[]).await
}

pub(crate) async fn hello(body: Bytes) -> Result<Response, Failure> {
    let _: Request = serde_json::from_slice(&body)?;
    Ok(json(&br#"{"data":{"hello":"world"}}"#[..]))
}

pub(crate) async fn nested(State(pool): State<Pool>, body: Bytes) -> Result<Response, Failure> {
    let _: Request = serde_json::from_slice(&body)?;
    answer(&pool, NESTED, &[&20_i64]).await
}

pub(crate) async fn polls(State(pool): State<Pool>, body: Bytes) -> Result<Response, Failure> {
    let _: Request = serde_json::from_slice(&body)?;
    answer(&pool, POLLS, &[&20_i64]).await
}

pub(crate) async fn flat(State(pool): State<Pool>, body: Bytes) -> Result<Response, Failure> {
    let _: Request = serde_json::from_slice(&body)?;
    answer(&pool, FLAT, &[&1000_i64]).await
}
