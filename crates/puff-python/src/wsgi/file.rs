//! A file as the body of a response: Tokio reads and sends it, Python waits for the end.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::body::{Whole, WsgiBody};
use crate::greenlet::BoxError;

/// How much is read at a time.
const PIECE: usize = 128 << 10;

/// How many pieces wait for the client.
const PIECES: usize = 4;

/// A regular file from a position on.
pub(super) struct Opened {
    file: File,
    offset: u64,
    length: u64,
}

impl Opened {
    /// The file behind a descriptor of Python's; `None` if it is no regular one.
    pub(super) fn new(fd: RawFd, offset: u64) -> io::Result<Option<Opened>> {
        if fd < 0 {
            return Ok(None);
        }
        // SAFETY: the descriptor is borrowed for the next call alone, in which Python's file object, whose it is,
        // is alive and open; one that is closed is an error of that call.
        #[allow(unsafe_code)]
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let file = File::from(borrowed.try_clone_to_owned()?);
        let metadata = file.metadata()?;
        Ok(metadata.is_file().then(|| Opened {
            file,
            offset,
            length: metadata.len().saturating_sub(offset),
        }))
    }

    /// How much there is to send.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The body that sends `length` bytes, and what feeds it.
    pub(super) fn into_job(self, length: u64) -> (FileJob, WsgiBody) {
        let (pieces, receiver) = mpsc::channel(PIECES);
        let whole = Whole::default();
        let job = FileJob {
            file: Arc::new(self.file),
            offset: self.offset,
            left: length,
            pieces,
            whole: whole.clone(),
        };
        (job, WsgiBody::stream(receiver, Some(length), whole, None))
    }
}

/// Reads a file for a body. Dropped before its end, it breaks the body off.
pub(super) struct FileJob {
    file: Arc<File>,
    offset: u64,
    left: u64,
    pieces: mpsc::Sender<Bytes>,
    whole: Whole,
}

impl FileJob {
    /// Reads as the client takes it.
    pub(super) async fn run(mut self) -> Result<(), BoxError> {
        while self.left > 0 {
            let place = self.pieces.reserve().await.map_err(|_| super::client_gone())?;
            let (file, offset) = (self.file.clone(), self.offset);
            let most = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
            // Also a file in the page cache is read on a thread for it: whether it is there nobody says.
            let piece = tokio::task::spawn_blocking(move || read_at(&file, offset, most)).await??;
            if piece.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file became shorter while it was sent",
                )
                .into());
            }
            self.offset += piece.len() as u64;
            self.left -= piece.len() as u64;
            if self.left == 0 {
                self.whole.set();
            }
            place.send(piece);
        }
        Ok(())
    }
}

fn read_at(file: &File, offset: u64, most: usize) -> io::Result<Bytes> {
    let mut piece = vec![0; most];
    let read = loop {
        match file.read_at(&mut piece, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    piece.truncate(read);
    Ok(piece.into())
}
