//! Which metrics the host was told of, by which number and as which type. Pure.

use std::collections::BTreeMap;

use super::metric::DataType;
use super::payload;
use crate::model::DeviceId;

/// No edge node or device has more metrics; what is beyond is not told.
const MOST_METRICS: usize = 500;

/// Whose metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The edge node's own.
    Node,
    /// A device's.
    Device(DeviceId),
}

/// A metric as its birth told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// Its number, unlike that of any other metric of the edge node.
    pub(super) alias: u64,
    /// Its type.
    pub(super) datatype: DataType,
    /// Whether a birth has told it so.
    is_told: bool,
}

/// The metrics of the edge node and its devices. Bounded by their number: a name stays as long as the device does.
#[derive(Debug, Default)]
pub(super) struct Declared {
    last_alias: u64,
    subjects: BTreeMap<Subject, BTreeMap<String, Slot>>,
}

impl Declared {
    /// Gives a metric a number, if it has none, and a type; none where its subject has too many already. The next
    /// birth has to tell what is new of it.
    pub(super) fn declare(&mut self, subject: Subject, name: &str, datatype: DataType) -> Option<Slot> {
        let names = self.subjects.entry(subject).or_default();
        if let Some(slot) = names.get_mut(name) {
            slot.is_told &= slot.datatype == datatype;
            slot.datatype = datatype;
            return Some(*slot);
        }
        if names.len() >= MOST_METRICS {
            return None;
        }
        self.last_alias += 1;
        let slot = Slot { alias: self.last_alias, datatype, is_told: false };
        names.insert(name.to_owned(), slot);
        Some(slot)
    }

    /// A metric by its name, as the host knows it.
    pub(super) fn told(&self, subject: Subject, name: &str) -> Option<Slot> {
        self.subjects.get(&subject)?.get(name).copied().filter(|slot| slot.is_told)
    }

    /// The type by which a metric is known, told or not.
    pub(super) fn datatype(&self, subject: Subject, name: &str) -> Option<DataType> {
        self.subjects.get(&subject)?.get(name).map(|slot| slot.datatype)
    }

    /// A birth tells all metrics of a subject.
    pub(super) fn tell(&mut self, subject: Subject) {
        for slot in self.subjects.get_mut(&subject).into_iter().flat_map(BTreeMap::values_mut) {
            slot.is_told = true;
        }
    }

    /// All metrics of a subject, in the order of their names.
    pub(super) fn of(&self, subject: Subject) -> impl Iterator<Item = (&str, Slot)> {
        self.subjects.get(&subject).into_iter().flatten().map(|(name, slot)| (name.as_str(), *slot))
    }

    /// Which metric of a subject a command means: by its alias, or by its name.
    pub(super) fn name_of(&self, subject: Subject, metric: &payload::Metric) -> Option<&str> {
        let is_meant = |name: &str, slot: Slot| match (metric.alias, metric.name.as_deref()) {
            (Some(alias), _) => slot.alias == alias,
            (None, Some(given)) => given == name,
            (None, None) => false,
        };
        self.of(subject).find(|(name, slot)| is_meant(name, *slot)).map(|(name, _)| name)
    }

    /// A device is forgotten, and the names that it had.
    pub(super) fn forget(&mut self, device: DeviceId) {
        self.subjects.remove(&Subject::Device(device));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_metrics_share_a_number_and_none_changes_its() {
        let mut declared = Declared::default();
        let device = Subject::Device("1A2B3C".parse().unwrap());
        let mut aliases = Vec::new();
        for (subject, name) in [(Subject::Node, "a"), (device, "a"), (device, "b")] {
            let slot = declared.declare(subject, name, DataType::Double).unwrap();
            aliases.push(slot.alias);
            let again = declared.declare(subject, name, DataType::Int64).unwrap();
            assert_eq!((again.alias, again.datatype), (slot.alias, DataType::Int64));
        }
        aliases.dedup();
        assert_eq!(aliases.len(), 3);
        declared.forget("1A2B3C".parse().unwrap());
        assert!(declared.declare(device, "a", DataType::Double).is_some_and(|slot| slot.alias > aliases[2]));
    }

    #[test]
    fn a_script_that_makes_up_names_fills_no_memory() {
        let mut declared = Declared::default();
        for number in 0..2 * MOST_METRICS {
            declared.declare(Subject::Node, &number.to_string(), DataType::Double);
        }
        assert_eq!(declared.of(Subject::Node).count(), MOST_METRICS);
    }

    #[test]
    fn what_is_new_is_told_by_a_birth() {
        let mut declared = Declared::default();
        let known = |declared: &Declared| declared.told(Subject::Node, "a").map(|slot| slot.datatype);
        for (datatype, before) in
            [(DataType::Double, None), (DataType::Double, Some(DataType::Double)), (DataType::Int64, None)]
        {
            declared.declare(Subject::Node, "a", datatype);
            assert_eq!(known(&declared), before, "{datatype:?}");
            declared.tell(Subject::Node);
            assert_eq!(known(&declared), Some(datatype));
        }
    }

    #[test]
    fn a_command_names_a_metric_by_alias_or_name() {
        let mut declared = Declared::default();
        let slot = declared.declare(Subject::Node, "a", DataType::Double).unwrap();
        let metric = |alias, name: Option<&str>| payload::Metric {
            alias,
            name: name.map(str::to_owned),
            ..payload::Metric::default()
        };
        for (given, meant) in [
            (metric(Some(slot.alias), None), Some("a")),
            (metric(None, Some("a")), Some("a")),
            (metric(Some(99), Some("a")), None),
            (metric(None, Some("b")), None),
            (metric(None, None), None),
        ] {
            assert_eq!(declared.name_of(Subject::Node, &given), meant, "{given:?}");
        }
    }
}
