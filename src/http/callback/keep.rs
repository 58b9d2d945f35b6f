//! Keeps what callbacks told, makes it durable, and answers: devices that asked with their downlinks.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use super::body::Body;
use super::record::{self, Origin, Told};
use super::{Count, Endpoint, Kind, Malformed, Receiver, Variables};
use crate::clock;
use crate::model::{DeviceId, Event, Location, Uplink, UplinkId};
use crate::store::{StoreError, UplinkQuery};

impl Receiver {
    /// Keeps the callbacks of one request. 2xx says that all of them that can be read are durable.
    pub(super) async fn keep(&self, endpoint: &Endpoint, kind: Kind, body: Body) -> Response {
        let is_batch = matches!(body, Body::Batch(_));
        let origin = Origin {
            source: &endpoint.source,
            overlap: endpoint.overlap,
            now: clock::now(),
            untimed: is_batch,
        };
        let callbacks = match body {
            Body::One(variables) => vec![Ok(variables)],
            Body::Batch(lines) => lines,
        };
        // By the gateway's clock such a message would be of 1970.
        let is_untimed =
            |line: &Result<Variables, Malformed>| line.as_ref().is_ok_and(|line| !line.has("time"));
        if is_batch && !clock::is_set(origin.now) && callbacks.iter().any(is_untimed) {
            return self
                .unavailable("the gateway's clock is not set, and the pattern of the batch has no time");
        }
        let mut told = Vec::new();
        let mut first_fault: Option<Malformed> = None;
        for callback in callbacks {
            match callback.and_then(|variables| record::read(kind, &variables, &origin)) {
                Ok(one) => told.push(one),
                Err(malformed) => {
                    self.note_malformed(endpoint, kind, &malformed);
                    first_fault.get_or_insert(malformed);
                }
            }
        }
        if told.is_empty() {
            let message = first_fault.map_or_else(|| "nothing to read".to_owned(), |fault| fault.0);
            return super::error(StatusCode::BAD_REQUEST, "malformed", &message);
        }
        told.retain(|one| device(one).is_none_or(|device| endpoint.filter.takes_device(device)));
        match self.commit(kind, told).await {
            Ok(answers) => {
                self.counters.count(Count::Accepted);
                answer(answers)
            }
            Err(fault) => {
                tracing::warn!(source = %endpoint.source, error = %fault, "callback could not be kept");
                self.unavailable("the gateway cannot keep it now")
            }
        }
    }

    /// Makes everything durable. A crash before the end leaves the request unanswered, and its repetition finds what
    /// was kept.
    async fn commit(&self, kind: Kind, told: Vec<Told>) -> Result<Map<String, Value>, StoreError> {
        let asks = newest_asks(kind, &told);
        let is_asking = |one: &Uplink| asks.iter().any(|(uplink, _)| std::ptr::eq(*uplink, one));
        let answers = join_all(asks.iter().map(|(uplink, printed)| self.ask(uplink, printed)));
        // Those that ask are kept with their answers.
        let (kept, answers) = tokio::join!(self.record(&told, is_asking), answers);
        kept?;
        let answers: Result<Vec<_>, StoreError> = answers.into_iter().collect();
        Ok(answers?.into_iter().flatten().collect())
    }

    async fn ask(&self, uplink: &Uplink, printed: &str) -> Result<Option<(String, Value)>, StoreError> {
        self.counters.count(Count::Ask);
        let Some(data) = self.queues.ask(uplink).await? else { return Ok(None) };
        self.counters.count(Count::Answered);
        Ok(Some((printed.to_owned(), json!({ "downlinkData": data }))))
    }

    async fn record(
        &self,
        told: &[Told],
        is_kept_elsewhere: impl Fn(&Uplink) -> bool,
    ) -> Result<(), StoreError> {
        let mut uplinks = Vec::new();
        let mut is_told = false;
        for one in told {
            match one {
                Told::Uplink { uplink, .. } if is_kept_elsewhere(uplink) => {}
                Told::Uplink { uplink, .. } => uplinks.push((**uplink).clone()),
                Told::Location { device, location, uplink } => {
                    match self.owner(*device, location, *uplink)? {
                        Some(owner) => uplinks.push(owner),
                        None => is_told |= self.tell_location(*device, *location, *uplink)?,
                    }
                }
                Told::Service(event) => {
                    self.store.tell(event)?;
                    is_told = true;
                }
                Told::Report { device, report } => {
                    let item = self.queues.acknowledge(*device, report.clone()).await?;
                    tracing::debug!(%device, item = ?item.map(|item| item.id.to_string()), "downlink reported");
                }
                Told::Nothing => {}
            }
        }
        if let [uplink] = uplinks.as_slice() {
            self.store.record_uplink(uplink).await?;
        } else if !uplinks.is_empty() {
            self.store.record_sweep(&uplinks, None)?;
            is_told = true;
        }
        if is_told { self.store.flush().await } else { Ok(()) }
    }

    /// The known uplink that a position belongs to, with the position.
    fn owner(
        &self,
        device: DeviceId,
        location: &Location,
        uplink: Option<UplinkId>,
    ) -> Result<Option<Uplink>, StoreError> {
        let from = crate::model::Timestamp::from_cloud(location.time.as_seconds()).unwrap_or(location.time);
        let query = UplinkQuery {
            device: Some(device),
            from: Some(from),
            to: Some(from.plus(std::time::Duration::from_secs(1))),
            limit: Some(16),
            newest_first: false,
        };
        let known = self.store.uplinks(&query)?;
        let owner = known.into_iter().find(|known| uplink.is_none_or(|uplink| known.id() == uplink));
        Ok(owner.map(|owner| Uplink { location: Some(*location), ..owner }))
    }

    /// Tells of a position whose message is not known (yet); once, however often the cloud repeats it.
    fn tell_location(
        &self,
        device: DeviceId,
        location: Location,
        uplink: Option<UplinkId>,
    ) -> Result<bool, StoreError> {
        let known = self.store.device_state(device)?.and_then(|state| state.location);
        if known == Some(location) {
            return Ok(false);
        }
        self.store.tell(&Event::Location { device, location, uplink })?;
        Ok(true)
    }
}

/// The uplinks that ask, with their devices as printed. Of a device that asks twice in one batch only the newest:
/// the answer has one place for it, and the older window is closed.
fn newest_asks(kind: Kind, told: &[Told]) -> Vec<(&Uplink, &str)> {
    let mut asks: BTreeMap<DeviceId, (&Uplink, &str)> = BTreeMap::new();
    for one in told {
        let Told::Uplink { uplink, printed } = one else { continue };
        let is_newest = asks.get(&uplink.device).is_none_or(|(other, _)| other.time <= uplink.time);
        if kind == Kind::Bidir && uplink.ack == Some(true) && is_newest {
            asks.insert(uplink.device, (&**uplink, printed.as_str()));
        }
    }
    asks.into_values().collect()
}

fn device(told: &Told) -> Option<DeviceId> {
    match told {
        Told::Uplink { uplink, .. } => Some(uplink.device),
        Told::Location { device, .. } | Told::Report { device, .. } => Some(*device),
        Told::Service(event) => event.device(),
        Told::Nothing => None,
    }
}

/// 204 where nobody is to be sent anything, else one object with a key for each device that is (Sigfox callbacks,
/// BIDIR).
fn answer(answers: Map<String, Value>) -> Response {
    if answers.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    (StatusCode::OK, Json(Value::Object(answers))).into_response()
}
