//! What a queue gives, and in which order.

use super::*;

fn queue(messages: usize, bytes: usize, overflow: Overflow) -> Queue {
    let mut queue = Queue::new(Bounds {
        messages,
        bytes,
        overflow,
    });
    queue.enter(&"a".into(), true);
    queue.enter(&"b".into(), true);
    queue
}

fn message(channel: &str, number: u64, body: &str) -> Arc<Message> {
    let position = (number > 0).then(|| Position::new(1, number));
    let from = body.strip_prefix('@').map(|_| Arc::from("me"));
    Arc::new(Message::new(
        channel.into(),
        body.to_owned().into(),
        from,
        position,
    ))
}

/// Delivers "a1" to "a" with number 1; "a" without a number.
fn send(queue: &mut Queue, what: &str) -> Delivered {
    let number = what[1..].parse().unwrap_or(0);
    queue.deliver(&message(&what[..1], number, what), "me")
}

fn send_all<const N: usize>(queue: &mut Queue, all: [&str; N]) -> [Delivered; N] {
    all.map(|what| send(queue, what))
}

fn show(event: Event) -> String {
    let number = |position: Option<Position>| position.map_or("?".to_owned(), |at| at.sequence().to_string());
    match event {
        Event::Message(message) => String::from_utf8_lossy(&message.body).into_owned(),
        Event::Gap(gap) => format!("{}({}..{})", gap.channel, number(gap.last), number(gap.next)),
        other => format!("{other:?}"),
    }
}

/// All that is queued: a message as its body, a gap as "channel(last..next)".
fn drain(queue: &mut Queue) -> Vec<String> {
    std::iter::from_fn(|| queue.take()).map(show).collect()
}

fn caught(messages: impl IntoIterator<Item = u64>, head: u64) -> Caught {
    Caught {
        head: Some(Position::new(1, head)),
        messages: messages
            .into_iter()
            .map(|number| message("a", number, &format!("a{number}")))
            .collect(),
        keeps: true,
    }
}

const GAP: Overflow = Overflow::Gap;

#[test]
fn overflow_marks_one_gap_per_channel_where_messages_are_missing() {
    let mut queue = queue(2, 100, GAP);
    let outcome = send_all(&mut queue, ["a1", "a2", "a3", "a4", "b7"]);
    let dropped = |gap| Delivered::Dropped { messages: 1, gap };
    assert_eq!(outcome[2..], [dropped(true), dropped(false), dropped(true)]);
    assert_eq!(drain(&mut queue), ["a1", "a2", "a(2..?)", "b(?..?)"]);
    send(&mut queue, "a6");
    assert_eq!(drain(&mut queue), ["a6"]);
}

#[test]
fn a_gap_tells_what_is_before_and_after_it() {
    let mut queue = queue(1, 100, GAP);
    send_all(&mut queue, ["a1", "a2"]);
    assert_eq!(queue.take().map(show).as_deref(), Some("a1"));
    send(&mut queue, "a5");
    let Some(Event::Gap(gap)) = queue.take() else {
        panic!("no gap")
    };
    assert_eq!(gap.missed(), Some(3));
    assert_eq!(drain(&mut queue), ["a5"]);
}

#[test]
fn a_loss_after_a_received_gap_is_marked_again() {
    let mut queue = queue(1, 100, GAP);
    send_all(&mut queue, ["a1", "a2"]);
    assert_eq!(queue.take().map(show).as_deref(), Some("a1"));
    send(&mut queue, "b1");
    assert!(matches!(queue.take(), Some(Event::Gap { .. })));
    send(&mut queue, "a3");
    assert_eq!(drain(&mut queue), ["b1", "a(1..?)"]);
}

#[test]
fn bytes_are_bounded_but_a_large_message_passes_alone() {
    let mut queue = queue(10, 4, GAP);
    send_all(&mut queue, ["a12345", "a7"]);
    assert_eq!(drain(&mut queue), ["a12345", "a(12345..?)"]);
    send_all(&mut queue, ["a1", "a2", "a3"]);
    assert_eq!(drain(&mut queue), ["a1", "a2", "a(2..?)"]);
}

#[test]
fn the_oldest_are_dropped_with_a_gap_in_front() {
    let mut queue = queue(2, 100, Overflow::DropOldest);
    send_all(&mut queue, ["a1", "b1"]);
    assert_eq!(queue.take().map(show).as_deref(), Some("a1"));
    let outcome = send_all(&mut queue, ["a2", "a3", "a4", "a5"]);
    assert_eq!(
        outcome[3],
        Delivered::Dropped {
            messages: 1,
            gap: false
        }
    );
    assert_eq!(queue.len(), 2);
    assert_eq!(drain(&mut queue), ["b(?..?)", "a(1..4)", "a4", "a5"]);
    send_all(&mut queue, ["a6", "a7", "a8"]);
    assert_eq!(drain(&mut queue), ["a(5..7)", "a7", "a8"]);
}

