//! Every key of a connection string: its variable, its default, what it means.

/// A key that a connection string may have.
///
/// ```
/// let port = puff_postgres::Parameter::find("port").expect("a known key");
/// assert_eq!((port.variable, port.default), (Some("PGPORT"), Some("5432")));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameter {
    /// The key, as libpq writes it.
    pub name: &'static str,
    /// The environment variable that stands for it; read by
    /// [`Config::from_env_and`](crate::Config::from_env_and) only.
    pub variable: Option<&'static str>,
    /// What holds without it; `None` if nothing does, or if it depends on the system.
    pub default: Option<&'static str>,
    /// Whether its value must never be shown.
    pub secret: bool,
}

const fn key(name: &'static str, variable: Option<&'static str>, default: Option<&'static str>) -> Parameter {
    Parameter {
        name,
        variable,
        default,
        secret: false,
    }
}

const fn secret(name: &'static str, variable: Option<&'static str>) -> Parameter {
    Parameter {
        name,
        variable,
        default: None,
        secret: true,
    }
}

/// libpq's keys in its order, then our own.
const ALL: &[Parameter] = &[
    key("service", Some("PGSERVICE"), None),
    key("servicefile", Some("PGSERVICEFILE"), None),
    key("user", Some("PGUSER"), None),
    secret("password", Some("PGPASSWORD")),
    key("passfile", Some("PGPASSFILE"), None),
    key("channel_binding", Some("PGCHANNELBINDING"), Some("prefer")),
    key("connect_timeout", Some("PGCONNECT_TIMEOUT"), Some("5")),
    key("dbname", Some("PGDATABASE"), None),
    key("host", Some("PGHOST"), Some("localhost")),
    key("hostaddr", Some("PGHOSTADDR"), None),
    key("port", Some("PGPORT"), Some("5432")),
    key("client_encoding", Some("PGCLIENTENCODING"), Some("UTF8")),
    key("options", Some("PGOPTIONS"), None),
    key("application_name", Some("PGAPPNAME"), None),
    key("fallback_application_name", None, None),
    key("keepalives", None, Some("1")),
    key("keepalives_idle", None, Some("60")),
    key("keepalives_interval", None, Some("15")),
    key("keepalives_count", None, Some("4")),
    key("tcp_user_timeout", None, Some("0")),
    key("sslmode", Some("PGSSLMODE"), Some("prefer")),
    key("sslnegotiation", Some("PGSSLNEGOTIATION"), Some("postgres")),
    key("sslcompression", Some("PGSSLCOMPRESSION"), Some("0")),
    key("sslcert", Some("PGSSLCERT"), None),
    key("sslkey", Some("PGSSLKEY"), None),
    key("sslcertmode", Some("PGSSLCERTMODE"), Some("allow")),
    secret("sslpassword", None),
    key("sslrootcert", Some("PGSSLROOTCERT"), None),
    key("sslcrl", Some("PGSSLCRL"), None),
    key("sslcrldir", Some("PGSSLCRLDIR"), None),
    key("sslsni", Some("PGSSLSNI"), Some("1")),
    key("requirepeer", Some("PGREQUIREPEER"), None),
    key("require_auth", Some("PGREQUIREAUTH"), None),
    key(
        "ssl_min_protocol_version",
        Some("PGSSLMINPROTOCOLVERSION"),
        Some("TLSv1.2"),
    ),
    key("ssl_max_protocol_version", Some("PGSSLMAXPROTOCOLVERSION"), None),
    key("gssencmode", Some("PGGSSENCMODE"), Some("disable")),
    key("krbsrvname", Some("PGKRBSRVNAME"), None),
    key("gsslib", Some("PGGSSLIB"), None),
    key("gssdelegation", Some("PGGSSDELEGATION"), Some("0")),
    key("replication", None, None),
    key("target_session_attrs", Some("PGTARGETSESSIONATTRS"), Some("any")),
    key("load_balance_hosts", Some("PGLOADBALANCEHOSTS"), Some("disable")),
    key("timezone", Some("PGTZ"), None),
    key("statement_cache_size", None, Some("256")),
    key("pgbouncer", None, Some("false")),
];

/// The keys that libpq does not have.
pub(super) const OURS: &[&str] = &["timezone", "statement_cache_size", "pgbouncer"];

impl Parameter {
    /// All keys, libpq's own in its order, then `timezone`, `statement_cache_size` and `pgbouncer`.
    pub fn all() -> &'static [Parameter] {
        ALL
    }

    /// The key of this name, if there is one.
    pub fn find(name: &str) -> Option<&'static Parameter> {
        ALL.iter().find(|parameter| parameter.name == name)
    }

    /// The known key that a mistyped one may have meant.
    pub(super) fn nearest(name: &str) -> Option<&'static str> {
        let name = name.to_ascii_lowercase();
        // Longer words are no slips of a known key, and comparing them would cost without bound.
        if name.len() > 40 {
            return None;
        }
        let candidates = ALL.iter().map(|parameter| parameter.name);
        let (distance, nearest) = candidates
            .map(|known| (distance(known.as_bytes(), name.as_bytes()), known))
            .min()?;
        (distance <= 1 + nearest.len() / 4).then_some(nearest)
    }
}

/// How many letters must be changed, added or dropped to make one word of the other.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
