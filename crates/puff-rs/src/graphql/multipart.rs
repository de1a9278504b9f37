//! Requests with files, by the GraphQL multipart request specification.
//!
//! A form has the field `operations`, which is what the body would be without files, with a null in the place of each
//! file; the field `map`, which says of each file's field where in `operations` it belongs; then the files. A small file
//! stays in memory, a larger one goes to disk as it comes, into a file without a name: it is gone when nobody has it
//! open any more, however the request ends.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use multer::{Field, Multipart};
use puff_graphql::{Host, Request, RequestError, RequestErrorCode, Value};
use puff_python::graphql::{Content, Upload};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::config::GraphQlConfig;
use super::over_http::Refusal;
use crate::web::BodyError;

/// The largest file that is kept in memory.
const IN_MEMORY: usize = 256 << 10;

/// Most bytes that the parser may hold back, which it does while the head of a part is not complete.
const MAX_AHEAD: usize = 1 << 20;

/// What the boundaries and heads of one part may take.
const PART_HEAD: u64 = 4 << 10;

/// Whether the body of a POST is declared as a form with files.
pub(super) fn is_multipart(headers: &HeaderMap) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    declared.is_some_and(|value| {
        let name = value.split(';').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("multipart/form-data")
    })
}

/// Reads the requests in a form, with their files. The flag tells whether they are a list.
///
/// # Errors
/// What is wrong with the form; bytes of it may still be on their way.
pub(super) async fn read(
    config: &GraphQlConfig,
    parts: &Parts,
    body: Body,
) -> Result<(Vec<Request>, bool), Refusal> {
    let whole = config.max_body as u64
        + (config.max_files as u64) * (config.max_file as u64 + PART_HEAD)
        + 2 * PART_HEAD;
    let announced = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > whole) {
        return Err(BodyError::TooLarge.into());
    }
    let declared = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(declared.unwrap_or_default()).map_err(broken)?;
    let ahead = Arc::new(AtomicUsize::new(0));
    let paced = Paced {
        body: body.into_data_stream(),
        ahead: ahead.clone(),
        gave: false,
    };
    let limit = multer::SizeLimit::new().whole_stream(whole);
    let constraints = multer::Constraints::new().size_limit(limit);
    let mut form = Form {
        parts: Multipart::with_constraints(paced, boundary, constraints),
        ahead,
    };
    let operations = form.text("operations", config.max_body).await?;
    let map = form.text("map", config.max_body - operations.len()).await?;
    let (mut requests, is_list) = match config.max_batch {
        0 => (vec![Request::from_json(&operations)?], false),
        most => Request::batch_from_json(&operations, most)?,
    };
    let mut places = places(&map, config.max_files)?;
    while let Some(mut field) = form.next().await? {
        let Some(places) = field.name().and_then(|name| places.remove(name)) else {
            // What the map does not name belongs nowhere. It is read, as whoever sends it expects.
            while form.chunk(&mut field).await?.is_some() {}
            continue;
        };
        let upload = form.file(field, config.max_file).await?;
        let file = Value::Host(Host::new(upload));
        for place in places {
            put(&mut requests, is_list, &place, &file)?;
        }
    }
    match places.keys().next() {
        Some(name) => Err(wrong(format!("the form has no file `{name}`, which `map` names"))),
        None => Ok((requests, is_list)),
    }
}

/// The places of each file, by the name of its field.
fn places(map: &[u8], most: usize) -> Result<HashMap<Box<str>, Vec<Box<str>>>, Refusal> {
    let read = Value::from_json(map);
    let json = read.map_err(|error| wrong(format!("`map` is not valid JSON: {error}")))?;
    let expected = || wrong("`map` is an object with a list of places for each file");
    let Value::Object(entries) = json else {
        return Err(expected());
    };
    if entries.len() > most {
        let message = format!("the form has {} files; {most} are allowed", entries.len());
        return Err(Refusal::closing(
            StatusCode::PAYLOAD_TOO_LARGE,
            RequestError::new(RequestErrorCode::LimitExceeded, message),
        ));
    }
    let place = |place: Value| match place {
        Value::Str(place) => Ok(place),
        _ => Err(expected()),
    };
    let entry = |(name, places): (Box<str>, Value)| match places {
        Value::List(places) => Ok((name, places.into_iter().map(place).collect::<Result<_, _>>()?)),
        _ => Err(expected()),
    };
    entries.into_iter().map(entry).collect()
}

/// Puts a file where a place says: `variables.a.0`, in a list of requests `1.variables.a`.
fn put(requests: &mut [Request], is_list: bool, place: &str, file: &Value) -> Result<(), Refusal> {
    let (number, inside) = match is_list {
        false => (Some(0), place),
        true => match place.split_once('.') {
            Some((number, inside)) => (number.parse().ok(), inside),
            None => (None, place),
        },
    };
    let request = number.and_then(|number: usize| requests.get_mut(number));
    let found = request.and_then(|request| {
        let mut steps = inside.strip_prefix("variables.")?.split('.');
        let variable = request.variables.get_mut(steps.next()?)?;
        steps.try_fold(variable, step)
    });
    match found {
        Some(value @ Value::Null) => {
            *value = file.clone();
            Ok(())
        }
        _ => Err(wrong(format!(
            "there is no null at `{place}`, where `map` has a file"
        ))),
    }
}

