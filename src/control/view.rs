//! Answers questions from the store, the decoders and, in a running daemon, the state of the sources.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::question::{Export, MOST_ROWS, Question, Range, Rows, StoreQuestion};
use crate::config::{Config, SigfoxApi, SourceKind};
use crate::decode::{Decoded, Registry, Resolved};
use crate::ingest::StatusBoard;
use crate::model::{Device, DeviceId, Fields, Location, Payload, Timestamp, Uplink};
use crate::publish::document::{DownlinkItem, LocationDocument, Place, UplinkDocument};
use crate::publish::{self, place_of};
use crate::store::{Store, StoreError, UplinkQuery};

/// What answers are made from.
#[derive(Debug, Clone)]
pub struct View {
    config: Arc<Config>,
    store: Store,
    registry: Arc<Registry>,
    board: Option<StatusBoard>,
}

/// An uplink with what its document needs.
struct Read {
    name: String,
    decoder: Option<String>,
    decoded: Decoded,
    place: Option<Location>,
}

impl View {
    /// A view of a gateway; the board is that of a running daemon.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        store: Store,
        registry: Arc<Registry>,
        board: Option<StatusBoard>,
    ) -> Self {
        Self { config, store, registry, board }
    }

    /// The answer, a list of objects; or in words why there is none. Reads the disk.
    pub fn answer(&self, question: &Question) -> Result<Value, String> {
        match question {
            Question::Devices { device } => self.devices(*device),
            Question::Messages(range) => self.newest(Rows::Messages, range),
            Question::Locations(range) => self.newest(Rows::Locations, range),
            Question::Downlinks { device } => self.downlinks(*device),
            Question::Sources => Ok(self.sources()),
            Question::Outbox { limit } => {
                written(&publish::View::outbox(&self.store, (*limit).min(MOST_ROWS)).map_err(said)?)
            }
            Question::Export(_) => Err("an export is a stream of rows, not one answer".to_owned()),
            Question::Command { .. } => Err("no daemon runs that could do this".to_owned()),
            Question::Decode { device, data, time } => self.decode(*device, data, *time),
            Question::Store(question) => self.store(question),
        }
    }

    fn store(&self, question: &StoreQuestion) -> Result<Value, String> {
        match question {
            StoreQuestion::Stats => written(&self.store.stats().map_err(said)?),
            StoreQuestion::Verify => written(&self.store.verify().map_err(said)?),
            StoreQuestion::Compact => written(&self.store.compact().map_err(said)?),
            StoreQuestion::Backup { file } => {
                let records =
                    self.store.backup(file).map_err(|error| format!("{}: {error}", file.display()))?;
                Ok(json!({ "file": file, "records": records }))
            }
        }
    }

    fn devices(&self, only: Option<DeviceId>) -> Result<Value, String> {
        let devices = match only {
            Some(id) => vec![self.known(id)?],
            None => self.store.devices().map_err(said)?,
        };
        devices.iter().map(|device| self.device(device)).collect()
    }

    fn device(&self, device: &Device) -> Result<Value, String> {
        let state = self.store.device_state(device.id).map_err(said)?;
        let location = state.as_ref().and_then(|state| state.location);
        Ok(json!({
            "id": device.id,
            "name": self.name(device),
            "type": self.kind(device)?,
            "source": device.source,
            "last_seen": device.last_seen,
            "state": device.state,
            "gone": device.gone,
            "decoder": self.decoder(device)?.name,
            "tags": device.tags,
            "fields": *state.map(|state| state.fields).unwrap_or_default(),
            "location": location.as_ref().map(Place::from),
        }))
    }

    /// What a device's type is called, else its identifier, as in `bridge/devices`.
    fn kind(&self, device: &Device) -> Result<Option<String>, String> {
        let Some(id) = &device.device_type else { return Ok(None) };
        let kind = self.store.device_type(&device.source, id).map_err(said)?;
        Ok(kind.and_then(|kind| kind.name).or_else(|| Some(id.clone())))
    }

    /// The history, oldest first, row by row: of any length, because no more than a row is held.
    pub fn export(
        &self,
        export: &Export,
    ) -> Result<impl Iterator<Item = Result<Value, String>> + '_, String> {
        let Export { what, device, from, to } = *export;
        self.rows(what, &UplinkQuery { device, from, to, limit: None, newest_first: false })
    }

    /// What a device's uplinks of a span say as it is decoded today, oldest first; of any length.
    pub(crate) fn readings(
        &self,
        device: DeviceId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<impl Iterator<Item = Result<(Timestamp, Fields), String>> + use<>, String> {
        let device = self.known(device)?;
        let decoder = self.decoder(&device)?.decoder;
        let span = UplinkQuery { from: Some(from), to: Some(to), ..UplinkQuery::default() };
        let history = self.store.history(&UplinkQuery { device: Some(device.id), ..span });
        Ok(history.map(move |uplink| {
            let uplink = uplink.map_err(said)?;
            let decoded =
                decoder.as_ref().map(|decoder| decoder.decode(uplink.device, uplink.time, &uplink.payload));
            Ok((uplink.time, decoded.unwrap_or_default().fields))
        }))
    }

    fn newest(&self, what: Rows, range: &Range) -> Result<Value, String> {
        let Range { device, from, to, limit } = *range;
        let rows = self.rows(what, &UplinkQuery { device, from, to, limit: None, newest_first: true })?;
        rows.take(limit.min(MOST_ROWS)).collect()
    }

    fn rows<'v>(
        &'v self,
        what: Rows,
        query: &UplinkQuery,
    ) -> Result<impl Iterator<Item = Result<Value, String>> + use<'v>, String> {
        if let Some(id) = query.device {
            self.known(id)?;
        }
        let row = move |uplink: Result<Uplink, StoreError>| {
            let uplink = uplink.map_err(said)?;
            match what {
                Rows::Messages => self.message(&uplink).map(Some),
                Rows::Locations => self.location(&uplink),
            }
        };
        Ok(self.store.history(query).filter_map(move |uplink| row(uplink).transpose()))
    }

    fn message(&self, uplink: &Uplink) -> Result<Value, String> {
        let read = self.read(uplink)?;
        let place = read.place.as_ref().map(Place::from);
        let Decoded { fields, errors, .. } = &read.decoded;
        written(&UplinkDocument::new(uplink, &read.name, read.decoder.as_deref(), fields, errors, place))
    }

    fn decode(&self, device: DeviceId, data: &Payload, time: Timestamp) -> Result<Value, String> {
        let resolved = self.decoder(&self.known(device)?)?;
        let Some(decoder) = resolved.decoder else {
            let problem = resolved.problem.map(|problem| format!(": {problem}")).unwrap_or_default();
            return Err(format!("device {device} has no decoder{problem}"));
        };
        let decoded = decoder.decode(device, time, data);
        Ok(json!({ "fields": decoded.fields, "errors": decoded.errors }))
    }

    fn location(&self, uplink: &Uplink) -> Result<Option<Value>, String> {
        let Some(place) = self.read(uplink)?.place else { return Ok(None) };
        let mut row = json!({ "device": uplink.device });
        if let (Value::Object(row), Value::Object(document)) =
            (&mut row, written(&LocationDocument::new(&place, Some(&uplink.id())))?)
        {
            row.extend(document);
        }
        Ok(Some(row))
    }

    /// An uplink as its device is called and decoded today.
    fn read(&self, uplink: &Uplink) -> Result<Read, String> {
        let device = self.known(uplink.device)?;
        let resolved = self.decoder(&device)?;
        let decoder = resolved.decoder;
        let mut decoded = decoder
            .map(|decoder| decoder.decode(uplink.device, uplink.time, &uplink.payload))
            .unwrap_or_default();
        decoded.errors.extend(resolved.problem);
        let place = place_of(uplink, &decoded);
        Ok(Read { name: self.name(&device), decoder: resolved.name, decoded, place })
    }

    fn downlinks(&self, only: Option<DeviceId>) -> Result<Value, String> {
        let devices = match only {
            Some(id) => vec![self.known(id)?.id],
            None => self.store.queued_devices().map_err(said)?,
        };
        let mut rows = Vec::new();
        for device in devices {
            for item in &self.store.queue(device).map_err(said)? {
                rows.push(written(&DownlinkItem::from(item))?);
            }
        }
        Ok(Value::Array(rows))
    }

    fn sources(&self) -> Value {
        let statuses = self.board.as_ref().map(StatusBoard::all);
        let source = |source: &crate::config::Source| {
            let status = statuses.as_ref().and_then(|statuses| statuses.get(&source.name));
            let mut row =
                json!({ "name": source.name, "kind": kind(&source.kind), "url": source.url.as_str() });
            let known = status
                .and_then(|status| serde_json::to_value(status).ok())
                .unwrap_or(json!({ "state": null }));
            if let (Value::Object(row), Value::Object(known)) = (&mut row, known) {
                row.extend(known);
            }
            row
        };
        self.config.sources.iter().map(source).collect()
    }

    fn known(&self, id: DeviceId) -> Result<Device, String> {
        self.store.device(id).map_err(said)?.ok_or_else(|| format!("device {id} not found"))
    }

    /// What a device is called: by the configuration, else by its cloud, else by its id.
    pub(crate) fn name(&self, device: &Device) -> String {
        let own = self.config.devices.get(&device.id).and_then(|settings| settings.name.clone());
        own.or_else(|| device.name.clone()).unwrap_or_else(|| device.id.to_string())
    }

    fn decoder(&self, device: &Device) -> Result<Resolved, String> {
        let device_type = match &device.device_type {
            Some(id) => self.store.device_type(&device.source, id).map_err(said)?,
            None => None,
        };
        let named = device.device_type.as_deref();
        let named = named.map(|id| (id, device_type.as_ref().and_then(|known| known.name.as_deref())));
        Ok(self.registry.resolve(device.id, named, device_type.as_ref().map(|known| &known.payload)))
    }
}

fn written(document: &impl Serialize) -> Result<Value, String> {
    serde_json::to_value(document).map_err(|error| format!("cannot be written as JSON: {error}"))
}

fn kind(kind: &SourceKind) -> &'static str {
    match kind {
        SourceKind::Sigfox { api: SigfoxApi::V2, .. } => "sigfox v2",
        SourceKind::Sigfox { api: SigfoxApi::V1, .. } => "sigfox v1",
        SourceKind::Soracom { .. } => "soracom",
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where an error is turned into words")]
fn said(error: StoreError) -> String {
    error.to_string()
}
