//! Downlinks that stand in the fixed answer of a Sigfox device type.

use std::collections::BTreeSet;

use serde_json::json;
use sigfox2mqtt::downlink::{Cancelled, Target};
use sigfox2mqtt::model::{Downlink, DownlinkState, Event, Evidence};
use sigfox2mqtt::store::QueueChange;

use crate::downlink_rig::{FORMER, Rig};
use crate::support::eventually;

/// Pushes `a` and waits until it stands in the device type's answer.
async fn stand(rig: &mut Rig) {
    rig.push("4D9A83", "a", 1).await;
    rig.start();
    eventually("a stands in the answer", || rig.is("4D9A83", "a", DownlinkState::Armed)).await;
}

#[tokio::test]
async fn a_fixed_answer_is_written_and_restored_after_use() {
    let mut rig = Rig::direct(&["4D9A83"]).await;
    stand(&mut rig).await;
    assert_eq!(rig.cloud(|cloud| cloud.answer.clone()), "0101010101010101");
    rig.uplink("4D9A83", 30, Some(false)).await;
    assert!(rig.is("4D9A83", "a", DownlinkState::Armed), "the device has not asked");
    let fetched = rig.uplink("4D9A83", 60, Some(true)).await;
    rig.queues.transmitted(&fetched, "0101010101010101".parse().unwrap()).await.unwrap();
    assert_eq!(rig.item("4D9A83", "a").state, DownlinkState::Sent);
    eventually("the answer is restored", || rig.cloud(|cloud| cloud.answer == FORMER)).await;
    rig.end().await;
    assert_eq!(rig.cloud(|cloud| cloud.written.len()), 2);
}

#[tokio::test]
async fn an_ask_alone_shows_nothing() {
    let mut rig = Rig::direct(&["4D9A83"]).await;
    stand(&mut rig).await;
    rig.uplink("4D9A83", 60, Some(true)).await;
    assert!(rig.is("4D9A83", "a", DownlinkState::Armed), "the network has answered nothing");
    let fetched = rig.uplink("4D9A83", 660, Some(true)).await;
    rig.queues.transmitted(&fetched, "0101010101010101".parse().unwrap()).await.unwrap();
    assert!(rig.is("4D9A83", "a", DownlinkState::Sent));
    assert_eq!(rig.item("4D9A83", "a").evidence, Some(Evidence::Network));
    rig.end().await;
}

#[tokio::test]
async fn of_a_cloud_that_never_says_what_it_answered_four_asks_are_enough() {
    let mut rig = Rig::direct(&["4D9A83"]).await;
    stand(&mut rig).await;
    for ask in 1..=4 {
        rig.uplink("4D9A83", ask * 600, Some(true)).await;
        assert!(rig.is("4D9A83", "a", DownlinkState::Armed), "ask {ask}: the word may come within a minute");
    }
    rig.uplink("4D9A83", 2_460, Some(false)).await;
    assert_eq!(rig.item("4D9A83", "a").state, DownlinkState::Sent);
    assert_eq!(rig.item("4D9A83", "a").evidence, Some(Evidence::Inferred));
    eventually("the answer is restored", || rig.cloud(|cloud| cloud.answer == FORMER)).await;
    rig.push("4D9A83", "b", 2).await;
    eventually("b stands in the answer", || rig.is("4D9A83", "b", DownlinkState::Armed)).await;
    let asked = rig.uplink("4D9A83", 3_060, Some(true)).await;
    assert_eq!(rig.item("4D9A83", "b").evidence, Some(Evidence::Inferred), "it is known to be silent");
    // It speaks after all.
    rig.queues.transmitted(&asked, "0202020202020202".parse().unwrap()).await.unwrap();
    rig.push("4D9A83", "c", 3).await;
    eventually("c stands in the answer", || rig.is("4D9A83", "c", DownlinkState::Armed)).await;
    rig.uplink("4D9A83", 3_660, Some(true)).await;
    assert!(rig.is("4D9A83", "c", DownlinkState::Armed));
    rig.end().await;
}

#[tokio::test]
async fn a_fixed_answer_is_restored_after_cancellation_and_crash() {
    let mut rig = Rig::direct(&["4D9A83"]).await;
    stand(&mut rig).await;
    rig.crash().await;
    let cancelled = rig.queues.cancel("4D9A83".parse().unwrap(), Target::All).await.unwrap();
    assert_eq!(cancelled, Cancelled::Done { ended: vec![], begun: vec!["a".parse().unwrap()] });
    rig.start();
    eventually("the answer is restored", || rig.cloud(|cloud| cloud.answer == FORMER)).await;
    eventually("that is known", || rig.says("4D9A83", "a", "has not said yet")).await;
    rig.end().await;
    rig.read_until(9).await;
    assert_eq!(rig.item("4D9A83", "a").state, DownlinkState::Armed);
    rig.read_until(11).await;
    assert_eq!(rig.item("4D9A83", "a").state, DownlinkState::Cancelled);
}

