//! One statement per layer, binary rows grouped and written as JSON here: what a layer engine could reach if
//! parsing, planning and resolving were free.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use deadpool_postgres::Pool;
use puff_bench_floors::{Failure, json, query};
use tokio_postgres::{Error, Row};

use crate::Request;
use crate::json::{array, number, string};

const AUTHORS: &str = "SELECT id, name FROM authors ORDER BY id LIMIT $1";
const POSTS: &str = "SELECT id, author_id, title FROM posts WHERE author_id = ANY($1) ORDER BY id";
const COMMENTS: &str = "SELECT id, post_id, body FROM comments WHERE post_id = ANY($1) ORDER BY id";
const QUESTIONS: &str = "SELECT id, question_text FROM polls_question ORDER BY id LIMIT $1";
const CHOICES: &str =
    "SELECT id, question_id, choice_text, votes FROM polls_choice WHERE question_id = ANY($1) ORDER BY id";
const ALL_POSTS: &str = "SELECT id, author_id, title, body, views, published FROM posts ORDER BY id LIMIT $1";

/// Larger than either answer, so that the body never moves.
const BODY_BYTES: usize = 160 * 1024;

fn ids(rows: &[Row]) -> Result<Vec<i32>, Error> {
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// The rows by the parent's key, their second column.
fn by_parent(rows: &[Row], parents: usize) -> Result<HashMap<i32, Vec<&Row>>, Error> {
    let mut groups: HashMap<i32, Vec<&Row>> = HashMap::with_capacity(parents);
    for row in rows {
        groups.entry(row.try_get(1)?).or_default().push(row);
    }
    Ok(groups)
}

fn of<'a, 'b>(
    groups: &'b HashMap<i32, Vec<&'a Row>>,
    key: i32,
) -> impl Iterator<Item = &'a Row> + use<'a, 'b> {
    groups.get(&key).into_iter().flatten().copied()
}

pub(crate) async fn nested(State(pool): State<Pool>, body: Bytes) -> Result<Response, Failure> {
    let _: Request = serde_json::from_slice(&body)?;
    let connection = pool.get().await?;
    let authors = query(&connection, AUTHORS, &[&20_i64]).await?;
    let posts = query(&connection, POSTS, &[&ids(&authors)?]).await?;
    let comments = query(&connection, COMMENTS, &[&ids(&posts)?]).await?;
    let posts_of = by_parent(&posts, authors.len())?;
    let comments_of = by_parent(&comments, posts.len())?;

    let mut out = Vec::with_capacity(BODY_BYTES);
    out.extend_from_slice(br#"{"data":{"authors":"#);
    array(&mut out, &authors, |out, author| {
        let id = author.try_get(0)?;
        out.extend_from_slice(br#"{"id":"#);
        number(out, id);
        out.extend_from_slice(br#","name":"#);
        string(out, author.try_get(1)?);
        out.extend_from_slice(br#","posts":"#);
        array(out, of(&posts_of, id), |out, post| {
            let id = post.try_get(0)?;
            out.extend_from_slice(br#"{"id":"#);
            number(out, id);
            out.extend_from_slice(br#","title":"#);
            string(out, post.try_get(2)?);
            out.extend_from_slice(br#","comments":"#);
            array(out, of(&comments_of, id), |out, comment| {
                out.extend_from_slice(br#"{"id":"#);
                number(out, comment.try_get(0)?);
                out.extend_from_slice(br#","body":"#);
                string(out, comment.try_get(2)?);
                out.push(b'}');
                Ok(())
            })?;
            out.push(b'}');
            Ok(())
        })?;
        out.push(b'}');
        Ok(())
    })?;
    out.extend_from_slice(b"}}");
    Ok(json(out))
}

pub(crate) async fn polls(State(pool): State<Pool>, body: Bytes) -> Result<Response, Failure> {
    let _: Request = serde_json::from_slice(&body)?;
    let connection = pool.get().await?;
    let questions = query(&connection, QUESTIONS, &[&20_i64]).await?;
    let choices = query(&connection, CHOICES, &[&ids(&questions)?]).await?;
    let choices_of = by_parent(&choices, questions.len())?;

    let mut out = Vec::with_capacity(BODY_BYTES);
    out.extend_from_slice(br#"{"data":{"questions":"#);
    array(&mut out, &questions, |out, question| {
        let id = question.try_get(0)?;
        out.extend_from_slice(br#"{"id":"#);
        number(out, id);
        out.extend_from_slice(br#","questionText":"#);
        string(out, question.try_get(1)?);
        out.extend_from_slice(br#","choices":"#);
        array(out, of(&choices_of, id), |out, choice| {
            out.extend_from_slice(br#"{"id":"#);
            number(out, choice.try_get(0)?);
            out.extend_from_slice(br#","choiceText":"#);
            string(out, choice.try_get(2)?);
            out.extend_from_slice(br#","votes":"#);
            number(out, choice.try_get(3)?);
            out.push(b'}');
            Ok(())
        })?;
        out.push(b'}');
        Ok(())
    })?;
    out.extend_from_slice(b"}}");
    Ok(json(out))
}

pub(crate) async fn flat(State(pool): State<Pool>, body: Bytes) -> Result<Response, Failure> {
    let _: Request = serde_json::from_slice(&body)?;
    let posts = query(&pool.get().await?, ALL_POSTS, &[&1000_i64]).await?;
    let mut out = Vec::with_capacity(BODY_BYTES);
    out.extend_from_slice(br#"{"data":{"posts":"#);
    array(&mut out, &posts, |out, post| {
        out.extend_from_slice(br#"{"id":"#);
        number(out, post.try_get(0)?);
        out.extend_from_slice(br#","authorId":"#);
        number(out, post.try_get(1)?);
        out.extend_from_slice(br#","title":"#);
        string(out, post.try_get(2)?);
        out.extend_from_slice(br#","body":"#);
        string(out, post.try_get(3)?);
        out.extend_from_slice(br#","views":"#);
        number(out, post.try_get(4)?);
        out.extend_from_slice(if post.try_get(5)? {
            br#","published":true}"#
        } else {
            br#","published":false}"#
        });
        Ok(())
    })?;
    out.extend_from_slice(b"}}");
    Ok(json(out))
}
