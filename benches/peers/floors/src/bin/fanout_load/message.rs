//! What is published: `channel number nanoseconds xxxx`, where the time is the load's own.

/// A message that came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) channel: usize,
    /// From 0 in each channel.
    pub(crate) number: u64,
    /// When it was published, in nanoseconds of the load's clock.
    pub(crate) sent: u64,
}

/// A channel's name.
pub(crate) fn name(channel: usize) -> String {
    format!("c{channel}")
}

/// A message of `size` bytes, or more if that is too short for it.
pub(crate) fn write(channel: usize, number: u64, sent: u64, size: usize) -> String {
    let mut text = format!("{channel} {number} {sent} ");
    while text.len() < size {
        text.push('x');
    }
    text
}

/// None if it is none of ours.
pub(crate) fn read(text: &str) -> Option<Arrived> {
    let mut parts = text.split(' ');
    Some(Arrived {
        channel: parts.next()?.parse().ok()?,
        number: parts.next()?.parse().ok()?,
        sent: parts.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let text = write(17, 4, 123_456, 128);
        assert_eq!(text.len(), 128);
        let expected = Arrived {
            channel: 17,
            number: 4,
            sent: 123_456,
        };
        assert_eq!(read(&text), Some(expected));
        assert_eq!(read("ready"), None);
    }
}
