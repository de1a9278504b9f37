use super::*;

fn config(text: &str) -> Config {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> String {
    text.parse::<Config>().expect_err(text).to_string()
}

#[test]
fn a_url_with_everything() {
    let config =
        config("postgresql://ad%40a:p%3Aw@[::1]:6000/sh%20op?application_name=a%26b&connect_timeout=2");
    assert_eq!(config.user, "ad@a");
    assert_eq!(config.password.as_deref(), Some("p:w"));
    assert_eq!(config.servers, [Server::new(Host::Tcp("::1".to_owned()), 6000)]);
    assert_eq!(config.database, "sh op");
    assert_eq!(config.application_name.as_deref(), Some("a&b"));
    assert_eq!(config.connect_timeout, Duration::from_secs(2));
    assert_eq!(
        config.to_string(),
        "postgres://ad%40a@[::1]:6000/sh%20op?application_name=a%26b&connect_timeout=2"
    );
    assert!(!format!("{config:?}").contains("p:w"));
}

#[test]
fn a_socket_in_three_spellings() {
    for text in [
        "postgres://ada@/shop?host=%2Frun%2Fpg&port=5433",
        "postgres://ada@%2Frun%2Fpg:5433/shop",
        "user=ada host=/run/pg port=5433 dbname=shop",
    ] {
        let config = config(text);
        assert_eq!(
            config.servers,
            [Server::new(Host::Unix("/run/pg".into()), 5433)],
            "{text}"
        );
        assert_eq!(config.address(), "/run/pg/.s.PGSQL.5433");
        assert_eq!(
            config.to_string(),
            "postgres://ada@/shop?host=%2Frun%2Fpg&port=5433"
        );
        assert_eq!(
            config.to_string().parse::<Config>().expect("what we print"),
            config
        );
    }
}

#[test]
fn pairs_with_quotes_and_spaces() {
    let config = config(r"  user = 'a\'b c'  password=x\ y dbname='' application_name=\\z ");
    assert_eq!(config.user, "a'b c");
    assert_eq!(config.password.as_deref(), Some("x y"));
    assert_eq!(config.database, "a'b c");
    assert_eq!(config.application_name.as_deref(), Some("\\z"));
}

#[test]
fn defaults() {
    let config = config("postgres://ada@db.example.com");
    assert_eq!(
        (
            config.address().as_str(),
            config.database.as_str(),
            config.password.as_deref()
        ),
        ("db.example.com:5432", "ada", None)
    );
    assert!(
        !"postgres:///shop"
            .parse::<Config>()
            .expect("the system's user")
            .user
            .is_empty()
    );
}

#[test]
fn errors_say_what_is_wrong() {
    assert!(error("mysql://ada@localhost/shop").contains("the scheme is \"mysql\""));
    assert!(error("postgres://a@h:99999/d").contains("port cannot be \"99999\""));
    assert_eq!(
        error("postgres://a@h/d?sslmod=disable"),
        "unknown connection parameter \"sslmod\"; did you mean \"sslmode\"?"
    );
    assert_eq!(
        error("frobnicate=1"),
        "unknown connection parameter \"frobnicate\""
    );
    assert!(error("postgres://a@h/d?x").contains("has no value"));
    assert!(error("postgres://a:%zz@h/d").contains("password has a % without two hex digits"));
    assert!(error("user=a connect_timeout=soon").contains("it is a number of seconds"));
    assert!(error("host=a,b,c port=1,2").contains("3 hosts cannot have 2 ports"));
    assert!(error("host=a,b hostaddr=::1").contains("2 hosts cannot have 1 addresses"));
    assert!(error("hostaddr=localhost").contains("it is an IP address"));
    assert!(error("sslmode=on").contains("disable, allow, prefer, require, verify-ca, verify-full"));
    assert!(error("sslmode=verify-full").contains("sslrootcert=system"));
    assert!(error("sslmode=require sslrootcert=system").contains("verify-full only"));
    assert!(error("sslnegotiation=direct").contains("sslmode=require"));
    assert!(error("gssencmode=require").contains("gssencmode=require is not supported"));
    assert!(error("sslcert=/x").contains("add sslkey=FILE"));
    assert!(error("ssl_max_protocol_version=TLSv1.1").contains("TLSv1.2, TLSv1.3"));
    assert!(error("replication=database").contains("reads no replication streams"));
    assert!(error("require_auth=!md5").contains("channel_binding=require"));
    assert!(error("keepalives_count=1000").contains("127 at most"));
    assert!(error("user='a").contains("the quote of user has no end"));
    assert!(error("password=my secret word").contains("a word is not followed by ="));
    assert!(error("user=a client_encoding=latin1").contains("only UTF8"));
}

#[test]
fn no_error_shows_a_password() {
    for text in [
        "postgres://a:hush@[::1/d",
        "postgres://a:hush%00@h/d",
        "user=a password=hush hush",
        "postgres://a:pass?hush@h/d",
        "sslpassword=hush",
    ] {
        assert!(!error(text).contains("hush"), "{text}");
    }
}

#[test]
fn several_servers() {
    for text in [
        "postgres://ada@a:1,[::1]:2,b/d",
        "host=a,::1,b port=1,2, user=ada dbname=d",
    ] {
        let config = config(text);
        assert_eq!(config.address(), "a:1, [::1]:2, b:5432", "{text}");
        assert_eq!(config.to_string(), "postgres://ada@a:1,[::1]:2,b:5432/d");
    }
    let one_port = config("host=a,/run,@pg port=7 user=ada");
    assert_eq!(one_port.address(), "a:7, /run/.s.PGSQL.7, @pg/.s.PGSQL.7");
    let addresses = config("host=a, hostaddr=::1,10.0.0.1 user=ada");
    assert_eq!(
        addresses.servers[0].address,
        Some("::1".parse().expect("an address"))
    );
    assert_eq!(addresses.address(), "a:5432, 10.0.0.1:5432");
}

#[test]
fn what_the_keys_of_libpq_mean() {
    let config = config(
        "user=a target_session_attrs=prefer-standby load_balance_hosts=random channel_binding=require \
         keepalives_idle=7 keepalives_count=0 tcp_user_timeout=1500 sslsni=0 requirepeer=pg \
         fallback_application_name=fall gssencmode=prefer krbsrvname=x sslcompression=1 connect_timeout=0",
    );
    assert_eq!(config.target, TargetSession::PreferStandby);
    assert!(config.load_balance && !config.tls.sni);
    assert_eq!(config.channel_binding, ChannelBinding::Require);
    let keepalive = config.keepalive.expect("keepalive");
    assert_eq!((keepalive.idle, keepalive.count), (Duration::from_secs(7), 4));
    assert_eq!(config.tcp_user_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(config.application_name.as_deref(), Some("fall"));
    assert_eq!(config.connect_timeout, Duration::from_secs(5));
    assert_eq!(config.require_peer.as_deref(), Some("pg"));
}

#[test]
fn the_environment_counts_when_it_is_asked_for() {
    let ambient = Ambient::default()
        .with_variable("PGHOST", "db")
        .with_variable("PGPORT", "7")
        .with_variable("PGUSER", "ada")
        .with_variable("PGPASSWORD", "hush")
        .with_variable("PGTZ", "Asia/Tokyo")
        .with_variable("PGAPPNAME", "")
        .with_variable("PGSSLMODE", "require");
    let read = |text| Config::parse_in(text, &ambient).expect(text);
    let config = read("port=8");
    assert_eq!(
        config.to_string(),
        "postgres://ada@db:8/ada?timezone=Asia%2FTokyo&sslmode=require"
    );
    assert_eq!(config.password.as_deref(), Some("hush"));
    assert!(!format!("{ambient:?}").contains("hush"));
    assert_eq!(read("postgres://eve@else/x").address(), "else:7");
    let wrong = ambient.clone().with_variable("PGPORT", "many");
    let error = Config::parse_in("", &wrong)
        .expect_err("a wrong port")
        .to_string();
    assert!(
        error.starts_with("port (from PGPORT) cannot be \"many\""),
        "{error}"
    );
}

#[test]
fn services() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join(".pg_service.conf");
    let text = "# mine\n[other]\nhost=o\n\n[shop]\nhost=s\nport=9\npassword=a=b\n[last]\nhost=l\n";
    std::fs::write(&file, text).expect("a file");
    let ambient = Ambient::default()
        .with_home(home.path())
        .with_variable("PGHOST", "env");
    let read = |text: &str| Config::parse_in(text, &ambient);
    let shop = read("service=shop port=1 user=ada").expect("a service");
    assert_eq!(
        (shop.address().as_str(), shop.password.as_deref()),
        ("s:1", Some("a=b"))
    );
    let unknown = read("service=nobody").expect_err("no service").to_string();
    assert!(
        unknown.contains("\"nobody\" is not defined in ") && unknown.contains(".pg_service.conf"),
        "{unknown}"
    );
    assert!(error("service=shop").contains("servicefile=PATH"));
    let named = format!("servicefile={} service=last user=ada", file.display());
    assert_eq!(config(&named).address(), "l:5432");
    assert!(error("servicefile=/nonexistent service=x").contains("/nonexistent cannot be used"));
    for broken in [
        "[x]\nhush",
        "[x]\nfrob=hush",
        "[x",
        "[x]\nservice=x",
        "[x]\nport=hush1",
    ] {
        std::fs::write(&file, broken).expect("a file");
        let error = read("service=x user=a").expect_err(broken).to_string();
        assert_eq!(error.contains("hush"), broken.contains("port"), "{error}");
    }
}

#[test]
fn lines_of_a_password_file() {
    let fits = |line: &str| {
        let wanted = ["h:1", "5432", "d", r"u\\"].map(str::to_owned);
        passfile::password_of(line, wanted.each_ref())
    };
    assert_eq!(fits(r"h\:1:5432:d:u\\:se\:cr:et").as_deref(), None);
    assert_eq!(fits(r"h\:1:5432:d:u\\\\:se\:cr:et").as_deref(), Some("se:cr:et"));
    assert_eq!(fits("*:*:*:*:x").as_deref(), Some("x"));
    assert_eq!(fits(r"\*:*:*:*:x"), None);
    assert_eq!(fits("#*:*:*:*:x"), None);
    assert_eq!(fits("*:*:*:*"), None);
    assert_eq!(fits("*:*:*:*:"), None);
    assert_eq!(fits("*:*:e:*:x"), None);
}

mod properties {
    use proptest::prelude::*;
    use proptest::string::string_regex;

    use super::*;

    /// A value that is hard to write.
    fn awkward() -> impl Strategy<Value = String> {
        string_regex("[^\\x00]{1,12}").expect("a pattern")
    }

    fn word<T: Copy + std::fmt::Debug + 'static>(
        words: &'static [&'static str],
        read: fn(&str) -> Option<T>,
    ) -> impl Strategy<Value = T> {
        prop::sample::select(words).prop_map(move |word| read(word).expect("a word"))
    }

    fn servers() -> impl Strategy<Value = Vec<Server>> {
        let host = prop_oneof![
            "[a-z][a-z0-9.-]{0,8}",
            "/[a-z/]{1,8}",
            "@[a-z]{1,5}",
            Just("::1".to_owned())
        ];
        let address = proptest::option::of(any::<std::net::IpAddr>());
        let server = (host, address, 1u16..).prop_map(|(host, address, port)| Server {
            host: Host::new(&host),
            address,
            port,
        });
        prop::collection::vec(server, 1..4)
    }

    fn configs() -> impl Strategy<Value = Config> {
        let texts = (
            awkward(),
            awkward(),
            prop::collection::vec(proptest::option::of(awkward()), 5),
        );
        let mode = word(SslMode::WORDS, SslMode::from_word);
        let target = word(TargetSession::WORDS, TargetSession::from_word);
        let binding = word(ChannelBinding::WORDS, ChannelBinding::from_word);
        let numbers = (
            1u64..1000,
            0usize..1000,
            1u32..100,
            proptest::option::of(1u64..9999),
        );
        let flags = any::<[bool; 5]>();
        (texts, servers(), mode, target, binding, numbers, flags).prop_map(
            |((user, database, texts), servers, mode, target, channel_binding, numbers, flags)| {
                let (seconds, statement_cache_size, count, milliseconds) = numbers;
                let [sni, with_keepalive, load_balance, newest, pgbouncer] = flags;
                let roots = RootCerts::File("/ca file.crt".into());
                Config {
                    servers,
                    database,
                    application_name: texts[0].clone(),
                    options: texts[1].clone(),
                    time_zone: texts[2].clone(),
                    passfile: texts[3].clone().map(Into::into),
                    require_peer: texts[4].clone(),
                    connect_timeout: Duration::from_secs(seconds),
                    statement_cache_size,
                    pgbouncer,
                    target,
                    channel_binding,
                    load_balance,
                    tls: TlsConfig {
                        mode,
                        sni,
                        roots: (mode >= SslMode::VerifyCa).then_some(roots),
                        min_version: if newest {
                            TlsVersion::Tls13
                        } else {
                            TlsVersion::Tls12
                        },
                        ..TlsConfig::default()
                    },
                    keepalive: with_keepalive.then(|| Keepalive {
                        count,
                        ..Keepalive::default()
                    }),
                    tcp_user_timeout: milliseconds.map(Duration::from_millis),
                    ..Config::new(user)
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_printed_can_be_read(config in configs()) {
            let text = config.to_string();
            prop_assert_eq!(text.parse::<Config>(), Ok(config), "{}", text);
        }

        #[test]
        fn pairs_survive_writing(values in prop::collection::vec("[^\\x00]{0,12}", 4)) {
            let keys = ["user", "password", "dbname", "options"].map(str::to_owned);
            let pairs: Vec<_> = keys.into_iter().zip(values).collect();
            prop_assert_eq!(parse::pairs(&parse::write(&pairs)), Ok(pairs));
        }

        #[test]
        fn a_dsn_leads_to_the_same_place(config in configs(), password in prop::option::of("[^\\x00]{1,12}")) {
            let config = Config { password, ..config };
            let dsn = config.dsn();
            let defaults = Config::new("");
            let expected = Config {
                time_zone: None,
                statement_cache_size: defaults.statement_cache_size,
                pgbouncer: false,
                ..config
            };
            prop_assert_eq!(dsn.parse::<Config>(), Ok(expected), "{}", dsn);
        }

        #[test]
        fn any_text_is_read_or_refused(text: String, tail in "[a-z%:@/?&=,\\[\\]' \\\\]{0,40}") {
            let ambient = Ambient::default();
            for text in [text, format!("postgres://{tail}"), format!("host={tail}"), tail] {
                let _ = Config::parse_in(&text, &ambient).map(|config| config.to_string());
            }
        }

        #[test]
        fn any_line_of_a_password_file(line: String) {
            let wanted = ["h", "1", "d", "u"].map(str::to_owned);
            let _ = passfile::password_of(&line, wanted.each_ref());
        }
    }
}