fn step<'v>(value: &'v mut Value, step: &str) -> Option<&'v mut Value> {
    match value {
        Value::List(items) => items.get_mut(step.parse::<usize>().ok()?),
        Value::Object(fields) => {
            let field = fields.iter_mut().find(|(name, _)| **name == *step)?;
            Some(&mut field.1)
        }
        _ => None,
    }
}

/// The parts of a form, one after the other.
struct Form {
    parts: Multipart<'static>,
    ahead: Arc<AtomicUsize>,
}

impl Form {
    async fn next(&mut self) -> Result<Option<Field<'static>>, Refusal> {
        let next = self.parts.next_field().await.map_err(broken)?;
        self.ahead.store(0, Ordering::Relaxed);
        Ok(next)
    }

    async fn chunk(&self, field: &mut Field<'static>) -> Result<Option<Bytes>, Refusal> {
        let chunk = field.chunk().await.map_err(broken)?;
        self.ahead.store(0, Ordering::Relaxed);
        Ok(chunk)
    }

    /// The text of the next field, which has to be this one.
    async fn text(&mut self, name: &str, most: usize) -> Result<BytesMut, Refusal> {
        let Some(mut field) = self.next().await?.filter(|field| field.name() == Some(name)) else {
            let message = format!(
                "the form has no field `{name}` in its place: `operations`, then `map`, then the files"
            );
            return Err(wrong(message));
        };
        let mut text = BytesMut::new();
        while let Some(chunk) = self.chunk(&mut field).await? {
            if text.len() + chunk.len() > most {
                return Err(BodyError::TooLarge.into());
            }
            text.extend_from_slice(&chunk);
        }
        Ok(text)
    }

    async fn file(&self, mut field: Field<'static>, most: usize) -> Result<Upload, Refusal> {
        let filename = field.file_name().map(|name| {
            // Some clients send a path of theirs.
            name.rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
        });
        let content_type = field.headers().get(CONTENT_TYPE);
        let content_type = content_type
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let mut memory = BytesMut::new();
        let mut disk: Option<File> = None;
        let mut size = 0;
        while let Some(chunk) = self.chunk(&mut field).await? {
            size += chunk.len();
            if size > most {
                let name = filename.as_deref().unwrap_or_default();
                let message = format!("the file `{name}` has more than {most} bytes");
                return Err(Refusal::closing(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    RequestError::new(RequestErrorCode::LimitExceeded, message),
                ));
            }
            match &mut disk {
                Some(file) => file.write_all(&chunk).await.map_err(unwritable)?,
                None => {
                    memory.extend_from_slice(&chunk);
                    if memory.len() > IN_MEMORY {
                        let mut file = unnamed().await.map_err(unwritable)?;
                        file.write_all(&std::mem::take(&mut memory))
                            .await
                            .map_err(unwritable)?;
                        disk = Some(file);
                    }
                }
            }
        }
        let content = match disk {
            None => Content::Memory(memory.freeze()),
            Some(mut file) => {
                file.flush().await.map_err(unwritable)?;
                Content::File(file.into_std().await)
            }
        };
        Ok(Upload {
            filename,
            content_type,
            size: size as u64,
            content,
        })
    }
}

/// A temporary file that no folder has.
async fn unnamed() -> std::io::Result<File> {
    let file = tokio::task::spawn_blocking(tempfile::tempfile).await;
    Ok(File::from_std(file.map_err(std::io::Error::other)??))
}

fn wrong(message: impl Into<String>) -> Refusal {
    Refusal::closing(
        StatusCode::BAD_REQUEST,
        RequestError::new(RequestErrorCode::BadRequest, message),
    )
}

fn broken(error: multer::Error) -> Refusal {
    match error {
        multer::Error::StreamSizeExceeded { .. } => BodyError::TooLarge.into(),
        multer::Error::StreamReadFailed(error) => BodyError::behind(&*error).into(),
        error => wrong(format!("the form is not right: {error}")),
    }
}

fn unwritable(error: std::io::Error) -> Refusal {
    tracing::error!("a file of a request cannot be written to disk: {error}");
    Refusal::closing(
        StatusCode::INSUFFICIENT_STORAGE,
        RequestError::new(
            RequestErrorCode::Unavailable,
            "the server cannot keep the files of the request",
        ),
    )
}

/// A body for the parser, which would take all there is at once: piece by piece, and not far ahead of what is used.
struct Paced {
    body: BodyDataStream,
    /// How much was given since something came of it.
    ahead: Arc<AtomicUsize>,
    /// Whether a piece was given since it was asked to wait.
    gave: bool,
}

