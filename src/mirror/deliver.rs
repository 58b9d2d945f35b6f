//! Telling the studio what a batch holds, so that a crash on any line is made good by doing it again: history by its
//! time (a time that is taken is done), current values only forward, ends of actions as often as it takes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::action::{action_of, end};
use super::batch::Batch;
use super::thing::{DOWNLINK, ERROR, Known, definition_of, fits, takes_downlinks, wanted};
use super::things::Things;
use crate::cloud::Error;
use crate::cloud::altair::Moment;
use crate::model::{DeviceId, Downlink, Timestamp};

/// So many moments go into one request.
const MOMENTS_AT_ONCE: usize = 100;
/// So many pages of a Thing's history are read to find what is kept already.
const MOST_PAGES: usize = 10;

/// What came of a batch.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) device: DeviceId,
    pub(super) batch: Batch,
    /// The Thing as it is now; none where there is none any more.
    pub(super) thing: Option<Known>,
    /// Why values were left out, where some were: the studio takes them in no way.
    pub(super) refused: Option<String>,
    pub(super) outcome: Result<(), Error>,
}

impl Things {
    /// Tells the studio all that a batch holds.
    pub(super) async fn deliver(
        &self,
        device: DeviceId,
        batch: Batch,
        mut thing: Option<Known>,
        info: &Value,
    ) -> Delivered {
        let mut refused = None;
        let mut outcome = self.try_deliver(device, &batch, &mut thing, info, &mut refused).await;
        if matches!(outcome, Err(Error::NotFound { .. })) {
            // Somebody has deleted the Thing by hand: it is made anew, with what comes from now on.
            thing = None;
            outcome = self.try_deliver(device, &batch, &mut thing, info, &mut refused).await;
        }
        Delivered { device, batch, thing, refused, outcome }
    }

    async fn try_deliver(
        &self,
        device: DeviceId,
        batch: &Batch,
        slot: &mut Option<Known>,
        info: &Value,
        refused: &mut Option<String>,
    ) -> Result<(), Error> {
        let mut thing = match slot.take() {
            Some(known) => known,
            None => self.find_or_create(device, info).await?,
        };
        let told = self.tell(device, batch, &mut thing, info, refused).await;
        *slot = Some(thing);
        told
    }

    async fn tell(
        &self,
        device: DeviceId,
        batch: &Batch,
        thing: &mut Known,
        info: &Value,
        refused: &mut Option<String>,
    ) -> Result<(), Error> {
        let properties = properties(info, batch);
        let action = takes_downlinks(info);
        self.complete(device, thing, &properties, action, false).await?;
        let unfit = batch.samples().any(|(name, value)| {
            thing.properties.get(name).is_some_and(|definition| !fits(definition, value))
        });
        if unfit {
            // The definition in the studio may be newer than ours: somebody's, or that of an older decoder.
            *thing = self.again(device, thing).await?;
            self.complete(device, thing, &properties, action, true).await?;
        }
        for moments in batch.moments().chunks(MOMENTS_AT_ONCE) {
            self.keep(&thing.uid, moments, refused).await?;
        }
        let (current, newest) = batch.current(thing.newest);
        if !current.is_empty() {
            let set = self.cloud.set_properties(&thing.uid, current, false).send().await;
            left_out(set, refused)?;
        }
        thing.newest = newest;
        for error in &batch.errors {
            let told = self.cloud.create_event(&thing.uid, ERROR, &Value::from(error.as_str())).send().await;
            left_out(told.map(drop), refused)?;
        }
        for item in &batch.ended {
            self.finish(&thing.uid, item).await?;
        }
        Ok(())
    }

    /// Keeps moments. Where some of their times are taken, the rest is kept: after a crash, or for a place that was
    /// told before its message.
    async fn keep(&self, uid: &str, moments: &[Moment], refused: &mut Option<String>) -> Result<(), Error> {
        let kept = self.cloud.add_history(uid, moments).send().await;
        let left = match &kept {
            Err(Error::Refused { status: 409, .. }) => self.not_kept(uid, moments).await?,
            Err(error) if is_of_the_values(error) => return self.keep_apart(uid, moments, refused).await,
            _ => return kept,
        };
        if left.is_empty() {
            return Ok(());
        }
        match self.cloud.add_history(uid, &left).send().await {
            Err(error) if is_of_the_values(&error) => self.keep_apart(uid, &left, refused).await,
            kept => kept,
        }
    }

