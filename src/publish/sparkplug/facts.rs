//! What the store, the configuration and the decoders say now, as metrics. Reads only; decides nothing about when
//! something is told.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use super::catalogue::{self, Typing};
use super::declared::{Declared, Subject};
use super::metric::Metric;
use crate::config::{Config, DownlinkVia};
use crate::decode::{Decoded, Registry};
use crate::ingest::StatusBoard;
use crate::model::{Device, DeviceId, Downlink, Location, LocationSource, Timestamp, Uplink};
use crate::mqtt::topic::Topics;
use crate::publish::availability::Presence;
use crate::publish::health::Health;
use crate::publish::outage::{Moment, Outages};
use crate::publish::render::{Profile, Renderer};
use crate::publish::{Run, state};
use crate::store::{DeviceState, Store, StoreError, UplinkQuery};

/// So many uplinks are read that the kept state of a device may not hold yet.
const NEWEST: usize = 64;

/// Where metrics come from.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) renderer: Renderer,
    /// The publisher's; the renderer has one of its own, because each judges sources and devices for itself.
    run: Run,
    started: Timestamp,
}

/// A device as it is now.
#[derive(Debug)]
pub(super) struct Portrait {
    /// Everything that there is to tell.
    pub(super) metrics: Vec<Metric>,
    /// When its newest uplink was sent.
    pub(super) since: Option<Timestamp>,
    /// When it was located, and whether by a fix of its own.
    pub(super) located: Option<(Timestamp, bool)>,
    /// When a downlink of it changed.
    pub(super) pushed: Option<Timestamp>,
}

/// What the history knows of a device.
struct Newest {
    state: Option<DeviceState>,
    uplink: Option<(Uplink, Decoded)>,
}

/// Whether a device is there, and until when that is true.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct There {
    /// None while nobody can know.
    pub(super) is_there: Option<bool>,
    pub(super) until: Option<Timestamp>,
}

impl Facts {
    pub(super) fn new(
        config: Arc<Config>,
        store: Store,
        registry: Arc<Registry>,
        status: StatusBoard,
        run: Run,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let topics = Topics::new(&config.mqtt.base, &config.mqtt.discovery.prefix);
        let renderer = Renderer::new(config, store, registry, status, topics, Run::default());
        let sources = renderer.status.all().into_keys();
        let outages = Outages::load(&renderer.store, sources, Moment::now(now))?;
        *renderer.run.outages() = outages;
        Ok(Self { renderer, run, started: now })
    }

    /// How the sources do has changed; whether devices are to be judged anew.
    pub(super) fn sources_changed(&mut self, now: Timestamp) -> bool {
        let mut anew = false;
        for (source, status) in self.renderer.status.all() {
            anew |= self.renderer.run.outages().update(&source, &status, Moment::now(now));
        }
        anew
    }

    /// The edge node's own metrics.
    pub(super) fn node(&self, backlog: u64, ignored: u64, now: Timestamp) -> Vec<Metric> {
        let Renderer { store, status, .. } = &self.renderer;
        let health = Health::look(store, &self.run, status, now);
        let mut metrics = catalogue::of_gateway(&health, self.started, backlog, ignored, now);
        for (source, status) in status.all() {
            metrics.extend(catalogue::of_source(&source, &status, now));
        }
        metrics
    }

    /// Everything about a device; none if it is not known. Types follow the values of now.
    pub(super) fn portrait(
        &self,
        id: DeviceId,
        declared: &Declared,
        now: Timestamp,
    ) -> Result<Option<Portrait>, StoreError> {
        let profile = self.renderer.profile(id)?;
        let Some(device) = &profile.device else { return Ok(None) };
        let Newest { state, uplink } = self.newest(id, &profile)?;
        let heard = state.as_ref().map(|state| state.time).filter(|time| *time != Timestamp::default());
        let since = heard.unwrap_or(now);
        // What we say ourselves has our clock, and the cloud's may be ahead of it.
        let as_of = since.min(now);
        let location = state.as_ref().and_then(|state| state.location);
        let fields = state.map(|state| state.fields).unwrap_or_default();
        let decoder = profile.resolved.decoder.as_deref();
        let known = |name: &str| declared.datatype(Subject::Device(id), name);

        let mut metrics = description(device, &profile, as_of).to_vec();
        metrics.extend(catalogue::of_fields(&fields, decoder, Typing::Follow, known, since));
        metrics
            .extend(decoder.into_iter().flat_map(|decoder| catalogue::of_catalogue(decoder, &fields, since)));
        let uplink = uplink.as_ref().map(|(uplink, decoded)| (uplink, decoded));
        metrics.extend(catalogue::of_uplink(uplink, since));
        metrics.extend(catalogue::of_location(location.as_ref(), since));
        let mut pushed = None;
        if self.takes_downlinks(device) {
            let items = self.renderer.store.queue(id)?;
            let last = items.iter().max_by_key(|item| item.updated);
            pushed = last.map(|item| item.updated);
            metrics.extend(catalogue::of_downlink(last, as_of));
        }
        let located = location.map(|location| (location.time, location.source == LocationSource::Gps));
        Ok(Some(Portrait { metrics, since: heard, located, pushed }))
    }

