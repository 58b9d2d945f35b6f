//! What is told next, while there is room: births, then what waits, then what has changed otherwise.

use super::{EdgeNode, Known, Told};
use crate::clock;
use crate::model::{DeviceId, Event, LocationSource, Timestamp, Uplink};
use crate::mqtt::Fault;
use crate::mqtt::edge::Line;
use crate::publish::sparkplug::catalogue::Typing;
use crate::publish::sparkplug::declared::{Declared, Subject};
use crate::publish::sparkplug::facts::Facts;
use crate::publish::sparkplug::metric::Metric;
use crate::publish::sparkplug::node::Outgoing;
use crate::store::StoreError;

/// So many events are handed over before a barrier is put behind them, while another one is under way.
const BETWEEN_BARRIERS: usize = 100;

/// Which of a device's values an event is about.
#[derive(Debug, Clone, Copy)]
enum Aspect {
    Uplink,
    Location,
    Downlink,
}

impl EdgeNode {
    /// Births are due: of the edge node itself, and then of everybody who is there.
    pub(super) fn begin_births(&mut self) {
        self.node_birth_due = true;
        let is_there =
            |id: &DeviceId, known: &Known| known.there.is_there.unwrap_or_else(|| self.node.is_born(*id));
        let due = self.devices.iter().filter(|(id, known)| is_there(id, known)).map(|(id, _)| *id);
        self.births = due.collect();
        self.deaths.clear();
        self.review_at = tokio::time::Instant::now();
    }

    /// Hands over as much as there is room for, and a barrier behind it.
    pub(super) fn send(&mut self, line: &mut Line) -> Result<(), Fault> {
        while line.has_room() && self.node.session.is_born() && self.paused_until.is_none() {
            let next = self.next_message();
            let Some(Some(message)) = self.unless_failed(next) else { break };
            tracing::debug!(topic = message.topic, bytes = message.payload.len(), "told");
            if !line.publish(&message.topic, message.payload) {
                // Its number is spent: without it the host would miss one.
                return Err(Fault::Lost("a message could not be handed over".to_owned()));
            }
        }
        let (open, is_under_way) = self.backlog.wants_barrier();
        if self.ready.is_empty() && open > 0 && (!is_under_way || open >= BETWEEN_BARRIERS) {
            if let Some(number) = line.put_barrier() {
                self.backlog.barrier(number);
            }
        }
        Ok(())
    }

    fn next_message(&mut self) -> Result<Option<Outgoing>, StoreError> {
        if let Some(message) = self.ready.pop_front() {
            return Ok(Some(message));
        }
        let now = clock::now();
        if self.node_birth_due {
            self.told = self.facts.node(self.backlog.depth()?, self.ignored, now);
            (self.node_birth_due, self.node_data_due) = (false, false);
            return Ok(Some(self.node.birth(&self.told, now)));
        }
        self.review_if_due(now)?;
        while let Some(device) = self.births.first().copied() {
            let birth = self.birth(device, now)?;
            self.births.remove(&device);
            if birth.is_some() {
                return Ok(birth);
            }
        }
        while let Some(entry) = self.backlog.next()? {
            let event = entry.event.clone();
            self.tell(&event, now)?;
            self.backlog.handed_over();
            if let Some(message) = self.ready.pop_front() {
                return Ok(Some(message));
            }
        }
        if std::mem::take(&mut self.node_data_due) {
            if let Some(message) = self.node_data(now)? {
                return Ok(Some(message));
            }
        }
        if let Some(message) = self.next_rename(now)? {
            return Ok(Some(message));
        }
        Ok(self.next_death(now))
    }

    /// The birth of a device as it is now; none if it is not known.
    fn birth(&mut self, device: DeviceId, now: Timestamp) -> Result<Option<Outgoing>, StoreError> {
        let Some(portrait) = self.facts.portrait(device, &self.node.declared, now)? else { return Ok(None) };
        let known = self.devices.entry(device).or_default();
        known.description = portrait.metrics.iter().take(3).map(|metric| metric.value.clone()).collect();
        known.uplink = portrait.since.map(|time| (time, false));
        known.location = portrait.located;
        known.downlink = portrait.pushed.map(|time| (time, false));
        let since = portrait.since.unwrap_or(now);
        Ok(Some(self.node.device_birth(device, &portrait.metrics, since, now)))
    }

