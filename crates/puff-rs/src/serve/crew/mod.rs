//! Who works, who starts, who leaves: the decisions of a supervisor, without processes and without a clock.
//!
//! Events change the crew; [`Crew::settle`] then says what is to be done so that it becomes what it should be.
//! Nobody leaves before somebody else is ready, but for development, where an old worker must not answer with
//! old code.

mod member;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use self::member::{Member, Stage, drawn};
use super::config::{ProcessConfig, WorkerLimits};

/// A worker, by a number that is never used again.
pub(super) type Id = u64;

/// A worker that has served for so long was no failure.
const STABLE: Duration = Duration::from_secs(5);
/// The wait before the third worker in a row that ends at once; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What TTIN can make of a crew.
const MOST_WORKERS: usize = 1024;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Start worker `number`.
    Start { id: Id, number: usize },
    /// Ask it to stop.
    Stop(Id),
    /// End it by force.
    Kill(Id),
    /// A reload is over: the new settings hold, or the old ones still do.
    Reloaded(bool),
    /// All have gone: end with this status.
    End(i32),
}

/// The rules of a crew.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) development: bool,
    pub(super) limits: WorkerLimits,
    pub(super) start_timeout: Duration,
    pub(super) stop_timeout: Duration,
}

impl Rules {
    pub(super) fn new(config: &ProcessConfig) -> Rules {
        Rules {
            development: config.reload,
            limits: config.limits,
            start_timeout: config.start_timeout,
            stop_timeout: config.stop_timeout,
        }
    }
}

/// The workers of a supervisor.
#[derive(Debug)]
pub(super) struct Crew {
    rules: Rules,
    target: usize,
    members: BTreeMap<Id, Member>,
    next_id: Id,
    generation: u64,
    /// The generation that is to take over, from the start or a reload on until all of it are ready.
    incoming: Option<u64>,
    /// Whether a generation did not come up and that is still to be told.
    aborted: bool,
    /// Whether a generation has been ready once.
    booted: bool,
    /// In development: the program does not start as it is.
    waiting: bool,
    /// Workers in a row that did not live long.
    failures: u32,
    not_before: Instant,
    /// The status to end with, once it is to end.
    ending: Option<i32>,
    /// Whether nobody is given time any more.
    forced: bool,
}

impl Crew {
    /// A crew of `target` workers that are still to be started.
    pub(super) fn new(rules: Rules, target: usize, now: Instant) -> Crew {
        Crew {
            rules,
            target,
            members: BTreeMap::new(),
            next_id: 1,
            generation: 0,
            incoming: Some(1),
            aborted: false,
            booted: false,
            waiting: false,
            failures: 0,
            not_before: now,
            ending: None,
            forced: false,
        }
    }

    // ------------------------------------------------------------------ what happens

    /// A worker serves.
    pub(super) fn ready(&mut self, id: Id, now: Instant) {
        if let Some(member) = self.members.get_mut(&id)
            && matches!(member.stage, Stage::Starting(_))
        {
            member.stage = Stage::Ready;
            member.since = now;
        }
    }

    /// A worker has served enough; `why` completes "worker 1 ...".
    pub(super) fn spent(&mut self, id: Id, why: &str) {
        if let Some(member) = self.members.get_mut(&id)
            && member.is_ready()
            && !member.spent
        {
            info!("worker {} {why}; another takes its place", member.number);
            member.spent = true;
        }
    }

    /// A worker has ended; `how` completes "worker 1 ...".
    pub(super) fn exited(&mut self, id: Id, status: i32, how: &str, now: Instant) {
        let Some(member) = self.members.remove(&id) else {
            return;
        };
        match member.stage {
            _ if self.ending.is_some() => {}
            Stage::Leaving(_) => {}
            Stage::Starting(_) => self.did_not_start(&member, status, how, now),
            Stage::Ready if self.booted && self.incoming == Some(member.generation) => {
                self.did_not_start(&member, status, how, now);
            }
            Stage::Ready => {
                warn!("worker {} {how}; another takes its place", member.number);
                let lived = now.saturating_duration_since(member.since);
                self.failures = if lived < STABLE { self.failures + 1 } else { 0 };
                self.back_off(now);
            }
        }
    }

    fn did_not_start(&mut self, member: &Member, status: i32, how: &str, now: Instant) {
        if self.rules.development {
            if !self.waiting {
                warn!(
                    "worker {} {how}: waiting for a change of its files",
                    member.number
                );
            }
            (self.waiting, self.incoming, self.aborted) = (true, None, true);
        } else if !self.booted {
            if status > 128 {
                error!("worker {} {how} while it started", member.number);
            }
            self.end(if status == 0 { 1 } else { status });
        } else if self.incoming == Some(member.generation) {
            error!(
                "worker {} {how} while it started: the workers before it go on",
                member.number
            );
            (self.incoming, self.aborted) = (None, true);
        } else {
            warn!("worker {} {how} while it started", member.number);
            self.failures += 1;
            self.back_off(now);
        }
    }

