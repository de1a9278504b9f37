//! Settings as a URL.

use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::{Address, Node, RedisConfig, TlsConfig, Verify};
use crate::Error;

const FORMS: &str = "expected redis://[user:password@]host[:port][/database], rediss://... for TLS, \
    redis+sentinel://host[,host]/master, redis+cluster://host[,host] or unix:///path/to/socket[?db=0]";

/// What the server is to those who connect to it.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Single,
    Unix,
    Sentinel,
    Cluster,
}

pub(super) fn parse(text: &str) -> Result<RedisConfig, Error> {
    let (first, others) = one_host(text);
    let url = Url::parse(&first).map_err(not_a_url)?;
    let (scheme, encrypted) = match url.scheme() {
        "rediss" | "valkeys" => ("redis", true),
        "rediss+sentinel" | "valkeys+sentinel" => ("redis+sentinel", true),
        "rediss+cluster" | "valkeys+cluster" => ("redis+cluster", true),
        scheme => (scheme, false),
    };
    let kind = match scheme {
        "redis" | "valkey" => Kind::Single,
        "unix" | "redis+unix" | "valkey+unix" => Kind::Unix,
        "redis+sentinel" | "valkey+sentinel" => Kind::Sentinel,
        "redis+cluster" | "valkey+cluster" => Kind::Cluster,
        scheme => return Err(Error::config(format!("unknown scheme {scheme:?}; {FORMS}"))),
    };
    let mut config = match kind {
        Kind::Single if !others.is_empty() => {
            return Err(Error::config(
                "several hosts need redis+sentinel:// or redis+cluster://",
            ));
        }
        Kind::Single => single(&url)?,
        Kind::Unix => unix(&url)?,
        Kind::Sentinel => sentinel(&url, &others)?,
        Kind::Cluster => cluster(&url, &others)?,
    };
    config.tls = encrypted.then(TlsConfig::default);
    if !url.username().is_empty() {
        config.username = Some(decode(url.username(), "user name")?);
    }
    if let Some(password) = url.password() {
        config.password = Some(decode(password, "password")?);
    }
    parameters(&url, &mut config)?;
    if config.username.is_some() && config.password.is_none() {
        return Err(Error::config(
            "a user name needs a password (redis://user:password@host)",
        ));
    }
    if kind == Kind::Cluster && config.database != 0 {
        return Err(Error::config("a cluster has only database 0"));
    }
    Ok(config)
}

fn not_a_url(error: url::ParseError) -> Error {
    Error::config(format!("not a URL ({error}); {FORMS}"))
}

/// The URL with its first host only, and the other hosts: URLs have but one.
fn one_host(text: &str) -> (String, Vec<&str>) {
    let Some((scheme, rest)) = text.split_once("://") else {
        return (text.to_owned(), Vec::new());
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (login, hosts) = match authority.rfind('@') {
        Some(at) => authority.split_at(at + 1),
        None => ("", authority),
    };
    let mut hosts = hosts.split(',');
    let first = hosts.next().unwrap_or_default();
    (format!("{scheme}://{login}{first}{rest}"), hosts.collect())
}

fn node(url: &Url, port: u16) -> Result<Node, Error> {
    let host = url.host_str().filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| Error::config(format!("no host; {FORMS}")))?;
    Ok(Node {
        host: decode(host.trim_start_matches('[').trim_end_matches(']'), "host")?,
        port: url.port().unwrap_or(port),
    })
}

fn nodes(url: &Url, others: &[&str], port: u16) -> Result<Vec<Node>, Error> {
    let first = std::iter::once(node(url, port));
    let others = others.iter().map(|host| {
        let url = Url::parse(&format!("redis://{host}")).map_err(not_a_url)?;
        node(&url, port)
    });
    first.chain(others).collect()
}

/// The parts of the path.
fn path(url: &Url) -> impl Iterator<Item = &str> {
    url.path().split('/').filter(|part| !part.is_empty())
}

fn single(url: &Url) -> Result<RedisConfig, Error> {
    let mut config = RedisConfig::at(Address::Tcp(node(url, 6379)?));
    let path = url.path().trim_matches('/');
    if !path.is_empty() {
        config.database = database(path)?;
    }
    Ok(config)
}

fn unix(url: &Url) -> Result<RedisConfig, Error> {
    if url.host_str().is_some_and(|host| !host.is_empty()) {
        return Err(Error::config(
            "a unix:// URL needs an absolute path, with three slashes: unix:///path",
        ));
    }
    let path = decode(url.path(), "path")?;
    if path.is_empty() || path == "/" {
        return Err(Error::config(format!("no socket path; {FORMS}")));
    }
    Ok(RedisConfig::at(Address::Unix(PathBuf::from(path))))
}

