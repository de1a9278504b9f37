//! From keys and values to a [`Config`]: what they mean, what they default to, which are refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::ambient::Ambient;
use super::parameter::Parameter;
use super::server::DEFAULT_PORT;
use super::{
    ChannelBinding, ClientCert, Config, ConfigError, Host, Keepalive, RootCerts, Server, SslMode,
    SslNegotiation, TargetSession, TlsConfig, TlsVersion,
};

/// The values of a connection string and of what surrounds it; each with the place it was written.
pub(super) struct Settings<'a> {
    values: HashMap<&'static str, Written>,
    ambient: &'a Ambient,
}

struct Written {
    value: String,
    /// The key, with the variable or file for those who look for it.
    place: String,
}

impl<'a> Settings<'a> {
    /// Gathers values: the string's own come first, then the service's, then the environment's.
    pub(super) fn gather(pairs: Vec<(String, String)>, ambient: &'a Ambient) -> Result<Self, ConfigError> {
        let mut settings = Self {
            values: HashMap::new(),
            ambient,
        };
        for (key, value) in pairs {
            let place = key.clone();
            settings.add(&key, value, place)?;
        }
        let from_env = |settings: &Self, key: &'static str| {
            let written = settings.text(key).map(str::to_owned);
            let variable = Parameter::find(key).and_then(|parameter| parameter.variable);
            written.or_else(|| {
                variable
                    .and_then(|name| ambient.variable(name))
                    .map(str::to_owned)
            })
        };
        if let Some(service) = from_env(&settings, "service") {
            let file = from_env(&settings, "servicefile");
            let (file, pairs) = ambient.service(&service, file.as_deref())?;
            for (key, value) in pairs {
                let place = format!("{key} (in {})", file.display());
                settings.add(&key, value, place)?;
            }
        }
        for parameter in Parameter::all() {
            if let Some(variable) = parameter.variable
                && let Some(value) = ambient.variable(variable)
            {
                let place = format!("{} (from {variable})", parameter.name);
                settings.add(parameter.name, value.to_owned(), place)?;
            }
        }
        Ok(settings)
    }

    /// Notes a value unless a stronger one is there.
    fn add(&mut self, key: &str, value: String, place: String) -> Result<(), ConfigError> {
        let Some(parameter) = Parameter::find(key) else {
            return Err(ConfigError::UnknownKey {
                key: place,
                nearest: Parameter::nearest(key),
            });
        };
        self.values
            .entry(parameter.name)
            .or_insert(Written { value, place });
        Ok(())
    }

    /// A value, if there is one; an empty one is none, as with libpq.
    fn text(&self, key: &str) -> Option<&str> {
        let written = self.values.get(key)?;
        Some(written.value.as_str()).filter(|value| !value.is_empty())
    }

    fn owned(&self, key: &str) -> Option<String> {
        self.text(key).map(str::to_owned)
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// The key and value as an error may show them.
    fn shown(&self, key: &str) -> (String, String) {
        let secret = Parameter::find(key).is_none_or(|parameter| parameter.secret);
        match self.values.get(key) {
            Some(written) if !secret => (written.place.clone(), written.value.clone()),
            Some(written) => (written.place.clone(), "...".to_owned()),
            None => (key.to_owned(), String::new()),
        }
    }

    fn bad(&self, key: &str, reason: impl Into<String>) -> ConfigError {
        let (key, value) = self.shown(key);
        let reason = reason.into();
        ConfigError::Value { key, value, reason }
    }

    fn unsupported(&self, key: &str, advice: &'static str) -> ConfigError {
        let (key, value) = self.shown(key);
        ConfigError::Unsupported { key, value, advice }
    }

    /// A word of a list; the default if there is none.
    fn word<T: Default>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Option<T>,
        words: &[&str],
    ) -> Result<T, ConfigError> {
        match self.text(key) {
            None => Ok(T::default()),
            Some(text) => {
                read(text).ok_or_else(|| self.bad(key, format!("it is one of {}", words.join(", "))))
            }
        }
    }

    /// A number that may be negative or zero, which both mean "not set" in libpq.
    fn positive(&self, key: &str, unit: &str) -> Result<Option<u32>, ConfigError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        let number: i32 = text
            .trim()
            .parse()
            .map_err(|_| self.bad(key, format!("it is a number of {unit}")))?;
        Ok(u32::try_from(number).ok().filter(|number| *number > 0))
    }

    fn flag(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        match self.text(key) {
            None => Ok(default),
            Some("1") => Ok(true),
            Some("0") => Ok(false),
            Some(_) => Err(self.bad(key, "it is 0 or 1")),
        }
    }

    /// Makes the configuration.
    pub(super) fn finish(self) -> Result<Config, ConfigError> {
        self.refuse_what_is_not_there()?;
        let user = self
            .owned("user")
            .or_else(system_user)
            .ok_or(ConfigError::NoUser)?;
        let defaults = Config::new(user);
        let seconds = self.positive("connect_timeout", "seconds; 0 stands for the default")?;
        let cache = self.text("statement_cache_size").map(|size| {
            size.parse()
                .map_err(|_| self.bad("statement_cache_size", "it is a number of statements"))
        });
        let pgbouncer = match self.text("pgbouncer") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(self.bad("pgbouncer", "it is one of true, false")),
        };
        let milliseconds = self.positive("tcp_user_timeout", "milliseconds")?;
        let passfile = self.path("passfile");
        Ok(Config {
            servers: self.servers()?,
            password: self.owned("password"),
            passfile: passfile.or_else(|| self.ambient.home_file(".pgpass")),
            database: self.owned("dbname").unwrap_or(defaults.database),
            application_name: self
                .owned("application_name")
                .or_else(|| self.owned("fallback_application_name")),
            options: self.owned("options"),
            time_zone: self.owned("timezone"),
            connect_timeout: seconds.map_or(defaults.connect_timeout, |seconds| {
                Duration::from_secs(seconds.into())
            }),
            statement_cache_size: cache.transpose()?.unwrap_or(defaults.statement_cache_size),
            pgbouncer,
            target: self.word(
                "target_session_attrs",
                TargetSession::from_word,
                TargetSession::WORDS,
            )?,
            load_balance: match self.text("load_balance_hosts") {
                None | Some("disable") => false,
                Some("random") => true,
                Some(_) => return Err(self.bad("load_balance_hosts", "it is one of disable, random")),
            },
            tls: self.tls()?,
            channel_binding: self.word(
                "channel_binding",
                ChannelBinding::from_word,
                ChannelBinding::WORDS,
            )?,
            require_peer: self.owned("requirepeer"),
            keepalive: self.keepalive()?,
            tcp_user_timeout: milliseconds.map(|number| Duration::from_millis(number.into())),
            user: defaults.user,
        })
    }

    /// Keys that would change what a connection is or what it proves, and that this client does not know how
    /// to honour. Those that only tune what is not there (Kerberos, compression) are accepted.
    fn refuse_what_is_not_there(&self) -> Result<(), ConfigError> {
        if let Some(encoding) = self.text("client_encoding") {
            match encoding.to_ascii_lowercase().as_str() {
                "utf8" | "utf-8" | "unicode" | "auto" => {}
                _ => return Err(self.bad("client_encoding", "only UTF8 is spoken here")),
            }
        }
        match self.text("gssencmode") {
            None | Some("disable" | "prefer") => {}
            Some("require") => return Err(self.unsupported("gssencmode", "; use sslmode=require")),
            Some(_) => return Err(self.bad("gssencmode", "it is one of disable, prefer, require")),
        }
        match self.text("replication") {
            None | Some("0" | "false" | "off" | "no") => {}
            Some(_) => {
                let advice = ": this client reads no replication streams";
                return Err(self.unsupported("replication", advice));
            }
        }
        match self.text("sslcertmode") {
            None | Some("allow" | "disable") => {}
            Some("require") => {
                let advice = "; whether the server asks for the certificate is not known here";
                return Err(self.unsupported("sslcertmode", advice));
            }
            Some(_) => return Err(self.bad("sslcertmode", "it is one of disable, allow")),
        }
        for (key, advice) in [
            ("require_auth", "; channel_binding=require is"),
            ("sslpassword", "; decrypt the key, and protect the file instead"),
            ("sslcrldir", "; name one file by sslcrl"),
        ] {
            if self.text(key).is_some() {
                return Err(self.unsupported(key, advice));
            }
        }
        Ok(())
    }

    /// Pairs up the lists of hosts, addresses and ports.
    fn servers(&self) -> Result<Vec<Server>, ConfigError> {
        let list = |key: &str| {
            self.text(key)
                .map(|text| text.split(',').map(str::trim).collect::<Vec<_>>())
        };
        let (hosts, addresses) = (list("host"), list("hostaddr"));
        let ports = list("port").unwrap_or_default();
        let count = hosts.as_ref().or(addresses.as_ref()).map_or(1, Vec::len);
        let lists = |others: usize, what| ConfigError::Lists {
            hosts: count,
            others,
            what,
        };
        if let Some(addresses) = &addresses
            && addresses.len() != count
        {
            return Err(lists(addresses.len(), "addresses"));
        }
        // One port may serve all hosts.
        if ports.len() > 1 && ports.len() != count {
            return Err(lists(ports.len(), "ports"));
        }
        let mut servers = Vec::with_capacity(count);
        for index in 0..count {
            let port = match ports.get(index).or(ports.first()) {
                None | Some(&"") => DEFAULT_PORT,
                Some(port) => match port.parse() {
                    Ok(port) if port > 0 => port,
                    _ => return Err(self.bad("port", "a port is a number from 1 to 65535")),
                },
            };
            let at = |list: &Option<Vec<&'_ str>>| {
                let item = list.as_ref().and_then(|list| list.get(index).copied());
                item.filter(|item| !item.is_empty()).map(str::to_owned)
            };
            let address = match at(&addresses) {
                None => None,
                Some(text) => Some(
                    text.parse::<IpAddr>()
                        .map_err(|_| self.bad("hostaddr", "it is an IP address; names belong to host"))?,
                ),
            };
            let host = match (at(&hosts), address) {
                (Some(host), _) => Host::new(&host),
                (None, Some(address)) => Host::Tcp(address.to_string()),
                (None, None) => match self.ambient.socket_directory(port) {
                    Some(directory) => Host::Unix(directory),
                    None => Server::default().host,
                },
            };
            servers.push(Server { host, address, port });
        }
        Ok(servers)
    }

    fn tls(&self) -> Result<TlsConfig, ConfigError> {
        let roots = match self.text("sslrootcert") {
            Some("system") => Some(RootCerts::System),
            Some(path) => Some(RootCerts::File(path.into())),
            None => self
                .ambient
                .home_file(".postgresql/root.crt")
                .map(RootCerts::File),
        };
        let mode = match (&roots, self.text("sslmode")) {
            // What all the world's authorities vouch for means nothing without the name.
            (Some(RootCerts::System), None) => SslMode::VerifyFull,
            (Some(RootCerts::System), Some(mode)) if mode != "verify-full" => {
                return Err(self.bad("sslmode", "sslrootcert=system goes with verify-full only"));
            }
            _ => self.word("sslmode", SslMode::from_word, SslMode::WORDS)?,
        };
        if mode >= SslMode::VerifyCa && roots.is_none() {
            return Err(self.bad(
                "sslmode",
                "it needs sslrootcert=FILE, or sslrootcert=system for the authorities the system trusts",
            ));
        }
        let negotiation = self.word("sslnegotiation", SslNegotiation::from_word, SslNegotiation::WORDS)?;
        if negotiation == SslNegotiation::Direct && mode < SslMode::Require {
            return Err(self.bad("sslnegotiation", "it goes with sslmode=require or stronger only"));
        }
        let (min_version, max_version) = self.tls_versions()?;
        Ok(TlsConfig {
            mode,
            negotiation,
            roots,
            revoked: self
                .path("sslcrl")
                .or_else(|| self.ambient.home_file(".postgresql/root.crl")),
            client: self.client_cert()?,
            sni: self.flag("sslsni", true)?,
            min_version,
            max_version,
        })
    }

    fn client_cert(&self) -> Result<Option<ClientCert>, ConfigError> {
        if self.text("sslcertmode") == Some("disable") {
            return Ok(None);
        }
        let usual = |name| self.ambient.home_file(name);
        let cert = self
            .path("sslcert")
            .or_else(|| usual(".postgresql/postgresql.crt"));
        let key = self
            .path("sslkey")
            .or_else(|| usual(".postgresql/postgresql.key"));
        match (cert, key) {
            (Some(cert), Some(key)) => Ok(Some(ClientCert { cert, key })),
            (Some(_), None) if self.text("sslcert").is_some() => {
                Err(self.bad("sslcert", "its private key is missing: add sslkey=FILE"))
            }
            (None, Some(_)) if self.text("sslkey").is_some() => {
                Err(self.bad("sslkey", "its certificate is missing: add sslcert=FILE"))
            }
            _ => Ok(None),
        }
    }

    fn tls_versions(&self) -> Result<(TlsVersion, TlsVersion), ConfigError> {
        let wanted = format!("it is one of {}", TlsVersion::WORDS.join(", "));
        let min = match self.text("ssl_min_protocol_version") {
            // Older ones are not spoken, so that a lower bound below them says nothing.
            None | Some("TLSv1" | "TLSv1.1") => TlsVersion::Tls12,
            Some(version) => TlsVersion::from_word(version)
                .ok_or_else(|| self.bad("ssl_min_protocol_version", wanted.clone()))?,
        };
        let max = match self.text("ssl_max_protocol_version") {
            None => TlsVersion::Tls13,
            Some(version) => TlsVersion::from_word(version)
                .ok_or_else(|| self.bad("ssl_max_protocol_version", wanted.clone()))?,
        };
        if min > max {
            return Err(self.bad("ssl_max_protocol_version", "it is below ssl_min_protocol_version"));
        }
        Ok((min, max))
    }

    fn keepalive(&self) -> Result<Option<Keepalive>, ConfigError> {
        let default = Keepalive::default();
        let wanted = self.flag("keepalives", true)?;
        let seconds = |key, default: Duration| -> Result<Duration, ConfigError> {
            let seconds = self.positive(key, "seconds")?;
            Ok(seconds.map_or(default, |seconds| Duration::from_secs(seconds.into())))
        };
        let keepalive = Keepalive {
            idle: seconds("keepalives_idle", default.idle)?,
            interval: seconds("keepalives_interval", default.interval)?,
            count: self
                .positive("keepalives_count", "probes")?
                .unwrap_or(default.count),
        };
        // What Linux takes; beyond it, setting the option would fail at every connect.
        for (key, value, most) in [
            ("keepalives_idle", keepalive.idle.as_secs(), 32767),
            ("keepalives_interval", keepalive.interval.as_secs(), 32767),
            ("keepalives_count", keepalive.count.into(), 127),
        ] {
            if value > most {
                return Err(self.bad(key, format!("it is {most} at most")));
            }
        }
        Ok(wanted.then_some(keepalive))
    }
}

/// As libpq does: without a user it is whoever runs the program.
fn system_user() -> Option<String> {
    nix::unistd::User::from_uid(nix::unistd::geteuid())
        .ok()
        .flatten()
        .map(|user| user.name)
}
