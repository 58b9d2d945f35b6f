//! The task of a mirror: takes what waits, tells it, looks for actions, and now and then looks whether every device
//! has its Thing. Says how it does on its board and, when that changes, on `bridge/event`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::batch::Batch;
use super::deliver::Delivered;
use super::downlink::Downlinks;
use super::thing::{AVAILABILITY, Known};
use super::things::Things;
use crate::clock;
use crate::cloud::Access;
use crate::cloud::altair::{Altair, Login};
use crate::config::{Config, Filter, Mirror as Settings};
use crate::decode::Registry;
use crate::downlink::Queues;
use crate::ingest::{Backoff, Clockwork, Failure, SourceState, StatusBoard, Ticker};
use crate::model::{DeviceId, Event};
use crate::mqtt::topic::Topics;
use crate::publish::{Name, Run, View};
use crate::store::{OutboxEntry, OutboxKey, Store, StoreError, Tenant};

/// So many events are in memory at once. The more of one device, the fewer requests.
const WINDOW: usize = 5_000;
/// So many devices are told of before it is looked what else is due.
const DEVICES_A_TURN: usize = 50;
/// So many are asked for what is wanted of them before it is looked what else is due.
const ASKED_A_TURN: usize = 8;
/// So many devices are told of at once.
const AT_ONCE: usize = 4;
/// How often every device is looked at: whether it has a Thing, and whether it is there.
const SURVEY_EVERY: Duration = Duration::from_secs(300);
/// How long a store that fails is left alone.
const STORE_PAUSE: Duration = Duration::from_secs(5);
/// How long the studio has to take the token back at the end.
const LAST_WORD: Duration = Duration::from_secs(3);

/// What a mirror works with.
#[derive(Debug)]
pub struct Parts {
    /// Which mirror.
    pub settings: Settings,
    /// The configuration in effect.
    pub config: Arc<Config>,
    /// Where everything is kept.
    pub store: Store,
    /// The decoders.
    pub registry: Arc<Registry>,
    /// The queues of downlinks.
    pub queues: Queues,
    /// How the sources do.
    pub sources: StatusBoard,
    /// How the mirrors do.
    pub board: StatusBoard,
    /// All topics.
    pub topics: Topics,
    /// What is true of this run.
    pub run: Run,
}

/// The task of a mirror.
#[derive(Debug)]
pub struct Mirror {
    settings: Settings,
    filter: Filter,
    store: Store,
    tenant: Tenant,
    sources: StatusBoard,
    board: StatusBoard,
    view: View,
    downlinks: Downlinks,
    things: Things,
    /// The Things by device; none before they were listed.
    known: Option<BTreeMap<DeviceId, Known>>,
    /// After which device the next turn of looking for actions begins.
    looked_at: Option<DeviceId>,
    /// The Things of the turn that are still to be looked at, the next one last.
    turn: Vec<(DeviceId, String)>,
    survey_due: bool,
    actions_due: bool,
}

impl Mirror {
    /// A mirror that has asked nothing yet. From now on the store keeps for it what comes.
    ///
    /// # Errors
    /// A CA that cannot be read, a store that cannot be written to.
    pub fn new(parts: Parts) -> anyhow::Result<Self> {
        let Parts { settings, config, store, registry, queues, sources, board, topics, run } = parts;
        let what = || format!("mirrors.{}", settings.name);
        let scope = if settings.category.is_some() { "thing category" } else { "thing" };
        let cloud =
            Altair::new(&Access::from(&settings), &Login::from(&settings), scope).with_context(what)?;
        let tenant = store.tenant(&settings.tenant()).with_context(what)?;
        let view = View::new(config, store.clone(), registry, sources.clone(), topics, run);
        let downlinks = Downlinks { tenant: settings.tenant(), store: store.clone(), queues };
        let things = Things { cloud, category: settings.category.clone() };
        let filter = Filter { devices: settings.devices.clone(), ..Filter::default() };
        Ok(Self {
            settings,
            filter,
            store,
            tenant,
            sources,
            board,
            view,
            downlinks,
            things,
            known: None,
            looked_at: None,
            turn: Vec::new(),
            survey_due: true,
            actions_due: true,
        })
    }

