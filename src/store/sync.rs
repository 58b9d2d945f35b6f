//! When commits become durable: at once for those who wait, together for all who came while the disk was busy,
//! and after `flush` for what nobody waits for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::error::StoreError;
use super::outbox::settle;
use super::packing::QUIET;
use super::{Backups, Change, Store, Upkeep};

/// So many may wait for the disk; one more waits for its turn to ask.
const WAITING: usize = 1024;
/// How often it is looked whether something is to be written.
const TICK: Duration = Duration::from_secs(1);

/// The first look for old history, and for a backup that is due, is made when the start is over,
const FIRST_UPKEEP: Duration = Duration::from_secs(60);
/// and then so often.
const UPKEEP_EVERY: Duration = Duration::from_secs(3600);

/// A copy that is to take the place of a store that takes no writes is tried so often.
const RECOVERY_EVERY: Duration = Duration::from_secs(5);

type Answer = oneshot::Sender<Result<(), StoreError>>;

/// The asking side.
#[derive(Debug)]
pub(super) struct Durability {
    requests: mpsc::Sender<Answer>,
    /// Whether the task runs; where it does not (command line), everybody syncs for himself.
    running: AtomicBool,
    /// How many commits are durable.
    synced: AtomicU64,
    /// Whether a reader of an outbox waits for commits to become so.
    awaited: AtomicBool,
    /// How often the disk was waited for,
    pub(super) syncs: AtomicU64,
    /// and for how long altogether, in nanoseconds.
    pub(super) sync_ns: AtomicU64,
}

impl Durability {
    pub(super) fn new() -> (Self, mpsc::Receiver<Answer>) {
        let (requests, receiver) = mpsc::channel(WAITING);
        let durability = Self {
            requests,
            running: AtomicBool::new(false),
            synced: AtomicU64::new(0),
            awaited: AtomicBool::new(false),
            syncs: AtomicU64::new(0),
            sync_ns: AtomicU64::new(0),
        };
        (durability, receiver)
    }
}

impl Store {
    /// Returns when every commit so far is durable.
    pub async fn durable(&self) -> Result<(), StoreError> {
        let durability = self.durability();
        let commits = self.database().commits();
        if durability.synced.load(Ordering::SeqCst) >= commits {
            return Ok(());
        }
        if durability.running.load(Ordering::SeqCst) {
            let (answer, answered) = oneshot::channel();
            if durability.requests.send(answer).await.is_ok() {
                // The task may end before it answers.
                if let Ok(result) = answered.await {
                    return result;
                }
            }
        }
        self.sync().await
    }

    /// How many commits were made so far; what was read before is in one of them.
    #[must_use]
    pub fn commits_made(&self) -> u64 {
        self.database().commits()
    }

    /// Whether so many commits are durable. Where they are not, they are made so, and `Change::Outbox` is announced then.
    /// While the disk takes nothing, or no task syncs, nobody is made to wait.
    #[must_use]
    pub fn are_durable(&self, commits: u64) -> bool {
        let durability = self.durability();
        let are = || durability.synced.load(Ordering::SeqCst) >= commits;
        if are() || self.trouble().is_some() || !durability.running.load(Ordering::SeqCst) {
            return true;
        }
        // Before the second look: a sync that ends in between finds it.
        if !durability.awaited.swap(true, Ordering::SeqCst) {
            let (answer, _nobody) = oneshot::channel();
            // With so many others waiting the disk is asked anyway.
            durability.requests.try_send(answer).ok();
        }
        are()
    }

    async fn sync(&self) -> Result<(), StoreError> {
        let synced = self.sync_now().await;
        // Also after a failure: then nobody waits any more.
        if self.durability().awaited.swap(false, Ordering::SeqCst) {
            self.announce([Change::Outbox]);
        }
        synced
    }

    async fn sync_now(&self) -> Result<(), StoreError> {
        let commits = self.database().commits();
        let begun = Instant::now();
        self.database().sync().await?;
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.durability().syncs.fetch_add(1, Ordering::Relaxed);
        self.durability().sync_ns.fetch_add(took, Ordering::Relaxed);
        self.durability().synced.fetch_max(commits, Ordering::SeqCst);
        Ok(())
    }

    /// Makes everything so far durable, also what `outbox_done` was told.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.settle_now(true)?;
        self.durable().await
    }

    pub(super) fn settle_now(&self, partly: bool) -> Result<(), StoreError> {
        let mut memory = self.memory();
        settle(&self.database(), &mut memory, partly)
    }

    fn is_behind(&self) -> bool {
        self.durability().synced.load(Ordering::SeqCst) < self.database().commits()
    }
}

/// The task that makes commits durable: grouped fsyncs on request, and a flush every `flush` if anything changed.
#[derive(Debug)]
pub struct Syncer {
    store: Store,
    requests: mpsc::Receiver<Answer>,
    flush: Duration,
    upkeep: Option<watch::Receiver<Upkeep>>,
    backups: Option<Backups>,
    /// The time of the last sign of life.
    pulse: watch::Sender<Option<Instant>>,
}

impl Syncer {
    pub(super) fn new(store: Store, requests: mpsc::Receiver<Answer>, flush: Duration) -> Self {
        Self { store, requests, flush, upkeep: None, backups: None, pulse: watch::Sender::new(None) }
    }

    /// Also forgets what is too old or too much, every hour, and soon after the bounds change.
    #[must_use]
    pub fn with_upkeep(self, upkeep: watch::Receiver<Upkeep>) -> Self {
        Self { upkeep: Some(upkeep), ..self }
    }

    /// Also writes a backup a day.
    #[must_use]
    pub fn with_backups(self, backups: Backups) -> Self {
        Self { backups: Some(backups), ..self }
    }

