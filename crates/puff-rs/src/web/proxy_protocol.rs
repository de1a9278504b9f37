//! The PROXY protocol, versions 1 and 2: the client's address as a proxy in front tells it, before TLS and HTTP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1.
const LONGEST_LINE: usize = 107;
/// The longest header of version 2 that is taken: addresses and some further fields.
const LONGEST_BINARY: usize = 2048;

/// What the proxy said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// The addresses of the connection to the proxy: the server's side, the client's. `None`: the proxy speaks
    /// for itself (a health check), or does not know.
    pub(super) addresses: Option<(SocketAddr, SocketAddr)>,
    /// What came after it.
    pub(super) rest: Bytes,
}

/// Reads the header that a connection must begin with.
///
/// # Errors
/// If it does not, or ends before.
pub(super) async fn read<S: AsyncRead + Unpin>(socket: &mut S) -> io::Result<Said> {
    let mut bytes = BytesMut::with_capacity(512);
    loop {
        if let Some((length, addresses)) = parse(&bytes)? {
            let rest = bytes.split_off(length).freeze();
            return Ok(Said { addresses, rest });
        }
        if socket.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

type Parsed = Option<(usize, Option<(SocketAddr, SocketAddr)>)>;

/// The header's length and what it says; `None` if it is not complete.
fn parse(bytes: &[u8]) -> io::Result<Parsed> {
    let signature = SIGNATURE.len().min(bytes.len());
    if bytes[..signature] == SIGNATURE[..signature] {
        return version_2(bytes);
    }
    let start = bytes.len().min(6);
    if bytes[..start] != b"PROXY "[..start] {
        return Err(wrong());
    }
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return if bytes.len() < LONGEST_LINE {
            Ok(None)
        } else {
            Err(wrong())
        };
    };
    let line = bytes[..end].strip_suffix(b"\r").ok_or_else(wrong)?;
    let addresses = version_1(std::str::from_utf8(line).map_err(|_| wrong())?)?;
    Ok(Some((end + 1, addresses)))
}

fn version_1(line: &str) -> io::Result<Option<(SocketAddr, SocketAddr)>> {
    let words: Vec<&str> = line.split(' ').collect();
    if words.get(1) == Some(&"UNKNOWN") {
        return Ok(None);
    }
    let [_, family, from, to, from_port, to_port] = words[..] else {
        return Err(wrong());
    };
    let address = |ip: &str, port: &str| -> Option<SocketAddr> {
        let ip: IpAddr = ip.parse().ok()?;
        let plain = port.bytes().all(|byte| byte.is_ascii_digit());
        let right = matches!((family, ip), ("TCP4", IpAddr::V4(_)) | ("TCP6", IpAddr::V6(_)));
        Some(SocketAddr::new(ip, port.parse().ok().filter(|_| plain && right)?))
    };
    match (address(to, to_port), address(from, from_port)) {
        (Some(local), Some(peer)) => Ok(Some((local, peer))),
        _ => Err(wrong()),
    }
}

fn version_2(bytes: &[u8]) -> io::Result<Parsed> {
    let Some(&[version, family, high, low]) = bytes.get(12..16) else {
        return Ok(None);
    };
    let length = 16 + usize::from(u16::from_be_bytes([high, low]));
    if !matches!(version, 0x20 | 0x21) || length > LONGEST_BINARY {
        return Err(wrong());
    }
    let Some(fields) = bytes.get(16..length) else {
        return Ok(None);
    };
    // 0x20 is the proxy's own connection; what is no TCP has no address that is of use.
    let addresses = match (version, family) {
        (0x21, 0x11) => Some(binary::<4>(fields)?),
        (0x21, 0x21) => Some(binary::<16>(fields)?),
        _ => None,
    };
    Ok(Some((length, addresses)))
}

/// Addresses of `N` bytes: from, to, and their ports.
fn binary<const N: usize>(fields: &[u8]) -> io::Result<(SocketAddr, SocketAddr)> {
    let ip = |at: usize| -> Option<IpAddr> {
        let bytes = fields.get(at..at + N)?;
        <[u8; 4]>::try_from(bytes)
            .map(|v4| Ipv4Addr::from(v4).into())
            .or_else(|_| <[u8; 16]>::try_from(bytes).map(|v6| Ipv6Addr::from(v6).into()))
            .ok()
    };
    let port = |at: usize| Some(u16::from_be_bytes(fields.get(at..at + 2)?.try_into().ok()?));
    let address = |ip_at, port_at| Some(SocketAddr::new(ip(ip_at)?, port(port_at)?));
    address(N, 2 * N + 2).zip(address(0, 2 * N)).ok_or_else(wrong)
}

fn wrong() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the PROXY protocol's header is missing or wrong",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(mut bytes: &[u8]) -> Option<(Option<(String, String)>, Vec<u8>)> {
        let said = read(&mut bytes).await.ok()?;
        let text = said
            .addresses
            .map(|(local, peer)| (local.to_string(), peer.to_string()));
        Some((text, [&said.rest[..], bytes].concat()))
    }

    #[tokio::test]
    async fn both_versions_tell_addresses() {
        let line = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET";
        let four = Some(("192.168.0.11:443".to_owned(), "192.168.0.1:56324".to_owned()));
        assert_eq!(said(line).await, Some((four, b"GET".to_vec())));
        assert_eq!(said(b"PROXY UNKNOWN\r\n").await, Some((None, Vec::new())));
        let mut binary = SIGNATURE.to_vec();
        binary.extend([0x21, 0x11, 0, 12, 10, 0, 0, 1, 10, 0, 0, 2, 0, 5, 0, 6]);
        let four = Some(("10.0.0.2:6".to_owned(), "10.0.0.1:5".to_owned()));
        assert_eq!(said(&binary).await, Some((four, Vec::new())));
        let mut own = SIGNATURE.to_vec();
        own.extend([0x20, 0, 0, 0, b'x']);
        assert_eq!(said(&own).await, Some((None, b"x".to_vec())));
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        for wrong in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"PROXY TCP4 192.168.0.1 192.16...\r\n",
            b"PROXY TCP4 192.168.0.1 192.168.0.11 65iii 100000\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
            b"PROXY TCP4 1.1.1.1",
            &[b'P'; 200],
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x04abcd",
            b"",
        ] {
            assert_eq!(said(wrong).await, None, "{wrong:?}");
        }
    }
}