    /// What the studio does not show of moments.
    async fn not_kept(&self, uid: &str, moments: &[Moment]) -> Result<Vec<Moment>, Error> {
        let mut left: BTreeMap<Timestamp, Map<String, Value>> =
            moments.iter().map(|moment| (moment.at, moment.properties.clone())).collect();
        let oldest = left.keys().next().copied();
        let mut pages = self.cloud.history(uid, None);
        for _ in 0..MOST_PAGES {
            let Some(page) = pages.next_page().await? else { break };
            for shown in &page.rows {
                if let Some(properties) = left.get_mut(&shown.at) {
                    properties.retain(|name, _| !shown.properties.contains_key(name));
                }
            }
            // The newest come first.
            if page.rows.last().map(|shown| shown.at) < oldest {
                break;
            }
        }
        left.retain(|_, properties| !properties.is_empty());
        Ok(left.into_iter().map(|(at, properties)| Moment { at, properties }).collect())
    }

    /// Keeps each moment for itself, and each value of one that is refused.
    async fn keep_apart(
        &self,
        uid: &str,
        moments: &[Moment],
        refused: &mut Option<String>,
    ) -> Result<(), Error> {
        for moment in moments {
            let kept = self.cloud.add_history(uid, std::slice::from_ref(moment)).send().await;
            if moment.properties.len() < 2 || !kept.as_ref().is_err_and(is_of_the_values) {
                left_out(kept, refused)?;
                continue;
            }
            for (name, value) in &moment.properties {
                let properties = Map::from_iter([(name.clone(), value.clone())]);
                let kept = self.cloud.add_history(uid, &[Moment { at: moment.at, properties }]).send().await;
                left_out(kept, refused)?;
            }
        }
        Ok(())
    }

    /// Says how an action has ended.
    async fn finish(&self, uid: &str, item: &Downlink) -> Result<(), Error> {
        let Some(action) = action_of(&item.id) else { return Ok(()) };
        let (status, output) = end(item);
        let finish = |status| self.cloud.finish_action(uid, (DOWNLINK, action), status, Some(output.clone()));
        match finish(status).send().await {
            // The service keeps the newest hundred: this one has gone, and nobody asks for it any more.
            Err(Error::NotFound { .. }) => Ok(()),
            // Only `pending` and `completed` are documented as words for how an action is.
            Err(Error::Refused { status: 400, .. }) if status != "completed" => {
                finish("completed").send().await
            }
            finished => finished,
        }
    }
}

/// What a Thing needs for a batch: the catalogue of the device, and what values alone tell of.
fn properties(info: &Value, batch: &Batch) -> Map<String, Value> {
    let mut properties = wanted(info);
    for (name, value) in batch.samples() {
        match properties.get(name) {
            Some(known) if fits(known, value) => {}
            // What a decoder gives counts, whatever its catalogue promised.
            _ => properties.extend(definition_of(name, value).map(|definition| (name.clone(), definition))),
        }
    }
    properties
}

/// Whether the studio refuses what is told, rather than who tells it or that it is told now: asking again with the
/// same would change nothing.
fn is_of_the_values(error: &Error) -> bool {
    matches!(error, Error::Refused { status: 400 | 409 | 413 | 422, .. })
}

/// A value that is refused in itself holds up nothing; that a time is taken (409) says that it was told before.
fn left_out(told: Result<(), Error>, refused: &mut Option<String>) -> Result<(), Error> {
    match told {
        Err(Error::Refused { status: 409, .. }) => Ok(()),
        Err(error) if is_of_the_values(&error) => {
            *refused = Some(error.to_string());
            Ok(())
        }
        told => told,
    }
}
