//! The environ of PEP 3333, from an HTTP request.

use std::net::SocketAddr;

use http::header::{self, HeaderName};
use http::{Request, Version};
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyString};
use rustc_hash::FxHashMap;

use super::input::{RequestBody, WsgiInput};
use super::{ConnectionInfo, WsgiOptions, path_below};

/// What all environs of an application share: the constant part and the interned keys.
pub(super) struct EnvironBuilder {
    /// Has the keys that every environ has: to copy a dictionary and change its values takes 10 to 30 % less time
    /// than to fill one, which grows (CPython 3.11 to 3.13, 1 to 12 headers).
    template: Py<PyDict>,
    addresses: Mutex<Addresses>,
    /// `HTTP_*` keys of common headers; others are made when they come.
    keys: FxHashMap<HeaderName, Py<PyString>>,
    mount: String,
    /// The class of bodies that are streamed.
    input: Py<PyAny>,
}

/// Both ends of the latest connection as text: many requests in a row have one of them in common.
#[derive(Default)]
struct Addresses {
    local: Option<AddressText>,
    peer: Option<AddressText>,
}

/// An address, and its two parts as text.
type AddressText = (SocketAddr, Py<PyString>, Py<PyString>);

/// IP address and port of `address` as text; what `known` has of them is not made again.
fn texts<'py>(
    py: Python<'py>,
    known: &mut Option<AddressText>,
    address: SocketAddr,
) -> (Bound<'py, PyString>, Bound<'py, PyString>) {
    let port = match known {
        Some((same, ip, port)) if *same == address => {
            return (ip.bind(py).clone(), port.bind(py).clone());
        }
        Some((other, _, port)) if other.port() == address.port() => port.bind(py).clone(),
        _ => PyString::new(py, &address.port().to_string()),
    };
    let ip = match known {
        Some((other, ip, _)) if other.ip() == address.ip() => ip.bind(py).clone(),
        _ => PyString::new(py, &address.ip().to_string()),
    };
    *known = Some((address, ip.clone().unbind(), port.clone().unbind()));
    (ip, port)
}

/// Headers that browsers, proxies and load generators send.
const COMMON: [HeaderName; 24] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::COOKIE,
    header::DNT,
    header::FORWARDED,
    header::HOST,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::ORIGIN,
    header::PRAGMA,
    header::RANGE,
    header::REFERER,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::UPGRADE_INSECURE_REQUESTS,
    header::USER_AGENT,
    header::VIA,
    header::EXPECT,
    header::IF_RANGE,
];

impl EnvironBuilder {
    pub(super) fn new(py: Python<'_>, options: &WsgiOptions) -> PyResult<EnvironBuilder> {
        let template = PyDict::new(py);
        template.set_item("SCRIPT_NAME", &options.mount)?;
        template.set_item("SERVER_SOFTWARE", concat!("puff/", env!("CARGO_PKG_VERSION")))?;
        template.set_item("GATEWAY_INTERFACE", "CGI/1.1")?;
        template.set_item("wsgi.version", (1, 0))?;
        template.set_item("wsgi.errors", py.import("sys")?.getattr("stderr")?)?;
        template.set_item("wsgi.multithread", false)?;
        template.set_item("wsgi.multiprocess", options.multiprocess)?;
        template.set_item("wsgi.run_once", false)?;
        // The end of the stream is the end of the body, chunked or not.
        template.set_item("wsgi.input_terminated", true)?;
        let half = py.import("puff._wsgi")?;
        template.set_item("wsgi.file_wrapper", half.getattr("FileWrapper")?)?;
        for key in [
            "REQUEST_METHOD",
            "PATH_INFO",
            "QUERY_STRING",
            "RAW_URI",
            "SERVER_PROTOCOL",
            "SERVER_NAME",
            "SERVER_PORT",
            "REMOTE_ADDR",
            "REMOTE_PORT",
            "wsgi.url_scheme",
            "wsgi.input",
        ] {
            template.set_item(PyString::intern(py, key), py.None())?;
        }
        // Room for headers: CPython would enlarge each copy at its first one.
        template.set_item("", py.None())?;
        template.del_item("")?;
        let keys = COMMON
            .into_iter()
            .map(|name| {
                let key = PyString::intern(py, &http_key(name.as_str())).unbind();
                (name, key)
            })
            .collect();
        Ok(EnvironBuilder {
            template: template.unbind(),
            addresses: Mutex::default(),
            keys,
            mount: options.mount.clone(),
            input: half.getattr("Input")?.unbind(),
        })
    }

