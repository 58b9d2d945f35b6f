//! What happens, as it happens: server-sent events for whoever looks.
//!
//! Everybody has a bounded queue; who reads too slowly is told `lagged` and asks for everything again.

use std::convert::Infallible;
use std::time::Duration;

use async_stream::stream;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::Stream;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};

use super::{Api, Refusal, aside};
use crate::control::Question;
use crate::model::DeviceId;
use crate::publish::Name;
use crate::store::{Change, News};

/// Often enough that no proxy, and not our own listener, takes the silence for the end.
const SILENCE: Duration = Duration::from_secs(15);

/// The outbox changes with every uplink; it is told of at most so often.
const OUTBOX_EVERY: Duration = Duration::from_secs(1);

/// What happens, as it happens.
#[cfg_attr(test, utoipa::path(
    get, path = "/events", tag = "gateway",
    responses(
        (status = 200, body = String, content_type = "text/event-stream",
         description = "`uplink` (its document), `device` and `availability` (`{\"device\",…}`), `downlink` \
                        (`{\"device\",\"downlinks\":[…]}`), `source` (`{\"sources\":[…]}`), `outbox` \
                        (`{\"waiting\",\"oldest\"}`), `health` (when the store begins or ceases to fail), and `lagged`: events were left out, ask for everything again"),
        Refusal,
    ),
))]
pub(super) async fn events(
    State(api): State<Api>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let permit = api.listeners.clone().try_acquire_owned();
    let permit = permit.map_err(|_none_left| Refusal::unavailable("as many listen as may"))?;
    // Registered before the answer begins: what happens after it is told.
    let mut news = api.rooms.store.news();
    let mut judged = api.rooms.run.watch_judged();
    let mut sources = api.rooms.board.watch();
    let stream = stream! {
        let _permit = permit;
        let mut outbox = interval(OUTBOX_EVERY);
        outbox.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut outbox_changed = true;
        yield Ok(Event::default().comment("begins").retry(Duration::from_secs(3)));
        loop {
            let told = tokio::select! {
                () = api.ending.cancelled() => break,
                news = news.recv() => match news {
                    Ok(News::Changed(Change::Outbox)) => {
                        outbox_changed = true;
                        None
                    }
                    Ok(news) => api.tell(news).await,
                    Err(RecvError::Lagged(_)) => Some(("lagged", json!({}))),
                    Err(RecvError::Closed) => break,
                },
                device = judged.recv() => match device {
                    Ok(device) => api.of_device("availability", device, Name::Availability(device)).await,
                    Err(RecvError::Lagged(_)) => Some(("lagged", json!({}))),
                    Err(RecvError::Closed) => break,
                },
                Ok(()) = sources.changed() => api.sources().await,
                _ = outbox.tick(), if outbox_changed => {
                    outbox_changed = false;
                    api.outbox().await
                }
            };
            if let Some((name, data)) = told {
                yield Ok(Event::default().event(name).data(data.to_string()));
            }
        }
    };
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(SILENCE)))
}

/// The name of an event and what it says.
type Told = Option<(&'static str, Value)>;

impl Api {
    async fn tell(&self, news: News) -> Told {
        let api = self.clone();
        let (name, data) = match news {
            News::Uplink(id) => {
                let uplink = move || {
                    let uplink = api.rooms.store.uplink(&id)?;
                    let document = uplink.map(|uplink| api.documents.uplink(&uplink)).transpose()?;
                    Ok(document.flatten())
                };
                ("uplink", aside(uplink).await.ok()??)
            }
            News::Changed(Change::Device(device)) => ("device", json!({ "device": device })),
            News::Changed(Change::Queue(device)) => {
                let question = Question::Downlinks { device: Some(device) };
                let items = aside(move || api.ask(&question)).await.ok()?;
                ("downlink", json!({ "device": device, "downlinks": items }))
            }
            News::Changed(Change::Trouble) => {
                ("health", aside(move || api.document(&Name::Health)).await.ok()?)
            }
            News::Changed(Change::Outbox) => return self.outbox().await,
        };
        Some((name, data))
    }

    async fn of_device(&self, event: &'static str, device: DeviceId, name: Name) -> Told {
        let api = self.clone();
        let mut document = aside(move || api.document(&name)).await.ok()?;
        document.as_object_mut()?.insert("device".to_owned(), json!(device));
        Some((event, document))
    }

    async fn sources(&self) -> Told {
        let api = self.clone();
        let sources = aside(move || api.ask(&Question::Sources)).await.ok()?;
        Some(("source", json!({ "sources": sources })))
    }

    async fn outbox(&self) -> Told {
        let store = self.rooms.store.clone();
        let (depth, oldest) = aside(move || Ok(store.outbox_depth()?)).await.ok()?;
        Some(("outbox", json!({ "waiting": depth, "oldest": oldest })))
    }
}
