//! The passing of time for all queues, and what the devices' uplinks show about their downlinks.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Queues;
use super::machine::{self, Knowledge, Seen, in_fixed_answer};
use crate::clock;
use crate::model::{DeviceId, Downlink, DownlinkPayload, DownlinkState, SourceName, Timestamp, Uplink};
use crate::store::{QueueChange, StoreError, UplinkQuery};

/// How often expired items are ended and uplinks are looked at for what they show.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How many uplinks of a device one sweep looks at, of all that came since its oldest open downlink: the newest.
const LOOK_AT: usize = 256;

/// How often a device asks without a word of the cloud about the answer until its cloud is taken for one that never says
/// any: as often as a day's contract allows answers. The documents promise the word, and a network may fail to answer.
const ASKS_WITHOUT_A_WORD: usize = 4;

/// The time of the newest uplink that was looked at, by device.
type Looked = BTreeMap<DeviceId, Option<Timestamp>>;

impl Queues {
    /// Ends what is over, concludes what uplinks have shown, and forgets what ended a day ago; nothing at a time that
    /// says that the clock was never set.
    pub async fn expire(&self, now: Timestamp) -> Result<(), StoreError> {
        self.look(&mut Looked::new(), now).await
    }

    /// Lets time pass for all queues until told to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut looked = Looked::new();
        let mut tick = tokio::time::interval(SWEEP_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = tick.tick() => {}
            }
            // What could not be kept now is looked at again by the next tick.
            if let Err(error) = self.look(&mut looked, clock::now()).await {
                tracing::warn!(%error, "downlinks could not be brought up to date");
            }
        }
    }

    async fn look(&self, looked: &mut Looked, now: Timestamp) -> Result<(), StoreError> {
        if !clock::is_set(now) {
            return Ok(());
        }
        let devices = self.store.queued_devices()?;
        looked.retain(|device, _| devices.contains(device));
        for device in devices {
            let queue = self.store.queue(device)?;
            let newest = self.newest(device)?;
            // Decoding is not done again and again while nothing comes.
            if looked.get(&device) != Some(&newest) {
                for seen in self.seen_since(device, &queue, now)? {
                    if is_change(&machine::observe(&queue, &seen, now)) {
                        let observe = move |queue: &[Downlink]| (machine::observe(queue, &seen, now), ());
                        self.store.change_queue(device, observe).await?;
                    }
                }
                looked.insert(device, newest);
            }
            if is_change(&machine::sweep(&queue, now)) {
                self.store.change_queue(device, move |queue| (machine::sweep(queue, now), ())).await?;
            }
            self.judge_withdrawn(device, &queue, now).await?;
        }
        Ok(())
    }

    /// Ends what was taken out of a fixed answer, if the cloud has told enough.
    async fn judge_withdrawn(
        &self,
        id: DeviceId,
        queue: &[Downlink],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let out = queue.iter().filter(|item| machine::is_out(item));
        let Some(from) = out.map(|item| item.created).min() else { return Ok(()) };
        let device = self.store.device(id)?;
        let scope = device.as_ref().and_then(|device| Some((&device.source, device.device_type.as_ref()?)));
        let read_until = match scope {
            Some((source, device_type)) => self.store.cursor(source, device_type)?,
            None => None,
        };
        let query = UplinkQuery {
            device: Some(id),
            // An uplink's time has whole seconds.
            from: Some(from.minus(Duration::from_secs(1))),
            limit: Some(LOOK_AT),
            newest_first: true,
            ..UplinkQuery::default()
        };
        let asked = self.store.uplinks(&query)?.into_iter().filter(|uplink| uplink.ack != Some(false));
        let asks = asked.map(|uplink| uplink.time).collect();
        let known = Knowledge { read_until, asks, tells_answers: self.tells_answers(id)? };
        if is_change(&machine::judge_withdrawn(queue, &known, now)) {
            let judge = move |queue: &[Downlink]| (machine::judge_withdrawn(queue, &known, now), ());
            self.store.change_queue(id, judge).await?;
        }
        Ok(())
    }

    /// The uplinks after the oldest downlink whose fate is open, oldest first.
    fn seen_since(
        &self,
        device: DeviceId,
        queue: &[Downlink],
        now: Timestamp,
    ) -> Result<Vec<Seen>, StoreError> {
        let open = queue.iter().filter(|item| item.state != DownlinkState::Queued && !item.is_final());
        let Some(from) = open.map(|item| item.updated).min() else { return Ok(Vec::new()) };
        // The network's time of the answered uplink lies before our time of answering it.
        let from = from.minus(Duration::from_secs(600));
        let query = UplinkQuery {
            device: Some(device),
            from: Some(from),
            limit: Some(LOOK_AT),
            newest_first: true,
            ..UplinkQuery::default()
        };
        let decoder = self.decoder(device)?;
        let acknowledges = |uplink: &Uplink| {
            decoder
                .as_ref()
                .is_some_and(|decoder| decoder.decode(device, uplink.time, &uplink.payload).acknowledges)
        };
        let uplinks = self.store.uplinks(&query)?;
        // Where the network says which uplinks it answered, one that asked shows nothing by itself: the network may have
        // had no answer for it, and the item goes on standing for the next.
        let by_word = match queue.iter().find(|item| in_fixed_answer(item)) {
            Some(standing) => {
                self.weigh_silence(device, standing, &uplinks, now)?;
                self.tells_answers(device)?
            }
            None => false,
        };
        let seen = |uplink: Uplink| Seen {
            uplink: uplink.id(),
            received: uplink.received,
            asked: if by_word { Some(false) } else { uplink.ack },
            acknowledges: acknowledges(&uplink),
        };
        Ok(uplinks.into_iter().rev().map(seen).collect())
    }
}

