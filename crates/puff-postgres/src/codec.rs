//! From the server's bytes to messages; a pure function over a buffer, without I/O.
//!
//! The messages of every query are read in place. Rows never become messages at all: the decoder notes where
//! their cells lie and hands the buffer itself on. Rare messages (errors, authentication) go through
//! postgres-protocol's parser.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;
use postgres_protocol::message::backend;

use crate::rows::{Column, CommandTag, RowsBuilder};
use crate::{DbError, Notification, TransactionStatus};

/// What the read buffer begins with, and how much is added when it is used up.
const BUFFER_SIZE: usize = 64 * 1024;
/// The buffer is renewed when less than this is left: PostgreSQL sends in blocks of 8 KiB.
const MIN_SPARE: usize = 8 * 1024;
/// Rows up to this size are copied out of the read buffer, so that a small answer does not hold 64 KiB and
/// the buffer can be used again. Copying them costs less than a fresh buffer.
const COPY_LIMIT: usize = 16 * 1024;
/// A buffer that has grown beyond this is given back when it is empty.
const MAX_IDLE: usize = 4 * BUFFER_SIZE;
/// PostgreSQL builds no message larger than 1 GiB, its limit of one allocation.
const MAX_MESSAGE: usize = 0x4000_0000;
/// The length that stands for SQL's null: -1.
pub(crate) const NULL_LENGTH: u32 = u32::MAX;

/// The server broke the protocol; the connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation(pub(crate) Cow<'static, str>);

impl From<&'static str> for Violation {
    fn from(message: &'static str) -> Self {
        Self(message.into())
    }
}

impl From<std::io::Error> for Violation {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string().into())
    }
}

/// A message of the server that is not a row.
pub(crate) enum Message {
    ParseComplete,
    BindComplete,
    NoData,
    RowDescription(Arc<[Column]>),
    CommandComplete(CommandTag),
    EmptyQuery,
    ReadyForQuery(TransactionStatus),
    CopyIn,
    CopyOut,
    Error(DbError),
    Notice(DbError),
    ParameterStatus { name: String, value: String },
    KeyData { process_id: i32, secret_key: i32 },
    Notification(Notification),
    CopyDone,
    Authentication(backend::Message),
}

/// The read buffer of a connection and what is known about its content.
pub(crate) struct Decoder {
    buffer: BytesMut,
    /// The rows at the front of the buffer that are noted in the current [`RowsBuilder`], in bytes.
    ///
    /// They stay until something else follows or the buffer is full, so that rows that arrive in many
    /// small pieces still make few large chunks.
    run: usize,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            buffer: BytesMut::with_capacity(BUFFER_SIZE),
            run: 0,
        }
    }

    /// Where the next bytes from the network belong; there is room after [`Decoder::next`] returned `None`.
    pub(crate) fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next message that is not a row, or `None` if more bytes are needed.
    ///
    /// Rows before it go to `rows`, or nowhere if that is `None`.
    pub(crate) fn next(&mut self, mut rows: Option<&mut RowsBuilder>) -> Result<Option<Message>, Violation> {
        if rows.is_none() {
            self.end_run(None);
        }
        loop {
            let Some(frame) = Frame::read(&self.buffer, self.run)? else {
                self.make_room(rows);
                return Ok(None);
            };
            if frame.tag == backend::DATA_ROW_TAG
                && let Some(rows) = rows.as_deref_mut()
            {
                let width = rows.width();
                note_row(&self.buffer, &frame.body, width, rows.begin_row())?;
                self.run = frame.body.end;
                continue;
            }
            let end = frame.body.end - self.run;
            let body = frame.body.start - self.run..end;
            self.end_run(rows.as_deref_mut());
            let message = read_message(frame.tag, &self.buffer[..end], body);
            self.buffer.advance(end);
            if let Some(message) = message? {
                return Ok(Some(message));
            }
        }
    }

    /// As [`next`](Self::next), while a `COPY ... TO STDOUT` runs: its data goes to `data`, until more bytes are
    /// needed or there are `limit` of them.
    pub(crate) fn next_copied(
        &mut self,
        data: &mut BytesMut,
        limit: usize,
    ) -> Result<Option<Message>, Violation> {
        self.end_run(None);
        while data.len() < limit {
            let Some(frame) = Frame::read(&self.buffer, 0)? else {
                self.make_room(None);
                return Ok(None);
            };
            let message = if frame.tag == backend::COPY_DATA_TAG {
                data.extend_from_slice(&self.buffer[frame.body.clone()]);
                None
            } else {
                read_message(frame.tag, &self.buffer[..frame.body.end], frame.body.clone())?
            };
            self.buffer.advance(frame.body.end);
            if message.is_some() {
                return Ok(message);
            }
        }
        Ok(None)
    }

    fn end_run(&mut self, rows: Option<&mut RowsBuilder>) {
        let run = std::mem::take(&mut self.run);
        match rows {
            _ if run == 0 => {}
            Some(rows) if run > COPY_LIMIT => rows.push_chunk(self.buffer.split_to(run).freeze()),
            Some(rows) => {
                rows.push_chunk(Bytes::copy_from_slice(&self.buffer[..run]));
                self.buffer.advance(run);
            }
            None => self.buffer.advance(run),
        }
    }

    /// Sees to it that the next read brings something sizable.
    fn make_room(&mut self, rows: Option<&mut RowsBuilder>) {
        if self.buffer.is_empty() && self.buffer.try_reclaim(MAX_IDLE + 1) {
            // A huge message has been read: do not keep its memory for the rest of the connection's life.
            self.buffer = BytesMut::with_capacity(BUFFER_SIZE);
        }
        if self.buffer.capacity() - self.buffer.len() >= MIN_SPARE {
            return;
        }
        self.end_run(rows);
        // A message larger than the buffer makes it double: never trust an announced length with memory.
        self.buffer.reserve(BUFFER_SIZE.max(self.buffer.len()));
    }
}