#[test]
fn a_gap_that_is_passed_by_dropping_is_kept_in_front() {
    let mut queue = queue(2, 100, Overflow::DropOldest);
    assert!(queue.gap(&"a".into(), None));
    assert!(queue.gap(&"b".into(), None));
    send_all(&mut queue, ["a1", "a2", "a3"]);
    assert!(!queue.gap(&"b".into(), None), "the one in front covers it");
    assert_eq!(drain(&mut queue), ["a(?..2)", "b(?..?)", "a2", "a3"]);
}

#[test]
fn a_slow_connection_may_be_ended() {
    let mut queue = queue(1, 100, Overflow::Disconnect);
    assert_eq!(
        send_all(&mut queue, ["a1", "a2"]),
        [Delivered::Queued, Delivered::Overflowed]
    );
}

#[test]
fn leaving_a_channel_purges_it_and_makes_room() {
    let mut queue = queue(2, 100, GAP);
    send_all(&mut queue, ["a1", "b2", "a3"]);
    assert!(queue.leave("a"));
    assert!(!queue.leave("a"));
    assert_eq!(send(&mut queue, "a4"), Delivered::Unwanted);
    send(&mut queue, "b3");
    assert_eq!(drain(&mut queue), ["b2", "b3"]);

    queue.enter(&"a".into(), true);
    queue.hold("a");
    send_all(&mut queue, ["a5", "a6", "a7"]);
    queue.leave("a");
    assert_eq!(queue.len(), 0);
    assert_eq!(drain(&mut queue), [""; 0]);
}

#[test]
fn gaps_without_messages_do_not_pile_up() {
    let mut queue = queue(1, 1, GAP);
    for _ in 0..100 {
        queue.gap(&"a".into(), None);
    }
    assert_eq!(drain(&mut queue), ["a(?..?)"]);
}

#[test]
fn a_connection_may_leave_out_its_own_messages() {
    let mut queue = queue(9, 100, GAP);
    queue.enter(&"a".into(), false);
    let own = message("a", 1, "@");
    assert_eq!(queue.deliver(&own, "me"), Delivered::Unwanted);
    assert_eq!(queue.deliver(&own, "you"), Delivered::Queued);
}

#[test]
fn a_replay_comes_between_what_was_before_and_what_is_live() {
    let mut queue = queue(9, 100, GAP);
    send_all(&mut queue, ["a1", "b1"]);
    queue.hold("a");
    send_all(&mut queue, ["a5", "b2", "a6"]);
    let (resume, new) = queue.release("a", Some(Position::new(1, 1)), &caught(1..=6, 6), false, "me");
    assert_eq!((resume.replay.len(), resume.gap, new), (3, false, false));
    assert_eq!(
        drain(&mut queue),
        ["a1", "b1", "b2", "a2", "a3", "a4", "a5", "a6"]
    );
}

#[test]
fn what_the_connection_has_from_another_node_is_not_repeated() {
    let mut queue = queue(9, 100, GAP);
    queue.hold("a");
    send_all(&mut queue, ["a4", "a5", "a6"]);
    queue.release("a", Some(Position::new(1, 5)), &caught(3..=6, 6), false, "me");
    assert_eq!(queue.len(), 1);
    assert_eq!(drain(&mut queue), ["a6"]);
}

#[test]
fn what_overflows_while_it_is_held_is_a_gap_in_its_place() {
    let mut queue = queue(2, 100, GAP);
    queue.hold("a");
    send_all(&mut queue, ["a5", "a6", "a7", "a8"]);
    queue.release("a", Some(Position::new(1, 1)), &caught(3..=8, 8), false, "me");
    assert_eq!(drain(&mut queue), ["a(1..3)", "a3", "a4", "a5", "a6", "a(6..?)"]);
}

#[test]
fn a_gap_before_the_reconnect_covers_the_one_after_it_only_while_it_waits() {
    for (taken, expected) in [(0, vec!["a(?..5)", "a5"]), (1, vec!["a(?..5)", "a5"])] {
        let mut queue = queue(9, 100, GAP);
        queue.gap(&"a".into(), None);
        queue.hold("a");
        for _ in 0..taken {
            assert!(queue.take().is_some());
        }
        send(&mut queue, "a5");
        queue.settle(&"a".into());
        assert_eq!(drain(&mut queue), expected);
    }
}
