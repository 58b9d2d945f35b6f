//! What devices sent: one request a device type when nothing is new, sweeps of pages when something is.
//! A sweep is recorded when it is whole, together with the cursor that says so.

use std::collections::{BTreeMap, HashMap};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Scope;
use super::backoff::Backoff;
use super::cloud_clock::reached;
use super::health::{Failure, Job, Outcome};
use super::inventory::blocking;
use super::source::Room;
use super::sweep::{Found, MOST_UPLINKS, Piece, Pieces, Span, uplink};
use crate::clock;
use crate::cloud::sigfox::{DeviceType, Message, Sigfox, Window};
use crate::cloud::{Error, Pages};
use crate::model::{DeviceId, DownlinkPayload, Timestamp, Uplink, UplinkId};

/// What the Sigfox cloud keeps at least (contract option `messageHistory` 0); what lies further back may be gone.
const HISTORY: Duration = Duration::from_secs(3 * 86_400);

/// Where so many device types fail one after the other and none has answered, the cloud itself is held to be down.
const FAILING_TYPES: usize = 2;

/// A device type that fails, with its own patience.
#[derive(Debug)]
pub(super) struct Failing {
    backoff: Backoff,
    until: Instant,
    error: Error,
}

/// What messages are asked for.
enum Of<'a> {
    Type(&'a DeviceType),
    Device(DeviceId),
}

impl Room {
    /// Asks every device type what is new.
    pub(super) async fn poll_messages(&self, cloud: &Sigfox, scope: Scope) -> Outcome {
        if let Some(device) = scope.device {
            return self.poll_device(cloud, device, scope).await;
        }
        let mut gap = None;
        let outcome = self.each_type(cloud, Job::Messages, scope, &mut gap).await;
        self.tell_gap(gap, self.cloud_now().minus(HISTORY));
        outcome
    }

    /// Asks for one device's messages, if it is one of this source's.
    async fn poll_device(&self, cloud: &Sigfox, device: DeviceId, scope: Scope) -> Outcome {
        if self.store.device(device)?.is_some_and(|known| known.source != *self.name()) {
            return Ok(None);
        }
        match self.sweep(cloud, Job::Messages, &Of::Device(device), self.span(None, scope), None).await {
            // Somebody asked for a device that is another source's, or nobody's.
            Err(Failure::Cloud(Error::NotFound { .. })) => Ok(None),
            other => other,
        }
    }

    /// Looks through the whole backfill window again for what came later than the overlap reaches.
    pub(super) async fn resync(&self, cloud: &Sigfox) -> Outcome {
        let scope = Scope { device: None, from: Some(self.cloud_now().minus(self.config.backfill)) };
        self.each_type(cloud, Job::Resync, scope, &mut None).await
    }

    /// Asks one device type what is new; the oldest time since when something may be gone goes into `gap`.
    async fn ask_type(
        &self,
        cloud: &Sigfox,
        job: Job,
        listed: &DeviceType,
        scope: Scope,
        gap: &mut Option<Timestamp>,
    ) -> Outcome {
        let cursor = self.store.cursor(self.name(), &listed.id)?;
        let span = self.span(cursor, scope);
        // A look further back says nothing about what was read since.
        let moves = (job == Job::Messages).then_some(listed.id.as_str());
        let odd = self.sweep(cloud, job, &Of::Type(listed), span, moves).await?;
        // By what the cloud's clock says now: ours may have jumped since the last poll.
        let is_gone = |cursor: &Timestamp| moves.is_some() && self.cloud_now().since(*cursor) > HISTORY;
        if let Some(cursor) = cursor.filter(is_gone) {
            *gap = Some(gap.map_or(cursor, |gap| gap.min(cursor)));
        }
        Ok(odd)
    }

    pub(super) fn span(&self, cursor: Option<Timestamp>, scope: Scope) -> Span {
        let new = Span::since(cursor, self.cloud_now(), self.config.overlap, self.config.backfill);
        // The cursor moves to the end of what was asked: from later on than it, it would leave a hole.
        Span { from: scope.from.map_or(new.from, |from| from.min(new.from)), to: None }
    }