    /// A device's state with the uplinks that went into the history since it was kept, and the newest of them.
    fn newest(&self, id: DeviceId, profile: &Profile) -> Result<Newest, StoreError> {
        let mut state = self.renderer.store.device_state(id)?;
        let query = UplinkQuery {
            device: Some(id),
            from: state.as_ref().map(|state| state.time),
            limit: Some(NEWEST),
            newest_first: true,
            ..UplinkQuery::default()
        };
        let mut uplink = None;
        for later in self.renderer.store.uplinks(&query)?.into_iter().rev() {
            let decoded = Renderer::decode(profile, &later);
            if state::take_uplink(&mut state, &later, decoded.clone()) {
                uplink = Some((later, decoded));
            }
        }
        Ok(Newest { state, uplink })
    }

    /// What an uplink tells.
    pub(super) fn uplink(
        &self,
        uplink: &Uplink,
        declared: &Declared,
        typing: Typing,
    ) -> Result<Option<Vec<Metric>>, StoreError> {
        let profile = self.renderer.profile(uplink.device)?;
        if profile.device.is_none() {
            return Ok(None);
        }
        let decoded = Renderer::decode(&profile, uplink);
        let decoder = profile.resolved.decoder.as_deref();
        let known = |name: &str| declared.datatype(Subject::Device(uplink.device), name);
        let mut metrics = catalogue::of_uplink(Some((uplink, &decoded)), uplink.time).to_vec();
        metrics.extend(catalogue::of_fields(&decoded.fields, decoder, typing, known, uplink.time));
        if let Some(place) = state::place_of(uplink, &decoded) {
            metrics.extend(catalogue::of_location(Some(&place), uplink.time));
        }
        Ok(Some(metrics))
    }

    /// Where a device was found to be.
    pub(super) fn location(location: &Location) -> Vec<Metric> {
        catalogue::of_location(Some(location), location.time).to_vec()
    }

    /// What became of a downlink; none where its device takes none.
    pub(super) fn downlink(&self, item: &Downlink) -> Result<Option<Vec<Metric>>, StoreError> {
        let device = self.renderer.store.device(item.device)?;
        let takes_some = device.is_some_and(|device| self.takes_downlinks(&device));
        Ok(takes_some.then(|| catalogue::of_downlink(Some(item), item.updated).to_vec()))
    }

    /// Who a device is, as of now; none if it is not known.
    pub(super) fn description(
        &self,
        id: DeviceId,
        now: Timestamp,
    ) -> Result<Option<[Metric; 3]>, StoreError> {
        let profile = self.renderer.profile(id)?;
        Ok(profile.device.as_ref().map(|device| description(device, &profile, now)))
    }

    /// Whether the host knows every field that the device's decoder may give.
    pub(super) fn is_declared(&self, id: DeviceId, declared: &Declared) -> Result<bool, StoreError> {
        let profile = self.renderer.profile(id)?;
        let Some(decoder) = profile.resolved.decoder else { return Ok(true) };
        let fields = catalogue::of_catalogue(&decoder, &crate::model::Fields::new(), Timestamp::default());
        Ok(fields.iter().all(|field| declared.told(Subject::Device(id), &field.name).is_some()))
    }

    /// Whether a device is there.
    pub(super) fn there(&self, id: DeviceId, now: Timestamp) -> Result<There, StoreError> {
        let Some(judged) = self.renderer.judged(id, now)? else { return Ok(There::default()) };
        let is_there = judged.state == Presence::Online;
        Ok(There { is_there: Some(is_there), until: judged.deadline.filter(|_| is_there) })
    }

    /// Changes with everything that a review of the device would look at.
    pub(super) fn stamp(&self, device: &Device) -> Result<u64, StoreError> {
        let mut hasher = DefaultHasher::new();
        let store = &self.renderer.store;
        store.alias(device.id)?.hash(&mut hasher);
        let device_type = match &device.device_type {
            Some(id) => store.device_type(&device.source, id)?,
            None => None,
        };
        format!("{device:?}{device_type:?}").hash(&mut hasher);
        Ok(hasher.finish())
    }

    fn takes_downlinks(&self, device: &Device) -> bool {
        self.renderer.downlink_via(device) != DownlinkVia::None
    }
}

fn description(device: &Device, profile: &Profile, time: Timestamp) -> [Metric; 3] {
    let type_name = profile.device_type.as_ref().and_then(|device_type| device_type.name.as_deref());
    let device_type = type_name.or(device.device_type.as_deref());
    catalogue::of_device(&profile.name, device_type, &device.source, time)
}
