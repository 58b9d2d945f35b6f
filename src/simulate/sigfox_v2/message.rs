//! Messages, locations and counts of the API v2: milliseconds, newest first, radio values as strings.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};

use super::inventory::existing;
use crate::model::{DeviceId, Timestamp};
use crate::simulate::answer::{Answer, Question, Refusal, clamped};
use crate::simulate::shared::{Cursor, Shared};
use crate::simulate::variables::hundredths;
use crate::simulate::world::{Cut, Device, Of, Uplink, World};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `GET /device-types/{id}/messages`.
pub(super) async fn of_type(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    let world = shared.world();
    world.device_type(&id).ok_or_else(Refusal::not_found)?;
    page(&world, shared.cursor, Of::Type(&id), &question, shared.now())
}

/// `GET /devices/{id}/messages`; one request a second for each device.
pub(super) async fn of_device(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    let device = existing(&shared, &id)?;
    if !shared.within_limit(&format!("messages of {device}"), 1, Duration::from_secs(1)) {
        return Err(Refusal::too_many());
    }
    page(&shared.world(), shared.cursor, Of::Device(device), &question, shared.now())
}

fn page(world: &World, cursor: Cursor, of: Of<'_>, question: &Question, now: Timestamp) -> Answer {
    let mut before = question.millis("before")?.unwrap_or_else(|| clamped(i64::MAX));
    if cursor == Cursor::Excluded && question.parameter("before").is_some() {
        before = before.minus(Duration::from_millis(1));
    }
    let since = question.millis("since")?.unwrap_or_default();
    let cut = Cut { since, before, offset: question.offset()?, limit: question.limit(100, 100)? };
    let (rows, after) = world.history().newest_first(of, cut);
    let fields = Fields(question.parameter("fields").unwrap_or_default());
    let data: Vec<Value> = rows.iter().map(|uplink| message(world, uplink, &fields, now)).collect();
    let next = after.map(|after| {
        let limit = ("limit", cut.limit.to_string());
        let shown = rows.last().map_or(after.time, |last| last.time);
        match cursor {
            Cursor::Offset => question.again_with(&[limit, ("offset", (cut.offset + cut.limit).to_string())]),
            // Where a whole page is of one instant, its time alone would name the same page for ever.
            Cursor::Included if after.time == before => {
                question.again_with(&[limit, ("offset", (cut.offset + cut.limit).to_string())])
            }
            Cursor::Included => question.again_with(&[
                limit,
                ("before", after.time.as_millis().to_string()),
                ("offset", String::new()),
            ]),
            Cursor::Excluded => question.again_with(&[
                limit,
                ("before", shown.as_millis().to_string()),
                ("offset", String::new()),
            ]),
        }
    });
    let paging = next.map_or_else(|| json!({}), |next| json!({ "next": next }));
    Ok(Json(json!({ "data": data, "paging": paging })))
}

/// `fields=device(name),rinfos(cbStatus,rep)`: what is wanted beside the usual keys.
struct Fields<'a>(&'a str);

impl Fields<'_> {
    fn wants(&self, name: &str) -> bool {
        let mut depth = 0_u32;
        self.0.split_inclusive(['(', ')', ',']).any(|piece| {
            let here = depth == 0 && piece.trim_end_matches(['(', ')', ',']).trim() == name;
            match piece.chars().last() {
                Some('(') => depth += 1,
                Some(')') => depth = depth.saturating_sub(1),
                _ => {}
            }
            here
        })
    }

    fn wants_inside(&self, outer: &str, name: &str) -> bool {
        let inside = self.0.split_once(&format!("{outer}(")).map_or("", |(_, inside)| inside);
        inside.split(')').next().unwrap_or_default().split([',', '(']).any(|word| word.trim() == name)
    }
}

fn message(world: &World, uplink: &Uplink, fields: &Fields<'_>, now: Timestamp) -> Value {
    let mut device = Map::from_iter([("id".to_owned(), json!(uplink.device))]);
    if fields.wants_inside("device", "name") {
        let name = world.device(uplink.device).map(|device| device.name.clone());
        device.insert("name".to_owned(), json!(name));
    }
    let mut message = Map::new();
    let mut put = |key: &str, value: Value| message.insert(key.to_owned(), value);
    put("device", Value::Object(device));
    put("time", json!(uplink.time.as_millis()));
    put("data", json!(uplink.payload));
    if let Some(seq) = uplink.seq {
        put("rolloverCounter", json!(uplink.rollover));
        put("seqNumber", json!(seq));
    }
    put("satInfos", json!([]));
    put("nbFrames", json!(3));
    put("operator", json!("SIGFOX_France"));
    put("country", json!("FRA"));
    put("computedLocation", computed_location(uplink, now));
    put("lqi", json!(uplink.lqi));
    if fields.wants("ackRequired") {
        put("ackRequired", json!(uplink.ack));
    }
    put("rinfos", json!(rinfos(uplink, fields)));
    if let Some(answer) = uplink.answer {
        put(
            "downlinkAnswerStatus",
            json!({
                "baseStation": { "id": "1A2B", "name": "station 1A2B" }, "plannedPower": 27.5,
                "data": answer, "operator": "SIGFOX_France", "country": "FRA",
            }),
        );
    }
    Value::Object(message)
}

