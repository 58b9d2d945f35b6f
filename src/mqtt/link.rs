//! What the rooms hold of the connection: a way to publish, the news of it, and the messages that come in.
//!
//! All of it works on one short-held lock; nothing in here waits for the network.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, mpsc};

use super::MOST_WAITING_BYTES;
use super::ceiling::{Ceiling, Finding, Permit};
use super::message::{Message, Publish};
use super::options::LARGEST_OUTGOING;
use super::outgoing::Outgoing;
use super::window::{Mismatch, Ticket, Verdict, Window};

/// Names one connection; what was published on another one is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(u64);

/// Why a publish was not handed over; nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Enough are under way.
    #[error("the window is full")]
    Full,
    /// That connection is gone.
    #[error("not connected")]
    Offline,
    /// The broker, or this program, takes no packet of this size.
    #[error("{size} bytes are more than the {limit} that the broker takes")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// No packet can carry it.
    #[error("not a topic that can be published to")]
    Malformed,
}

/// What happened to the connection and to what was published on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Connected and subscribed.
    Online {
        /// The connection's name.
        epoch: Epoch,
        /// Whether the broker remembered us.
        session_present: bool,
    },
    /// The connection is gone, and with it every open ticket.
    Offline,
    /// The broker has answered a publish.
    Acked(Ticket, Verdict),
}

/// What all ends of the connection share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    news: Notify,
    closing: Notify,
    /// What waits in the inbox, in bytes.
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct State {
    window: Window,
    capacity: usize,
    epoch: u64,
    online: Option<Online>,
    /// How many publishes of this connection the broker has acknowledged.
    arrived: u64,
    ceiling: Ceiling,
    closing: bool,
}

/// What the end of a connection tells about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// How many publishes arrived over it.
    pub(super) arrived: u64,
    /// What it says about the sizes that the broker takes.
    pub(super) size: Finding,
}

#[derive(Debug)]
struct Online {
    outgoing: Arc<Outgoing>,
    session_present: bool,
    largest_packet: usize,
}