impl Stream for Paced {
    type Item = Result<Bytes, multer::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.gave) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.body).poll_next(cx).map(|piece| {
            let piece = piece?.map_err(|error| multer::Error::StreamReadFailed(error.into()));
            self.gave = true;
            Some(piece.and_then(|piece| {
                let before = self.ahead.fetch_add(piece.len(), Ordering::Relaxed);
                match before <= MAX_AHEAD {
                    true => Ok(piece),
                    false => Err(multer::Error::IncompleteHeaders),
                }
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> GraphQlConfig {
        GraphQlConfig {
            max_body: 1_000,
            max_files: 2,
            max_file: 600_000,
            ..GraphQlConfig::default()
        }
    }

    async fn form(body: impl Into<Body>) -> Result<Vec<Request>, (StatusCode, String)> {
        let request = http::Request::post("/")
            .header(CONTENT_TYPE, "multipart/form-data; boundary=x")
            .body(())
            .unwrap();
        let (parts, ()) = request.into_parts();
        match read(&config(), &parts, body.into()).await {
            Ok((requests, _)) => Ok(requests),
            Err(refusal) => Err((refusal.status, refusal.error.to_string())),
        }
    }

    fn part(head: &str, body: &str) -> String {
        format!("--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n")
    }

    fn whole(file: &str) -> String {
        [
            part(
                "name=\"operations\"",
                r#"{"query": "{a}", "variables": {"f": [null]}}"#,
            ),
            part("name=\"map\"", r#"{"0": ["variables.f.0"]}"#),
            part(
                "name=\"0\"; filename=\"C:\\a\\b.txt\"\r\nContent-Type: text/plain",
                file,
            ),
            "--x--\r\n".to_owned(),
        ]
        .concat()
    }

    fn upload(requests: &[Request]) -> &Upload {
        match &requests[0].variables["f"] {
            Value::List(items) => match &items[0] {
                Value::Host(host) => host.get::<Upload>().unwrap(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn files_are_kept_in_memory_or_on_disk() {
        let requests = form(whole("hello\r\n--")).await.unwrap();
        let found = upload(&requests);
        assert_eq!((found.filename.as_deref(), found.size), (Some("b.txt"), 9));
        assert_eq!(found.content_type.as_deref(), Some("text/plain"));
        assert!(matches!(&found.content, Content::Memory(bytes) if bytes == "hello\r\n--"));
        let large = "x".repeat(500_000);
        // Byte by byte for a while, as a slow client sends.
        let text = whole(&large).into_bytes();
        let (first, rest) = text.split_at(700);
        let pieces = first.chunks(1).chain(rest.chunks(40_000)).map(<[u8]>::to_vec);
        let pieces: Vec<Result<Vec<u8>, std::io::Error>> = pieces.map(Ok).collect();
        let requests = form(Body::from_stream(futures_util::stream::iter(pieces)))
            .await
            .unwrap();
        let Content::File(file) = &upload(&requests).content else {
            panic!("in memory")
        };
        let mut read = vec![0; 600_000];
        let length = std::os::unix::fs::FileExt::read_at(file, &mut read, 0).unwrap();
        assert_eq!(&read[..length], large.as_bytes());
    }

    #[tokio::test]
    async fn what_is_wrong_is_told() {
        let text = whole("hello");
        for cut in [0, 3, 90, 200, text.len() - 8] {
            assert_eq!(form(text[..cut].to_owned()).await.unwrap_err().0, 400, "{cut}");
        }
        assert_eq!(form(whole(&"x".repeat(600_001))).await.unwrap_err().0, 413);
        let long = part("name=\"operations\"", &" ".repeat(2_000)) + "--x--\r\n";
        assert_eq!(form(long).await.unwrap_err().0, 413);
        // The head of a part that has no end is not gathered.
        let pieces = (0..100).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 60_000]));
        let head = std::iter::once(Ok(b"--x\r\nA: ".to_vec()));
        let stream = futures_util::stream::iter(head.chain(pieces));
        let (status, message) = form(Body::from_stream(stream)).await.unwrap_err();
        assert!(status == 400 || status == 413, "{status} {message}");
    }

    #[test]
    fn a_file_goes_where_a_null_is() {
        let request = |json: &str| Request::from_json(json.as_bytes()).unwrap();
        let one = || request(r#"{"query": "{a}", "variables": {"a": null, "b": {"c": [1, null]}, "d": 2}}"#);
        let file = Value::Host(Host::new(()));
        let mut requests = [one(), one()];
        for place in ["variables.a", "variables.b.c.1"] {
            assert!(put(&mut requests[..1], false, place, &file).is_ok(), "{place}");
        }
        assert!(put(&mut requests, true, "1.variables.a", &file).is_ok());
        for place in [
            "variables.a",
            "variables.b.c.0",
            "variables.b.c.2",
            "variables.d",
            "variables",
            "query",
            "",
        ] {
            assert!(put(&mut requests[..1], false, place, &file).is_err(), "{place}");
        }
        for place in ["2.variables.a", "x.variables.a", "variables.a", "0"] {
            assert!(put(&mut requests, true, place, &file).is_err(), "{place}");
        }
    }
}