fn rinfos(uplink: &Uplink, fields: &Fields<'_>) -> Vec<Value> {
    let optional = |name: &str| fields.wants_inside("rinfos", name);
    let receptions = uplink.receptions.iter().map(|reception| {
        let mut station = json!({ "id": reception.station });
        if let (true, Some(station)) = (fields.0.contains("baseStation(name"), station.as_object_mut()) {
            station.insert("name".to_owned(), json!(format!("station {}", reception.station)));
        }
        let (lat, lng) = reception.degrees;
        let mut row = json!({
            "baseStation": station,
            "rssi": hundredths(reception.rssi_centi),
            "snr": hundredths(reception.snr_centi),
            "freq": 868_130_000,
            "delay": f64::from(reception.delay_ms) / 1000.0,
            "lat": format!("{lat}.0"),
            "lng": format!("{lng}.0"),
        });
        if let Some(row) = row.as_object_mut() {
            if optional("rep") {
                row.insert("rep".to_owned(), json!(reception.repetitions));
            }
            if optional("repetitions") {
                let repetition = |nseq: u8| {
                    json!({
                        "nseq": nseq, "rssi": hundredths(reception.rssi_centi),
                        "snr": hundredths(reception.snr_centi), "freq": 868_130_000, "repeated": false,
                    })
                };
                row.insert("repetitions".to_owned(), (0..reception.repetitions).map(repetition).collect());
            }
            if optional("cbStatus") {
                let status = |(status, time): &(u16, Timestamp)| {
                    let info = if (200..300).contains(status) { "OK" } else { "KO" };
                    json!({ "status": status, "info": info, "cbDef": "[DATA] uplink", "time": time.as_millis() })
                };
                row.insert("cbStatus".to_owned(), uplink.callback_answers.iter().map(status).collect());
            }
        }
        row
    });
    receptions.collect()
}

fn computed_location(uplink: &Uplink, now: Timestamp) -> Value {
    let known = uplink.position.filter(|position| position.known <= now);
    let row = |position: crate::simulate::world::Position| {
        json!({
            "lat": position.latitude, "lng": position.longitude, "radius": position.radius,
            "source": position.source, "placeIds": [],
        })
    };
    Value::Array(known.map(row).into_iter().collect())
}

/// `GET /devices/{id}/locations`; a message whose place the network did not find is listed as not valid.
pub(super) async fn locations(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    question: Question,
) -> Answer {
    let device = existing(&shared, &id)?;
    let world = shared.world();
    let before = question.millis("before")?.unwrap_or_else(|| clamped(i64::MAX));
    let since = question.millis("since")?.unwrap_or_default();
    let cut = Cut { since, before, offset: question.offset()?, limit: question.limit(100, 100)? };
    let (rows, after) = world.history().newest_first(Of::Device(device), cut);
    let now = shared.now();
    let row = |uplink: &&Uplink| match uplink.position.filter(|position| position.known <= now) {
        Some(position) => json!({
            "time": uplink.time.as_millis(), "valid": true, "lat": position.latitude, "lng": position.longitude,
            "radius": position.radius, "source": position.source, "placeIds": [],
        }),
        None => json!({ "time": uplink.time.as_millis(), "valid": false }),
    };
    let data: Vec<Value> = rows.iter().map(row).collect();
    let next = after.map(|after| question.again_with(&[("before", after.time.as_millis().to_string())]));
    Ok(Json(
        json!({ "data": data, "paging": next.map_or_else(|| json!({}), |next| json!({ "next": next })) }),
    ))
}

/// `GET /devices/{id}/messages/metric`.
pub(super) async fn metric(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let device = existing(&shared, &id)?;
    Ok(Json(metric_of(&shared.world(), device, shared.now())))
}

/// How many messages there were in the last day, week and month.
pub(in crate::simulate) fn metric_of(world: &World, device: DeviceId, now: Timestamp) -> Value {
    let count = |days: u32| {
        let cut = Cut { since: now.minus(DAY * days), before: now, offset: 0, limit: usize::MAX };
        world.history().newest_first(Of::Device(device), cut).0.len()
    };
    json!({ "lastDay": count(1), "lastWeek": count(7), "lastMonth": count(30) })
}

/// `GET /devices/{id}/consumption/{year}`.
pub(super) async fn consumption_of_year(
    State(shared): State<Arc<Shared>>,
    Path((id, year)): Path<(String, i16)>,
) -> Answer {
    let device = existing(&shared, &id)?;
    let id = format!("{device}_{year}");
    Ok(Json(json!({ "id": id, "deviceConsumptions": consumptions(&shared.world(), device) })))
}

/// `GET /devices/{id}/consumption/{year}/{month}`.
pub(super) async fn consumption_of_month(
    State(shared): State<Arc<Shared>>,
    Path((id, year, month)): Path<(String, i16, u8)>,
) -> Answer {
    let device = existing(&shared, &id)?;
    let id = format!("{device}_{year}_{month}");
    Ok(Json(json!({ "id": id, "deviceConsumptions": consumptions(&shared.world(), device) })))
}

fn consumptions(world: &World, device: DeviceId) -> Value {
    let everything =
        Cut { since: Timestamp::default(), before: clamped(i64::MAX), offset: 0, limit: usize::MAX };
    let frames = world.history().newest_first(Of::Device(device), everything).0.len();
    let downlinks = world.device(device).map_or(0, |device: &Device| device.received.len());
    json!([{
        "frameCount": frames, "downlinkFrameCount": downlinks, "roamingFrameCount": 0,
        "roamingDownlinkFrameCount": 0, "roamingDetails": [],
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_wanted_where_they_are_written() {
        let fields = Fields("device(name),rinfos(cbStatus,rep),ackRequired");
        assert!(fields.wants("ackRequired") && fields.wants("rinfos") && fields.wants("device"));
        assert!(!fields.wants("name") && !fields.wants("rep"));
        assert!(fields.wants_inside("device", "name") && fields.wants_inside("rinfos", "rep"));
        assert!(!fields.wants_inside("device", "rep") && !fields.wants_inside("rinfos", "repetitions"));
        assert!(!Fields("").wants("ackRequired"));
    }
}
