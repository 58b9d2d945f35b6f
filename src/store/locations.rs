//! Keeping locations that come apart from their uplinks: with the uplink of the same second where there is one.

use super::commit::{Commit, Place};
use super::error::StoreError;
use super::layout::{
    LARGEST_COMMIT, UplinkKey, Week, place_key, seconds, span, uplink_key, uplink_key_parts,
};
use super::memory::Memory;
use super::record::{LocationRecord, Record, UplinkRecord};
use super::{Change, Located, Store};
use crate::model::{Event, Location, Timestamp, UplinkId};

/// Each location may need a record, and an event in the outbox.
const AT_ONCE: usize = LARGEST_COMMIT / 2;

impl Store {
    /// Keeps locations, publishes those that say something new, and says how many did. A location belongs to the
    /// uplink that it names, or to the device's uplink of the same second. A second location of the same moment
    /// counts only if it is more accurate. Of a device that is not known nothing is kept. Not durable at once.
    pub fn record_locations(&self, located: &[Located]) -> Result<usize, StoreError> {
        let mut news = 0;
        for part in located.chunks(AT_ONCE) {
            let mut memory = self.memory();
            let mut commit = Commit::default();
            let mut events = Vec::new();
            for entry in part {
                events.extend(self.stage_location(&mut memory, &mut commit, entry)?);
            }
            let staged = memory.outbox.stage(&self.database(), &mut commit, &events)?;
            self.database().apply(&commit)?;
            memory.outbox.keep(&staged);
            drop(memory);
            self.announce((!events.is_empty()).then_some(Change::Outbox));
            news += events.len();
        }
        Ok(news)
    }

    fn stage_location(
        &self,
        memory: &mut Memory,
        commit: &mut Commit,
        entry: &Located,
    ) -> Result<Option<Event>, StoreError> {
        let Some(location) = entry.location.checked() else { return Ok(None) };
        let Some(known) = memory.devices.get(&entry.device.number()) else { return Ok(None) };
        let device = known.device.id;
        if let Some((key, mut record)) = self.uplink_of(entry)? {
            let Some((_, second, tail)) = uplink_key_parts(&key) else { return Ok(None) };
            let fresh = record.location_record(&location, second);
            if !says_more(&fresh, record.location.as_ref()) {
                return Ok(None);
            }
            record.location = Some(fresh);
            memory.fresh.take(&key);
            commit.write(Place::Week(Week::of(second)), key.to_vec(), Some(record.encode()?));
            let uplink = Some(UplinkId { device, seconds: i64::from(second), tail });
            return Ok(Some(Event::Location { device, location, uplink }));
        }
        let key = place_key(device, location.time);
        let week = Week::of(seconds(location.time));
        let fresh = LocationRecord::new(&location, whole_second(&location));
        let stored = self.database().week(week).map(|week| week.get(&key)).transpose()?.flatten();
        let stored = stored.and_then(|value| LocationRecord::decode(&value).ok());
        if !says_more(&fresh, stored.as_ref()) {
            return Ok(None);
        }
        commit.write(Place::Week(week), key.to_vec(), Some(fresh.encode()?));
        Ok(Some(Event::Location { device, location, uplink: None }))
    }

    fn uplink_of(&self, entry: &Located) -> Result<Option<(UplinkKey, UplinkRecord)>, StoreError> {
        let (second, named) = match &entry.uplink {
            Some(id) => (u32::try_from(id.seconds).unwrap_or(u32::MAX), uplink_key(id)),
            None => (seconds(entry.location.time), None),
        };
        let Some(week) = self.database().week(Week::of(second)) else { return Ok(None) };
        let Some(span) = span(entry.device.number(), second, second.saturating_add(1)) else {
            return Ok(None);
        };
        for found in week.entries(span, false) {
            let (key, value) = found?;
            let is_meant = uplink_key_parts(&key).is_some() && named.is_none_or(|named| named == key);
            if let (true, Ok(record)) = (is_meant, UplinkRecord::decode(&value)) {
                return Ok(Some((key, record)));
            }
        }
        Ok(None)
    }
}

fn whole_second(location: &Location) -> Timestamp {
    Timestamp::from_millis(location.time.as_seconds() * 1000).unwrap_or_default()
}

/// Whether a location says more than the one that is kept.
fn says_more(fresh: &LocationRecord, kept: Option<&LocationRecord>) -> bool {
    match kept.map(LocationRecord::accuracy_m) {
        None => true,
        Some(None) => fresh.accuracy_m().is_some(),
        Some(Some(kept)) => fresh.accuracy_m().is_some_and(|fresh| fresh < kept),
    }
}
