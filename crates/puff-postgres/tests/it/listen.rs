//! LISTEN and NOTIFY, through the loss of connections.

use std::time::Duration;

use puff_postgres::{Error, Heard, Listener};
use tokio::time::timeout;

use crate::support::{config, connect, eventually, number, run, sessions};

async fn next(listener: &mut Listener) -> Heard {
    timeout(Duration::from_secs(10), listener.next()).await.unwrap()
}

fn payload(heard: &Heard) -> &str {
    match heard {
        Heard::Notification(notification) => &notification.payload,
        Heard::Gap(gap) => panic!("{gap:?}"),
    }
}

#[test]
fn notifications_are_heard_in_order() {
    run(async {
        let sender = connect().await;
        let name = "odd \"name\"; with everything";
        let mut listener = Listener::connect(&config(), &[name, "second"]).await.unwrap();
        for n in 0..100 {
            sender.notify(name, &n.to_string()).await.unwrap();
        }
        sender.notify("second", "").await.unwrap();
        sender.notify("nobody listens here", "x").await.unwrap();
        for n in 0..100 {
            let heard = next(&mut listener).await;
            assert_eq!(payload(&heard), n.to_string());
            let Heard::Notification(heard) = heard else {
                unreachable!()
            };
            assert_eq!((&*heard.channel, heard.process_id), (name, sender.process_id()));
        }
        assert_eq!(payload(&next(&mut listener).await), "");
        assert_eq!(listener.try_next(), None);
    });
}

#[test]
fn what_nobody_reads_is_dropped_with_a_mark() {
    run(async {
        let sender = connect().await;
        let mut listener = Listener::connect(&config(), &["flood"]).await.unwrap();
        let many = "SELECT count(pg_notify('flood', n::text)) FROM generate_series(1, 5000) n";
        assert_eq!(number(&sender.query(many, &[]).await.unwrap()), 5000);
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (mut heard, mut dropped) = (0, 0);
        // One gap, unless the listener goes on reading meanwhile.
        while heard + dropped < 5000 {
            match next(&mut listener).await {
                Heard::Notification(_) => heard += 1,
                Heard::Gap(gap) => {
                    assert!(!gap.reconnected && gap.dropped > 0);
                    dropped += gap.dropped;
                }
            }
        }
        assert_eq!(heard + dropped, 5000);
        assert!(heard >= 1024);
    });
}

#[test]
fn a_lost_connection_comes_back_and_says_so() {
    run(async {
        let (sender, config) = (connect().await, config());
        let mut listener = Listener::connect(&config, &["back"]).await.unwrap();
        sender.notify("back", "before").await.unwrap();
        assert_eq!(payload(&next(&mut listener).await), "before");
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
        let name = config.application_name.as_deref().unwrap();
        sender.query(end, &[name.into()]).await.unwrap();
        let Heard::Gap(gap) = next(&mut listener).await else {
            panic!("no gap")
        };
        assert!(gap.reconnected);
        sender.notify("back", "after").await.unwrap();
        assert_eq!(payload(&next(&mut listener).await), "after");
        drop(listener);
        eventually("its session has ended", || async {
            sessions(&sender, &config).await == 0
        })
        .await;
    });
}

#[test]
fn bad_names_and_bad_places() {
    run(async {
        let connection = connect().await;
        let long = "x".repeat(64);
        for name in ["", "a\0b", long.as_str()] {
            assert!(matches!(
                connection.notify(name, "").await,
                Err(Error::InvalidInput(_))
            ));
            let listener = Listener::connect(&config(), &[name]).await;
            assert!(matches!(listener, Err(Error::InvalidInput(_))), "{listener:?}");
        }
        assert!(matches!(
            Listener::connect(&config(), &[]).await,
            Err(Error::InvalidInput(_))
        ));
        let mut elsewhere = config();
        elsewhere.database = "nowhere".to_owned();
        assert!(matches!(
            Listener::connect(&elsewhere, &["a"]).await,
            Err(Error::Db(_))
        ));
        let mut pooled = config();
        pooled.pgbouncer = true;
        assert!(matches!(
            Listener::connect(&pooled, &["a"]).await,
            Err(Error::Unsupported(_))
        ));
        let error = connection.notify("a", &"x".repeat(8000)).await.unwrap_err();
        assert!(matches!(error, Error::Db(_)));
    });
}
