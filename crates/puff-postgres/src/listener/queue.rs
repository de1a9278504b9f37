//! What has been heard and not yet read, bounded; what had no room leaves a mark in its place.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Gap, Heard};
use crate::Notification;

/// How many notifications wait to be read.
const CAPACITY: usize = 1024;

#[derive(Default)]
pub(crate) struct NotificationQueue {
    heard: Mutex<VecDeque<Heard>>,
    arrived: Notify,
}

impl NotificationQueue {
    pub(crate) fn push(&self, notification: Notification) {
        let mut heard = self.heard.lock();
        if heard.len() < CAPACITY {
            heard.push_back(Heard::Notification(notification));
        } else {
            mark(&mut heard, |gap| gap.dropped += 1);
        }
        drop(heard);
        self.arrived.notify_one();
    }

    pub(super) fn reconnected(&self) {
        mark(&mut self.heard.lock(), |gap| gap.reconnected = true);
        self.arrived.notify_one();
    }

    pub(super) fn try_next(&self) -> Option<Heard> {
        self.heard.lock().pop_front()
    }

    pub(super) async fn next(&self) -> Heard {
        loop {
            // A permit is kept if nobody waits, so nothing that comes between the two lines is missed.
            if let Some(heard) = self.try_next() {
                return heard;
            }
            self.arrived.notified().await;
        }
    }
}

/// Changes the gap at the end, one that is made for it if need be: there is never more than one behind a full
/// queue.
fn mark(heard: &mut VecDeque<Heard>, change: impl FnOnce(&mut Gap)) {
    if !matches!(heard.back(), Some(Heard::Gap(_))) {
        heard.push_back(Heard::Gap(Gap::default()));
    }
    if let Some(Heard::Gap(gap)) = heard.back_mut() {
        change(gap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(payload: &str) -> Notification {
        Notification {
            process_id: 1,
            channel: "news".into(),
            payload: payload.into(),
        }
    }

    #[test]
    fn what_has_no_room_leaves_a_mark() {
        let queue = NotificationQueue::default();
        for n in 0..CAPACITY + 7 {
            queue.push(notification(&n.to_string()));
        }
        queue.reconnected();
        for n in 0..CAPACITY {
            assert_eq!(
                queue.try_next(),
                Some(Heard::Notification(notification(&n.to_string())))
            );
        }
        let gap = Gap {
            dropped: 7,
            reconnected: true,
        };
        assert_eq!(queue.try_next(), Some(Heard::Gap(gap)));
        queue.push(notification("next"));
        assert_eq!(queue.try_next(), Some(Heard::Notification(notification("next"))));
        assert_eq!(queue.try_next(), None);
    }
}