impl Shared {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State {
            window: Window::new(capacity),
            capacity,
            epoch: 0,
            online: None,
            arrived: 0,
            ceiling: Ceiling::default(),
            closing: false,
        };
        Self {
            state: Mutex::new(state),
            news: Notify::new(),
            closing: Notify::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Counts a message into the inbox, if there is room for it.
    pub(super) fn let_in(&self, size: usize) -> bool {
        let more = |waiting: usize| waiting.checked_add(size).filter(|sum| *sum <= MOST_WAITING_BYTES);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Counts one out again.
    pub(super) fn let_out(&self, size: usize) {
        self.waiting.fetch_sub(size, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection stands: publishes go to it from now on.
    pub(super) fn online(
        &self,
        outgoing: Arc<Outgoing>,
        session_present: bool,
        receive_maximum: Option<u16>,
        largest_packet: Option<u32>,
    ) -> Epoch {
        let largest =
            largest_packet.map_or(LARGEST_OUTGOING, |size| usize::try_from(size).unwrap_or(LARGEST_OUTGOING));
        let mut state = self.lock();
        let capacity = receive_maximum.map_or(state.capacity, |most| usize::from(most).min(state.capacity));
        state.epoch += 1;
        state.window.void(capacity);
        state.online =
            Some(Online { outgoing, session_present, largest_packet: largest.min(LARGEST_OUTGOING) });
        let epoch = Epoch(state.epoch);
        drop(state);
        self.news.notify_one();
        epoch
    }

    /// The connection is gone.
    pub(super) fn offline(&self) -> Ended {
        let mut state = self.lock();
        let capacity = state.capacity;
        state.online = None;
        let arrived = std::mem::take(&mut state.arrived);
        let unanswered = state.window.unanswered();
        let size = state.ceiling.ended(&unanswered, arrived > 0, Instant::now());
        state.window.void(capacity);
        drop(state);
        self.news.notify_one();
        Ended { arrived, size }
    }

    /// Takes over an acknowledgement; the publisher learns of it by [`Self::tell`].
    pub(super) fn acknowledged(&self, packet: u16, verdict: Verdict) -> Result<(), Mismatch> {
        let mut state = self.lock();
        let size = state.window.acknowledged(packet, verdict)?;
        state.ceiling.acknowledged(size);
        state.arrived += 1;
        Ok(())
    }

    /// Tells the publisher what was acknowledged, unless much is under way still: then more will follow, or the
    /// connection end, and what is sent together is written together.
    pub(super) fn tell(&self) {
        if self.lock().window.is_worth_telling() {
            self.news.notify_one();
        }
    }

    pub(super) fn oldest(&self) -> Option<Instant> {
        self.lock().window.oldest()
    }

    /// Acknowledges a message of the broker, if the connection that brought it still stands.
    pub(super) fn acknowledge(&self, epoch: Epoch, packet: u16) {
        let state = self.lock();
        if epoch != Epoch(state.epoch) {
            return;
        }
        if let Some(online) = &state.online {
            // Nothing is taken after our goodbye.
            if !online.outgoing.acknowledge(packet) {
                tracing::warn!("acknowledgement not sent; the message will come again");
            }
        }
    }

    fn is_current(&self, epoch: Epoch) -> bool {
        let state = self.lock();
        state.online.is_some() && epoch == Epoch(state.epoch)
    }

    /// Waits until the publisher has said its last word.
    pub(super) async fn closed(&self) {
        loop {
            let notified = self.closing.notified();
            if self.lock().closing {
                return;
            }
            notified.await;
        }
    }
}

/// The way to publish.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
}

impl Link {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Hands a publish over to the connection `epoch`; what comes of it is told as [`News::Acked`] with `ticket`,
    /// unless [`News::Offline`] comes first. It waits for [`Self::flush`], so that many are written together.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub fn try_publish(&self, epoch: Epoch, ticket: Ticket, publish: &Publish) -> Result<(), NotTaken> {
        let mut state = self.shared.lock();
        if epoch != Epoch(state.epoch) {
            return Err(NotTaken::Offline);
        }
        let State { window, online, ceiling, .. } = &mut *state;
        let Some(online) = online else { return Err(NotTaken::Offline) };
        if !publish.is_well_formed() {
            return Err(NotTaken::Malformed);
        }
        let size = publish.packet_size();
        if size > online.largest_packet {
            return Err(NotTaken::TooLarge { size, limit: online.largest_packet });
        }
        let now = Instant::now();
        let permit = ceiling.permit(size, now);
        if let Permit::Never(limit) = permit {
            return Err(NotTaken::TooLarge { size, limit });
        }
        let must_wait = permit == Permit::Alone && !window.is_idle();
        if must_wait || !window.has_room() {
            return Err(NotTaken::Full);
        }
        let packet = window.next_packet();
        if !online.outgoing.publish(publish, packet) {
            return Err(NotTaken::Offline);
        }
        if window.is_idle() {
            // Nothing is under way that the next ones could be gathered meanwhile for.
            online.outgoing.flush();
        }
        if permit == Permit::Alone {
            window.push_alone(packet, ticket, size, now);
        } else {
            window.push(packet, ticket, size, now);
        }
        Ok(())
    }

    /// Has what was handed over written.
    pub fn flush(&self) {
        if let Some(online) = &self.shared.lock().online {
            online.outgoing.flush();
        }
    }

    /// Whether one more publish would be taken by the connection `epoch`.
    #[must_use]
    pub fn has_room(&self, epoch: Epoch) -> bool {
        let state = self.shared.lock();
        epoch == Epoch(state.epoch) && state.online.is_some() && state.window.has_room()
    }

    /// Nothing more will be published: the connection ends as soon as it may.
    pub fn close(&self) {
        self.shared.lock().closing = true;
        self.shared.closing.notify_waiters();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

/// The news of the connection, in the order in which they are true.
#[derive(Debug)]
pub struct Progress {
    shared: Arc<Shared>,
    seen: Option<u64>,
}

impl Progress {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, seen: None }
    }

    /// Waits for the next piece of news. May be dropped and called again.
    pub async fn next(&mut self) -> News {
        loop {
            // Only this task waits, so a permit stored between the look and the wait is not missed.
            if let Some(news) = self.try_next() {
                return news;
            }
            self.shared.news.notified().await;
        }
    }

    /// The next piece of news, if there is any.
    pub fn try_next(&mut self) -> Option<News> {
        let mut state = self.shared.lock();
        // A publish that is acknowledged is so whatever became of its connection.
        if let Some((ticket, verdict)) = state.window.take_settled() {
            return Some(News::Acked(ticket, verdict));
        }
        let current = state.online.as_ref().map(|online| (state.epoch, online.session_present));
        match (self.seen, current) {
            (Some(seen), Some((epoch, _))) if seen == epoch => None,
            (Some(_), _) => {
                self.seen = None;
                Some(News::Offline)
            }
            (None, Some((epoch, session_present))) => {
                self.seen = Some(epoch);
                Some(News::Online { epoch: Epoch(epoch), session_present })
            }
            (None, None) => None,
        }
    }
}

/// The messages that come in.
#[derive(Debug)]
pub struct Inbox {
    messages: mpsc::Receiver<Message>,
    shared: Arc<Shared>,
}

impl Inbox {
    pub(super) fn new(messages: mpsc::Receiver<Message>, shared: Arc<Shared>) -> Self {
        Self { messages, shared }
    }

    /// The next message; none when the connection's task has ended.
    ///
    /// Messages of a connection that broke meanwhile are left out: the broker brings them again, and only then
    /// can they be acknowledged.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            let message = self.messages.recv().await?;
            self.shared.let_out(message.size());
            match &message.receipt {
                Some(receipt) if !self.shared.is_current(receipt.epoch) => {}
                _ => return Some(message),
            }
        }
    }
}
