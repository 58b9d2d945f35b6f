//! Keeping uplinks and reading them back.

use std::collections::BTreeSet;

use super::{Rig, source, time, uplink};
use crate::model::Event;
use crate::store::UplinkQuery;

#[test]
fn an_uplink_is_kept_and_published_once_and_survives_the_end_of_the_process() {
    let rig = Rig::new();
    let message = uplink("002C", 0, Some(251));
    let recorded = rig.store.record_sweep(&[message.clone()], None).unwrap();
    assert_eq!(recorded.new, [message.id()]);
    let again = rig.store.record_sweep(&[message.clone()], None).unwrap();
    assert_eq!((again.new.len(), again.known), (0, 1));
    let rig = rig.reopened();
    assert_eq!(rig.store.uplinks(&UplinkQuery::default()).unwrap(), [message.clone()]);
    let head = rig.store.outbox_head(&BTreeSet::new(), 10).unwrap();
    assert_eq!(head.len(), 2);
    assert_eq!(head[0].event, Event::Uplink(Box::new(message)));
    assert_eq!(rig.store.outbox_depth().unwrap(), (2, Some(time(0))));
    let keys: Vec<_> = head.into_iter().map(|entry| entry.key).collect();
    rig.store.outbox_done(&keys, &[]).unwrap();
    assert_eq!(rig.store.outbox_depth().unwrap(), (0, None));
    assert_eq!(rig.store.outbox_head(&BTreeSet::new(), 10).unwrap(), []);
    assert_eq!(rig.store.device("2C".parse().unwrap()).unwrap().unwrap().source, source("factory"));
}
