//! What is known of devices.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ask::{Body, Known, Query, Span, limit};
use super::{Api, Refusal, aside};
use crate::clock;
use crate::control::Question;
use crate::model::{Device, DeviceId, Uplink};
use crate::publish::Name;
use crate::store::UplinkQuery;

/// Of a list of devices.
const PAGE: (usize, usize) = (100, 1000);

/// Which devices.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct Filter {
    /// Those whose id or name holds this text, in any case.
    q: Option<String>,
    /// Those of this source.
    source: Option<String>,
    /// At most so many, by id.
    #[cfg_attr(test, param(minimum = 1, maximum = 1000, default = 100))]
    limit: Option<usize>,
    /// Those after this one: the `cursor` of the answer before.
    cursor: Option<String>,
}

/// Devices with their last values, availability and signal.
#[cfg_attr(test, utoipa::path(
    get, path = "/devices", tag = "devices", params(Filter),
    responses(
        (status = 200, body = Value, description = "`{\"devices\":[…],\"total\":…,\"cursor\":…}`: so many fit the \
                                                    filter; `cursor` asks for those after these, or is null"),
        Refusal,
    ),
))]
pub(super) async fn list(
    State(api): State<Api>,
    Query(filter): Query<Filter>,
) -> Result<Json<Value>, Refusal> {
    let limit = limit(filter.limit, PAGE)?;
    let after = filter.cursor.as_deref().map(str::parse::<DeviceId>).transpose();
    let after = after.map_err(|_no_id| Refusal::malformed("`cursor` is none that was given"))?;
    aside(move || {
        let mut devices = api.rooms.store.devices()?;
        devices.retain(|device| filter.takes(device, &api.view.name(device)));
        let total = devices.len();
        devices.sort_by_key(|device| device.id.number());
        devices.retain(|device| after.is_none_or(|after| device.id.number() > after.number()));
        let more = devices.len() > limit;
        devices.truncate(limit);
        let cursor = devices.last().filter(|_| more).map(|device| device.id);
        let rows: Result<Vec<Value>, Refusal> = devices.iter().map(|device| api.row(device.id)).collect();
        Ok(Json(json!({ "devices": rows?, "total": total, "cursor": cursor })))
    })
    .await
}

impl Filter {
    fn takes(&self, device: &Device, name: &str) -> bool {
        let text = self.q.as_deref().unwrap_or_default().trim().to_lowercase();
        let is_found =
            name.to_lowercase().contains(&text) || device.id.to_string().to_lowercase().contains(&text);
        is_found && self.source.as_deref().is_none_or(|source| device.source.as_str() == source)
    }
}

/// One device: its row of the list, the catalogue of its fields, its newest uplink, its downlinks' summary.
#[cfg_attr(test, utoipa::path(
    get, path = "/devices/{device}", tag = "devices",
    params(("device" = String, Path, description = "The id, as the cloud prints it")),
    responses((status = 200, body = Value, description = "The device"), Refusal),
))]
pub(super) async fn one(State(api): State<Api>, Known(device): Known) -> Result<Json<Value>, Refusal> {
    aside(move || {
        let mut row = api.row(device)?;
        let info = api.document(&Name::Info(device))?;
        let more = json!({
            "catalogue": info.get("fields"),
            "decoder_error": info.get("decoder_error"),
            "downlink": info.get("downlink"),
            "last_uplink": api.newest(device)?.map(|uplink| api.documents.uplink(&uplink)).transpose()?,
            "downlinks": api.document(&Name::Downlink(device))?,
        });
        if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
            row.extend(more);
        }
        Ok(Json(row))
    })
    .await
}

/// A device's uplinks as they are decoded today, the newest first.
#[cfg_attr(test, utoipa::path(
    get, path = "/devices/{device}/uplinks", tag = "devices",
    params(("device" = String, Path, description = "The id"), Span),
    responses((status = 200, body = Value, description = "`{\"uplinks\":[…],\"cursor\":…}`"), Refusal),
))]
pub(super) async fn uplinks(
    State(api): State<Api>,
    Known(device): Known,
    Query(span): Query<Span>,
) -> Result<Json<Value>, Refusal> {
    let arguments = span.arguments(device)?;
    Ok(Json(api.desk.tell("bridge/request/history", &arguments).await?))
}

