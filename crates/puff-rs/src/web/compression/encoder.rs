//! The compressors, as one type that is fed and emptied in turns.

use std::io::{self, Write};

use brotli::CompressorWriter;
use flate2::write::GzEncoder;

use crate::web::coding::Coding;

/// A compressor that writes into memory.
pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

/// How much Brotli and Zstandard look back, as a power of two. What they take for an open stream grows with it,
/// and pages that are made for one request are rarely longer.
const WINDOW: u32 = 18;

impl Encoder {
    /// The levels are those at which each is worth its time for answers that are made for one request. Streams may
    /// stay open for hours, many at a time, and get by with less memory.
    pub(super) fn new(coding: Coding, is_stream: bool) -> io::Result<Encoder> {
        Ok(match coding {
            Coding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(5))),
            Coding::Brotli => {
                let (quality, buffer) = if is_stream { (2, 1 << 10) } else { (4, 4 << 10) };
                Encoder::Brotli(Box::new(CompressorWriter::new(
                    Vec::new(),
                    buffer,
                    quality,
                    WINDOW,
                )))
            }
            Coding::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), if is_stream { 1 } else { 3 })?;
                encoder.window_log(WINDOW)?;
                Encoder::Zstd(encoder)
            }
        })
    }

    /// Feeds it. What comes out waits in `take`.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Encoder::Gzip(encoder) => encoder.write_all(bytes),
            Encoder::Brotli(encoder) => encoder.write_all(bytes),
            Encoder::Zstd(encoder) => encoder.write_all(bytes),
        }
    }

    /// Has everything that was fed come out, so that the client can read it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::Gzip(encoder) => encoder.flush(),
            Encoder::Brotli(encoder) => encoder.flush(),
            Encoder::Zstd(encoder) => encoder.flush(),
        }
    }

    /// The last of it.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Brotli(encoder) => Ok(encoder.into_inner()),
            Encoder::Zstd(encoder) => encoder.finish(),
        }
    }

    /// What has come out since the last time.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(match self {
            Encoder::Gzip(encoder) => encoder.get_mut(),
            Encoder::Brotli(encoder) => encoder.get_mut(),
            Encoder::Zstd(encoder) => encoder.get_mut(),
        })
    }

    /// How much `take` would give.
    pub(super) fn waiting(&self) -> usize {
        match self {
            Encoder::Gzip(encoder) => encoder.get_ref().len(),
            Encoder::Brotli(encoder) => encoder.get_ref().len(),
            Encoder::Zstd(encoder) => encoder.get_ref().len(),
        }
    }
}
