//! The protocols of subscriptions, rule by rule, and against a model of them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use puff_graphql::Value;
use puff_graphql::transport::{Action, Closing, Dialect, OperationKey, Session};
use serde_json::{Value as Json, json};

fn say(session: &mut Session, message: &Json) -> Vec<Action> {
    session.receive(message.to_string().as_bytes())
}

fn ready(dialect: Dialect) -> Session {
    let mut session = Session::new(dialect, 3);
    say(&mut session, &json!({"type": "connection_init"}));
    session.accept(None);
    session
}

fn start(id: &str) -> Json {
    json!({"id": id, "type": "subscribe", "payload": {"query": "subscription { a }"}})
}

fn closed(actions: &[Action]) -> (u16, &str) {
    match actions {
        [.., Action::Close(Closing { code, reason })] => (*code, reason),
        other => panic!("no close: {other:?}"),
    }
}

fn sent(action: &Action) -> Json {
    match action {
        Action::Send(text) => serde_json::from_slice(text).unwrap(),
        other => panic!("nothing sent: {other:?}"),
    }
}

fn started(actions: &[Action]) -> OperationKey {
    match actions {
        [.., Action::Start { operation, .. }] => *operation,
        other => panic!("nothing started: {other:?}"),
    }
}

#[test]
fn the_best_protocol_is_chosen() {
    let choose = |offered: &[&str], legacy| Dialect::choose(offered.iter().copied(), legacy);
    assert_eq!(choose(&["graphql-transport-ws"], false), Some(Dialect::Current));
    assert_eq!(
        choose(&["graphql-ws", "graphql-transport-ws"], true),
        Some(Dialect::Current)
    );
    assert_eq!(choose(&["graphql-ws"], true), Some(Dialect::Legacy));
    assert_eq!(choose(&["graphql-ws"], false), None);
    assert_eq!(choose(&[], true), None);
    assert_eq!(choose(&["GraphQL-Transport-WS"], true), None);
}

#[test]
fn a_connection_is_asked_for_once() {
    let mut session = Session::new(Dialect::Current, 3);
    assert!(session.is_new());
    let actions = say(
        &mut session,
        &json!({"type": "connection_init", "payload": {"a": 1}}),
    );
    assert!(
        matches!(&actions[..], [Action::Connect(Some(payload))] if payload.get("a") == Some(&Value::Int(1)))
    );
    assert!(!session.is_new());
    // While the program is being asked, and after.
    let mut asked = Session::new(Dialect::Current, 3);
    say(&mut asked, &json!({"type": "connection_init"}));
    let again = say(&mut asked, &json!({"type": "connection_init"}));
    assert_eq!(closed(&again), (4429, "Too many initialisation requests"));
    let again = say(&mut ready(Dialect::Current), &json!({"type": "connection_init"}));
    assert_eq!(closed(&again), (4429, "Too many initialisation requests"));
}

