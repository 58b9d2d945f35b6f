//! A clock that runs faster: times, dates and waits are all by it.

use std::time::Duration;

use super::{Client, id, world_of};
use crate::model::Timestamp;
use crate::simulate::*;

#[tokio::test]
async fn what_the_clouds_say_is_by_their_own_clock() {
    let begun = crate::clock::now();
    let options = Options { clock: Pace::new(3600.0).unwrap(), rate_limits: false, ..Options::default() };
    let running = Simulator::start(world_of(0), options).await.unwrap();
    let client = Client::of(&running);
    let first = running.send(id("1A2B3C"), Telegram::default()).unwrap().time;
    let mut last = first;
    // A second of ours is an hour of theirs.
    while last.since(first) < Duration::from_secs(600) {
        last = running.send(id("1A2B3C"), Telegram::default()).unwrap().time;
    }
    assert!(last.since(begun) >= Duration::from_secs(600));
    let answer = client.ask("GET", "/v2/devices/1A2B3C/messages").send().await.unwrap();
    let date = jiff::fmt::rfc2822::parse(answer.headers()["date"].to_str().unwrap()).unwrap();
    let date = Timestamp::from_millis(date.timestamp().as_millisecond()).unwrap();
    assert!(date.plus(Duration::from_secs(1)) >= last, "{date} {last}");
    let page: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(page["data"][0]["time"], last.as_millis());
    running.shut_down().await.unwrap();
}
