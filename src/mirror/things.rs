//! The Things of a space: found by their marker, made where there is none, given what they lack.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Map, Value};

use super::thing::{Known, MARKER, TYPE, description, steps};
use crate::cloud::Error;
use crate::cloud::altair::{Altair, Thing, ThingFilter};
use crate::model::DeviceId;

/// The studio's Things, as far as they are ours to keep.
#[derive(Debug, Clone)]
pub(super) struct Things {
    pub(super) cloud: Altair,
    pub(super) category: Option<String>,
}

impl Things {
    /// All Things of Sigfox devices in the space, and the category where it is wanted.
    pub(super) async fn all(&self) -> Result<BTreeMap<DeviceId, Known>, Error> {
        if let Some(category) = &self.category {
            match self.cloud.category(category).send().await {
                Err(Error::NotFound { .. }) => {
                    self.cloud.create_category(category, Some("Sigfox devices")).send().await?;
                }
                found => drop(found?),
            }
        }
        self.found(ThingFilter { r#type: Some(TYPE.to_owned()), ..ThingFilter::default() }).await
    }

    /// A device's Thing, made if it is nowhere. It is looked for first: a request whose answer was lost may have
    /// made it.
    pub(super) async fn find_or_create(&self, device: DeviceId, info: &Value) -> Result<Known, Error> {
        let marker = vec![(MARKER.to_owned(), format!("eq:{device}"))];
        let filter =
            ThingFilter { r#type: Some(TYPE.to_owned()), properties: marker, ..ThingFilter::default() };
        if let Some(known) = self.found(filter).await?.remove(&device) {
            return Ok(known);
        }
        let thing =
            self.cloud.create_thing(self.category.as_deref(), description(device, info)).send().await?;
        tracing::info!(%device, uid = thing.uid, "Thing made");
        known(thing, device)
    }

    /// Gives a Thing the properties that it lacks, and the action where it is wanted; with `mend` also the types.
    pub(super) async fn complete(
        &self,
        device: DeviceId,
        thing: &mut Known,
        wanted: &Map<String, Value>,
        action: bool,
        mend: bool,
    ) -> Result<bool, Error> {
        let steps = steps(thing, wanted, action, mend);
        if steps.is_empty() {
            return Ok(false);
        }
        tracing::debug!(%device, uid = thing.uid, steps = steps.len(), "Thing is given what it lacks");
        self.cloud.patch_thing(&thing.uid, Value::Array(steps)).send().await?;
        thing.properties.extend(wanted.clone());
        thing.takes_downlinks |= action;
        Ok(true)
    }

    /// What the studio says of a Thing now.
    pub(super) async fn again(&self, device: DeviceId, thing: &Known) -> Result<Known, Error> {
        known(self.cloud.thing(&thing.uid).send().await?, device)
    }

    /// Things of a filter by device; of two with one marker the first that was made.
    async fn found(&self, filter: ThingFilter) -> Result<BTreeMap<DeviceId, Known>, Error> {
        let mut pages = self.cloud.things(&filter);
        let mut things: Vec<Thing> = Vec::new();
        while let Some(page) = pages.next_page().await? {
            things.extend(page.rows);
        }
        things.sort_by(|one, other| (one.created, &one.uid).cmp(&(other.created, &other.uid)));
        let mut by_device = BTreeMap::new();
        for thing in things {
            let uid = thing.uid.clone();
            let Some((device, known)) = Known::of(thing) else { continue };
            match by_device.entry(device) {
                Entry::Vacant(vacant) => drop(vacant.insert(known)),
                Entry::Occupied(_) => {
                    tracing::warn!(%device, uid, "a second Thing of a device is left alone");
                }
            }
        }
        Ok(by_device)
    }
}

fn known(thing: Thing, device: DeviceId) -> Result<Known, Error> {
    let asked = format!("Thing {}", thing.uid);
    let found = Known::of(thing).filter(|(of, _)| *of == device);
    found
        .map(|(_, known)| known)
        .ok_or_else(|| Error::Malformed { asked, why: format!("it is not marked as device {device}") })
}
