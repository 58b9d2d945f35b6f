//! Requests that only read.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Commands;
use super::argument::Arguments;
use super::envelope::Fault;
use crate::clock;
use crate::decode::Decoder;
use crate::decode::grammar::{Dialect, Grammar};
use crate::model::{DeviceId, Payload, Timestamp, Uplink};
use crate::publish::{Name, View};
use crate::store::UplinkQuery;

/// How many uplinks one answer has, and the most that it can have.
const HISTORY: (usize, usize) = (100, 500);

impl Commands {
    /// The document of `bridge/health` without the publisher's own counts, with devices and sources.
    pub(super) fn health(&self) -> Result<Value, Fault> {
        let mut health = self.view.retained(&Name::Health, clock::now())?.unwrap_or_default();
        if let Some(health) = health.as_object_mut() {
            for key in ["v", "messages_in", "messages_out"] {
                health.shift_remove(key);
            }
            health.insert("devices".to_owned(), json!(self.rooms.store.devices()?.len()));
            health.insert("sources".to_owned(), json!(self.rooms.board.all()));
        }
        Ok(health)
    }

    /// The device's `info`, with what else is known of it.
    pub(super) fn device(&self, arguments: &Arguments) -> Result<Value, Fault> {
        let id = arguments.required_device()?;
        let now = clock::now();
        let document = |name: &Name| self.view.retained(name, now);
        let not_found = || Fault::new("not_found", format!("device {id} not found"));
        let mut device = document(&Name::Info(id))?.ok_or_else(not_found)?;
        if let Some(device) = device.as_object_mut() {
            for (key, name) in [
                ("last_uplink", Name::State(id)),
                ("location", Name::Location(id)),
                ("downlinks", Name::Downlink(id)),
            ] {
                device.insert(key.to_owned(), document(&name)?.unwrap_or_default());
            }
        }
        Ok(device)
    }

    pub(super) fn devices(&self) -> Result<Value, Fault> {
        let index = self.view.retained(&Name::Devices, clock::now())?;
        let devices = index.and_then(|mut index| index.as_object_mut()?.remove("devices"));
        Ok(json!({ "devices": devices.unwrap_or_else(|| json!([])) }))
    }

    pub(super) fn downlinks(&self, arguments: &Arguments) -> Result<Value, Fault> {
        let items = self.rooms.queues.list(arguments.device()?)?;
        let items: Vec<_> = items.iter().filter_map(View::downlink).collect();
        Ok(json!({ "downlinks": items }))
    }

    pub(super) fn outbox(&self, arguments: &Arguments) -> Result<Value, Fault> {
        let limit = arguments.limit(HISTORY.0, HISTORY.1)?;
        let (waiting, oldest) = self.rooms.store.outbox_depth()?;
        let events = View::outbox(&self.rooms.store, limit)?;
        Ok(json!({ "waiting": waiting, "oldest": oldest, "events": events }))
    }

    /// Uplinks of the history, oldest first unless `order` says `newest`; `cursor` asks for those after an answer's last.
    pub(super) fn history(&self, arguments: &Arguments) -> Result<Value, Fault> {
        let limit = arguments.limit(HISTORY.0, HISTORY.1)?;
        let (uplinks, cursor) = self.page(arguments, limit)?;
        let mut documents = Vec::with_capacity(uplinks.len());
        for uplink in &uplinks {
            documents.extend(self.view.uplink(uplink)?);
        }
        Ok(json!({ "uplinks": documents, "cursor": cursor }))
    }

