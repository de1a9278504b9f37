//! Crews under a clock that the test moves.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A crew, and a clock that the test moves.
struct Test {
    crew: Crew,
    now: Instant,
}

impl Test {
    fn new(target: usize, development: bool) -> Test {
        let rules = Rules {
            development,
            limits: WorkerLimits::default(),
            start_timeout: 10 * SECOND,
            stop_timeout: 20 * SECOND,
        };
        let now = Instant::now();
        Test {
            crew: Crew::new(rules, target, now),
            now,
        }
    }

    /// A crew at work.
    fn at_work(target: usize) -> Test {
        let mut test = Test::new(target, false);
        assert_eq!(test.settle(), "start 1");
        test.crew.ready(1, test.now);
        test.settle();
        (2..=target as Id).for_each(|id| test.crew.ready(id, test.now));
        test.settle();
        assert!(test.crew.booted);
        test
    }

    fn settle(&mut self) -> String {
        let mut said = Vec::new();
        loop {
            let actions = self.crew.settle(self.now);
            said.extend(actions.iter().map(|action| match action {
                Action::Start { id, .. } => format!("start {id}"),
                Action::Stop(id) => format!("stop {id}"),
                Action::Kill(id) => format!("kill {id}"),
                Action::Reloaded(done) => format!("reloaded {done}"),
                Action::End(status) => format!("end {status}"),
            }));
            if actions.is_empty() || matches!(actions.last(), Some(Action::End(_))) {
                return said.join(", ");
            }
        }
    }

    fn exits(&mut self, id: Id, status: i32) -> String {
        self.crew.exited(id, status, "ended", self.now);
        self.settle()
    }

    fn ready(&mut self, id: Id) -> String {
        self.crew.ready(id, self.now);
        self.settle()
    }
}

#[test]
fn the_first_worker_comes_alone() {
    let mut test = Test::new(3, false);
    assert_eq!(test.settle(), "start 1");
    assert_eq!(test.ready(1), "start 2, start 3");
    assert_eq!(test.ready(2), "");
    assert_eq!(test.ready(3), "reloaded true");
}

#[test]
fn a_program_that_does_not_start_ends_with_its_status() {
    let mut test = Test::new(2, false);
    test.settle();
    assert_eq!(test.exits(1, 2), "end 2");
    let mut test = Test::new(2, false);
    test.settle();
    test.ready(1);
    assert_eq!(test.exits(2, 3), "stop 1");
    assert_eq!(test.exits(1, 0), "end 3");
}

#[test]
fn new_workers_are_ready_before_old_ones_leave() {
    let mut test = Test::at_work(2);
    test.crew.reload(test.now);
    assert_eq!(test.settle(), "start 3");
    assert_eq!(test.ready(3), "start 4");
    assert_eq!(test.ready(4), "reloaded true, stop 1, stop 2");
    assert_eq!(test.exits(1, 0), "");
    assert_eq!(test.exits(2, 0), "");
    assert_eq!(test.crew.members.len(), 2);
}

#[test]
fn old_workers_go_on_if_new_ones_do_not_start() {
    let mut test = Test::at_work(2);
    test.crew.reload(test.now);
    test.settle();
    assert_eq!(test.exits(3, 2), "reloaded false");
    test.crew.reload(test.now);
    assert_eq!(test.settle(), "start 4");
    assert_eq!(test.ready(4), "start 5");
    // The second of them fails: the first goes as well.
    assert_eq!(test.exits(5, 1), "reloaded false, stop 4");
    assert_eq!(test.exits(4, 0), "");
    assert_eq!(test.crew.members.keys().copied().collect::<Vec<_>>(), [1, 2]);
    // A reload while another one runs begins anew.
    test.crew.reload(test.now);
    assert_eq!(test.settle(), "start 6");
    test.crew.reload(test.now);
    assert_eq!(test.settle(), "stop 6, start 7");
}

#[test]
fn a_reload_may_come_while_the_first_ones_start() {
    let mut test = Test::new(2, false);
    test.settle();
    test.ready(1);
    test.crew.reload(test.now);
    assert_eq!(test.settle(), "start 3");
    assert_eq!(test.exits(3, 2), "reloaded false");
    assert_eq!(test.ready(2), "");
    assert_eq!(test.crew.members.len(), 2);
}