impl Queues {
    /// Takes over that the network says of an uplink what it was answered with.
    pub async fn transmitted(&self, uplink: &Uplink, data: DownlinkPayload) -> Result<(), StoreError> {
        self.store.set_note(&tells_key(&uplink.source), TELLS)?;
        let seen =
            Seen { uplink: uplink.id(), received: uplink.received, asked: Some(true), acknowledges: false };
        let now = clock::now();
        // Each poll says it again: nothing is written then.
        if is_change(&machine::transmitted(&self.store.queue(uplink.device)?, &seen, data, now)) {
            let decide = move |queue: &[Downlink]| (machine::transmitted(queue, &seen, data, now), ());
            self.store.change_queue(uplink.device, decide).await?;
        }
        Ok(())
    }

    /// Whether the device's cloud says what it answered an uplink with: it does, by its documents, unless it was silent
    /// where it should have spoken, and as soon as it has spoken once.
    fn tells_answers(&self, device: DeviceId) -> Result<bool, StoreError> {
        let Some(device) = self.store.device(device)? else { return Ok(false) };
        Ok(self.store.note(&tells_key(&device.source))?.is_none_or(|note| note != SILENT))
    }

    /// Notes that the device's cloud does not say what it answers with, if it never did and the item that stands as the
    /// fixed answer was asked for so often that it would have.
    fn weigh_silence(
        &self,
        device: DeviceId,
        standing: &Downlink,
        uplinks: &[Uplink],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(device) = self.store.device(device)? else { return Ok(()) };
        let key = tells_key(&device.source);
        let asked = |uplink: &&Uplink| {
            uplink.ack != Some(false)
                && standing.updated < uplink.time.min(uplink.received)
                && uplink.time.plus(machine::ANSWERED_AFTER) <= now
        };
        if uplinks.iter().filter(asked).count() >= ASKS_WITHOUT_A_WORD && self.store.note(&key)?.is_none() {
            tracing::warn!(source = %device.source, "a cloud does not say which uplinks it answered");
            self.store.set_note(&key, SILENT)?;
        }
        Ok(())
    }
}

/// The note about a cloud that says what it answered an uplink with, and about one that does not.
const TELLS: &[u8] = b"1";
const SILENT: &[u8] = b"0";

fn tells_key(source: &SourceName) -> String {
    format!("answers/{source}")
}

fn is_change(change: &QueueChange) -> bool {
    !change.put.is_empty() || !change.forget.is_empty()
}
