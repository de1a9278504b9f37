//! A configuration as a URL.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::server::DEFAULT_PORT;
use super::{Config, Host, Keepalive, RootCerts, TlsConfig, TlsVersion};

/// What a printed URL escapes.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encode = |text| utf8_percent_encode(text, ENCODED).to_string();
        write!(f, "postgres://{}@", encode(&self.user))?;
        let mut query = Vec::new();
        let in_front = self.servers.iter().all(|server| {
            // Only what needs no escape and no second list is written in the usual place.
            matches!(&server.host, Host::Tcp(host) if encode(host).replace("%3A", ":") == *host)
                && server.address.is_none()
        });
        if in_front {
            let servers: Vec<_> = self.servers.iter().map(ToString::to_string).collect();
            f.write_str(&servers.join(","))?;
        } else {
            self.write_lists(&mut query);
        }
        write!(f, "/{}", encode(&self.database))?;
        self.write_rest(&mut query);
        for (index, (key, value)) in query.iter().enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            write!(f, "{separator}{key}={}", encode(value))?;
        }
        Ok(())
    }
}

impl Config {
    fn write_lists(&self, query: &mut Vec<(&'static str, String)>) {
        let list = |part: &dyn Fn(&super::Server) -> String| {
            let parts: Vec<_> = self.servers.iter().map(part).collect();
            parts.join(",")
        };
        query.push(("host", list(&|server| server.host_text())));
        if self.servers.iter().any(|server| server.address.is_some()) {
            let address = |server: &super::Server| {
                server
                    .address
                    .map_or(String::new(), |address| address.to_string())
            };
            query.push(("hostaddr", list(&address)));
        }
        if self.servers.iter().any(|server| server.port != DEFAULT_PORT) {
            query.push(("port", list(&|server| server.port.to_string())));
        }
    }

    fn write_rest(&self, query: &mut Vec<(&'static str, String)>) {
        let default = Config::new("");
        let texts = [
            ("application_name", &self.application_name),
            ("options", &self.options),
            ("timezone", &self.time_zone),
            ("requirepeer", &self.require_peer),
        ];
        for (key, value) in texts {
            query.extend(value.as_ref().map(|value| (key, value.clone())));
        }
        if let Some(passfile) = &self.passfile {
            query.push(("passfile", passfile.to_string_lossy().into_owned()));
        }
        if self.connect_timeout != default.connect_timeout {
            query.push(("connect_timeout", self.connect_timeout.as_secs().to_string()));
        }
        if self.statement_cache_size != default.statement_cache_size {
            query.push(("statement_cache_size", self.statement_cache_size.to_string()));
        }
        if self.pgbouncer {
            query.push(("pgbouncer", "true".to_owned()));
        }
        if self.target != default.target {
            query.push(("target_session_attrs", self.target.as_str().to_owned()));
        }
        if self.load_balance {
            query.push(("load_balance_hosts", "random".to_owned()));
        }
        write_tls(&self.tls, query);
        if self.channel_binding != default.channel_binding {
            query.push(("channel_binding", self.channel_binding.as_str().to_owned()));
        }
        write_keepalive(self.keepalive.as_ref(), query);
        if let Some(limit) = self.tcp_user_timeout {
            query.push(("tcp_user_timeout", limit.as_millis().to_string()));
        }
    }
}

fn write_tls(tls: &TlsConfig, query: &mut Vec<(&'static str, String)>) {
    let default = TlsConfig::default();
    if tls.mode != default.mode {
        query.push(("sslmode", tls.mode.as_str().to_owned()));
    }
    if tls.negotiation != default.negotiation {
        query.push(("sslnegotiation", tls.negotiation.as_str().to_owned()));
    }
    let path = |path: &std::path::PathBuf| path.to_string_lossy().into_owned();
    match &tls.roots {
        None => {}
        Some(RootCerts::System) => query.push(("sslrootcert", "system".to_owned())),
        Some(RootCerts::File(file)) => query.push(("sslrootcert", path(file))),
    }
    query.extend(tls.revoked.as_ref().map(|file| ("sslcrl", path(file))));
    if let Some(client) = &tls.client {
        query.push(("sslcert", path(&client.cert)));
        query.push(("sslkey", path(&client.key)));
    }
    if !tls.sni {
        query.push(("sslsni", "0".to_owned()));
    }
    if tls.min_version != TlsVersion::Tls12 {
        query.push(("ssl_min_protocol_version", tls.min_version.as_str().to_owned()));
    }
    if tls.max_version != TlsVersion::Tls13 {
        query.push(("ssl_max_protocol_version", tls.max_version.as_str().to_owned()));
    }
}

fn write_keepalive(keepalive: Option<&Keepalive>, query: &mut Vec<(&'static str, String)>) {
    let Some(keepalive) = keepalive else {
        query.push(("keepalives", "0".to_owned()));
        return;
    };
    let default = Keepalive::default();
    if keepalive.idle != default.idle {
        query.push(("keepalives_idle", keepalive.idle.as_secs().to_string()));
    }
    if keepalive.interval != default.interval {
        query.push(("keepalives_interval", keepalive.interval.as_secs().to_string()));
    }
    if keepalive.count != default.count {
        query.push(("keepalives_count", keepalive.count.to_string()));
    }
}

/// Like `Display`, so that no log shows the password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config({self})")
    }
}
