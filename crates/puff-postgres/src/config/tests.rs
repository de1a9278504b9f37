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
    assert_eq!(config.host, Host::Tcp("::1".to_owned()));
    assert_eq!((config.port, config.database.as_str()), (6000, "sh op"));
    assert_eq!(config.application_name.as_deref(), Some("a&b"));
    assert_eq!(config.connect_timeout, Duration::from_secs(2));
    assert_eq!(
        config.to_string(),
        "postgres://ad%40a@[::1]:6000/sh%20op?application_name=a%26b"
    );
    assert!(!format!("{config:?}").contains("p:w"));
    assert!(config.is_local());
}

#[test]
fn a_socket_in_three_spellings() {
    for text in [
        "postgres://ada@/shop?host=%2Frun%2Fpg&port=5433",
        "postgres://ada@%2Frun%2Fpg:5433/shop",
        "user=ada host=/run/pg port=5433 dbname=shop",
    ] {
        let config = config(text);
        assert_eq!(config.host, Host::Unix("/run/pg".into()), "{text}");
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
        (config.port, config.database.as_str(), config.password.as_deref()),
        (5432, "ada", None)
    );
    assert!(!config.is_local());
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
    assert!(error("postgres://a@h/d?sslmode=require").contains("sslmode=require is not supported yet"));
    assert!(error("postgres://a@h/d?sslmod=disable").contains("unknown connection parameter \"sslmod\""));
    assert!(error("postgres://a@h/d?x").contains("has no value"));
    assert!(error("postgres://a:%zz@h/d").contains("password has a % without two hex digits"));
    assert!(error("postgres://a@h1,h2/d").contains("name one host"));
    assert!(error("user=a connect_timeout=0").contains("every wait has an end"));
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
    ] {
        assert!(!error(text).contains("hush"), "{text}");
    }
}