    /// The environ of one request.
    pub(super) fn build<'py>(
        &self,
        py: Python<'py>,
        request: &Request<RequestBody>,
        connection: ConnectionInfo,
    ) -> PyResult<Bound<'py, PyDict>> {
        use pyo3::intern;
        let environ = self.template.bind(py).copy()?;
        let uri = request.uri();
        environ.set_item(intern!(py, "REQUEST_METHOD"), method(py, request.method()))?;
        let raw = uri.path_and_query().map_or("*", |raw| raw.as_str());
        let raw_text = latin1(py, raw.as_bytes());
        let path = path_below(&self.mount, uri.path()).unwrap_or_default();
        // Most paths are what the client wrote.
        let path_text = if path == raw && !raw.contains('%') {
            raw_text.clone()
        } else {
            path_info(py, path)
        };
        environ.set_item(intern!(py, "PATH_INFO"), path_text)?;
        environ.set_item(intern!(py, "RAW_URI"), raw_text)?;
        environ.set_item(
            intern!(py, "QUERY_STRING"),
            latin1(py, uri.query().unwrap_or("").as_bytes()),
        )?;
        environ.set_item(intern!(py, "SERVER_PROTOCOL"), protocol(py, request.version()))?;
        environ.set_item(
            intern!(py, "wsgi.url_scheme"),
            if connection.tls {
                intern!(py, "https")
            } else {
                intern!(py, "http")
            },
        )?;
        self.connection(py, &environ, connection)?;
        environ.set_item(intern!(py, "wsgi.input"), self.input(py, request.body())?)?;
        self.headers(py, &environ, request)?;
        // HTTP/2 has it in place of Host. Where both are there they are the same (or the request is refused), or Host is
        // what a trusted proxy says.
        if let Some(authority) = uri.authority()
            && !request.headers().contains_key(http::header::HOST)
        {
            let host = authority
                .as_str()
                .rsplit_once('@')
                .map_or(authority.as_str(), |(_, host)| host);
            environ.set_item(intern!(py, "HTTP_HOST"), host)?;
        }
        Ok(environ)
    }

    fn connection(
        &self,
        py: Python<'_>,
        environ: &Bound<'_, PyDict>,
        connection: ConnectionInfo,
    ) -> PyResult<()> {
        use pyo3::intern;
        // No Python runs while this is held: strings are made, and values replaced that nobody else has seen.
        let mut addresses = self.addresses.lock();
        match connection.local {
            Some(local) => {
                let (name, port) = texts(py, &mut addresses.local, local);
                environ.set_item(intern!(py, "SERVER_NAME"), name)?;
                environ.set_item(intern!(py, "SERVER_PORT"), port)?;
            }
            None => {
                let port = if connection.tls { "443" } else { "80" };
                environ.set_item(intern!(py, "SERVER_NAME"), "localhost")?;
                environ.set_item(intern!(py, "SERVER_PORT"), port)?;
            }
        }
        match connection.peer {
            Some(peer) => {
                let (address, port) = texts(py, &mut addresses.peer, peer);
                environ.set_item(intern!(py, "REMOTE_ADDR"), address)?;
                environ.set_item(intern!(py, "REMOTE_PORT"), port)?;
            }
            None => {
                environ.del_item(intern!(py, "REMOTE_ADDR"))?;
                environ.del_item(intern!(py, "REMOTE_PORT"))?;
            }
        }
        Ok(())
    }

    fn input<'py>(&self, py: Python<'py>, body: &RequestBody) -> PyResult<Bound<'py, PyAny>> {
        static BYTES_IO: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        if let Some(stream) = body.as_stream() {
            return self.input.bind(py).call1((WsgiInput::new(stream.clone()),));
        }
        let class = BYTES_IO.import(py, "io", "BytesIO")?;
        match body.as_whole() {
            Some(bytes) if !bytes.is_empty() => class.call1((PyBytes::new(py, bytes),)),
            _ => class.call0(),
        }
    }

    fn headers<B>(&self, py: Python<'_>, environ: &Bound<'_, PyDict>, request: &Request<B>) -> PyResult<()> {
        use pyo3::intern;
        for name in request.headers().keys() {
            // `X_Forwarded_For` and `X-Forwarded-For` would become one key: a client could pass for a proxy.
            if name.as_str().contains('_') {
                continue;
            }
            let value = joined(request, name);
            let value = latin1(py, &value);
            if *name == header::CONTENT_TYPE {
                environ.set_item(intern!(py, "CONTENT_TYPE"), value)?;
            } else if *name == header::CONTENT_LENGTH {
                environ.set_item(intern!(py, "CONTENT_LENGTH"), value)?;
            } else if let Some(key) = self.keys.get(name) {
                environ.set_item(key, value)?;
            } else {
                environ.set_item(http_key(name.as_str()), value)?;
            }
        }
        Ok(())
    }
}