    /// One page of uplinks and the cursor of the next.
    pub(super) fn page(
        &self,
        arguments: &Arguments,
        limit: usize,
    ) -> Result<(Vec<Uplink>, Option<String>), Fault> {
        let cursor = arguments.text("cursor")?.map(Cursor::parse).transpose()?;
        let newest_first = match arguments.text("order")? {
            None | Some("oldest") => false,
            Some("newest") => true,
            Some(_) => return Err(Fault::new("malformed", "`order` is neither oldest nor newest")),
        };
        let (from, to) = (arguments.time("from")?, arguments.time("to")?);
        let reached = cursor.map(|cursor| cursor.time);
        let past = |time: Timestamp| time.plus(Duration::from_millis(1));
        let query = UplinkQuery {
            device: arguments.device()?,
            from: if newest_first { from } else { reached.or(from) },
            to: if newest_first { reached.map(past).or(to) } else { to },
            // One more than is given, to know whether there is one.
            limit: Some(limit.saturating_add(cursor.map_or(0, |cursor| cursor.skip)).saturating_add(1)),
            newest_first,
        };
        let mut uplinks = self.rooms.store.uplinks(&query)?;
        uplinks.drain(..cursor.map_or(0, |cursor| cursor.skip).min(uplinks.len()));
        let has_more = uplinks.len() > limit;
        uplinks.truncate(limit);
        let next = has_more.then(|| Cursor::after(&uplinks, cursor)).flatten();
        Ok((uplinks, next.map(|next| format!("{}-{}", next.time.as_millis(), next.skip))))
    }

    pub(super) fn decode(&self, arguments: &Arguments) -> Result<Value, Fault> {
        let data = arguments.required("data")?;
        let payload: Payload =
            data.parse().map_err(|error| Fault::new("malformed", format!("`data`: {error}")))?;
        let device = arguments.device()?;
        let decoder = match (arguments.text("format")?, arguments.text("decoder")?, device) {
            (Some(grammar), ..) => Some(Arc::new(Decoder::of_grammar(self.grammar(grammar, arguments)?))),
            (_, Some(name), _) => {
                let decoder = self.rooms.registry.named(name);
                Some(
                    decoder
                        .ok_or_else(|| Fault::new("not_found", format!("no decoder is called `{name}`")))?,
                )
            }
            (.., Some(device)) => self.rooms.queues.decoder(device)?,
            (None, None, None) => {
                return Err(Fault::new("malformed", "expected `device`, `decoder` or `format`"));
            }
        };
        let device = device.unwrap_or_else(|| DeviceId::new(0, 1));
        let decoded =
            decoder.map(|decoder| decoder.decode(device, clock::now(), &payload)).unwrap_or_default();
        Ok(json!({ "fields": decoded.fields, "errors": decoded.errors }))
    }

    fn grammar(&self, text: &str, arguments: &Arguments) -> Result<Grammar, Fault> {
        let dialect = match arguments.text("dialect")? {
            None | Some("sigfox") => Dialect::Sigfox,
            Some("soracom") => Dialect::Soracom,
            Some(_) => return Err(Fault::new("malformed", "`dialect` is neither sigfox nor soracom")),
        };
        Grammar::parse(text, dialect).map_err(|error| Fault::new("malformed", format!("`format`: {error}")))
    }
}

/// Where an answer went up to: a time, and how many uplinks of that very time were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    time: Timestamp,
    skip: usize,
}

impl Cursor {
    fn parse(text: &str) -> Result<Self, Fault> {
        let parts = text.split_once('-').and_then(|(time, skip)| {
            Some(Self { time: Timestamp::from_millis(time.parse().ok()?)?, skip: skip.parse().ok()? })
        });
        // More uplinks of one millisecond than a page holds are no history of a real device.
        parts
            .filter(|cursor| cursor.skip <= HISTORY.1.saturating_mul(20))
            .ok_or_else(|| Fault::new("malformed", "`cursor` is none that was given"))
    }

    fn after(given: &[Uplink], before: Option<Self>) -> Option<Self> {
        let time = given.last()?.time;
        let skip = given.iter().filter(|uplink| uplink.time == time).count();
        let earlier = before.filter(|before| before.time == time).map_or(0, |before| before.skip);
        Some(Self { time, skip: skip.saturating_add(earlier) })
    }
}

/// How long a request may keep the commands behind it waiting.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
