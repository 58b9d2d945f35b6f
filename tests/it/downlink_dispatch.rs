//! Downlinks that the gateway brings into Soracom's slots.

use sigfox2mqtt::model::{DeviceId, Downlink, DownlinkState, Evidence, SourceName};
use sigfox2mqtt::store::QueueChange;

use crate::downlink_rig::Rig;
use crate::support::eventually;

#[tokio::test]
async fn only_the_head_is_submitted_and_the_next_when_the_slot_was_served() {
    let mut rig = Rig::soracom().await;
    rig.uplink("7BFD29", -100, None).await;
    rig.push("7BFD29", "a", 1).await;
    rig.push("7BFD29", "b", 2).await;
    rig.start();
    eventually("a is submitted", || rig.is("7BFD29", "a", DownlinkState::Submitted)).await;
    assert!(rig.is("7BFD29", "b", DownlinkState::Queued));
    rig.uplink("7BFD29", 60, None).await;
    let a = rig.item("7BFD29", "a");
    assert_eq!((a.state, a.evidence), (DownlinkState::Sent, Some(Evidence::Inferred)));
    eventually("b is submitted", || rig.is("7BFD29", "b", DownlinkState::Submitted)).await;
    let sent: Vec<_> = rig.cloud(|cloud| cloud.sent.iter().map(|(_, data)| data.clone()).collect());
    assert_eq!(sent, ["0101010101010101", "0202020202020202"]);
    rig.end().await;
}

/// A rig whose device `7BFD29` has an item that Soracom took and did not say so, before we crashed.
async fn in_doubt() -> Rig {
    let mut rig = Rig::soracom().await;
    rig.uplink("7BFD29", -100, None).await;
    rig.push("7BFD29", "a", 1).await;
    rig.cloud(|cloud| (cloud.status, cloud.last_seen) = (Some(500), Some("2026-03-01T00:00:00Z".to_owned())));
    rig.start();
    eventually("a was sent", || rig.cloud(|cloud| !cloud.sent.is_empty())).await;
    rig.crash().await;
    assert_eq!(rig.item("7BFD29", "a").state, DownlinkState::Submitted);
    rig.cloud(|cloud| cloud.status = None);
    rig
}

#[tokio::test]
async fn what_may_have_been_submitted_takes_its_own_place_again_while_the_device_is_silent() {
    let mut rig = in_doubt().await;
    rig.start();
    eventually("no doubt", || rig.is("7BFD29", "a", DownlinkState::Submitted)).await;
    let sent: Vec<_> = rig.cloud(|cloud| cloud.sent.iter().map(|(_, data)| data.clone()).collect());
    assert_eq!(sent, ["0101010101010101", "0101010101010101"]);
    rig.uplink("7BFD29", 60, None).await;
    let a = rig.item("7BFD29", "a");
    assert_eq!((a.evidence, a.reason), (Some(Evidence::Inferred), None));
    rig.end().await;
}

#[tokio::test]
async fn what_soracom_had_answered_before_a_kill_is_not_submitted_again() {
    let mut rig = Rig::soracom().await;
    rig.uplink("7BFD29", -100, None).await;
    rig.push("7BFD29", "a", 1).await;
    rig.start();
    eventually("a is submitted", || rig.is("7BFD29", "a", DownlinkState::Submitted)).await;
    rig.crash().await;
    // The disk had not taken yet that Soracom has it.
    let item = rig.item("7BFD29", "a");
    let reason = Some("unconfirmed: the cloud has not said that it has it".to_owned());
    let before = QueueChange { put: vec![Downlink { reason, ..item }], ..QueueChange::default() };
    rig.store.change_queue("7BFD29".parse().unwrap(), |_| (before, ())).await.unwrap();
    rig.start();
    eventually("no doubt", || rig.is("7BFD29", "a", DownlinkState::Submitted)).await;
    rig.end().await;
    assert_eq!(rig.cloud(|cloud| cloud.sent.len()), 1);
}

