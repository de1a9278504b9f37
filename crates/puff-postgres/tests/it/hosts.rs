//! Several servers, of which one will do.

use std::collections::HashSet;

use puff_postgres::{Config, ConnectFailure, Connection, Error, Host, SqlState};

use crate::support::run;
use crate::tls_server::Server;

/// A primary and its hot standby, by Unix socket.
struct Pair {
    primary: Server,
    standby: Server,
}

impl Pair {
    fn new() -> Self {
        let primary = Server::new(&[("wal_level", "replica")], "local replication all trust\n", &[]);
        let standby = primary.standby();
        Self { primary, standby }
    }

    /// Both servers in this order, `d` for a directory without a server.
    fn config(&self, order: &str, attributes: &str) -> Config {
        let mut config: Config = self.primary.local().parse().unwrap();
        let (primary, standby): (Config, Config) = (config.clone(), self.standby.local().parse().unwrap());
        config.servers = order
            .chars()
            .map(|which| match which {
                'p' => primary.servers[0].clone(),
                's' => standby.servers[0].clone(),
                _ => puff_postgres::Server::new(Host::new("/nonexistent"), 5432),
            })
            .collect();
        let text = format!("user=a {attributes}");
        let wanted: Config = text.parse().unwrap();
        config.target = wanted.target;
        config.load_balance = wanted.load_balance;
        config.options = wanted.options;
        config
    }

    async fn chosen(&self, order: &str, attributes: &str) -> char {
        let connection = Connection::connect(&self.config(order, attributes))
            .await
            .unwrap();
        match connection.peer().server.port {
            port if port == self.primary.port => 'p',
            _ => 's',
        }
    }
}

#[test]
fn the_first_server_that_will_do() {
    let pair = Pair::new();
    run(async {
        let target = |word| format!("target_session_attrs={word}");
        for (order, word, expected) in [
            ("dsp", "any", 's'),
            ("sp", "primary", 'p'),
            ("dsp", "read-write", 'p'),
            ("ps", "read-only", 's'),
            ("pds", "standby", 's'),
            ("ps", "prefer-standby", 's'),
            ("dp", "prefer-standby", 'p'),
        ] {
            assert_eq!(
                pair.chosen(order, &target(word)).await,
                expected,
                "{order} {word}"
            );
        }
        // A primary whose sessions may not write is as good as a standby.
        let read_only = "target_session_attrs=read-only options='-c default_transaction_read_only=on'";
        assert_eq!(pair.chosen("p", read_only).await, 'p');

        let error = Connection::connect(&pair.config("dp", &target("standby")))
            .await
            .unwrap_err();
        let text = error.to_string();
        let Error::Connect {
            failure: ConnectFailure::Several(failures),
            ..
        } = error
        else {
            panic!("{text}")
        };
        assert!(
            matches!(
                &failures[1],
                Error::Connect {
                    failure: ConnectFailure::Target(_),
                    ..
                }
            ),
            "{text}"
        );
        assert!(
            text.contains("/nonexistent/.s.PGSQL.5432: No such file"),
            "{text}"
        );
        assert!(text.contains("target_session_attrs=standby"), "{text}");

        let mut seen = HashSet::new();
        for _ in 0..100 {
            seen.insert(pair.chosen("ps", "load_balance_hosts=random").await);
            if seen.len() == 2 {
                break;
            }
        }
        assert_eq!(seen.len(), 2);
    });
}

#[test]
fn a_server_that_refuses_the_user_ends_the_search() {
    let pair = Pair::new();
    run(async {
        let mut config = pair.config("dps", "");
        config.database = "nowhere".to_owned();
        let error = Connection::connect(&config).await.unwrap_err();
        assert_eq!(error.code(), Some(SqlState::INVALID_CATALOG_NAME), "{error}");
        let Error::Connect {
            failure: ConnectFailure::Several(failures),
            ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!(failures.len(), 2);
        config.servers.clear();
        let error = Connection::connect(&config).await.unwrap_err();
        assert!(error.to_string().contains("no server is configured"), "{error}");
    });
}