/// A message in the buffer, not yet looked into.
struct Frame {
    tag: u8,
    body: Range<usize>,
}

impl Frame {
    /// The message that begins at `start`, if it is there as a whole.
    fn read(buffer: &[u8], start: usize) -> Result<Option<Self>, Violation> {
        let Some((&tag, rest)) = buffer[start..].split_first() else {
            return Ok(None);
        };
        let Some((length, _)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if !(4..=MAX_MESSAGE).contains(&length) {
            let text = format!("a message of type 0x{tag:02x} claims a length of {length}");
            return Err(Violation(text.into()));
        }
        let body = start + 5..start + 1 + length;
        Ok((body.end <= buffer.len()).then_some(Self { tag, body }))
    }
}

/// Checks one row and notes the position of each cell's length.
fn note_row(
    buffer: &[u8],
    body: &Range<usize>,
    width: usize,
    positions: &mut Vec<u32>,
) -> Result<(), Violation> {
    let mut cells = Reader {
        bytes: &buffer[..body.end],
        position: body.start,
    };
    if usize::from(cells.u16()?) != width {
        return Err("a row has another number of columns than was announced".into());
    }
    positions.reserve(width);
    for _ in 0..width {
        // The buffer grows to twice a message at most, far below 4 GiB.
        positions.push(cells.position as u32);
        let length = cells.u32()?;
        if length != NULL_LENGTH {
            cells.skip(length as usize)?;
        }
    }
    cells.end()
}

/// Reads a message that is no row; `None` for those that nobody needs to know of.
fn read_message(tag: u8, frame: &[u8], body: Range<usize>) -> Result<Option<Message>, Violation> {
    let mut reader = Reader {
        bytes: frame,
        position: body.start,
    };
    let message = match tag {
        backend::PARSE_COMPLETE_TAG => Message::ParseComplete,
        backend::BIND_COMPLETE_TAG => Message::BindComplete,
        backend::NO_DATA_TAG => Message::NoData,
        backend::EMPTY_QUERY_RESPONSE_TAG => Message::EmptyQuery,
        backend::COMMAND_COMPLETE_TAG => {
            Message::CommandComplete(CommandTag::new(&String::from_utf8_lossy(reader.cstr()?)))
        }
        backend::READY_FOR_QUERY_TAG => {
            let status = TransactionStatus::from_byte(reader.u8()?);
            Message::ReadyForQuery(status.ok_or(Violation::from("an unknown transaction status"))?)
        }
        backend::ROW_DESCRIPTION_TAG => {
            let columns = (0..reader.u16()?)
                .map(|_| reader.column())
                .collect::<Result<_, _>>()?;
            Message::RowDescription(columns)
        }
        // The formats are of no interest: the copy is refused or its data dropped.
        backend::COPY_IN_RESPONSE_TAG => return Ok(Some(Message::CopyIn)),
        backend::COPY_OUT_RESPONSE_TAG => return Ok(Some(Message::CopyOut)),
        backend::DATA_ROW_TAG
        | backend::CLOSE_COMPLETE_TAG
        | backend::PARAMETER_DESCRIPTION_TAG
        | backend::PORTAL_SUSPENDED_TAG
        | backend::COPY_DATA_TAG => return Ok(None),
        backend::COPY_DONE_TAG => Message::CopyDone,
        backend::NOTIFICATION_RESPONSE_TAG => Message::Notification(Notification {
            process_id: reader.i32()?,
            channel: String::from_utf8_lossy(reader.cstr()?).into(),
            payload: String::from_utf8_lossy(reader.cstr()?).into(),
        }),
        _ => return read_rare_message(frame).map(Some),
    };
    reader.end()?;
    Ok(Some(message))
}

fn read_rare_message(frame: &[u8]) -> Result<Message, Violation> {
    let message = backend::Message::parse(&mut BytesMut::from(frame))?;
    Ok(match message.ok_or(Violation::from("a message ends early"))? {
        backend::Message::ErrorResponse(body) => Message::Error(DbError::read(body.fields())?),
        backend::Message::NoticeResponse(body) => Message::Notice(DbError::read(body.fields())?),
        backend::Message::ParameterStatus(body) => Message::ParameterStatus {
            name: body.name()?.to_owned(),
            value: body.value()?.to_owned(),
        },
        backend::Message::BackendKeyData(body) => Message::KeyData {
            process_id: body.process_id(),
            secret_key: body.secret_key(),
        },
        other => Message::Authentication(other),
    })
}

/// Walks through a message; running out of bytes is the server's fault.
struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn skip(&mut self, length: usize) -> Result<(), Violation> {
        if self.bytes.len() - self.position < length {
            return Err("a message ends early".into());
        }
        self.position += length;
        Ok(())
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        let chunk = self.bytes[self.position..].first_chunk::<N>();
        let chunk = *chunk.ok_or(Violation::from("a message ends early"))?;
        self.position += N;
        Ok(chunk)
    }