#[tokio::test]
async fn who_fetched_it_before_it_was_cancelled_has_it() {
    let mut rig = Rig::direct(&["4D9A83"]).await;
    let former = rig.uplink("4D9A83", -600, Some(true)).await;
    rig.queues.transmitted(&former, FORMER.parse().unwrap()).await.unwrap();
    stand(&mut rig).await;
    rig.queues.cancel("4D9A83".parse().unwrap(), Target::All).await.unwrap();
    let fetched = rig.uplink("4D9A83", 0, Some(true)).await;
    eventually("the answer is restored", || rig.cloud(|cloud| cloud.answer == FORMER)).await;
    rig.read_until(30).await;
    assert_eq!(rig.item("4D9A83", "a").state, DownlinkState::Armed, "its answer is not told yet");
    rig.queues.transmitted(&fetched, "0101010101010101".parse().unwrap()).await.unwrap();
    let a = rig.item("4D9A83", "a");
    assert_eq!((a.state, a.evidence), (DownlinkState::Sent, Some(Evidence::Network)));
    rig.end().await;
}

#[tokio::test]
async fn what_counts_as_brought_and_was_not_is_brought_or_ends() {
    for cancelled in [false, true] {
        let mut rig = Rig::direct(&["4D9A83"]).await;
        let device = "4D9A83".parse().unwrap();
        let item = rig.push("4D9A83", "a", 1).await;
        // The queue had changed between the journal and what was handed, and the gateway was killed.
        let (reason, state) =
            (Some("unconfirmed: the cloud has not said that it has it".to_owned()), DownlinkState::Armed);
        let history = [item.history.clone(), vec![(state, item.updated)]].concat();
        let put = vec![Downlink { reason, state, history, ..item }];
        let handed = QueueChange { put, ..QueueChange::default() };
        rig.store.change_queue(device, |_| (handed, ())).await.unwrap();
        if cancelled {
            rig.queues.cancel(device, Target::All).await.unwrap();
        }
        rig.start();
        if cancelled {
            eventually("its end", || rig.is("4D9A83", "a", DownlinkState::Cancelled)).await;
        } else {
            eventually("a stands in the answer", || {
                rig.cloud(|cloud| cloud.answer == "0101010101010101")
                    && rig.is("4D9A83", "a", DownlinkState::Armed)
            })
            .await;
        }
        rig.end().await;
        assert_eq!(rig.cloud(|cloud| cloud.answer.clone()), FORMER);
    }
}

#[tokio::test]
async fn a_gateway_that_stops_takes_its_answer_down() {
    let mut rig = Rig::direct(&["4D9A83"]).await;
    stand(&mut rig).await;
    rig.end().await;
    assert_eq!(rig.cloud(|cloud| cloud.answer.clone()), FORMER);
    assert!(rig.says("4D9A83", "a", "stopping"));
    rig.read_until(11).await;
    assert_eq!(rig.item("4D9A83", "a").state, DownlinkState::Queued);
}

#[tokio::test]
async fn what_somebody_else_has_written_is_left_alone() {
    let mut rig = Rig::direct(&["4D9A83"]).await;
    stand(&mut rig).await;
    rig.cloud(|cloud| cloud.answer = json!("ffffffffffffffff"));
    rig.end().await;
    assert_eq!(rig.cloud(|cloud| cloud.answer.clone()), "ffffffffffffffff");
    let events = rig.store.outbox_head(&BTreeSet::new(), 100).unwrap();
    let reported = |event: &Event| matches!(event, Event::Bridge { kind, detail, .. } if kind == "direct_changed" && detail.contains("ffffffffffffffff"));
    assert!(events.iter().any(|entry| reported(&entry.event)), "{events:?}");
}

#[tokio::test]
async fn a_type_with_several_devices_has_no_answer_for_one() {
    let rig = Rig::direct(&["4D9A83", "4D9A84"]).await;
    let item = rig.push("4D9A83", "a", 1).await;
    assert_eq!(item.state, DownlinkState::Rejected);
    assert!(item.reason.unwrap().starts_with("direct_group"));
}