    /// Asks every device type; one that fails costs only itself, unless the cloud as a whole fails.
    async fn each_type(
        &self,
        cloud: &Sigfox,
        job: Job,
        scope: Scope,
        gap: &mut Option<Timestamp>,
    ) -> Outcome {
        let types = self.types.borrow().clone().unwrap_or_default();
        let mut odd = None;
        let (mut answered, mut failed_in_a_row, mut last) = (false, 0_usize, None);
        for listed in &types {
            let outcome = match self.still_failing(&listed.id) {
                Some(error) => Err(Failure::Cloud(error)),
                None => self.ask_type(cloud, job, listed, scope, gap).await,
            };
            let error = match outcome {
                Ok(its) => {
                    odd = odd.or(its);
                    (answered, failed_in_a_row) = (true, 0);
                    self.failing().remove(&listed.id);
                    continue;
                }
                Err(Failure::Cloud(error)) => error,
                Err(failure) => return Err(failure),
            };
            failed_in_a_row += 1;
            // A type that times out costs half a minute; where several do, it is the cloud.
            let of_all = failed_in_a_row >= FAILING_TYPES && (!answered || error.is_silence());
            if error.concerns_all() || of_all {
                self.failing().clear();
                return Err(error.into());
            }
            tracing::debug!(source = %self.name(), device_type = listed.id, ?job, %error, "a device type fails");
            self.leave_alone(&listed.id, &error);
            odd = odd.or(Some(error.to_string()));
            last = Some(error);
        }
        match last {
            // Nothing answered: the source fails as a whole, and its own back-off is enough.
            Some(error) if !answered => {
                self.failing().clear();
                Err(error.into())
            }
            _ => Ok(odd),
        }
    }

    /// The error of a device type that failed a short while ago and is not to be asked yet.
    pub(super) fn still_failing(&self, device_type: &str) -> Option<Error> {
        let failing = self.failing();
        failing.get(device_type).filter(|it| Instant::now() < it.until).map(|it| it.error.clone())
    }

    pub(super) fn leave_alone(&self, device_type: &str, error: &Error) {
        let mut failing = self.failing();
        let entry = failing.entry(device_type.to_owned()).or_insert_with(|| Failing {
            backoff: Backoff::default(),
            until: Instant::now(),
            error: error.clone(),
        });
        if entry.until <= Instant::now() {
            entry.until = Instant::now() + entry.backoff.after(error);
            entry.error = error.clone();
        }
    }

    pub(super) fn failing(&self) -> MutexGuard<'_, HashMap<String, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the messages of a span and records them, oldest first if they come in several sweeps.
    async fn sweep(
        &self,
        cloud: &Sigfox,
        job: Job,
        of: &Of<'_>,
        span: Span,
        cursor: Option<&str>,
    ) -> Outcome {
        let mut odd = None;
        let mut pieces = Pieces::of(span, MOST_UPLINKS);
        // A piece is kept while the next is asked for.
        let mut earlier = None;
        while let Some(piece) = pieces.next() {
            let found = match piece {
                Piece::Have(found, end) => Some((found, end)),
                Piece::Ask(span) => {
                    let look = self.look(cloud, job, of, span, &mut pieces);
                    let (found, kept) =
                        tokio::join!(look, self.keep_piece(cloud, of, earlier.take(), cursor));
                    kept?;
                    found?
                }
            };
            odd = odd.or_else(|| found.as_ref()?.0.odd.first().cloned());
            if found.is_some() {
                self.keep_piece(cloud, of, std::mem::replace(&mut earlier, found), cursor).await?;
            }
        }
        self.keep_piece(cloud, of, earlier, cursor).await?;
        Ok(odd)
    }

    /// Asks for a piece of a sweep; nothing where it was cut short.
    async fn look(
        &self,
        cloud: &Sigfox,
        job: Job,
        of: &Of<'_>,
        span: Span,
        pieces: &mut Pieces,
    ) -> Result<Option<(Found, Timestamp)>, Failure> {
        let asked_at = clock::now();
        let found = self.collect(cloud, job, of, span, pieces).await?;
        let newest = found.uplinks.iter().map(|uplink| uplink.time).max();
        let end = span.to.unwrap_or_else(|| reached(asked_at, found.date, newest));
        if let Some(left_at) = found.left_at {
            if !pieces.cut(span, found, left_at, end) {
                let why = format!("more than {} messages within seconds", pieces.enough(span));
                return Err(Error::Malformed { asked: "messages".to_owned(), why }.into());
            }
            return Ok(None);
        }
        pieces.whole(span, found.uplinks.len());
        Ok(Some((found, end)))
    }

