//! A file, or a piece of one, as the body of an answer.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body as AxumBody;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

/// How much is read at a time, and at once where the file is opened.
const PIECE: usize = 128 << 10;

/// `length` bytes of `file` from `offset` on. Blocks: what is short is read here.
///
/// # Errors
/// What the system says, or that the file is shorter than it was.
pub(super) fn body(file: File, offset: u64, length: u64) -> io::Result<AxumBody> {
    match usize::try_from(length) {
        Ok(short) if short <= PIECE => Ok(AxumBody::from(read(&file, offset, short)?)),
        _ => Ok(AxumBody::new(FileBody {
            file: Arc::new(file),
            offset,
            left: length,
            reading: None,
        })),
    }
}

/// Reads as the client takes it. A file that becomes shorter meanwhile is an error, which cuts the connection.
struct FileBody {
    file: Arc<File>,
    offset: u64,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let (file, offset) = (&this.file, this.offset);
        let most = usize::try_from(this.left).unwrap_or(PIECE).min(PIECE);
        let reading = this.reading.get_or_insert_with(|| {
            let file = file.clone();
            tokio::task::spawn_blocking(move || read(&file, offset, most))
        });
        let read = ready!(Pin::new(reading).poll(context));
        this.reading = None;
        let piece = read.map_err(io::Error::other)??;
        this.offset += piece.len() as u64;
        this.left -= piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

fn read(file: &File, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut piece = vec![0; length];
    file.read_exact_at(&mut piece, offset)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                io::Error::new(error.kind(), "the file became shorter while it was sent")
            }
            _ => error,
        })?;
    Ok(piece.into())
}
