//! The one task that polls the broker's connection, makes it again when it breaks, and says why it broke.
//!
//! It never publishes and never waits for a channel that can be full: what it learns goes into `link::Shared`.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backon::BackoffBuilder as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::ceiling::Finding;
use super::fault::Fault;
use super::link::{Ended, Epoch, Shared};
use super::message::{Message, Receipt};
use super::options::Options;
use super::outgoing::Outgoing;
use super::session::{Connected, Incoming, Session, Step};
use crate::vitals::{self, Pulse};

/// A PUBACK that has not come after so long never will: the broker is stuck, or lost the packet.
const PUBACK_TIMEOUT: Duration = Duration::from_secs(20);

/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How long the publisher has for its last word once the daemon is told to stop.
const LAST_WORD: Duration = Duration::from_secs(4);

/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection over which so many publishes arrived was a good one: the next is made almost at once.
const GOOD: u64 = 10;

/// So many connections in a row that the broker closed soon after letting us in are not a matter of the network.
const STRANGE: u32 = 2;

/// Almost at once, so that the gateways of a site do not come all together.
const SOON_MS: std::ops::Range<u64> = 50..150;

/// The task that holds the connection.
pub struct Driver {
    options: Options,
    filters: Vec<String>,
    shared: Arc<Shared>,
    inbound: mpsc::Sender<Message>,
    pulse: Pulse,
    /// Whether it is known if the broker is there; before that there is nothing to be alive for.
    knows: AtomicBool,
}

/// Why a connection ended well.
#[derive(Debug)]
struct Closed;

impl Driver {
    pub(super) fn new(
        options: Options,
        filters: Vec<String>,
        shared: Arc<Shared>,
        inbound: mpsc::Sender<Message>,
    ) -> Self {
        let pulse = Pulse::new(None);
        Self { options, filters, shared, inbound, pulse, knows: AtomicBool::new(false) }
    }

    /// Also gives signs of life, from when the broker has answered or is known to be away.
    #[must_use]
    pub fn with_pulse(self, pulse: Pulse) -> Self {
        Self { pulse, ..self }
    }