    /// Makes the messages of an event; what is made before an error is sent all the same.
    fn tell(&mut self, event: &Event, now: Timestamp) -> Result<(), StoreError> {
        match event {
            Event::Uplink(uplink) => self.tell_uplink(uplink, now),
            Event::Location { device, location, .. } => {
                let stamp = (location.time, location.source == LocationSource::Gps);
                let make = |_: &Facts, _: &Declared, _| Ok(Some(Facts::location(location)));
                self.tell_of(*device, Aspect::Location, stamp, false, make, now)
            }
            Event::Downlink(item) => {
                let make = |facts: &Facts, _: &Declared, _| facts.downlink(item);
                self.tell_of(item.device, Aspect::Downlink, (item.updated, false), false, make, now)
            }
            Event::Service { .. } | Event::Bridge { .. } => Ok(()),
        }
    }

    fn tell_uplink(&mut self, uplink: &Uplink, now: Timestamp) -> Result<(), StoreError> {
        let make = |facts: &Facts, declared: &Declared, typing| facts.uplink(uplink, declared, typing);
        let stamp = (uplink.time, false);
        self.tell_of(uplink.device, Aspect::Uplink, stamp, uplink.replay, make, now)
    }

    /// Tells values of a device: live ones by the types that they have, old ones as history by those of the birth.
    /// Where the host lacks a name, a type or the device, a birth comes first.
    fn tell_of(
        &mut self,
        device: DeviceId,
        aspect: Aspect,
        stamp: (Timestamp, bool),
        is_replay: bool,
        make: impl Fn(&Facts, &Declared, Typing) -> Result<Option<Vec<Metric>>, StoreError>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for typing in [Typing::Follow, Typing::Force] {
            let told = self.devices.get_mut(&device).map(|known| known.told(aspect));
            let is_old = is_replay || told.as_deref().copied().flatten().is_some_and(|told| stamp < told);
            let typing = if is_old { Typing::Force } else { typing };
            let Some(metrics) = make(&self.facts, &self.node.declared, typing)? else { return Ok(()) };
            if let Some(message) = self.node.data(Subject::Device(device), &metrics, is_old, now) {
                if let Some(told) = told.filter(|_| !is_old) {
                    *told = Some(stamp);
                    // Somebody who speaks is not gone, whatever the last review said.
                    self.deaths.remove(&device);
                }
                self.ready.push_back(message);
                return Ok(());
            }
            let Some(birth) = self.birth(device, now)? else { return Ok(()) };
            self.ready.push_back(birth);
        }
        tracing::error!(%device, "values not told: they do not fit what was declared");
        Ok(())
    }

    /// The edge node's own metrics that have changed.
    fn node_data(&mut self, now: Timestamp) -> Result<Option<Outgoing>, StoreError> {
        let metrics = self.facts.node(self.backlog.depth()?, self.ignored, now);
        let is_told = |metric: &Metric| {
            self.told.iter().any(|told| told.name == metric.name && told.value == metric.value)
        };
        let changed: Vec<Metric> = metrics.iter().filter(|metric| !is_told(metric)).cloned().collect();
        self.told = metrics;
        if changed.is_empty() {
            return Ok(None);
        }
        let message = self.node.data(Subject::Node, &changed, false, now);
        if message.is_none() {
            self.begin_births();
        }
        Ok(message)
    }

    /// The description of the next device that is called otherwise by now.
    fn next_rename(&mut self, now: Timestamp) -> Result<Option<Outgoing>, StoreError> {
        while let Some(device) = self.renamed.first().copied() {
            let is_declared = self.facts.is_declared(device, &self.node.declared)?;
            let description = self.facts.description(device, now)?.filter(|_| self.node.is_born(device));
            self.renamed.remove(&device);
            let Some(description) = description else { continue };
            if !is_declared {
                return self.birth(device, now);
            }
            let known = self.devices.entry(device).or_default();
            let values: Vec<_> = description.iter().map(|metric| metric.value.clone()).collect();
            if known.description != values {
                known.description = values;
                return Ok(self.node.data(Subject::Device(device), &description, false, now));
            }
        }
        Ok(None)
    }

    /// The next device that is gone; only when nothing waits, because what waits would bring it back.
    fn next_death(&mut self, now: Timestamp) -> Option<Outgoing> {
        let device = self.deaths.pop_first()?;
        let death = self.node.device_death(device, now);
        if !self.devices.contains_key(&device) {
            self.node.forget(device);
        }
        Some(death)
    }
}

impl Known {
    fn told(&mut self, aspect: Aspect) -> &mut Told {
        match aspect {
            Aspect::Uplink => &mut self.uplink,
            Aspect::Location => &mut self.location,
            Aspect::Downlink => &mut self.downlink,
        }
    }
}
