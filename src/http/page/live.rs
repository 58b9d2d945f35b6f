//! Tells browsers that something has changed, by server-sent events; what has changed they see in the page itself.
//!
//! An event says nothing more, so a browser that is slow misses nothing, and nothing waits for it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::http::answer;
use crate::ingest::StatusBoard;
use crate::store::Store;

/// How many browsers are told at once.
const BROWSERS: usize = 64;

/// At most one event in this time.
const PAUSE: Duration = Duration::from_secs(1);

/// How often something is said although nothing has changed: sooner than the listener takes a connection for dead.
const ALIVE: Duration = Duration::from_secs(15);

/// What may change, and who is told.
#[derive(Debug, Clone)]
pub(super) struct Live {
    store: Store,
    board: StatusBoard,
    places: Arc<Semaphore>,
    closing: CancellationToken,
}

/// A browser that is being told.
struct Watcher {
    store: Store,
    /// The next change of the store; it counts from when this was made.
    change: Pin<Box<OwnedNotified>>,
    statuses: watch::Receiver<u64>,
    closing: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Live {
    /// `closing` ends every stream: a listener that ends waits for its answers.
    pub(super) fn new(store: Store, board: StatusBoard, closing: CancellationToken) -> Self {
        Self { store, board, places: Arc::new(Semaphore::new(BROWSERS)), closing }
    }
}

/// `GET /live`: an event `change` whenever a page may say something else.
pub(super) async fn tell(State(live): State<Live>) -> Response {
    let Ok(place) = Arc::clone(&live.places).try_acquire_owned() else {
        let words = "as many browsers as can be are told already";
        return std::future::ready(answer::error(StatusCode::SERVICE_UNAVAILABLE, "busy", words)).await;
    };
    let statuses = live.board.watch();
    let change = next_change(&live.store);
    let watcher = Watcher { store: live.store, change, statuses, closing: live.closing, _place: place };
    Sse::new(changes(watcher)).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}

fn changes(watcher: Watcher) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(watcher, |mut watcher| async move {
        tokio::select! {
            () = watcher.closing.cancelled() => return None,
            () = &mut watcher.change => {}
            known = watcher.statuses.changed() => known.ok()?,
        }
        tokio::select! {
            () = watcher.closing.cancelled() => return None,
            // What comes meanwhile is told with it.
            () = tokio::time::sleep(PAUSE) => {}
        }
        watcher.change = next_change(&watcher.store);
        watcher.statuses.mark_unchanged();
        // Browsers drop an event whose data are empty (HTML, section 9.2.6).
        Some((Ok(Event::default().event("change").data("now")), watcher))
    })
}

fn next_change(store: &Store) -> Pin<Box<OwnedNotified>> {
    let mut change = Box::pin(store.changed().notified_owned());
    change.as_mut().enable();
    change
}