/// Where a device was, the newest first.
#[cfg_attr(test, utoipa::path(
    get, path = "/devices/{device}/locations", tag = "devices",
    params(("device" = String, Path, description = "The id"), Span),
    responses((status = 200, body = Value, description = "`{\"locations\":[…]}`"), Refusal),
))]
pub(super) async fn locations(
    State(api): State<Api>,
    Known(device): Known,
    Query(span): Query<Span>,
) -> Result<Json<Value>, Refusal> {
    let range = span.range(Some(device))?;
    aside(move || Ok(Json(json!({ "locations": api.ask(&Question::Locations(range))? })))).await
}

/// A payload to decode.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Payload {
    /// Hex digits, at most 24.
    data: String,
}

/// What the device's decoder makes of a payload.
#[cfg_attr(test, utoipa::path(
    post, path = "/devices/{device}/decode", tag = "devices", request_body = Payload,
    params(("device" = String, Path, description = "The id")),
    responses((status = 200, body = Value, description = "`{\"fields\":{…},\"errors\":[…]}`"), Refusal),
))]
pub(super) async fn decode(
    State(api): State<Api>,
    Known(device): Known,
    Body(Payload { data }): Body<Payload>,
) -> Result<Json<Value>, Refusal> {
    let arguments = json!({ "device": device, "data": data });
    Ok(Json(api.desk.tell("bridge/request/decode", &arguments).await?))
}

impl Api {
    /// An answer of the view that the command line reads.
    pub(super) fn ask(&self, question: &Question) -> Result<Value, Refusal> {
        self.view.answer(question).map_err(Refusal::unavailable)
    }

    /// A retained document as it is now, without its version; null where there is nothing to say.
    pub(super) fn document(&self, name: &Name) -> Result<Value, Refusal> {
        let mut document = self.documents.retained(name, clock::now())?.unwrap_or_default();
        if let Some(document) = document.as_object_mut() {
            document.shift_remove("v");
        }
        Ok(document)
    }

    fn row(&self, device: DeviceId) -> Result<Value, Refusal> {
        let rows = self.ask(&Question::Devices { device: Some(device) })?;
        let mut row: Map<String, Value> = match rows {
            Value::Array(rows) => {
                rows.into_iter().find_map(|row| row.as_object().cloned()).unwrap_or_default()
            }
            _ => Map::new(),
        };
        row.insert("availability".to_owned(), self.document(&Name::Availability(device))?);
        let newest = self.newest(device)?;
        if let (Some(newest), Some(fields)) = (&newest, row.get_mut("fields").and_then(Value::as_object_mut))
        {
            self.add_unpublished(newest, fields)?;
        }
        row.insert("signal".to_owned(), newest.as_ref().map(signal).unwrap_or_default());
        Ok(Value::Object(row))
    }

    /// The fields of a device follow its uplinks only once the broker has them; what is newer is added here, so that
    /// values are shown while the broker is away.
    fn add_unpublished(&self, newest: &Uplink, fields: &mut Map<String, Value>) -> Result<(), Refusal> {
        let state = self.rooms.store.device_state(newest.device)?;
        if state.is_some_and(|state| state.newest == newest.id()) {
            return Ok(());
        }
        let document = self.documents.uplink(newest)?.unwrap_or_default();
        if let Some(decoded) = document.get("fields").and_then(Value::as_object) {
            fields.extend(decoded.clone());
        }
        Ok(())
    }

    fn newest(&self, device: DeviceId) -> Result<Option<Uplink>, Refusal> {
        let query = UplinkQuery {
            device: Some(device),
            limit: Some(1),
            newest_first: true,
            ..UplinkQuery::default()
        };
        Ok(self.rooms.store.uplinks(&query)?.into_iter().next())
    }
}

/// How well an uplink was received.
fn signal(uplink: &Uplink) -> Value {
    json!({
        "lqi": uplink.link_quality,
        "rssi": uplink.rssi,
        "snr": uplink.snr,
        "stations": uplink.stations,
    })
}
