//! Who is there: devices that came, changed or are gone, by inventory or by time.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::{EdgeNode, REVIEW};
use crate::model::{Device, DeviceId, Timestamp};
use crate::store::StoreError;

impl EdgeNode {
    /// Looks at every device, if it is time to: what changed is judged, and births and deaths follow.
    pub(super) fn review_if_due(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.review_at > Instant::now() {
            return Ok(());
        }
        let listed = self.facts.renderer.store.devices()?;
        for device in &listed {
            self.review(device, now)?;
        }
        let ids: BTreeSet<DeviceId> = listed.iter().map(|device| device.id).collect();
        self.forget_others(&ids);
        self.judge_anew = false;
        self.review_at = Instant::now() + REVIEW;
        Ok(())
    }

    fn review(&mut self, device: &Device, now: Timestamp) -> Result<(), StoreError> {
        let id = device.id;
        let stamp = self.facts.stamp(device)?;
        let known = self.devices.get(&id);
        let is_new = known.is_none_or(|known| known.stamp != stamp);
        let is_over = known.and_then(|known| known.there.until).is_some_and(|until| until < now);
        if is_new || is_over || self.judge_anew {
            let there = self.facts.there(id, now)?;
            let known = self.devices.entry(id).or_default();
            known.stamp = stamp;
            known.there = there;
        }
        self.follow(id, is_new);
        Ok(())
    }

    /// What is to be told of a device that is there or not: what waited may have brought back one that is gone.
    fn follow(&mut self, id: DeviceId, is_new: bool) {
        let is_there = self.devices.get(&id).and_then(|known| known.there.is_there);
        match (is_there, self.node.is_born(id)) {
            (Some(true), false) => {
                self.births.insert(id);
            }
            (Some(false), true) => {
                self.deaths.insert(id);
            }
            (Some(true), true) => {
                self.deaths.remove(&id);
                self.renamed.extend(is_new.then_some(id));
            }
            // Nobody can know yet: it stays what it is.
            (None, _) | (Some(false), false) => {}
        }
    }

    /// Devices that are not listed any more are dead, and their names are free.
    fn forget_others(&mut self, listed: &BTreeSet<DeviceId>) {
        let gone: Vec<DeviceId> = self.devices.keys().filter(|id| !listed.contains(id)).copied().collect();
        for id in gone {
            self.devices.remove(&id);
            self.births.remove(&id);
            if self.node.is_born(id) {
                self.deaths.insert(id);
            } else {
                self.node.forget(id);
            }
        }
    }
}