fn sentinel(url: &Url, others: &[&str]) -> Result<RedisConfig, Error> {
    let sentinels = nodes(url, others, 26379)?;
    let mut path = path(url);
    let master = path.next().ok_or_else(|| {
        Error::config("no name of the master: redis+sentinel://host[,host]/master[/database]")
    })?;
    let master = decode(master, "master's name")?;
    let mut config = RedisConfig::at(Address::Sentinel { master, sentinels });
    if let Some(number) = path.next() {
        config.database = database(number)?;
    }
    Ok(config)
}

fn cluster(url: &Url, others: &[&str]) -> Result<RedisConfig, Error> {
    let mut config = RedisConfig::at(Address::Cluster(nodes(url, others, 6379)?));
    if let Some(number) = path(url).next() {
        config.database = database(number)?;
    }
    Ok(config)
}

fn parameters(url: &Url, config: &mut RedisConfig) -> Result<(), Error> {
    let (mut certificate, mut key) = (None, None);
    let (mut names, mut checked) = (true, true);
    let mut of_tls = None;
    for (name, value) in url.query_pairs() {
        if name.starts_with("ssl_") {
            of_tls = Some(name.clone().into_owned());
        }
        match &*name {
            "db" => config.database = database(&value)?,
            "username" => config.username = Some(value.into_owned()),
            "password" => config.password = Some(value.into_owned()),
            "sentinel_username" => config.sentinel_username = Some(value.into_owned()),
            "sentinel_password" => config.sentinel_password = Some(value.into_owned()),
            "socket_timeout" => config.response_timeout = seconds(&name, &value)?,
            "socket_connect_timeout" => config.connect_timeout = seconds(&name, &value)?,
            "max_connections" => {
                let number = value.parse();
                config.dedicated_connections =
                    number.map_err(|_| Error::config(format!("{name} must be a number, not {value:?}")))?;
            }
            "ssl_ca_certs" => {
                if let Some(tls) = &mut config.tls {
                    tls.ca_file = Some(value.into_owned().into());
                }
            }
            "ssl_certfile" => certificate = Some(PathBuf::from(value.into_owned())),
            "ssl_keyfile" => key = Some(PathBuf::from(value.into_owned())),
            "ssl_cert_reqs" => match &*value {
                "required" => checked = true,
                "none" => checked = false,
                other => {
                    return Err(Error::config(format!(
                        "ssl_cert_reqs is required or none, not {other:?}"
                    )));
                }
            },
            "ssl_check_hostname" => match value.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => names = true,
                "false" | "no" | "0" => names = false,
                other => {
                    return Err(Error::config(format!(
                        "ssl_check_hostname is true or false, not {other:?}"
                    )));
                }
            },
            _ => {
                return Err(Error::config(format!(
                    "unknown parameter {name:?}; known are db, username, password, sentinel_username, \
                     sentinel_password, socket_timeout, socket_connect_timeout, max_connections, ssl_ca_certs, \
                     ssl_certfile, ssl_keyfile, ssl_cert_reqs and ssl_check_hostname"
                )));
            }
        }
    }
    match &mut config.tls {
        None => match of_tls {
            Some(name) => Err(Error::config(format!("{name} is for TLS: rediss://"))),
            None => Ok(()),
        },
        Some(tls) => {
            tls.client = match (certificate, key) {
                (Some(certificate), Some(key)) => Some((certificate, key)),
                (None, None) => None,
                _ => return Err(Error::config("ssl_certfile and ssl_keyfile go together")),
            };
            tls.verify = match (checked, names) {
                (true, true) => Verify::Full,
                (true, false) => Verify::Authority,
                (false, _) => Verify::Nothing,
            };
            Ok(())
        }
    }
}

fn decode(text: &str, what: &str) -> Result<String, Error> {
    let decoded = percent_decode_str(text).decode_utf8();
    Ok(decoded
        .map_err(|_| Error::config(format!("the {what} is not UTF-8")))?
        .into_owned())
}

fn database(text: &str) -> Result<u32, Error> {
    text.parse()
        .map_err(|_| Error::config(format!("the database must be a number, not {text:?}")))
}

