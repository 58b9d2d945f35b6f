//! `/metrics`: what all rooms have counted, looked up at the moment when somebody asks, as OpenMetrics.
//!
//! No metric has a label for each device: how many there are depends on sources, commands and statuses alone.

mod sheet;
mod table;

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use self::sheet::Sheet;
use self::table as t;
use super::answer::error;
use super::counter::Counters;
use crate::command::{Outcome, Rooms};
use crate::ingest::SourceState;
use crate::model::DownlinkState;
use crate::publish::{Count, Presence};
use crate::store::StoreError;
use crate::{clock, process};

/// What OpenMetrics calls itself (OpenMetrics 1.0, section on content negotiation).
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where the values are.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    pub(super) rooms: Rooms,
    pub(super) counters: Arc<Counters>,
}

/// What older collectors ask for, `promtool` and Telegraf among them.
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics at this moment.
pub(super) async fn show(State(metrics): State<Metrics>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let is_plain = accept.contains("text/plain") && !accept.contains("openmetrics");
    // The store may have to ask the disk.
    let printed = tokio::task::spawn_blocking(move || {
        let sheet = metrics.look();
        if is_plain { sheet.print_plain() } else { sheet.print() }
    });
    let kind = if is_plain { PLAIN } else { OPEN_METRICS };
    match printed.await {
        Ok(Ok(text)) => ([(CONTENT_TYPE, kind)], text).into_response(),
        _ => error(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the metrics cannot be written"),
    }
}

impl Metrics {
    fn look(&self) -> Sheet {
        let mut sheet = Sheet::default();
        sheet.put_by(&t::BUILD_INFO, [&env!("CARGO_PKG_VERSION")], 1.0);
        self.look_at_the_flow(&mut sheet);
        // A store that does not answer is a gap in its own figures, and said by `store_failing`.
        let asked = self.look_at_the_store(&mut sheet);
        let is_failing = asked.is_err() || self.rooms.store.trouble().is_some();
        sheet.put(&t::STORE_FAILING, truth(is_failing));
        self.look_at_the_sources(&mut sheet);
        self.look_at_the_listener(&mut sheet);
        self.look_at_the_process(&mut sheet);
        sheet
    }

    fn look_at_the_flow(&self, sheet: &mut Sheet) {
        let run = &self.rooms.run;
        for (metric, count) in [
            (&t::UPLINKS_PUBLISHED, Count::Uplink),
            (&t::DECODE_ERRORS, Count::DecodeError),
            (&t::PUBLISHED, Count::Acknowledged),
            (&t::REPEATED, Count::Repeated),
            (&t::REFUSED, Count::Refused),
            (&t::CONNECTIONS, Count::Connection),
        ] {
            sheet.put(metric, number(run.counted(count)));
        }
        sheet.put(&t::CONNECTED, truth(self.rooms.run.is_connected()));
        for (presence, count) in run.judged() {
            let word = match presence {
                Presence::Online => "online",
                Presence::Offline => "offline",
            };
            sheet.put_by(&t::DEVICES_JUDGED, [&word], number(count));
        }
        for ((command, outcome), count) in self.rooms.tally.counts() {
            let word = match outcome {
                Outcome::Done => "done",
                Outcome::Refused => "refused",
            };
            sheet.put_by(&t::COMMANDS, [&command, &word], number(count));
        }
    }

    fn look_at_the_store(&self, sheet: &mut Sheet) -> Result<(), StoreError> {
        let store = &self.rooms.store;
        let counts = store.counts();
        for source in self.rooms.board.all().keys() {
            let arrivals = counts.uplinks.get(source).copied().unwrap_or_default();
            sheet.put_by(&t::UPLINKS, [source], number(arrivals.new));
            sheet.put_by(&t::UPLINKS_KNOWN, [source], number(arrivals.known));
        }
        for state in
            DownlinkState::ALL.into_iter().filter(|state| state.is_final() || *state == DownlinkState::Sent)
        {
            let count = counts.downlinks.get(&state).copied().unwrap_or_default();
            sheet.put_by(&t::DOWNLINKS, [&state], number(count));
        }
        sheet.put(&t::STORE_COMMITS, number(counts.commits));
        sheet.put(&t::STORE_SYNCS, number(counts.syncs));
        sheet.put(&t::STORE_SYNC_TIME, counts.sync_time.as_secs_f64());
        sheet.put(&t::DEVICES, number(store.device_count()));
        let (depth, oldest) = store.outbox_depth()?;
        let age = oldest.map(|oldest| clock::now().since(oldest)).unwrap_or_default();
        sheet.put(&t::OUTBOX, number(depth));
        sheet.put(&t::OUTBOX_AGE, age.as_secs_f64());
        sheet.put(&t::STORE_SIZE, number(store.size_on_disk()?));
        Ok(())
    }

    fn look_at_the_sources(&self, sheet: &mut Sheet) {
        let board = &self.rooms.board;
        for (source, status) in board.all() {
            for state in SourceState::ALL {
                sheet.put_by(&t::SOURCE_STATE, [&source, &state], truth(status.state == state));
            }
            if let Some(lag_s) = status.lag_s {
                sheet.put_by(&t::SOURCE_LAG, [&source], lag_s);
            }
            if let Some(success) = status.last_success {
                sheet.put_by(&t::SOURCE_SUCCESS, [&source], success.as_millis() as f64 / 1000.0);
            }
        }
        for ((source, job, is_whole), count) in board.jobs() {
            let outcome = if is_whole { "whole" } else { "failed" };
            sheet.put_by(&t::SOURCE_JOBS, [&source, &job, &outcome], number(count));
        }
        for (source, answers) in board.answers() {
            for (status, count) in &answers {
                let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
                sheet.put_by(&t::SOURCE_REQUESTS, [&source, &status], number(*count));
            }
            let limited = answers.get(&Some(429)).copied().unwrap_or_default();
            sheet.put_by(&t::SOURCE_LIMITED, [&source], number(limited));
        }
    }

    fn look_at_the_listener(&self, sheet: &mut Sheet) {
        let counts = self.counters.counts();
        for (outcome, count) in [
            ("accepted", counts.accepted),
            ("malformed", counts.malformed),
            ("too_large", counts.too_large),
            ("failed", counts.failed),
        ] {
            sheet.put_by(&t::CALLBACKS, [&outcome], number(count));
        }
        sheet.put(&t::ASKS, number(counts.asks));
        sheet.put(&t::ANSWERED, number(counts.answered));
        sheet.put(&t::UNAUTHORIZED, number(counts.unauthorized));
        for (status, count) in self.counters.statuses.counts() {
            sheet.put_by(&t::REQUESTS, [&status], number(count));
        }
    }

    fn look_at_the_process(&self, sheet: &mut Sheet) {
        sheet.put(&t::CPU, process::processor_time().as_secs_f64());
        if let Some(bytes) = process::resident_memory() {
            sheet.put(&t::MEMORY, number(bytes));
        }
        if let Some(files) = process::open_files() {
            sheet.put(&t::FILES, number(files));
        }
        let begun = clock::now().minus(self.rooms.run.uptime());
        sheet.put(&t::START, begun.as_millis() as f64 / 1000.0);
    }
}

/// Counts stay exact up to 2 to the 53rd.
fn number(count: u64) -> f64 {
    count as f64
}

fn truth(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}
