//! A Soracom source against a scripted account and a real store.

use std::time::Duration;

use secrecy::SecretString;
use sigfox2mqtt::config::{self, SourceKind};
use sigfox2mqtt::ingest::SourceState;
use sigfox2mqtt::model::{CloudState, Timestamp};

use crate::cloud_soracom::{Account, MockSoracom, device, entry};
use crate::ingest_rig::{Rig, config, now_ms};
use crate::support::eventually;

fn source(cloud: &MockSoracom) -> config::Source {
    let auth_key = SecretString::from("secret");
    config(&cloud.url(), SourceKind::Soracom { auth_key_id: "keyId-1".to_owned(), auth_key })
}

/// Two devices, of which one has sent so many messages, the newest ten seconds ago.
fn account(count: u16) -> Account {
    let newest = now_ms() / 1000 - 10;
    let entries = (0..count).map(|n| entry("7bfd2a", newest - i64::from(count - 1 - n) * 60, n));
    Account {
        devices: vec![device("7bfd2a", Some(&seen(newest))), device("7BFD2B", None)],
        data: [("7bfd2a".to_owned(), entries.collect())].into(),
        ..Account::default()
    }
}

fn seen(seconds: i64) -> String {
    Timestamp::from_cloud(seconds).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_once_each_oldest_first_and_devices_at_rest_cost_nothing() {
    let cloud = MockSoracom::start(account(1230)).await;
    let config = source(&cloud);
    let rig = Rig::start(cloud, config);
    rig.has(1230).await;
    assert_eq!(rig.sequence_numbers(), (0..1230).collect::<Vec<_>>());
    rig.is(SourceState::Ok).await;
    assert_eq!(rig.cloud.count("7bfd2a/data"), 2, "two pages, by the name that the cloud wrote");
    assert_eq!(rig.cloud.count("7BFD2B/data"), 0, "a device that never sent is not asked about");

    let polls = rig.cloud.count("/sigfox_devices?");
    eventually("more polls", || rig.cloud.count("/sigfox_devices?") >= polls + 10).await;
    assert_eq!(rig.cloud.count("7bfd2a/data"), 2, "nor is one that was not heard since");
    let known = rig.store.device("7BFD2A".parse().unwrap()).unwrap().unwrap();
    assert_eq!((known.name.as_deref(), known.state), (Some("device 7bfd2a"), Some(CloudState::Ok)));

    let now = now_ms() / 1000;
    rig.cloud.change(|account| {
        account.data.get_mut("7bfd2a").unwrap().push(entry("7bfd2a", now, 2000));
        *account.devices.first_mut().unwrap() = device("7bfd2a", Some(&seen(now)));
    });
    rig.has(1231).await;
    assert_eq!(rig.cloud.count("/auth"), 1);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_logs_in_no_more_and_reads_on_where_it_was() {
    let cloud = MockSoracom::start(account(20)).await;
    let config = source(&cloud);
    let mut rig = Rig::start(cloud, config.clone());
    rig.has(20).await;
    rig.is(SourceState::Ok).await;
    rig.restart(config).await;
    rig.is(SourceState::Ok).await;
    assert_eq!(rig.cloud.count("/auth"), 1);
    let from = now_ms() - 3_600_000;
    let requests = rig.cloud.account.lock().unwrap().requests.clone();
    let last = requests.iter().rev().find(|request| request.contains("/data")).unwrap();
    let (_, rest) = last.split_once("from=").unwrap();
    let asked: i64 = rest.split('&').next().unwrap().parse().unwrap();
    assert!(asked > from, "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_comes_later_than_the_device_was_seen_is_waited_for() {
    let cloud = MockSoracom::start(account(1)).await;
    let late = cloud.account.lock().unwrap().data.remove("7bfd2a").unwrap();
    let config = source(&cloud);
    let rig = Rig::start(cloud, config);
    eventually("requests for data", || rig.cloud.count("7bfd2a/data") >= 3).await;
    rig.cloud.change(|account| {
        account.data.insert("7bfd2a".to_owned(), late);
    });
    rig.has(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_no_message_is_reported_and_the_others_arrive() {
    let mut account = account(2);
    let mut bad = entry("7bfd2a", now_ms() / 1000 - 30, 9);
    bad.as_object_mut().unwrap().insert("content".to_owned(), "string".into());
    account.data.get_mut("7bfd2a").unwrap().push(bad);
    let cloud = MockSoracom::start(account).await;
    let config = source(&cloud);
    let rig = Rig::start(cloud, config);
    rig.has(2).await;
    eventually("a report", || rig.told("row_skipped") == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_costs_no_message() {
    let cloud = MockSoracom::start(account(1)).await;
    let mut config = source(&cloud);
    config.poll = config::Schedule::Every(Duration::from_millis(20));
    let rig = Rig::start(cloud, config);
    rig.has(1).await;
    rig.cloud.change(|account| account.sessions += 1);
    eventually("another session", || rig.cloud.count("/auth") == 2).await;
    rig.is(SourceState::Ok).await;
}
