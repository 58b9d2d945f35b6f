//! When the edge node is born, dies and is born again: one table of states and what happens (Sparkplug 3.0,
//! sections 5.4, 5.5 and 5.14). Pure; the clock is passed in.

use std::time::Duration;

use super::host::{Host, HostState};
use crate::model::Timestamp;

/// Births that a command asks for come at most so often, however many commands do.
pub(super) const REBIRTH_PAUSE: Duration = Duration::from_secs(10);

/// Where the edge node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No connection.
    Away,
    /// Connected; the subscriptions are not confirmed.
    Joining,
    /// Subscribed; the primary host is not there.
    Waiting,
    /// Born: data may be sent.
    Born,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// The broker has let us in; its testament is the one of [`Session::will`].
    Connected,
    /// The broker has confirmed the subscriptions.
    Subscribed,
    /// The connection is gone.
    Disconnected,
    /// The primary host said how it does.
    Host(HostState),
    /// A command asks for births.
    Rebirth,
    /// Time has passed.
    Tick,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Nothing,
    /// The edge node is to be born, and after it every device that is there.
    Birth,
    /// The edge node is to say that it dies, and to disconnect; then to connect again.
    Leave,
}

/// One edge node over all of its connections.
#[derive(Debug)]
pub(super) struct Session {
    phase: Phase,
    /// Whether there is a primary host to wait for.
    has_host: bool,
    host: Host,
    /// The number that the last testament had which a broker took.
    last_death: Option<u8>,
    /// The number of the next message.
    seq: u8,
    last_rebirth: Option<Timestamp>,
    /// Since a command asked for births too early.
    asked: bool,
}

impl Session {
    /// An edge node that is away. `last_death` is what [`Session::last_death`] gave when it last connected.
    pub(super) fn new(has_host: bool, last_death: Option<u8>) -> Self {
        Self {
            phase: Phase::Away,
            has_host,
            host: Host::default(),
            last_death,
            seq: 0,
            last_rebirth: None,
            asked: false,
        }
    }

    /// The number by which the next connection's testament and births belong together (`bdSeq`).
    pub(super) fn will(&self) -> u8 {
        self.last_death.map_or(0, |last| last.wrapping_add(1))
    }

    /// The number of this connection, or of the last one; to be kept over a restart.
    pub(super) fn last_death(&self) -> Option<u8> {
        self.last_death
    }

    /// Whether data may be sent.
    pub(super) fn is_born(&self) -> bool {
        self.phase == Phase::Born
    }

    /// Whether the edge node waits for its primary host.
    pub(super) fn is_waiting(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// When a tick is needed.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let last = self.last_rebirth.filter(|_| self.asked && self.phase == Phase::Born)?;
        Some(last.plus(REBIRTH_PAUSE))
    }

    /// Takes over what happened.
    pub(super) fn hear(&mut self, input: Input, now: Timestamp) -> Step {
        if let Input::Host(state) = input {
            if !self.has_host || !self.host.hear(state) {
                return Step::Nothing;
            }
        }
        let may_be_born = !self.has_host || self.host.is_online();
        match (self.phase, input) {
            (_, Input::Disconnected) => {
                self.phase = Phase::Away;
                // What it is now is told again: the broker keeps the host's last word.
                self.host = Host::default();
                Step::Nothing
            }
            (_, Input::Connected) => {
                self.last_death = Some(self.will());
                self.host = Host::default();
                self.phase = Phase::Joining;
                Step::Nothing
            }
            (Phase::Joining, Input::Subscribed) | (Phase::Waiting, Input::Host(_)) => {
                self.phase = if may_be_born { Phase::Born } else { Phase::Waiting };
                // Whoever asked before is answered with these births.
                self.asked = false;
                if may_be_born { Step::Birth } else { Step::Nothing }
            }
            (Phase::Born, Input::Host(_)) if !may_be_born => {
                self.phase = Phase::Away;
                Step::Leave
            }
            (Phase::Born, Input::Rebirth | Input::Tick) => self.rebirth(input, now),
            _ => Step::Nothing,
        }
    }

    fn rebirth(&mut self, input: Input, now: Timestamp) -> Step {
        self.asked |= input == Input::Rebirth;
        // A clock that was set back must not put births off for as long.
        let is_due = self.last_rebirth.is_none_or(|last| now < last || now >= last.plus(REBIRTH_PAUSE));
        if !self.asked || !is_due {
            return Step::Nothing;
        }
        self.asked = false;
        self.last_rebirth = Some(now);
        Step::Birth
    }