#[test]
fn the_program_decides() {
    let mut session = Session::new(Dialect::Current, 3);
    say(&mut session, &json!({"type": "connection_init", "payload": null}));
    let actions = session.accept(Some(br#"{"you":"are 1"}"#));
    assert_eq!(
        sent(&actions[0]),
        json!({"type": "connection_ack", "payload": {"you": "are 1"}})
    );
    assert!(session.accept(None).is_empty() && session.refuse("late").is_empty());

    let mut session = Session::new(Dialect::Current, 3);
    assert!(session.accept(None).is_empty());
    say(&mut session, &json!({"type": "connection_init"}));
    assert_eq!(closed(&session.refuse("no token")), (4403, "no token"));
    assert!(session.accept(None).is_empty());

    let mut session = Session::new(Dialect::Current, 3);
    say(&mut session, &json!({"type": "connection_init"}));
    assert_eq!(
        closed(&session.fail_connection()),
        (4500, "Internal server error")
    );
}

#[test]
fn the_time_for_a_connection_is_bounded() {
    let mut session = Session::new(Dialect::Current, 3);
    assert_eq!(
        closed(&session.init_timed_out()),
        (4408, "Connection initialisation timeout")
    );
    let mut session = Session::new(Dialect::Current, 3);
    say(&mut session, &json!({"type": "connection_init"}));
    assert!(session.init_timed_out().is_empty());
    assert!(ready(Dialect::Current).init_timed_out().is_empty());
}

#[test]
fn nothing_starts_before_the_acknowledgement() {
    let mut session = Session::new(Dialect::Current, 3);
    assert_eq!(closed(&say(&mut session, &start("1"))), (4401, "Unauthorized"));
    let mut session = Session::new(Dialect::Current, 3);
    say(&mut session, &json!({"type": "connection_init"}));
    assert_eq!(closed(&say(&mut session, &start("1"))), (4401, "Unauthorized"));
    let mut legacy = Session::new(Dialect::Legacy, 3);
    let actions = say(
        &mut legacy,
        &json!({"id": "1", "type": "start", "payload": {"query": "{ a }"}}),
    );
    assert_eq!(closed(&actions).0, 4401);
}

#[test]
fn pings_are_answered_at_any_time() {
    let mut session = Session::new(Dialect::Current, 3);
    let actions = say(&mut session, &json!({"type": "ping"}));
    assert_eq!(sent(&actions[0]), json!({"type": "pong"}));
    assert!(say(&mut session, &json!({"type": "pong", "payload": {"a": 1}})).is_empty());
    let mut session = ready(Dialect::Current);
    let actions = say(&mut session, &json!({"type": "ping", "payload": {"a": [1]}}));
    assert_eq!(sent(&actions[0]), json!({"type": "pong", "payload": {"a": [1]}}));
}

#[test]
fn what_is_no_message_closes() {
    for text in [
        "",
        "{",
        "null",
        "1",
        "[]",
        "\"ping\"",
        "{}",
        r#"{"type": 1}"#,
        r#"{"type": "what"}"#,
        r#"{"type": "start", "id": "1", "payload": {"query": "{ a }"}}"#,
        r#"{"type": "connection_ack"}"#,
        r#"{"type": "next", "id": "1", "payload": {}}"#,
        r#"{"type": "ping", "payload": 1}"#,
        r#"{"type": "pong", "payload": "a"}"#,
        r#"{"type": "connection_init", "payload": []}"#,
        r#"{"type": "subscribe"}"#,
        r#"{"type": "subscribe", "id": "1"}"#,
        r#"{"type": "subscribe", "payload": {"query": "{ a }"}}"#,
        r#"{"type": "subscribe", "id": "", "payload": {"query": "{ a }"}}"#,
        r#"{"type": "subscribe", "id": 1, "payload": {"query": "{ a }"}}"#,
        r#"{"type": "subscribe", "id": null, "payload": {"query": "{ a }"}}"#,
        r#"{"type": "subscribe", "id": "1", "payload": null}"#,
        r#"{"type": "subscribe", "id": "1", "payload": "{ a }"}"#,
        r#"{"type": "subscribe", "id": "1", "payload": {}}"#,
        r#"{"type": "subscribe", "id": "1", "payload": {"query": 1}}"#,
        r#"{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "variables": "x"}}"#,
        r#"{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "variables": [1]}}"#,
        r#"{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "operationName": 1}}"#,
        r#"{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "extensions": 1}}"#,
        r#"{"type": "complete"}"#,
        r#"{"type": "complete", "id": 1}"#,
        r#"{"type": "complete", "id": ""}"#,
    ] {
        for mut session in [Session::new(Dialect::Current, 3), ready(Dialect::Current)] {
            let actions = session.receive(text.as_bytes());
            let (code, reason) = closed(&actions);
            assert_eq!(code, 4400, "{text}");
            assert!(!reason.is_empty() && reason.len() <= 123, "{reason}");
            assert!(
                say(&mut session, &start("1")).is_empty(),
                "a closed session does nothing"
            );
        }
    }
    assert_eq!(closed(&ready(Dialect::Current).receive_binary()).0, 4400);
    let long = start(&"x".repeat(1025));
    assert_eq!(closed(&say(&mut ready(Dialect::Current), &long)).0, 4400);
}

#[test]
fn ids_are_unique_while_they_are_in_use() {
    let mut session = ready(Dialect::Current);
    let first = started(&say(&mut session, &start("é\"1")));
    let twice = say(&mut session, &start("é\"1"));
    assert_eq!(closed(&twice), (4409, "Subscriber for é\"1 already exists"));
    assert!(session.completed(first).is_none(), "closed");

    let mut session = ready(Dialect::Current);
    let first = started(&say(&mut session, &start("1")));
    let complete = session.completed(first).unwrap();
    assert_eq!(
        serde_json::from_slice::<Json>(&complete).unwrap(),
        json!({"id": "1", "type": "complete"})
    );
    let second = started(&say(&mut session, &start("1")));
    assert_ne!(first, second);
    let failed = session
        .failed(second, br#"{"errors":[{"message":"no"}]}"#)
        .unwrap();
    assert_eq!(
        serde_json::from_slice::<Json>(&failed).unwrap(),
        json!({"id": "1", "type": "error", "payload": [{"message": "no"}]})
    );
    started(&say(&mut session, &start("1")));
    // A reason has room for 123 bytes, and ends with a whole character.
    let long = "é".repeat(100);
    started(&say(&mut session, &start(&long)));
    let twice = say(&mut session, &start(&long));
    assert!(closed(&twice).1.len() <= 123 && closed(&twice).1.starts_with("Subscriber for éé"));
}

#[test]
fn the_client_completes() {
    let mut session = ready(Dialect::Current);
    let operation = started(&say(&mut session, &start("1")));
    let stop = json!({"id": "1", "type": "complete"});
    assert!(matches!(say(&mut session, &stop)[..], [Action::Stop(stopped)] if stopped == operation));
    assert!(
        say(&mut session, &stop).is_empty(),
        "whatever comes late does no harm"
    );
    // It ended on its own in the meantime: nothing is said of it any more.
    assert!(session.completed(operation).is_none());
    assert!(session.failed(operation, b"{}").is_none());
    started(&say(&mut session, &start("1")));
}

#[test]
fn operations_are_bounded() {
    let mut session = ready(Dialect::Current);
    let first = started(&say(&mut session, &start("1")));
    started(&say(&mut session, &start("2")));
    started(&say(&mut session, &start("3")));
    let refused = sent(&say(&mut session, &start("4"))[0]);
    assert_eq!(refused["type"], "error");
    assert_eq!(refused["id"], "4");
    assert_eq!(refused["payload"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
    session.completed(first).unwrap();
    started(&say(&mut session, &start("4")));
}

#[test]
fn answers_go_into_the_frame_of_their_operation() {
    let mut session = ready(Dialect::Current);
    let actions = say(&mut session, &start("a\"b"));
    let [Action::Start { frame, request, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(request.query, "subscription { a }");
    assert_eq!(
        serde_json::from_slice::<Json>(&frame.around(br#"{"data":{"a":1}}"#)).unwrap(),
        json!({"id": "a\"b", "type": "next", "payload": {"data": {"a": 1}}})
    );
}

#[test]
fn the_old_protocol() {
    let mut session = Session::new(Dialect::Legacy, 3);
    assert!(session.keep_alive().is_none());
    say(&mut session, &json!({"type": "connection_init", "payload": {}}));
    let actions = session.accept(None);
    assert_eq!(sent(&actions[0]), json!({"type": "connection_ack"}));
    assert_eq!(sent(&actions[1]), json!({"type": "ka"}));
    let begin = json!({"id": "1", "type": "start", "payload": {"query": "{ a }"}});
    let actions = say(&mut session, &begin);
    let [
        Action::Start {
            frame,
            operation: first,
            ..
        },
    ] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!(
        serde_json::from_slice::<Json>(&frame.around(b"{}")).unwrap(),
        json!({"id": "1", "type": "data", "payload": {}})
    );
    // The same id again takes the place of the first.
    let actions = say(&mut session, &begin);
    assert!(matches!(actions[0], Action::Stop(stopped) if stopped == *first));
    let second = started(&actions);
    let actions = say(&mut session, &json!({"id": "1", "type": "stop"}));
    assert!(matches!(actions[0], Action::Stop(stopped) if stopped == second));
    assert_eq!(sent(&actions[1]), json!({"id": "1", "type": "complete"}));
    let third = started(&say(&mut session, &begin));
    let failed = session
        .failed(third, br#"{"errors":[{"message":"no"},{"message":"two"}]}"#)
        .unwrap();
    assert_eq!(
        serde_json::from_slice::<Json>(&failed).unwrap(),
        json!({"id": "1", "type": "error", "payload": {"message": "no"}})
    );
    assert_eq!(closed(&say(&mut session, &json!({"type": "ping"}))).0, 4400);
    let mut session = ready(Dialect::Legacy);
    assert_eq!(
        closed(&say(&mut session, &json!({"type": "connection_terminate"}))).0,
        1000
    );
    let mut session = Session::new(Dialect::Legacy, 3);
    say(&mut session, &json!({"type": "connection_init"}));
    let actions = session.refuse("who?");
    assert_eq!(
        sent(&actions[0]),
        json!({"type": "connection_error", "payload": {"message": "who?"}})
    );
    assert_eq!(closed(&actions), (4403, "who?"));
}

// ------------------------------------------------------------------ against a model

/// What may happen to a session.
#[derive(Debug, Clone)]
enum Input {
    Init,
    Ping,
    Subscribe(u8),
    Complete(u8),
    Garbage(Vec<u8>),
    Binary,
    Accept,
    Refuse,
    Fail,
    Timeout,
    Completed(u8),
    Failed(u8),
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        2 => Just(Input::Init),
        2 => Just(Input::Ping),
        8 => (0u8..5).prop_map(Input::Subscribe),
        5 => (0u8..5).prop_map(Input::Complete),
        1 => proptest::collection::vec(any::<u8>(), 0..20).prop_map(Input::Garbage),
        1 => Just(Input::Binary),
        4 => Just(Input::Accept),
        1 => Just(Input::Refuse),
        1 => Just(Input::Fail),
        1 => Just(Input::Timeout),
        5 => (0u8..5).prop_map(Input::Completed),
        3 => (0u8..5).prop_map(Input::Failed),
    ]
}

/// The protocol once more, as plainly as it can be put: what is said, and nothing of how.
struct Model {
    asked: bool,
    acknowledged: bool,
    closed: bool,
    running: BTreeMap<u8, usize>,
    started: usize,
}

impl Model {
    /// What is expected to come of an input, in words.
    fn expect(&mut self, input: &Input) -> Vec<String> {
        if self.closed {
            return Vec::new();
        }
        let close = |code: u16| format!("close {code}");
        let said = match input {
            Input::Init if self.asked => vec![close(4429)],
            Input::Init => {
                self.asked = true;
                vec!["connect".into()]
            }
            Input::Ping => vec!["pong".into()],
            Input::Subscribe(_) if !self.acknowledged => vec![close(4401)],
            Input::Subscribe(id) if self.running.contains_key(id) => vec![close(4409)],
            Input::Subscribe(id) if self.running.len() == 3 => vec![format!("error {id}")],
            Input::Subscribe(id) => {
                self.started += 1;
                self.running.insert(*id, self.started);
                vec![format!("start {}", self.started)]
            }
            Input::Complete(id) => match self.running.remove(id) {
                Some(number) => vec![format!("stop {number}")],
                None => Vec::new(),
            },
            Input::Garbage(_) | Input::Binary => vec![close(4400)],
            Input::Accept if self.asked && !self.acknowledged => {
                self.acknowledged = true;
                vec!["connection_ack".into()]
            }
            Input::Refuse if self.asked && !self.acknowledged => vec![close(4403)],
            Input::Fail if self.asked && !self.acknowledged => vec![close(4500)],
            Input::Timeout if !self.asked => vec![close(4408)],
            Input::Accept | Input::Refuse | Input::Fail | Input::Timeout => Vec::new(),
            Input::Completed(id) => match self.running.remove(id) {
                Some(_) => vec![format!("complete {id}")],
                None => Vec::new(),
            },
            Input::Failed(id) => match self.running.remove(id) {
                Some(_) => vec![format!("error {id}")],
                None => Vec::new(),
            },
        };
        if said.iter().any(|word| word.starts_with("close")) {
            self.closed = true;
            self.running.clear();
        }
        said
    }
}

/// A session with the names that the model gives to its operations.
struct Driven {
    session: Session,
    keys: Vec<OperationKey>,
    /// By id, as a driver keeps them: also of those that have been stopped.
    latest: BTreeMap<u8, OperationKey>,
}

impl Driven {
    fn apply(&mut self, input: &Input) -> Vec<String> {
        let session = &mut self.session;
        let subscribe = |id: &u8| start(&id.to_string());
        let actions = match input {
            Input::Init => say(session, &json!({"type": "connection_init"})),
            Input::Ping => say(session, &json!({"type": "ping"})),
            Input::Subscribe(id) => say(session, &subscribe(id)),
            Input::Complete(id) => say(session, &json!({"type": "complete", "id": id.to_string()})),
            Input::Garbage(bytes) => session.receive(bytes),
            Input::Binary => session.receive_binary(),
            Input::Accept => session.accept(None),
            Input::Refuse => session.refuse("no"),
            Input::Fail => session.fail_connection(),
            Input::Timeout => session.init_timed_out(),
            Input::Completed(id) => {
                let text = self.latest.get(id).and_then(|key| session.completed(*key));
                text.map(Action::Send).into_iter().collect()
            }
            Input::Failed(id) => {
                let answer = br#"{"errors":[{"message":"x"}]}"#;
                let text = self.latest.get(id).and_then(|key| session.failed(*key, answer));
                text.map(Action::Send).into_iter().collect()
            }
        };
        let mut words = Vec::new();
        for action in actions {
            words.push(match action {
                Action::Connect(_) => "connect".into(),
                Action::Send(text) => {
                    let message: Json = serde_json::from_slice(&text).unwrap();
                    let kind = message["type"].as_str().unwrap().to_owned();
                    match message["id"].as_str() {
                        Some(id) => format!("{kind} {id}"),
                        None => kind,
                    }
                }
                Action::Start { operation, frame, .. } => {
                    let around: Json = serde_json::from_slice(&frame.around(b"{}")).unwrap();
                    let id = around["id"].as_str().unwrap().parse().unwrap();
                    assert!(!self.keys.contains(&operation), "a key is never used again");
                    self.keys.push(operation);
                    self.latest.insert(id, operation);
                    format!("start {}", self.keys.len())
                }
                Action::Stop(key) => {
                    let number = self.keys.iter().position(|known| *known == key).unwrap() + 1;
                    format!("stop {number}")
                }
                Action::Close(closing) => format!("close {}", closing.code),
            });
        }
        words
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PUFF_TEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000)
    ))]

    #[test]
    fn a_session_does_what_the_model_says(inputs in proptest::collection::vec(input(), 0..40)) {
        let mut model = Model {
            asked: false, acknowledged: false, closed: false, running: BTreeMap::new(), started: 0,
        };
        let mut driven = Driven {
            session: Session::new(Dialect::Current, 3), keys: Vec::new(), latest: BTreeMap::new(),
        };
        for input in &inputs {
            prop_assert_eq!(driven.apply(input), model.expect(input), "{:?}", input);
            prop_assert_eq!(driven.session.operations(), model.running.len());
        }
    }

    #[test]
    fn no_text_makes_a_session_panic(texts in proptest::collection::vec(".{0,80}", 0..10), legacy in any::<bool>()) {
        let mut session = ready(if legacy { Dialect::Legacy } else { Dialect::Current });
        for text in texts {
            session.receive(text.as_bytes());
        }
    }
}