/// All values of a header in one: cookies with `; `, the rest with `, `.
fn joined<'a, B>(request: &'a Request<B>, name: &HeaderName) -> std::borrow::Cow<'a, [u8]> {
    let mut values = request.headers().get_all(name).iter();
    let first = values.next().map_or(&b""[..], |value| value.as_bytes());
    let Some(second) = values.next() else {
        return first.into();
    };
    let separator: &[u8] = if *name == header::COOKIE { b"; " } else { b", " };
    let mut all = first.to_vec();
    for value in std::iter::once(second).chain(values) {
        all.extend_from_slice(separator);
        all.extend_from_slice(value.as_bytes());
    }
    all.into()
}

fn http_key(name: &str) -> String {
    let mut key = String::with_capacity(5 + name.len());
    key.push_str("HTTP_");
    key.extend(
        name.chars()
            .map(|c| if c == '-' { '_' } else { c.to_ascii_uppercase() }),
    );
    key
}

fn method<'py>(py: Python<'py>, method: &http::Method) -> Bound<'py, PyString> {
    use pyo3::intern;
    match *method {
        http::Method::GET => intern!(py, "GET").clone(),
        http::Method::POST => intern!(py, "POST").clone(),
        _ => PyString::new(py, method.as_str()),
    }
}

fn protocol(py: Python<'_>, version: Version) -> &Bound<'_, PyString> {
    use pyo3::intern;
    match version {
        Version::HTTP_10 => intern!(py, "HTTP/1.0"),
        Version::HTTP_2 => intern!(py, "HTTP/2"),
        _ => intern!(py, "HTTP/1.1"),
    }
}

/// The path with percent escapes resolved, as a "bytes-in-latin-1" string (PEP 3333, "Unicode Issues").
fn path_info<'py>(py: Python<'py>, path: &str) -> Bound<'py, PyString> {
    if !path.contains('%') && path.is_ascii() {
        return PyString::new(py, path);
    }
    let raw = path.as_bytes();
    let mut bytes = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let digit = |index: usize| raw.get(index).and_then(|byte| (*byte as char).to_digit(16));
        match (raw[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    latin1(py, &bytes)
}

/// Each byte as the character of the same number.
fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => PyString::new(py, text),
        _ => PyString::new(py, &bytes.iter().map(|byte| *byte as char).collect::<String>()),
    }
}