    /// The number of the next message (`seq`); the first of births is 0.
    pub(super) fn next_seq(&mut self, is_node_birth: bool) -> u8 {
        let seq = if is_node_birth { 0 } else { self.seq };
        self.seq = seq.wrapping_add(1);
        seq
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(online: bool, timestamp: u64) -> Input {
        Input::Host(HostState { online, timestamp })
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_cloud(1_789_000_000 + seconds).unwrap()
    }

    /// Plays inputs at their seconds, and holds the steps against those of the rows.
    fn play(name: &str, has_host: bool, rows: &[(i64, Input, Step)]) {
        let mut session = Session::new(has_host, None);
        for (row, (second, input, step)) in rows.iter().enumerate() {
            assert_eq!(session.hear(*input, at(*second)), *step, "{name}: row {row}");
        }
    }

    use Input::{Connected, Disconnected, Rebirth, Subscribed, Tick};
    use Step::{Birth, Leave, Nothing};

    const JOIN: [(i64, Input, Step); 2] = [(0, Connected, Nothing), (0, Subscribed, Nothing)];

    #[test]
    fn births_wait_for_the_primary_host() {
        play(
            "the host is there first",
            true,
            &[(0, Connected, Nothing), (0, host(true, 1), Nothing), (0, Subscribed, Birth)],
        );
        let rows = [
            (1, host(false, 1), Nothing),
            (2, Rebirth, Nothing),
            (3, host(true, 2), Birth),
            (4, host(true, 3), Nothing),
        ];
        play("the host comes later", true, &[&JOIN[..], &rows].concat());
        let rows = [
            (1, host(true, 5), Birth),
            (2, host(false, 4), Nothing),
            (3, host(false, 6), Leave),
            (3, Disconnected, Nothing),
            (4, Connected, Nothing),
            (4, host(false, 6), Nothing),
            (4, Subscribed, Nothing),
            (5, host(true, 7), Birth),
        ];
        play("the host leaves and comes back", true, &[&JOIN[..], &rows].concat());
        let rows = [(0, host(true, 5), Birth), (1, Disconnected, Nothing)];
        let again = [(3, host(true, 4), Birth)];
        play("a new connection knows nothing", true, &[&JOIN[..], &rows, &JOIN, &again].concat());
        play(
            "nobody waits for it",
            false,
            &[(0, Connected, Nothing), (0, Subscribed, Birth), (1, host(false, 1), Nothing)],
        );
    }

    #[test]
    fn births_that_commands_ask_for_come_every_ten_seconds_at_most() {
        let born = [(0, Connected, Nothing), (0, Subscribed, Birth)];
        let rows = [
            (1, Rebirth, Birth),
            (2, Rebirth, Nothing),
            (3, Rebirth, Nothing),
            (10, Tick, Nothing),
            (11, Tick, Birth),
            (12, Tick, Nothing),
            (30, Rebirth, Birth),
        ];
        play("a storm", false, &[&born[..], &rows].concat());
        let rows = [(30, Rebirth, Birth), (20, Rebirth, Birth)];
        play("a clock that was set back", false, &[&born[..], &rows].concat());
        let early = [(0, Rebirth, Nothing), (0, Connected, Nothing), (0, Rebirth, Nothing)];
        let rows = [(0, Subscribed, Birth), (20, Tick, Nothing)];
        play("before the births", false, &[&early[..], &rows].concat());
        let cut = [(1, Rebirth, Birth), (2, Rebirth, Nothing), (3, Disconnected, Nothing)];
        let rows = [&born[..], &cut, &born, &[(20, Tick, Nothing)]].concat();
        play("births that are due are made with the next connection", false, &rows);
    }

    #[test]
    fn the_number_of_births_and_deaths_goes_around_and_is_spent_by_connections() {
        for (last, will) in [(None, 0), (Some(0), 1), (Some(254), 255), (Some(255), 0)] {
            let mut session = Session::new(false, last);
            assert_eq!(session.will(), will);
            session.hear(Input::Disconnected, at(0));
            assert_eq!((session.will(), session.last_death()), (will, last), "an attempt that failed");
            session.hear(Input::Connected, at(0));
            assert_eq!(session.last_death(), Some(will), "after a connection");
        }
    }

    #[test]
    fn messages_are_counted_from_the_birth_on() {
        let mut session = Session::new(false, None);
        assert_eq!(session.next_seq(true), 0);
        let counted: Vec<u8> = (0..256).map(|_| session.next_seq(false)).collect();
        assert_eq!((counted.first(), counted.get(254), counted.last()), (Some(&1), Some(&255), Some(&0)));
        assert_eq!(session.next_seq(true), 0);
    }
}