fn seconds(name: &str, text: &str) -> Result<Duration, Error> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| Error::config(format!("{name} is a number of seconds, not {text:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Verify;

    fn node(host: &str, port: u16) -> Node {
        Node {
            host: host.to_owned(),
            port,
        }
    }

    fn refused(url: &str) -> String {
        RedisConfig::from_url(url).unwrap_err().to_string()
    }

    #[test]
    fn defaults_of_a_bare_host() {
        let config = RedisConfig::from_url("redis://localhost").unwrap();
        assert_eq!(config.address, Address::Tcp(node("localhost", 6379)));
        assert_eq!(
            (config.database, config.username, config.password),
            (0, None, None)
        );
    }

    #[test]
    fn every_part_is_read_and_decoded() {
        let config = RedisConfig::from_url("valkey://me:p%40ss@[::1]:7000/3").unwrap();
        assert_eq!(config.address.to_string(), "[::1]:7000");
        assert_eq!(config.database, 3);
        assert_eq!(config.username.as_deref(), Some("me"));
        assert_eq!(config.password.as_deref(), Some("p@ss"));
        let config = RedisConfig::from_url("redis://:only@h").unwrap();
        assert_eq!(
            (config.username, config.password.as_deref()),
            (None, Some("only"))
        );
    }

    #[test]
    fn unix_socket() {
        let config = RedisConfig::from_url("unix:///run/my%20redis.sock?db=2&password=x").unwrap();
        assert_eq!(config.address, Address::Unix("/run/my redis.sock".into()));
        assert_eq!((config.database, config.password.as_deref()), (2, Some("x")));
    }

    #[test]
    fn refusals_say_what_to_write_and_hide_the_password() {
        assert!(refused("nonsense").contains("expected redis://"));
        assert!(refused("http://h").contains("unknown scheme \"http\""));
        assert!(refused("redis://h?ssl_certfile=x").contains("rediss://"));
        assert!(refused("rediss://h?ssl_certfile=x").contains("go together"));
        assert!(refused("rediss://h?ssl_cert_reqs=maybe").contains("required or none"));
        assert!(refused("rediss://h?ssl_check_hostname=maybe").contains("true or false"));
        assert!(refused("unix:///s?ssl_ca_certs=x").contains("rediss://"));
        assert!(refused("redis://h?socket_timeout=soon").contains("number of seconds"));
        assert!(refused("redis://h?max_connections=-1").contains("number"));
        assert!(refused("redis+sentinel://h").contains("name of the master"));
        assert!(refused("redis+sentinel://h/m/x").contains("must be a number"));
        assert!(refused("redis+cluster://h/1").contains("only database 0"));
        assert!(refused("redis+cluster://").contains("no host"));
        assert!(refused("redis+cluster://a,b:x").contains("not a URL"));
        assert!(refused("redis://a,b").contains("+sentinel"));
        assert!(refused("unix://run/x.sock").contains("three slashes"));
        assert!(refused("unix://").contains("no socket path"));
        assert!(refused("redis:///1").contains("no host"));
        assert!(refused("redis://h/one").contains("must be a number"));
        assert!(refused("redis://h/-1").contains("must be a number"));
        assert!(refused("redis://h?max=3").contains("unknown parameter \"max\""));
        assert!(refused("redis://me@h").contains("needs a password"));
        assert!(!refused("redis://u:secret@h:99999").contains("secret"));
    }

    #[test]
    fn many_hosts() {
        let url = "redis+sentinel://me:p%40ss@a,[::1]:7,c:8/my%20master/2?sentinel_password=s";
        let config = RedisConfig::from_url(url).unwrap();
        let sentinels = vec![node("a", 26379), node("::1", 7), node("c", 8)];
        let master = "my master".to_owned();
        assert_eq!(config.address, Address::Sentinel { master, sentinels });
        assert_eq!((config.database, config.password.as_deref()), (2, Some("p@ss")));
        assert_eq!(config.sentinel_password.as_deref(), Some("s"));
        assert!(config.tls.is_none());
        assert_eq!(
            config.address.to_string(),
            "my master (Sentinels a:26379, [::1]:7, c:8)"
        );

        let config = RedisConfig::from_url("rediss+cluster://:pw@a:1,b").unwrap();
        assert_eq!(
            config.address,
            Address::Cluster(vec![node("a", 1), node("b", 6379)])
        );
        assert_eq!(config.tls, Some(TlsConfig::default()));
    }

    #[test]
    fn parameters_are_redis_pys() {
        let url = "rediss://h?ssl_ca_certs=/ca.pem&ssl_certfile=c&ssl_keyfile=k&ssl_check_hostname=false\
            &socket_timeout=0.5&socket_connect_timeout=2&max_connections=7";
        let config = RedisConfig::from_url(url).unwrap();
        let tls = config.tls.unwrap();
        assert_eq!(tls.ca_file, Some("/ca.pem".into()));
        assert_eq!(tls.client, Some(("c".into(), "k".into())));
        assert_eq!(tls.verify, Verify::Authority);
        assert_eq!(config.response_timeout, Duration::from_millis(500));
        assert_eq!(config.connect_timeout, Duration::from_secs(2));
        assert_eq!(config.dedicated_connections, 7);
        let config = RedisConfig::from_url("valkeys://h?ssl_cert_reqs=none").unwrap();
        assert_eq!(config.tls.unwrap().verify, Verify::Nothing);
    }
}