    fn back_off(&mut self, now: Instant) {
        let pause = match self.failures {
            0 | 1 => Duration::ZERO,
            many => FIRST_PAUSE
                .saturating_mul(1 << (many - 2).min(16))
                .min(LONGEST_PAUSE),
        };
        self.not_before = now + pause;
        if !pause.is_zero() {
            error!(
                "{} workers in a row have ended soon after their start; the next one starts in {pause:?}",
                self.failures
            );
        }
    }

    // ------------------------------------------------------------------ what is asked for

    /// New workers take over from the present ones; in development these leave at once.
    pub(super) fn reload(&mut self, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        let incoming = self.incoming;
        let serves = |member: &Member| member.is_ready() && Some(member.generation) == incoming;
        if !self.booted
            && let Some(first) = incoming
            && self.members.values().any(serves)
        {
            // Not all of the first are ready; those that are go on if the next ones do not start.
            (self.booted, self.generation) = (true, first);
        }
        let newest = self.members.values().map(|member| member.generation).max();
        self.incoming = Some(newest.unwrap_or(0).max(self.generation) + 1);
        self.waiting = false;
        self.failures = 0;
        self.not_before = now;
    }

    /// How many workers there should be.
    pub(super) fn resize(&mut self, target: usize) {
        self.target = target.clamp(1, MOST_WORKERS);
    }

    /// One worker more, or one less.
    pub(super) fn resize_by(&mut self, more: bool) {
        self.resize(if more { self.target + 1 } else { self.target - 1 });
        info!("{} workers from now on", self.target);
    }

    /// The rules as they are from now on.
    pub(super) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Everybody leaves; the supervisor ends with `status`.
    pub(super) fn end(&mut self, status: i32) {
        self.ending.get_or_insert(status);
    }

    /// Whether the end has begun.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Everybody is ended by force, and the status is another one.
    pub(super) fn end_now(&mut self, status: i32) {
        (self.ending, self.forced) = (Some(status), true);
    }

    /// Looks who is too old or too large; `memory` are a worker's bytes.
    pub(super) fn measure(&mut self, now: Instant, memory: impl Fn(Id) -> Option<u64>) {
        let mut spent = Vec::new();
        for (id, member) in self.members.iter().filter(|(_, member)| member.is_ready()) {
            let age = now.saturating_duration_since(member.since);
            if member.limits.lifetime.is_some_and(|most| age >= most) {
                spent.push((*id, format!("has served for {} s", age.as_secs())));
            } else if let Some(most) = member.limits.memory
                && let Some(bytes) = memory(*id).filter(|bytes| *bytes >= most)
            {
                spent.push((*id, format!("holds {} MiB", bytes >> 20)));
            }
        }
        for (id, why) in spent {
            self.spent(id, &why);
        }
    }

    /// After how many requests a worker is to say that it is spent.
    pub(super) fn requests_of(&self, id: Id) -> Option<u64> {
        self.members.get(&id).and_then(|member| member.limits.requests)
    }

    /// How many workers there should be.
    pub(super) fn target(&self) -> usize {
        self.target
    }