    /// Holds the connection until told to stop and the publisher has closed its end, or a few seconds passed.
    ///
    /// # Errors
    /// None today; the loss of a broker is none.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut pauses = Pauses::new();
        let mut thrown_out = 0;
        loop {
            let fault = match self.connection(&stop).await {
                Ok(Closed) => {
                    let Ended { arrived, .. } = self.shared.offline();
                    tracing::info!(broker = %self.options.place(), arrived, "disconnected from the broker");
                    return Ok(());
                }
                Err(fault) => fault,
            };
            let Ended { arrived, size } = self.shared.offline();
            self.report_size(&size);
            let is_thrown_out =
                fault == Fault::closed() && size == Finding::Nothing && (1..GOOD).contains(&arrived);
            thrown_out = if is_thrown_out { thrown_out + 1 } else { 0 };
            let fault = if thrown_out < STRANGE { fault } else { Fault::thrown_out(&self.options.client_id) };
            self.options.clean = matches!(fault, Fault::TooLargeForUs);
            let is_soon = arrived >= GOOD || size != Finding::Nothing;
            let pause = if is_soon && matches!(fault, Fault::Lost(_)) {
                pauses = Pauses::new();
                Duration::from_millis(fastrand::u64(SOON_MS))
            } else {
                pauses.next(&fault)
            };
            self.report(&fault, pause);
            self.know();
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(pause) => {}
                () = self.live() => {}
            }
        }
    }

    /// Whether the broker is there is known from now on.
    fn know(&self) {
        self.knows.store(true, Ordering::Relaxed);
        self.beat();
    }

    fn beat(&self) {
        if self.knows.load(Ordering::Relaxed) {
            vitals::beat(&self.pulse);
        }
    }

    /// Gives signs of life for as long as it is polled.
    async fn live(&self) {
        let mut look = interval(LOOK);
        loop {
            look.tick().await;
            self.beat();
        }
    }

    fn report_size(&self, found: &Finding) {
        if let Finding::TooLarge(size) = found {
            tracing::error!(
                broker = %self.options.place(), size,
                "the broker closes the connection at a packet of this size; such packets are not sent any more"
            );
        }
    }

    fn report(&self, fault: &Fault, pause: Duration) {
        let (broker, retry_s) = (self.options.place(), (pause.as_secs_f64() * 10.0).round() / 10.0);
        if matches!(fault, Fault::Lost(_)) {
            tracing::warn!(%broker, reason = %fault, retry_s, "no connection to the broker");
        } else {
            tracing::error!(%broker, reason = %fault, retry_s, "no connection to the broker");
        }
    }

    /// One connection from its first packet to its last.
    async fn connection(&self, stop: &CancellationToken) -> Result<Closed, Fault> {
        let (outgoing, mut session) = Session::new(&self.options);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ending = pin!(self.end_of_connection(stop));
        let mut deadline = None;
        let mut epoch = None;
        loop {
            let polled = {
                // While it connects, a poll that is begun must be ended.
                let mut poll = pin!(session.poll());
                loop {
                    tokio::select! {
                        polled = &mut poll => break polled,
                        () = &mut ending, if deadline.is_none() => {
                            if epoch.is_none() || !outgoing.disconnect() {
                                return Ok(Closed);
                            }
                            deadline = Some(Instant::now() + GOODBYE);
                        }
                        _ = look.tick() => {
                            self.beat();
                            if deadline.is_some_and(|deadline| deadline < Instant::now()) {
                                return Ok(Closed);
                            }
                            if self.shared.oldest().is_some_and(|since| since.elapsed() > PUBACK_TIMEOUT) {
                                return Err(Fault::Lost("the broker does not acknowledge".to_owned()));
                            }
                        }
                    }
                }
            };
            for step in session.steps() {
                match step {
                    Step::Disconnected => return Ok(Closed),
                    Step::Connected(connected) => epoch = Some(self.connected(connected, &outgoing)?),
                    // Acknowledgements that were read before the end count; messages will be delivered again.
                    Step::Message(_) if polled.is_err() => {}
                    step => self.take(step, epoch)?,
                }
            }
            self.shared.tell();
            if let Err(fault) = polled {
                return if deadline.is_some() { Ok(Closed) } else { Err(fault) };
            }
        }
    }

    /// The end that is wanted: the publisher has closed, or was given its time after the stop.
    async fn end_of_connection(&self, stop: &CancellationToken) {
        tokio::select! {
            () = self.shared.closed() => {}
            () = async { stop.cancelled().await; sleep(LAST_WORD).await } => {}
        }
    }

    fn connected(&self, connected: Connected, outgoing: &Arc<Outgoing>) -> Result<Epoch, Fault> {
        if !connected.retain_available {
            return Err(Fault::Refused(
                "the broker keeps no retained messages, and they are needed".to_owned(),
            ));
        }
        // On every connection: a broker may have forgotten a part of a session that it says it has.
        if !outgoing.subscribe(&self.filters) {
            return Err(Fault::Lost("subscriptions could not be sent".to_owned()));
        }
        let Connected { session_present, receive_maximum, largest_packet, .. } = connected;
        tracing::info!(broker = %self.options.place(), session_present, "connected to the broker");
        self.know();
        Ok(self.shared.online(Arc::clone(outgoing), session_present, receive_maximum, largest_packet))
    }

    fn take(&self, step: Step, epoch: Option<Epoch>) -> Result<(), Fault> {
        match step {
            Step::Written(_) | Step::Disconnected | Step::Connected(_) => Ok(()),
            Step::Acked(packet, verdict) => {
                self.shared.acknowledged(packet, verdict).map_err(|wrong| Fault::Lost(wrong.to_string()))
            }
            Step::Subscribed { refused: 0 } => Ok(()),
            Step::Subscribed { refused } => {
                tracing::error!(refused, "the broker refuses subscriptions: commands will not arrive");
                Ok(())
            }
            Step::Message(incoming) => self.deliver(incoming, epoch),
        }
    }

    fn deliver(&self, incoming: Incoming, epoch: Option<Epoch>) -> Result<(), Fault> {
        let Incoming { topic, payload, retain, dup, packet, response_topic, correlation } = incoming;
        let receipt = epoch.filter(|_| packet != 0).map(|epoch| Receipt {
            shared: Arc::clone(&self.shared),
            epoch,
            packet,
        });
        let message = Message { topic, payload, retain, dup, response_topic, correlation, receipt };
        let size = message.size();
        let sent = if self.shared.let_in(size) {
            self.inbound.try_send(message).inspect_err(|_refused| self.shared.let_out(size))
        } else {
            Err(mpsc::error::TrySendError::Full(message))
        };
        match sent {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(message)) if message.receipt.is_some() => Err(Fault::Lost(
                "more commands than can be taken; the broker will bring them again".to_owned(),
            )),
            Err(mpsc::error::TrySendError::Full(message)) => {
                tracing::warn!(topic = %message.topic, "command dropped: too many, and sent with QoS 0");
                Ok(())
            }
            // Nobody reads commands any more: the daemon is stopping, and the broker keeps them.
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }
}

/// How long to wait before the next attempt: from 1 s to 60 s, each up to twice as long by chance, so that the
/// gateways of a site do not come all at once.
#[derive(Debug)]
pub struct Pauses {
    lost: backon::ExponentialBackoff,
    refused: backon::ExponentialBackoff,
}

impl Default for Pauses {
    fn default() -> Self {
        Self::new()
    }
}

impl Pauses {
    /// The pauses after a good connection.
    #[must_use]
    pub fn new() -> Self {
        let from = |shortest| {
            backon::ExponentialBuilder::default()
                .with_min_delay(Duration::from_secs(shortest))
                .with_max_delay(Duration::from_secs(30))
                .with_factor(2.0)
                .without_max_times()
                .with_jitter()
                .build()
        };
        Self { lost: from(1), refused: from(15) }
    }

    /// The pause after a connection that ended so.
    pub fn next(&mut self, fault: &Fault) -> Duration {
        let sequence = match fault {
            Fault::Refused(_) => &mut self.refused,
            Fault::Lost(_) | Fault::TooLargeForUs => &mut self.lost,
        };
        sequence.next().unwrap_or(Duration::from_secs(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_what_a_person_must_change_is_retried_slowly() {
        let mut pauses = Pauses::new();
        let lost = Fault::Lost(String::new());
        for (attempt, at_least_s) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30)] {
            let pause = pauses.next(&lost);
            assert!(pause >= Duration::from_secs(at_least_s), "attempt {attempt}: {pause:?}");
            assert!(pause <= Duration::from_secs(at_least_s * 2), "attempt {attempt}: {pause:?}");
        }
        assert!(pauses.next(&Fault::Refused(String::new())) >= Duration::from_secs(15));
    }
}