#[tokio::test]
async fn what_was_handed_instead_of_what_was_noted_was_not_submitted() {
    let mut rig = in_doubt().await;
    let device: DeviceId = "7BFD29".parse().unwrap();
    let b = rig.push("7BFD29", "b", 2).await;
    let a = Downlink { state: DownlinkState::Failed, ..rig.item("7BFD29", "a") };
    let b = Downlink {
        reason: Some("unconfirmed: the cloud has not said that it has it".to_owned()),
        state: DownlinkState::Submitted,
        ..b
    };
    let handed = QueueChange { put: vec![a, b], ..QueueChange::default() };
    rig.store.change_queue(device, |_| (handed, ())).await.unwrap();
    rig.start();
    eventually("b is submitted", || rig.is("7BFD29", "b", DownlinkState::Submitted)).await;
    rig.end().await;
    let sent: Vec<_> = rig.cloud(|cloud| cloud.sent.iter().map(|(_, data)| data.clone()).collect());
    assert_eq!(sent, ["0101010101010101", "0202020202020202"]);
}

#[tokio::test]
async fn what_may_have_been_fetched_is_not_submitted_again() {
    let mut rig = in_doubt().await;
    rig.cloud(|cloud| cloud.last_seen = Some("2026-03-01T00:10:00Z".to_owned()));
    rig.uplink("8BFD29", -100, None).await;
    rig.push("8BFD29", "later", 2).await;
    rig.start();
    eventually("the other device is served", || rig.is("8BFD29", "later", DownlinkState::Submitted)).await;
    assert_eq!(rig.cloud(|cloud| cloud.sent.len()), 2);
    rig.uplink("7BFD29", 60, None).await;
    let a = rig.item("7BFD29", "a");
    assert_eq!(a.evidence, Some(Evidence::Inferred));
    assert!(a.reason.is_some_and(|reason| reason.starts_with("unconfirmed")));
    rig.end().await;
}

#[tokio::test]
async fn a_device_that_was_heard_between_the_look_and_the_submission_may_get_it_twice_and_that_is_said() {
    let mut rig = in_doubt().await;
    rig.cloud(|cloud| cloud.heard_meanwhile = Some("2026-03-01T00:10:00Z".to_owned()));
    rig.start();
    let doubled = |item: &Downlink| item.reason.as_ref().is_some_and(|reason| reason.ends_with("twice"));
    eventually("the doubt is said", || doubled(&rig.item("7BFD29", "a"))).await;
    rig.uplink("7BFD29", 60, None).await;
    let a = rig.item("7BFD29", "a");
    assert!(a.state == DownlinkState::Sent && doubled(&a), "{a:?}");
    rig.end().await;
    assert_eq!(rig.cloud(|cloud| cloud.sent.len()), 2);
}

#[tokio::test]
async fn a_downlink_goes_by_the_spelling_of_its_cloud() {
    let mut rig = Rig::soracom().await;
    rig.uplink("7BFD29", -100, None).await;
    let (source, id): (SourceName, DeviceId) = ("factory".parse().unwrap(), "7BFD29".parse().unwrap());
    rig.store.set_spelling(&source, id, "007bfd29").unwrap();
    rig.push("7BFD29", "a", 1).await;
    rig.start();
    eventually("a is submitted", || rig.is("7BFD29", "a", DownlinkState::Submitted)).await;
    assert_eq!(rig.cloud(|cloud| cloud.sent[0].0.clone()), "007bfd29");
    rig.end().await;
}

#[tokio::test]
async fn what_soracom_refuses_fails_or_waits() {
    for (device, status, state) in [
        ("FFFF", Some(404), DownlinkState::Failed),
        ("DEAD", None, DownlinkState::Failed),
        ("7BFD29", Some(400), DownlinkState::Failed),
        ("7BFD29", Some(429), DownlinkState::Queued),
    ] {
        let mut rig = Rig::soracom().await;
        rig.uplink(device, -100, None).await;
        rig.push(device, "a", 1).await;
        rig.cloud(|cloud| cloud.status = status);
        rig.start();
        eventually("the refusal is taken over", || {
            let item = rig.item(device, "a");
            item.state == state && item.reason.is_some()
        })
        .await;
        rig.end().await;
    }
}

#[tokio::test]
async fn a_device_that_soracom_lists_but_does_not_show_alone_gets_its_downlink_once() {
    let mut rig = Rig::soracom().await;
    rig.uplink("FFFF", -100, None).await;
    rig.push("FFFF", "a", 1).await;
    rig.start();
    eventually("a is submitted", || rig.is("FFFF", "a", DownlinkState::Submitted)).await;
    rig.crash().await;
    rig.start();
    rig.uplink("FFFF", 30, Some(true)).await;
    eventually("the device has asked", || rig.is("FFFF", "a", DownlinkState::Sent)).await;
    assert_eq!(rig.cloud(|cloud| cloud.sent.len()), 1);
    rig.end().await;
}