    /// Whether the program does not start and a change is waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
    }

    // ------------------------------------------------------------------ what follows

    /// What is to be done now.
    pub(super) fn settle(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = self.overdue(now);
        if let Some(status) = self.ending {
            self.leave_all(&mut actions, now, |_| true);
            if std::mem::take(&mut self.forced) {
                actions.extend(self.members.keys().copied().map(Action::Kill));
            }
            if self.members.is_empty() {
                actions.push(Action::End(status));
            }
            return actions;
        }
        if std::mem::take(&mut self.aborted) {
            actions.push(Action::Reloaded(false));
        }
        let (generation, incoming) = (self.generation, self.incoming);
        let development = self.rules.development;
        // What a reload that was given up leaves behind; in development, whoever has old code.
        self.leave_all(&mut actions, now, |member| {
            incoming != Some(member.generation)
                && (member.generation > generation || development && incoming.is_some())
        });
        if let Some(incoming) = incoming {
            self.bring_up(incoming, &mut actions, now);
        }
        if self.incoming.is_none() && !self.waiting {
            self.keep_up(&mut actions, now);
        }
        actions
    }

    /// When to settle again at the latest, if nothing happens.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let deadlines = self.members.values().filter_map(|member| match member.stage {
            Stage::Starting(deadline) | Stage::Leaving(deadline) => deadline,
            Stage::Ready => None,
        });
        deadlines
            .chain((self.not_before > now).then_some(self.not_before))
            .min()
    }

    fn overdue(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        for (id, member) in &mut self.members {
            match &mut member.stage {
                Stage::Starting(deadline) if deadline.is_some_and(|end| end <= now) => {
                    warn!("worker {} was not ready in time", member.number);
                    *deadline = None;
                    actions.push(Action::Kill(*id));
                }
                Stage::Leaving(deadline) if deadline.is_some_and(|end| end <= now) => {
                    warn!("worker {} did not end in time", member.number);
                    *deadline = None;
                    actions.push(Action::Kill(*id));
                }
                _ => {}
            }
        }
        actions
    }

    /// The first of a new generation comes alone: if the program does not start, that is known once. Then come
    /// the others, and when all are ready the old ones leave.
    fn bring_up(&mut self, incoming: u64, actions: &mut Vec<Action>, now: Instant) {
        let fresh: Vec<&Member> = self
            .members
            .values()
            .filter(|member| member.generation == incoming && !member.is_leaving())
            .collect();
        let (count, ready) = (
            fresh.len(),
            fresh.iter().filter(|member| member.is_ready()).count(),
        );
        if ready >= self.target {
            (self.generation, self.incoming) = (incoming, None);
            if self.booted && !self.rules.development {
                info!("the new workers are ready; the old ones finish what they have and leave");
            }
            actions.push(Action::Reloaded(true));
            self.booted = true;
            self.leave_all(actions, now, |member| member.generation < incoming);
        } else if count == 0 {
            self.start(incoming, actions, now);
        } else if ready > 0 {
            for _ in count..self.target {
                self.start(incoming, actions, now);
            }
        }
    }

    /// As many as there should be, and somebody in the place of those that are spent: one after the other.
    fn keep_up(&mut self, actions: &mut Vec<Action>, now: Instant) {
        let staff: Vec<(Id, bool, bool)> = self
            .members
            .iter()
            .filter(|(_, member)| !member.is_leaving())
            .map(|(id, member)| (*id, member.is_ready(), member.spent))
            .collect();
        let ready = staff.iter().filter(|(_, ready, _)| *ready).count();
        let starting = staff.len() - ready;
        let spent: Vec<Id> = staff
            .iter()
            .filter(|(_, _, spent)| *spent)
            .map(|(id, ..)| *id)
            .collect();
        if staff.len() < self.target {
            for _ in staff.len()..self.target {
                self.start(self.generation, actions, now);
            }
        } else if ready > self.target {
            let others = staff
                .iter()
                .rev()
                .map(|(id, ..)| *id)
                .filter(|id| !spent.contains(id));
            let surplus: Vec<Id> = spent
                .iter()
                .copied()
                .chain(others)
                .take(ready - self.target)
                .collect();
            self.leave_all_of(&surplus, actions, now);
        } else if !spent.is_empty() && starting == 0 {
            self.start(self.generation, actions, now);
        } else if spent.is_empty() && staff.len() > self.target {
            let newest = staff.iter().rev().filter(|(_, ready, _)| !ready);
            let surplus: Vec<Id> = newest
                .map(|(id, ..)| *id)
                .take(staff.len() - self.target)
                .collect();
            self.leave_all_of(&surplus, actions, now);
        }
        let stable =
            |member: &Member| member.is_ready() && now.saturating_duration_since(member.since) >= STABLE;
        if self.failures > 0 && !self.members.is_empty() && self.members.values().all(stable) {
            self.failures = 0;
        }
    }

    fn start(&mut self, generation: u64, actions: &mut Vec<Action>, now: Instant) {
        if now < self.not_before {
            return;
        }
        let id = self.next_id;
        self.next_id += 1;
        let taken = |number: usize| self.members.values().any(|member| member.number == number);
        let number = (1..).find(|number| !taken(*number)).unwrap_or(1);
        let member = Member {
            number,
            generation,
            stage: Stage::Starting(Some(now + self.rules.start_timeout)),
            since: now,
            limits: drawn(self.rules.limits),
            spent: false,
        };
        self.members.insert(id, member);
        actions.push(Action::Start { id, number });
    }

    fn leave_all(&mut self, actions: &mut Vec<Action>, now: Instant, who: impl Fn(&Member) -> bool) {
        for (id, member) in &mut self.members {
            if who(member) && member.leave(now + self.rules.stop_timeout) {
                actions.push(Action::Stop(*id));
            }
        }
    }

    fn leave_all_of(&mut self, ids: &[Id], actions: &mut Vec<Action>, now: Instant) {
        for id in ids {
            if let Some(member) = self.members.get_mut(id)
                && member.leave(now + self.rules.stop_timeout)
            {
                actions.push(Action::Stop(*id));
            }
        }
    }
}

#[cfg(test)]
mod tests;