    /// Mirrors until told to stop, then gives its token back.
    ///
    /// # Errors
    /// A schedule that cannot be kept; troubles of studio and store are waited out.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut clockwork = Clockwork::default();
        let mut poll = clockwork.ticker(&self.settings.poll).await?;
        // What is cut short is told again, as after a crash.
        stop.run_until_cancelled(Box::pin(self.mirror(&mut poll))).await;
        // A token that is not given back ends by itself.
        if let Ok(Err(error)) = tokio::time::timeout(LAST_WORD, self.things.cloud.revoke()).await {
            tracing::debug!(mirror = %self.settings.name, %error, "the token ends by itself");
        }
        clockwork.stop().await
    }

    /// Works whenever something is due, for ever.
    async fn mirror(&mut self, poll: &mut Ticker) {
        let arrived = self.tenant.arrived();
        let mut backoff = Backoff::default();
        let mut next_survey = Instant::now() + SURVEY_EVERY;
        loop {
            // Registered before the look, so that what comes in between wakes us.
            let mut news = std::pin::pin!(arrived.notified());
            news.as_mut().enable();
            let worked = self.work().await;
            self.report(worked.as_ref().err());
            let more = match worked {
                Ok(more) => more,
                Err(failure) => {
                    let pause = match &failure {
                        Failure::Cloud(error) => backoff.after(error),
                        Failure::Store(_) => STORE_PAUSE,
                    };
                    tokio::time::sleep(pause).await;
                    continue;
                }
            };
            backoff = Backoff::default();
            tokio::select! {
                biased;
                () = poll.tick() => self.actions_due = true,
                () = sleep_until(next_survey) => {
                    next_survey = Instant::now() + SURVEY_EVERY;
                    self.survey_due = true;
                }
                () = &mut news => {}
                () = std::future::ready(()), if more => {}
            }
        }
    }

    /// Does what is due, and says whether more waits; what is cut short is due again.
    async fn work(&mut self) -> Result<bool, Failure> {
        if self.known.is_none() {
            self.known = Some(self.things.all().await?);
        }
        let more = self.deliver_some().await?;
        if self.survey_due {
            self.survey().await?;
            self.survey_due = false;
        }
        if self.actions_due && self.turn.is_empty() {
            self.turn = self.next_turn();
            self.actions_due = false;
        }
        self.take_actions().await?;
        Ok(more || !self.turn.is_empty())
    }

    /// Tells of the devices that wait longest; says whether anything waited.
    async fn deliver_some(&mut self) -> Result<bool, Failure> {
        let head = self.tenant.head(&BTreeSet::new(), WINDOW)?;
        let more = !head.is_empty();
        let (batches, strangers) = self.batches(head)?;
        self.tenant.done(&strangers)?;
        let mut known = self.known.take().unwrap_or_default();
        let mut work = Vec::new();
        for (device, batch) in batches {
            let info = self.info(device)?;
            work.push((device, batch, known.remove(&device), info));
        }
        let things = self.things.clone();
        let told: Vec<Delivered> = stream::iter(work)
            .map(|(device, batch, thing, info)| {
                let things = &things;
                async move { things.deliver(device, batch, thing, &info).await }
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut failed = None;
        for delivered in told {
            known.extend(delivered.thing.map(|thing| (delivered.device, thing)));
            if let Some(why) = delivered.refused {
                self.left_out(delivered.device, &why);
            }
            match delivered.outcome {
                Ok(()) => {
                    self.tenant.done(&delivered.batch.keys)?;
                    let (device, values) = (delivered.device, delivered.batch.values());
                    tracing::debug!(mirror = %self.settings.name, %device, values, "told");
                }
                Err(error) => failed = Some(error),
            }
        }
        self.known = Some(known);
        failed.map_or(Ok(more), |error| Err(error.into()))
    }

    /// The events of some devices, and those of devices that are not mirrored.
    fn batches(
        &self,
        head: Vec<OutboxEntry>,
    ) -> Result<(BTreeMap<DeviceId, Batch>, Vec<OutboxKey>), StoreError> {
        let mut batches: BTreeMap<DeviceId, Batch> = BTreeMap::new();
        let mut strangers = Vec::new();
        for OutboxEntry { key, event } in head {
            let Some(device) = event.device().filter(|device| self.filter.takes_device(*device)) else {
                strangers.push(key);
                continue;
            };
            if batches.len() >= DEVICES_A_TURN && !batches.contains_key(&device) {
                continue;
            }
            let batch = batches.entry(device).or_default();
            batch.keys.push(key);
            match event {
                Event::Uplink(uplink) => {
                    if let Some(document) = self.view.uplink(&uplink)? {
                        batch.add_uplink(uplink.time, &document);
                    }
                }
                Event::Location { location, uplink, .. } => {
                    batch.add_location(location.time, &View::location(&location, uplink.as_ref()));
                }
                Event::Downlink(item) if item.is_final() => batch.ended.push(*item),
                Event::Service { time, kind, detail, .. } if kind == "error" => {
                    batch.add_error(time, &detail)
                }
                Event::Downlink(_) | Event::Service { .. } | Event::Bridge { .. } => {}
            }
        }
        Ok((batches, strangers))
    }

    /// Looks whether every device has its Thing, and shows there whether the device is there.
    async fn survey(&mut self) -> Result<(), Failure> {
        let now = clock::now();
        let sources = self.sources.all();
        for device in self.store.devices()? {
            if device.gone || !self.filter.takes_device(device.id) {
                continue;
            }
            let mut known = self.known.take().unwrap_or_default();
            let found = known.remove(&device.id);
            self.known = Some(known);
            let mut thing = match found {
                Some(thing) => thing,
                None => self.things.find_or_create(device.id, &self.info(device.id)?).await?,
            };
            let source_tells =
                sources.get(&device.source).is_some_and(|status| status.state == SourceState::Ok);
            let judged = self.view.retained(&Name::Availability(device.id), now)?.filter(|_| source_tells);
            let state = judged.as_ref().and_then(|judged| judged.get("state")).and_then(Value::as_str);
            if state.is_some() && thing.availability.as_deref() != state {
                let value = serde_json::Map::from_iter([(AVAILABILITY.to_owned(), json!(state))]);
                match self.things.cloud.set_properties(&thing.uid, value, true).send().await {
                    // Deleted by hand: found or made at the next look.
                    Err(crate::cloud::Error::NotFound { .. }) => continue,
                    set => set?,
                }
                thing.availability = state.map(ToOwned::to_owned);
            }
            self.known.get_or_insert_default().insert(device.id, thing);
        }
        Ok(())
    }

    /// The next devices whose actions are looked at: so many that half of the ceiling on requests is left.
    fn next_turn(&self) -> Vec<(DeviceId, String)> {
        let Some(known) = &self.known else { return Vec::new() };
        let many = usize::try_from(self.settings.rate.0 / 2).unwrap_or(usize::MAX).max(1);
        let after = self.looked_at;
        let later = known.iter().filter(|(device, _)| after.is_none_or(|after| **device > after));
        let earlier = known.iter().filter(|(device, _)| after.is_some_and(|after| **device <= after));
        let mut turn: Vec<(DeviceId, String)> = later
            .chain(earlier)
            .filter(|(_, thing)| thing.takes_downlinks)
            .map(|(device, thing)| (*device, thing.uid.clone()))
            .take(many)
            .collect();
        turn.reverse();
        turn
    }

    /// Takes what was asked of some devices of the turn; between them others are told of.
    async fn take_actions(&mut self) -> Result<(), Failure> {
        let rest = self.turn.len().saturating_sub(ASKED_A_TURN);
        let (downlinks, things) = (&self.downlinks, &self.things);
        let next: Vec<(DeviceId, String)> = self.turn.iter().skip(rest).rev().cloned().collect();
        stream::iter(next)
            .map(|(device, uid)| async move { downlinks.take(device, &uid, things).await })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        self.looked_at = self.turn.get(rest).map_or(self.looked_at, |(device, _)| Some(*device));
        self.turn.truncate(rest);
        Ok(())
    }

    fn info(&self, device: DeviceId) -> Result<Value, StoreError> {
        Ok(self.view.retained(&Name::Info(device), clock::now())?.unwrap_or_default())
    }

    /// Says that values are in the store and on the broker, but not in the studio.
    fn left_out(&self, device: DeviceId, why: &str) {
        tracing::warn!(mirror = %self.settings.name, %device, why, "values left out: the studio refuses them");
        self.tell(
            "mirror_refused",
            &json!({ "mirror": self.settings.name, "device": device, "reason": why }),
        );
    }

    /// Brings the board up to date, and tells the broker and the log when the state changes.
    fn report(&self, failure: Option<&Failure>) {
        let (state, error) = match failure {
            None => (SourceState::Ok, None),
            Some(failure) => (failure.state(), Some(failure.to_string())),
        };
        let mut before = SourceState::Starting;
        self.board.update(&self.settings.name, |status| {
            before = status.state;
            status.state = state;
            status.error.clone_from(&error);
            status.requests = self.things.cloud.requests();
            if failure.is_none() {
                status.last_success = Some(clock::now());
            }
        });
        if before == state {
            return;
        }
        let mirror = &self.settings.name;
        match state {
            SourceState::Ok | SourceState::Starting => tracing::info!(%mirror, %state, "mirror state"),
            SourceState::AuthFailed => tracing::error!(%mirror, %state, error, "mirror state"),
            SourceState::Degraded | SourceState::RateLimited | SourceState::Down => {
                tracing::warn!(%mirror, %state, error, "mirror state");
            }
        }
        let detail = json!({ "mirror": mirror, "state": state, "previous": before, "error": error });
        self.tell("mirror_state", &detail);
    }

    /// A store that cannot keep an event costs only the event.
    fn tell(&self, kind: &str, detail: &Value) {
        let event = Event::Bridge { time: clock::now(), kind: kind.to_owned(), detail: detail.to_string() };
        if let Err(error) = self.store.tell(&event) {
            tracing::warn!(mirror = %self.settings.name, kind, %error, "an event could not be kept");
        }
    }
}