#[test]
fn a_crash_is_made_good_and_a_loop_slows_down() {
    let mut test = Test::at_work(1);
    test.now += 10 * SECOND;
    assert_eq!(test.exits(1, 139), "start 2");
    for (id, pause) in [(2, 0), (3, 500), (4, 1000), (5, 2000)] {
        test.ready(id);
        assert_eq!(test.exits(id, 139), if pause == 0 { "start 3" } else { "" });
        if pause > 0 {
            test.now += Duration::from_millis(pause - 1);
            assert_eq!(test.settle(), "");
            assert_eq!(
                test.crew.next(test.now),
                Some(test.now + Duration::from_millis(1))
            );
            test.now += Duration::from_millis(1);
            assert_eq!(test.settle(), format!("start {}", id + 1));
        }
    }
    test.ready(6);
    test.now += STABLE;
    test.settle();
    assert_eq!(test.crew.failures, 0);
}

#[test]
fn the_spent_are_replaced_one_after_the_other() {
    let mut test = Test::at_work(2);
    test.crew.spent(1, "is spent");
    test.crew.spent(2, "is spent");
    assert_eq!(test.settle(), "start 3");
    assert_eq!(test.ready(3), "stop 1, start 4");
    assert_eq!(test.ready(4), "stop 2");
}

#[test]
fn ages_and_sizes_have_limits() {
    let mut test = Test::new(1, false);
    test.crew.rules.limits = WorkerLimits {
        requests: Some(100),
        lifetime: Some(60 * SECOND),
        memory: Some(1 << 30),
    };
    test.settle();
    test.ready(1);
    assert!((90..=100).contains(&test.crew.requests_of(1).unwrap()));
    test.now += 50 * SECOND;
    test.crew.measure(test.now, |_| Some(100 << 20));
    assert_eq!(test.settle(), "");
    test.crew.measure(test.now, |_| Some(1 << 30));
    assert_eq!(test.settle(), "start 2");
    assert_eq!(test.ready(2), "stop 1");
    assert_eq!(test.exits(1, 0), "");
    test.now += 60 * SECOND;
    test.crew.measure(test.now, |_| None);
    assert_eq!(test.settle(), "start 3");
}

#[test]
fn a_crew_grows_and_shrinks() {
    let mut test = Test::at_work(2);
    test.crew.resize_by(true);
    assert_eq!(test.settle(), "start 3");
    test.crew.resize_by(false);
    assert_eq!(test.settle(), "stop 3");
    test.crew.resize_by(false);
    assert_eq!(test.settle(), "stop 2");
    test.crew.resize_by(false);
    assert_eq!(test.settle(), "");
    assert_eq!(test.crew.target(), 1);
}

#[test]
fn patience_ends() {
    let mut test = Test::at_work(1);
    test.crew.reload(test.now);
    test.settle();
    test.now += 10 * SECOND;
    assert_eq!(test.settle(), "kill 2");
    assert_eq!(test.exits(2, 137), "reloaded false");
    test.crew.end(0);
    assert_eq!(test.settle(), "stop 1");
    test.now += 20 * SECOND;
    assert_eq!(test.settle(), "kill 1");
    assert_eq!(test.exits(1, 137), "end 0");
}

#[test]
fn a_second_wish_to_end_is_heard() {
    let mut test = Test::at_work(2);
    test.crew.end(0);
    assert_eq!(test.settle(), "stop 1, stop 2");
    test.crew.end_now(130);
    assert_eq!(test.settle(), "kill 1, kill 2");
    assert_eq!(test.exits(1, 137), "");
    assert_eq!(test.exits(2, 137), "end 130");
}

#[test]
fn development_waits_for_the_fix() {
    let mut test = Test::new(1, true);
    test.settle();
    assert_eq!(test.exits(1, 2), "reloaded false");
    assert!(test.crew.is_waiting());
    test.crew.reload(test.now);
    assert_eq!(test.settle(), "start 2");
    assert_eq!(test.ready(2), "reloaded true");
    // Old code answers no more.
    test.crew.reload(test.now);
    assert_eq!(test.settle(), "stop 2, start 3");
    assert_eq!(test.exits(3, 2), "reloaded false");
    assert_eq!(test.exits(2, 0), "");
}
