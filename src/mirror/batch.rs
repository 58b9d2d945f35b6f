//! What is to be told of one device: values of their moments, current values, errors, ended downlinks. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::thing::{LAST_SEEN, LOCATION, property_of};
use crate::cloud::altair::Moment;
use crate::model::{Downlink, Timestamp};
use crate::store::OutboxKey;

/// The studio keeps the newest hundred values of an event: of a flood of errors so many are told.
const MOST_ERRORS: usize = 5;

/// What is to be told of one device, from some of its events in order of time.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The events that it is made of.
    pub(super) keys: Vec<OutboxKey>,
    moments: BTreeMap<Timestamp, Map<String, Value>>,
    current: Map<String, Value>,
    newest: Option<Timestamp>,
    /// The newest errors, in words.
    pub(super) errors: Vec<String>,
    /// Items of the queue as they ended.
    pub(super) ended: Vec<Downlink>,
}

impl Batch {
    /// Takes an uplink, as the document that the broker gets of it.
    pub(super) fn add_uplink(&mut self, time: Timestamp, document: &Value) {
        let mut values = Map::new();
        let fields = document.get("fields").and_then(Value::as_object);
        for (field, value) in fields.into_iter().flatten() {
            values.insert(property_of(field), value.clone());
        }
        for (key, property) in [("data", "data"), ("lqi", "link_quality"), ("rssi", "rssi"), ("snr", "snr")] {
            values.extend(document.get(key).map(|value| (property.to_owned(), value.clone())));
        }
        values.extend(document.get("location").and_then(place).map(|place| (LOCATION.to_owned(), place)));
        self.add(time, values);
        if self.newest.is_none_or(|newest| time >= newest) {
            self.newest = Some(time);
            self.current.insert(LAST_SEEN.to_owned(), json!(time));
        }
        let errors = document.get("errors").and_then(Value::as_array).into_iter().flatten();
        let errors: Vec<&str> = errors.filter_map(Value::as_str).collect();
        if !errors.is_empty() {
            self.add_error(time, &errors.join("; "));
        }
    }

    /// Takes a place, as a document has it.
    pub(super) fn add_location(&mut self, time: Timestamp, document: &Value) {
        self.add(time, place(document).map(|place| (LOCATION.to_owned(), place)).into_iter().collect());
    }

    /// Takes an error.
    pub(super) fn add_error(&mut self, time: Timestamp, what: &str) {
        if self.errors.len() >= MOST_ERRORS {
            self.errors.remove(0);
        }
        self.errors.push(format!("{time}: {what}"));
    }

    /// Two messages of one moment are told a millisecond apart: the studio takes each time of a property once.
    fn add(&mut self, time: Timestamp, mut values: Map<String, Value>) {
        values.retain(|_, value| !value.is_null());
        if values.is_empty() {
            return;
        }
        // Events come in order of time: what comes later is newer.
        self.current.extend(values.clone());
        let mut at = time;
        while self.moments.get(&at).is_some_and(|known| values.keys().any(|name| known.contains_key(name))) {
            at = at.plus(Duration::from_millis(1));
        }
        self.moments.entry(at).or_default().extend(values);
    }

    /// The values of each moment, oldest first.
    pub(super) fn moments(&self) -> Vec<Moment> {
        let moment = |(at, properties): (&Timestamp, &Map<String, Value>)| Moment {
            at: *at,
            properties: properties.clone(),
        };
        self.moments.iter().map(moment).collect()
    }

    /// The values that are current now, given up to when the Thing's are; and up to when these are. A late place of
    /// an older message changes nothing.
    pub(super) fn current(&self, known: Option<Timestamp>) -> (Map<String, Value>, Option<Timestamp>) {
        let newest = self.moments.keys().next_back().copied().max(self.newest);
        if known.is_some_and(|known| newest.is_none_or(|newest| newest < known)) {
            return (Map::new(), known);
        }
        (self.current.clone(), self.newest.max(known))
    }

    /// A value of each property, to tell its type by.
    pub(super) fn samples(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.moments.values().flatten().chain(&self.current)
    }

    /// How many values there are.
    pub(super) fn values(&self) -> usize {
        self.moments.values().map(Map::len).sum()
    }
}

/// Where something is, without what the document around it says.
fn place(document: &Value) -> Option<Value> {
    let document = document.as_object()?;
    let names = ["latitude", "longitude", "gps_accuracy", "source"];
    Some(names.into_iter().filter_map(|name| Some((name.to_owned(), document.get(name)?.clone()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_cloud(1_789_000_000 + seconds).unwrap()
    }

    fn uplink(level: f64) -> Value {
        json!({
            "v": 1, "fields": { "level": level, "rssi": 7, "broken": null }, "errors": [], "data": "0a",
            "lqi": "good", "rssi": -118.0, "snr": null, "location": null,
        })
    }

    #[test]
    fn an_uplink_is_a_moment_and_the_newest_is_current() {
        let mut batch = Batch::default();
        batch.add_uplink(at(0), &uplink(1.0));
        batch.add_uplink(at(60), &uplink(2.0));
        let moments = batch.moments();
        let expected =
            json!({ "level": 1.0, "field_rssi": 7, "data": "0a", "link_quality": "good", "rssi": -118.0 });
        assert_eq!((moments.len(), moments[0].at, json!(moments[0].properties)), (2, at(0), expected));
        for (known, level) in [(None, Some(2.0)), (Some(at(60)), Some(2.0)), (Some(at(61)), None)] {
            let (current, newest) = batch.current(known);
            assert_eq!(current.get("level").and_then(Value::as_f64), level, "{known:?}");
            assert_eq!(newest, known.max(Some(at(60))));
            assert_eq!(current.contains_key(LAST_SEEN), level.is_some());
        }
    }

    #[test]
    fn two_messages_of_one_moment_are_both_kept_and_a_place_joins_its_message() {
        let mut batch = Batch::default();
        batch.add_uplink(at(0), &uplink(1.0));
        batch.add_uplink(at(0), &uplink(2.0));
        let document = json!({ "v": 1, "latitude": 48.0, "longitude": 2.0, "gps_accuracy": null, "source": "network",
            "time": "x", "uplink": null });
        batch.add_location(at(0), &document);
        let moments = batch.moments();
        assert_eq!(moments.len(), 2);
        assert_eq!(moments[1].at.since(moments[0].at), Duration::from_millis(1));
        let place = json!({ "latitude": 48.0, "longitude": 2.0, "gps_accuracy": null, "source": "network" });
        assert_eq!(moments[0].properties[LOCATION], place);
    }

    #[test]
    fn of_a_flood_of_errors_the_newest_are_told() {
        let mut batch = Batch::default();
        for second in 0..100 {
            let document = json!({ "fields": {}, "errors": [format!("too short {second}"), "and wrong"] });
            batch.add_uplink(at(second), &document);
        }
        assert_eq!(batch.errors.len(), MOST_ERRORS);
        assert!(batch.errors[4].ends_with("too short 99; and wrong"), "{:?}", batch.errors);
    }
}