    async fn collect(
        &self,
        cloud: &Sigfox,
        job: Job,
        of: &Of<'_>,
        span: Span,
        pieces: &Pieces,
    ) -> Result<Found, Failure> {
        let window = Window { since: Some(span.from), before: span.to };
        let (mut pages, asked): (Pages<Message>, String) = match of {
            Of::Type(listed) => {
                let name = listed.name.as_deref().unwrap_or(&listed.id);
                (cloud.device_type_messages(&listed.id, window), format!("messages of device type {name}"))
            }
            Of::Device(device) => {
                (cloud.device_messages(*device, window), format!("messages of device {device}"))
            }
        };
        let mut found = Found { whole: true, is_in_order: true, ..Found::default() };
        let mut by_id: HashMap<UplinkId, usize> = HashMap::new();
        let mut oldest: Option<Timestamp> = None;
        let mut first = true;
        loop {
            let page = match self.next_page(job, &mut pages, first).await {
                Ok(Some(page)) => page,
                Ok(None) => break,
                // What came is good and is kept, but the cursor stays, so that nothing is taken for read.
                Err(error @ Error::Circle { .. }) => {
                    found.odd.push(error.to_string());
                    found.whole = false;
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            first = false;
            found.date = found.date.or(page.date);
            found.odd.extend(self.report(&asked, &page));
            let received = clock::now();
            for message in &page.rows {
                if span.holds(message.time) && self.config.filter.takes_device(message.device) {
                    let uplink = uplink(message, self.name(), received, self.is_history(message.time));
                    // A page's border brings rows again; the later copy knows as much.
                    let next = found.uplinks.len();
                    if *by_id.entry(uplink.id()).or_insert(next) == next {
                        let answer =
                            message.downlink.as_ref().and_then(|data| data.as_bytes().try_into().ok());
                        found.answers.extend(answer.map(|data| (uplink.clone(), DownlinkPayload::new(data))));
                        found.is_in_order &= oldest.is_none_or(|oldest| uplink.time <= oldest);
                        found.uplinks.push(uplink);
                    }
                }
            }
            oldest = oldest.into_iter().chain(page.oldest).min();
            let reached = oldest.unwrap_or(span.from).max(span.from);
            if !pages.is_over() && pieces.is_enough(span, &found, reached) {
                found.left_at = Some(reached);
                break;
            }
            // A cloud that ignores `since` would lead us through all of its history.
            if !page.rows.is_empty() && page.rows.iter().all(|message| message.time < span.from) {
                break;
            }
        }
        Ok(found)
    }

    /// Keeps what was found up to a time, which the cursor then stands for.
    async fn keep_piece(
        &self,
        cloud: &Sigfox,
        of: &Of<'_>,
        found: Option<(Found, Timestamp)>,
        cursor: Option<&str>,
    ) -> Result<(), Failure> {
        let Some((found, end)) = found else { return Ok(()) };
        let cursor = cursor.filter(|_| found.whole).map(|scope| (scope.to_owned(), end));
        if let Of::Type(listed) = of {
            let mut heard = BTreeMap::new();
            for uplink in &found.uplinks {
                let newest = heard.entry(uplink.device).or_insert(uplink.time);
                *newest = uplink.time.max(*newest);
            }
            self.adopt(cloud, &heard, &listed.id).await?;
        }
        // Before the cursor: who sees how far was read counts on having heard what was answered until then.
        if let Some(queues) = &self.queues {
            for (uplink, data) in &found.answers {
                queues.transmitted(uplink, *data).await?;
            }
        }
        self.keep_sweep(found.uplinks, cursor).await
    }

    /// Records uplinks and the cursor that they stand for.
    pub(super) async fn keep_sweep(
        &self,
        uplinks: Vec<Uplink>,
        cursor: Option<(String, Timestamp)>,
    ) -> Result<(), Failure> {
        let received = self.cloud_now();
        let (store, source) = (self.store.clone(), self.name().clone());
        let recorded = blocking(move || {
            let cursor = cursor.as_ref().map(|(scope, time)| (&source, scope.as_str(), *time));
            store.record_sweep(&uplinks, cursor)
        })
        .await?;
        if let Some(newest) = recorded.new.last() {
            let time = Timestamp::from_cloud(newest.seconds).unwrap_or(received);
            self.note_lag(received.since(time));
            tracing::debug!(source = %self.name(), new = recorded.new.len(), known = recorded.known, "sweep");
        }
        Ok(())
    }

    /// Tells that what came between may be gone from the cloud.
    pub(super) fn tell_gap(&self, from: Option<Timestamp>, to: Timestamp) {
        let Some(from) = from else { return };
        tracing::warn!(source = %self.name(), %from, %to, "messages between may be gone from the cloud");
        self.tell("gap_possible", &serde_json::json!({ "source": self.name(), "from": from, "to": to }));
    }
}