    fn u8(&mut self) -> Result<u8, Violation> {
        Ok(self.chunk::<1>()?[0])
    }

    fn u16(&mut self) -> Result<u16, Violation> {
        self.chunk().map(u16::from_be_bytes)
    }

    fn i16(&mut self) -> Result<i16, Violation> {
        self.chunk().map(i16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Violation> {
        self.chunk().map(u32::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, Violation> {
        self.chunk().map(i32::from_be_bytes)
    }

    fn cstr(&mut self) -> Result<&'a [u8], Violation> {
        let rest = &self.bytes[self.position..];
        let length = memchr(0, rest).ok_or(Violation::from("a text has no end"))?;
        self.position += length + 1;
        Ok(&rest[..length])
    }

    fn column(&mut self) -> Result<Column, Violation> {
        // A database in SQL_ASCII may hold names in any encoding; they are no reason to break.
        let name = String::from_utf8_lossy(self.cstr()?).into();
        let table_oid = self.u32()?;
        let column_id = self.i16()?;
        let type_oid = self.u32()?;
        let type_size = self.i16()?;
        let type_modifier = self.i32()?;
        // The format is the one that was asked for: text.
        self.i16()?;
        Ok(Column {
            name,
            type_oid,
            type_modifier,
            type_size,
            table_oid,
            column_id,
        })
    }

    fn end(&self) -> Result<(), Violation> {
        if self.position == self.bytes.len() {
            Ok(())
        } else {
            Err("a message is too long".into())
        }
    }
}

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod checks;
#[cfg(test)]
mod tests;