    /// Also notes, every second, that it lives: a disk that does not answer stops that.
    #[must_use]
    pub fn with_pulse(self, pulse: watch::Sender<Option<Instant>>) -> Self {
        Self { pulse, ..self }
    }

    /// Runs until told to stop, then flushes once more.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let running = Running::new(self.store.clone());
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut behind_since, mut trouble) = (None, None);
        let mut chores =
            Chores::new(self.store.clone(), self.upkeep.take(), self.backups.take(), stop.clone());
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(answer) = self.requests.recv() => self.answer_all(answer).await,
                () = chores.ended() => {}
                _ = tick.tick() => {
                    self.tick(&mut behind_since).await;
                    self.tell_trouble(&mut trouble);
                    self.pulse.send_replace(Some(Instant::now()));
                    chores.begin();
                }
            }
        }
        // From here on everybody syncs for himself; who has asked already is answered.
        drop(running);
        self.requests.close();
        while let Some(answer) = self.requests.recv().await {
            self.answer_all(answer).await;
        }
        if chores.running.is_some() {
            chores.ended().await;
        }
        Ok(self.store.flush().await?)
    }

    /// One sync for all who asked while the one before ran: their commits were made before they asked.
    async fn answer_all(&mut self, first: Answer) {
        let mut waiting = vec![first];
        while let Ok(answer) = self.requests.try_recv() {
            waiting.push(answer);
        }
        let result = self.store.sync().await;
        for answer in waiting {
            // Who no longer waits needs no answer.
            answer.send(result.clone()).ok();
        }
    }

    fn tell_trouble(&self, known: &mut Option<StoreError>) {
        let trouble = self.store.trouble();
        if trouble != *known {
            *known = trouble;
            self.store.announce([Change::Trouble]);
        }
    }

    async fn tick(&self, behind_since: &mut Option<Instant>) {
        if let Err(error) = self.store.settle_now(false) {
            tracing::debug!(%error, "what the broker has is not written yet");
        }
        if !self.store.is_behind() {
            *behind_since = None;
            return;
        }
        let since = *behind_since.get_or_insert_with(Instant::now);
        if since.elapsed() + TICK >= self.flush && self.store.sync().await.is_ok() {
            *behind_since = None;
        }
    }
}

/// What takes long and runs beside the syncs, one at a time.
#[derive(Debug)]
struct Chores {
    store: Store,
    upkeep: Option<watch::Receiver<Upkeep>>,
    running: Option<JoinHandle<()>>,
    next_upkeep: Instant,
    next_recovery: Instant,
    backups: Option<Backups>,
    next_backup: Instant,
    next_tidying: Instant,
    stop: CancellationToken,
}

impl Chores {
    fn new(
        store: Store,
        upkeep: Option<watch::Receiver<Upkeep>>,
        backups: Option<Backups>,
        stop: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        let first = now + FIRST_UPKEEP;
        Self {
            store,
            upkeep,
            running: None,
            next_upkeep: first,
            next_recovery: now,
            backups,
            next_backup: first,
            next_tidying: now + QUIET,
            stop,
        }
    }

    fn begin(&mut self) {
        if self.running.is_some() {
            return;
        }
        let (store, now) = (self.store.clone(), Instant::now());
        if store.trouble().is_some() && now >= self.next_recovery {
            self.running = Some(tokio::task::spawn_blocking(move || {
                if let Err(error) = store.recover() {
                    tracing::warn!(%error, "the store cannot be copied to where it could be written");
                }
            }));
        } else if let Some(upkeep) = self.upkeep_due(now) {
            self.next_upkeep = now + UPKEEP_EVERY;
            self.running = Some(tokio::task::spawn_blocking(move || {
                // The history is larger than it was meant to be; the next hour tries again.
                if let Err(error) = store.retain(&upkeep) {
                    tracing::warn!(%error, "old history cannot be dropped");
                }
            }));
        } else if let Some(backups) = self.backups.clone().filter(|_| now >= self.next_backup) {
            self.next_backup = now + UPKEEP_EVERY;
            self.running = Some(tokio::task::spawn_blocking(move || {
                store.back_up_daily(&backups);
            }));
        } else if store.trouble().is_none() && now >= self.next_tidying {
            self.next_tidying = now + QUIET;
            let stop = self.stop.clone();
            self.running = Some(tokio::task::spawn_blocking(move || {
                // It takes more memory than it would need to; the next look tries again.
                if let Err(error) = store.tidy(&stop) {
                    tracing::warn!(%error, "history that is over cannot be packed");
                }
            }));
        }
    }

    fn upkeep_due(&mut self, now: Instant) -> Option<Upkeep> {
        let bounds = self.upkeep.as_mut()?;
        // Nobody who could change them is left: the daemon ends.
        let changed = bounds.has_changed().unwrap_or(false);
        (changed || now >= self.next_upkeep).then(|| *bounds.borrow_and_update())
    }

    /// The end of the chore that runs; never, while none does.
    async fn ended(&mut self) {
        let Some(running) = &mut self.running else {
            return std::future::pending().await;
        };
        if let Err(error) = running.await {
            tracing::error!(%error, "a chore of the store broke");
        }
        self.running = None;
        let pause = if self.store.trouble().is_some() { RECOVERY_EVERY } else { Duration::ZERO };
        self.next_recovery = Instant::now() + pause;
    }
}

/// Says that the task runs, for as long as it does.
struct Running(Store);

impl Running {
    fn new(store: Store) -> Self {
        store.durability().running.store(true, Ordering::SeqCst);
        Self(store)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.durability().running.store(false, Ordering::SeqCst);
    }
}
