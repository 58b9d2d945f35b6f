//! Turns what the store, the configuration and the decoders know into messages for the broker.
//!
//! Reads only; decides nothing about when something is sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Name;
use super::document::{
    BridgeEvent, DeviceInfo, DownlinkCapability, DownlinkItem, DownlinkSummary, FieldRow, LocationDocument,
    Place, QueueRow, Quota, ServiceEvent, SourceDocument, TypeRow, UplinkDocument, VERSION, print,
};
use super::health::Health;
use super::run::Run;
use super::state::place_of;
use crate::config::{Config, DownlinkVia};
use crate::decode::{Decoded, Registry, Resolved};
use crate::downlink::{Opportunity, obstacle};
use crate::ingest::StatusBoard;
use crate::model::{Device, DeviceId, DeviceType, Event, Evidence, Fields, Timestamp, Uplink, UplinkId};
use crate::mqtt::topic::Topics;
use crate::mqtt::{Properties, Publish};
use crate::store::{DeviceState, Store, StoreError, UplinkQuery};

/// How long an event is of use to a subscriber that is away.
const EVENT_EXPIRY: Duration = Duration::from_secs(7 * 24 * 3600);

/// User properties: `id` of the uplink or downlink, and `replay`.
pub(super) type User = Vec<(&'static str, String)>;

/// What is to become of a retained topic.
#[derive(Debug)]
pub(super) enum Rendered {
    /// The broker is to keep this.
    Keep(Bytes),
    /// The broker is to keep this, with these user properties: which uplink or downlink it is about.
    About(Bytes, User),
    /// The broker is to keep this, which is true until then.
    Until(Bytes, Timestamp),
    /// The broker is to keep nothing there.
    Clear,
    /// There is nothing to say yet.
    Nothing,
}

/// A device with everything that its documents need.
#[derive(Debug)]
pub struct Profile {
    /// The device; none where it is not known.
    pub device: Option<Device>,
    /// Its type, where its source has told of it.
    pub device_type: Option<DeviceType>,
    /// What it is called: here, else by its cloud, else by its identifier.
    pub name: String,
    /// Its decoder.
    pub resolved: Resolved,
}

/// Everything that documents are made of.
#[derive(Debug)]
pub(super) struct Renderer {
    pub(super) config: Arc<Config>,
    pub(super) store: Store,
    pub(super) registry: Arc<Registry>,
    pub(super) status: StatusBoard,
    pub(super) mirrors: StatusBoard,
    pub(super) topics: Topics,
    pub(super) run: Run,
    /// What the configuration on the disk says that only a restart brings into effect.
    pub(super) restart_keys: Vec<String>,
}

impl Renderer {
    /// What documents are made of, before anything is counted.
    pub(super) fn new(
        config: Arc<Config>,
        store: Store,
        registry: Arc<Registry>,
        status: StatusBoard,
        topics: Topics,
        run: Run,
    ) -> Self {
        let (mirrors, restart_keys) = (StatusBoard::new([]), Vec::new());
        Self { config, store, registry, status, mirrors, topics, run, restart_keys }
    }

    /// The message of a retained document, as it is now.
    pub(super) fn retained(&self, name: &Name, now: Timestamp) -> Result<Rendered, StoreError> {
        if let Some(device) = name.device() {
            if self.is_filtered_out(device)? {
                return Ok(Rendered::Clear);
            }
        }
        match name {
            Name::BridgeState => Ok(Rendered::Nothing),
            Name::BridgeInfo => Ok(Rendered::Keep(self.bridge_info())),
            Name::Source(source) => Ok(match self.status.all().get(source) {
                Some(status) => Rendered::Keep(print(&SourceDocument::new(status))),
                None => Rendered::Clear,
            }),
            Name::Health => {
                let health = Health::look(&self.store, &self.run, &self.status, now);
                let mirrors = &self.config.mirrors;
                Ok(Rendered::Keep(print(&health.with_mirrors(&self.store, mirrors, &self.mirrors))))
            }
            Name::Devices => self.index(),
            Name::GatewayDiscovery
            | Name::GatewayComponent(..)
            | Name::Discovery(_)
            | Name::Component(..) => self.discovery(name),
            Name::Availability(device) => self.availability(*device, now),
            Name::Attribute(device, field) => self.attribute(*device, field),
            Name::Migration(_) => Ok(Rendered::Keep(Bytes::from_static(br#"{"migrate_discovery":true}"#))),
            Name::Migrated(_) | Name::Gone(_) => Ok(Rendered::Clear),
            Name::Info(device) => self.info(*device),
            Name::State(device) => self.state(*device),
            Name::Location(device) => self.location(*device),
            Name::Downlink(device) => self.summary(*device, now),
            Name::Item(device, item) => {
                let queue = self.store.queue(*device)?;
                Ok(match queue.iter().find(|queued| queued.id == *item) {
                    Some(queued) => Rendered::About(
                        print(&DownlinkItem::from(queued)),
                        about(queued.id.to_string(), false),
                    ),
                    None => Rendered::Clear,
                })
            }
        }
    }

    /// Whether the filters of its source no longer take a device that the store knows.
    pub(super) fn is_filtered_out(&self, id: DeviceId) -> Result<bool, StoreError> {
        let Some(device) = self.store.device(id)? else { return Ok(false) };
        let Some(source) = self.config.sources.iter().find(|source| source.name == device.source) else {
            return Ok(false);
        };
        let is_type_taken = match &device.device_type {
            Some(id) if !source.filter.takes_type(id, None) => {
                let kept = self.store.device_type(&device.source, id)?;
                kept.is_some_and(|kept| source.filter.takes_type(id, kept.name.as_deref()))
            }
            _ => true,
        };
        Ok(!is_type_taken || !source.filter.takes_device(device.id))
    }

    fn location(&self, device: DeviceId) -> Result<Rendered, StoreError> {
        let Some(location) = self.store.device_state(device)?.and_then(|state| state.location) else {
            return Ok(Rendered::Nothing);
        };
        // The state keeps the place alone; the message of that very moment is the one that it came with.
        let query = UplinkQuery {
            device: Some(device),
            from: Some(location.time),
            to: Some(location.time.plus(Duration::from_millis(1))),
            limit: Some(1),
            ..UplinkQuery::default()
        };
        let uplink = self.store.uplinks(&query)?.into_iter().next();
        let id = uplink.as_ref().map(Uplink::id);
        let document = print(&LocationDocument::new(&location, id.as_ref()));
        Ok(Rendered::About(
            document,
            uplink.map(|uplink| about(uplink.id().to_string(), uplink.replay)).unwrap_or_default(),
        ))
    }

    /// The device as it is called, typed and decoded.
    pub(super) fn profile(&self, id: DeviceId) -> Result<Profile, StoreError> {
        let device = self.store.device(id)?;
        let device_type =
            match device.as_ref().and_then(|device| Some((device, device.device_type.as_deref()?))) {
                Some((device, type_id)) => self.store.device_type(&device.source, type_id)?,
                None => None,
            };
        let type_id = device.as_ref().and_then(|device| device.device_type.as_deref());
        let type_name = device_type.as_ref().and_then(|device_type| device_type.name.as_deref());
        let resolved = self.registry.resolve(
            id,
            type_id.map(|type_id| (type_id, type_name)),
            device_type.as_ref().map(|device_type| &device_type.payload),
        );
        let configured = self.config.devices.get(&id).and_then(|settings| settings.name.clone());
        let given = configured.or(self.store.alias(id)?);
        let in_cloud = || device.as_ref().and_then(|device| device.name.clone());
        let name = given.or_else(in_cloud).unwrap_or_else(|| printed(id, device.as_ref()).to_string());
        Ok(Profile { device, device_type, name, resolved })
    }

    /// The messages that an uplink leads to, none of them retained.
    pub(super) fn uplink(&self, uplink: &Uplink, profile: &Profile, decoded: &Decoded) -> Vec<Publish> {
        let place = place_of(uplink, decoded);
        let document = UplinkDocument::new(
            uplink,
            &profile.name,
            profile.resolved.name.as_deref(),
            &decoded.fields,
            &decoded.errors,
            place.as_ref().map(Place::from),
        );
        let user = || about(document.id().to_owned(), uplink.replay);
        let mut messages =
            vec![self.event(self.topics.device(uplink.device, "event/up"), print(&document), user())];
        if let Some(place) = place {
            let located = print(&LocationDocument::new(&place, Some(&uplink.id())));
            messages.push(self.event(self.topics.device(uplink.device, "event/location"), located, user()));
        }
        messages
    }

    /// What the decoder of a device makes of an uplink.
    pub(super) fn decode(profile: &Profile, uplink: &Uplink) -> Decoded {
        let mut decoded = match &profile.resolved.decoder {
            Some(decoder) => decoder.decode(uplink.device, uplink.time, &uplink.payload),
            None => Decoded::default(),
        };
        decoded.errors.extend(profile.resolved.problem.clone());
        decoded
    }

    /// The message of an event that is no uplink.
    pub(super) fn other_event(&self, event: &Event) -> Option<Publish> {
        Some(match event {
            Event::Uplink(_) => return None,
            Event::Downlink(item) => self.event(
                self.topics.device(item.device, "event/downlink"),
                print(&DownlinkItem::from(item.as_ref())),
                about(item.id.to_string(), false),
            ),
            Event::Location { device, location, uplink } => self.event(
                self.topics.device(*device, "event/location"),
                print(&LocationDocument::new(location, uplink.as_ref())),
                uplink.iter().flat_map(|uplink| about(uplink.to_string(), false)).collect(),
            ),
            Event::Service { device, time, kind, detail } => self.event(
                self.topics.device(*device, "event/service"),
                print(&ServiceEvent::new(*device, *time, kind, detail)),
                Vec::new(),
            ),
            Event::Bridge { time, kind, detail } => self.event(
                self.topics.bridge("event"),
                print(&BridgeEvent::new(kind, *time, detail)),
                Vec::new(),
            ),
        })
    }

    /// A message that is of use for a week.
    fn event(&self, topic: String, payload: Bytes, user: User) -> Publish {
        let properties = Properties { user, ..event_properties() };
        Publish { topic, payload, retain: false, properties }
    }

    fn info(&self, id: DeviceId) -> Result<Rendered, StoreError> {
        let profile = self.profile(id)?;
        let Some(device) = &profile.device else { return Ok(Rendered::Nothing) };
        let named = profile.device_type.as_ref().and_then(|device_type| device_type.name.as_deref());
        let mode = self.downlink_via(device);
        let obstacle =
            if mode == DownlinkVia::None { None } else { obstacle(&self.store, &self.config, device) };
        let catalogue = profile.resolved.decoder.as_ref().map_or(&[][..], |decoder| decoder.catalogue());
        Ok(Rendered::Keep(print(&DeviceInfo {
            v: VERSION,
            id: device.id,
            name: &profile.name,
            source: &device.source,
            device_type: device.device_type.as_deref().map(|id| TypeRow { id, name: named }),
            tags: &device.tags,
            state: device.state,
            gone: device.gone,
            decoder: profile.resolved.name.as_deref(),
            decoder_error: profile.resolved.problem.as_deref(),
            fields: catalogue.iter().map(FieldRow::from).collect(),
            downlink: DownlinkCapability {
                mode: via(mode),
                daily_limit: self.config.downlink.daily_limit,
                obstacle: obstacle.as_deref(),
            },
        })))
    }

    /// The newest uplink's document with the merged fields; nothing if that uplink is no longer in the history.
    fn state(&self, id: DeviceId) -> Result<Rendered, StoreError> {
        let Some(state) = self.store.device_state(id)? else { return Ok(Rendered::Nothing) };
        let Some(uplink) = self.find(&state.newest, state.time)? else { return Ok(Rendered::Nothing) };
        let profile = self.profile(id)?;
        let decoded = Self::decode(&profile, &uplink);
        let document = print(&state_document(&uplink, &profile, &state.fields, &decoded, &state));
        Ok(Rendered::About(document, about(uplink.id().to_string(), uplink.replay)))
    }

    fn find(&self, id: &UplinkId, time: Timestamp) -> Result<Option<Uplink>, StoreError> {
        let query = UplinkQuery {
            device: Some(id.device),
            from: Some(time),
            to: Some(time.plus(Duration::from_millis(1))),
            ..UplinkQuery::default()
        };
        Ok(self.store.uplinks(&query)?.into_iter().find(|uplink| uplink.id() == *id))
    }

    fn summary(&self, id: DeviceId, now: Timestamp) -> Result<Rendered, StoreError> {
        let Some(device) = self.store.device(id)? else { return Ok(Rendered::Nothing) };
        let items = self.store.queue(id)?;
        let mode = self.downlink_via(&device);
        // Without a way for downlinks there is none, and each uplink would change the document for nobody.
        let next = match mode {
            DownlinkVia::None => None,
            _ => Opportunity::of(&self.store, id, now)?,
        };
        let summary = print(&DownlinkSummary {
            v: VERSION,
            device: id,
            mode: via(mode),
            evidence: self.best_evidence(id, mode)?,
            quota: Quota::of(&items, self.config.downlink.daily_limit, now),
            next_opportunity: next.map(|next| next.expected),
            next_opportunity_by: next.map(|next| next.by),
            queue: items.iter().filter(|item| item.is_open()).map(QueueRow::from).collect(),
            last: items.iter().max_by_key(|item| item.updated).map(QueueRow::from),
        });
        // The allowance is a new one every UTC day.
        let midnight =
            Timestamp::from_millis((now.as_seconds().div_euclid(86_400) + 1).saturating_mul(86_400_000));
        Ok(match midnight {
            Some(midnight) => Rendered::Until(summary, midnight),
            None => Rendered::Keep(summary),
        })
    }

    fn best_evidence(&self, id: DeviceId, mode: DownlinkVia) -> Result<Option<Evidence>, StoreError> {
        let resolved = self.profile(id)?.resolved;
        let decoder = resolved.name.and_then(|name| self.config.decoders.get(&name));
        let by_device = decoder.is_some_and(|decoder| decoder.acknowledged_by.is_some());
        Ok(match mode {
            DownlinkVia::None => None,
            _ if by_device => Some(Evidence::Device),
            DownlinkVia::Callback | DownlinkVia::Direct => Some(Evidence::Network),
            DownlinkVia::Soracom => Some(Evidence::Inferred),
        })
    }

    pub(super) fn downlink_via(&self, device: &Device) -> DownlinkVia {
        let source = self.config.sources.iter().find(|source| source.name == device.source);
        source.map_or(DownlinkVia::None, |source| source.downlink)
    }
}

/// Properties of every JSON document.
pub(super) fn json_properties() -> Properties {
    Properties { content_type: Some("application/json"), ..Properties::default() }
}

/// Properties of every event.
pub(super) fn event_properties() -> Properties {
    Properties { expiry: Some(EVENT_EXPIRY), ..json_properties() }
}

/// User properties of what is about an uplink or a downlink.
pub(super) fn about(id: String, replay: bool) -> User {
    vec![("id", id), ("replay", replay.to_string())]
}

fn state_document<'a>(
    uplink: &'a Uplink,
    profile: &'a Profile,
    fields: &'a Fields,
    decoded: &'a Decoded,
    state: &DeviceState,
) -> UplinkDocument<'a> {
    let place = state.location.as_ref().map(Place::from);
    UplinkDocument::new(
        uplink,
        &profile.name,
        profile.resolved.name.as_deref(),
        fields,
        &decoded.errors,
        place,
    )
}

fn printed(id: DeviceId, device: Option<&Device>) -> DeviceId {
    device.map_or(id, |device| device.id)
}

pub(super) fn via(mode: DownlinkVia) -> &'static str {
    match mode {
        DownlinkVia::Callback => "callback",
        DownlinkVia::Direct => "direct",
        DownlinkVia::Soracom => "soracom",
        DownlinkVia::None => "none",
    }
}
