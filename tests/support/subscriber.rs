//! A client like any other: it keeps what the broker sends it, and can publish.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use serde_json::Value;

use super::eventually;

/// A message as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) retain: bool,
}

/// Topics of its own begin so; a wildcard does not take them in (MQTT 5, section 4.7.2).
const MARK: &str = "$test/";

/// A connected client, subscribed to one filter.
pub(crate) struct Subscriber {
    client: Client,
    received: Arc<Mutex<Vec<Received>>>,
    marks: Arc<Mutex<BTreeSet<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Received {
    /// The payload as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).unwrap()
    }
}

impl Subscriber {
    /// Connects over MQTT 3.1.1 and waits until the subscription stands.
    pub(crate) async fn start(port: u16, filter: &str) -> Self {
        Self::subscribed(port, filter, QoS::AtLeastOnce, true).await
    }

    /// The same with a session that the broker remembers.
    pub(crate) async fn start_remembered(port: u16, filter: &str) -> Self {
        Self::subscribed(port, filter, QoS::AtLeastOnce, false).await
    }

    /// The same with QoS 0.
    pub(crate) async fn start_at_most_once(port: u16, filter: &str) -> Self {
        Self::subscribed(port, filter, QoS::AtMostOnce, true).await
    }

    async fn subscribed(port: u16, filter: &str, qos: QoS, clean: bool) -> Self {
        let name = format!("test-{}", uuid::Uuid::new_v4());
        let mut options = MqttOptions::new(name, "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(30)).set_max_packet_size(1 << 20, 1 << 20);
        options.set_inflight(1000).set_clean_session(clean);
        let (client, mut connection) = Client::new(options, 1000);
        client.subscribe(filter, qos).unwrap();
        let (received, marks) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(BTreeSet::new())));
        let subscribed = Arc::new(Mutex::new(false));
        let thread = std::thread::spawn({
            let (received, marks, subscribed) =
                (Arc::clone(&received), Arc::clone(&marks), Arc::clone(&subscribed));
            move || {
                for event in connection.iter() {
                    match event {
                        Ok(Event::Incoming(Packet::Publish(publish))) if publish.topic.starts_with(MARK) => {
                            marks.lock().unwrap().insert(publish.topic);
                        }
                        Ok(Event::Incoming(Packet::Publish(publish))) => {
                            received.lock().unwrap().push(Received {
                                topic: publish.topic,
                                payload: publish.payload.to_vec(),
                                retain: publish.retain,
                            });
                        }
                        Ok(Event::Incoming(Packet::SubAck(_))) => *subscribed.lock().unwrap() = true,
                        Ok(_) => {}
                        Err(_) => return,
                    }
                }
            }
        });
        eventually("the subscription", || *subscribed.lock().unwrap()).await;
        Self { client, received, marks, thread: Some(thread) }
    }

    /// Waits until everything has come that the broker has had so far: it gives a client its messages in their order.
    pub(crate) async fn caught_up(&self) {
        let mark = format!("{MARK}{}", uuid::Uuid::new_v4());
        self.client.subscribe(&mark, QoS::AtLeastOnce).unwrap();
        self.publish(&mark, "");
        eventually("the mark", || self.marks.lock().unwrap().contains(&mark)).await;
    }

    /// Everything that came so far.
    pub(crate) fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// How many messages came so far.
    pub(crate) fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// What came last on a topic that ends so.
    pub(crate) fn last(&self, suffix: &str) -> Option<Received> {
        let received = self.received.lock().unwrap();
        received.iter().rfind(|message| message.topic.ends_with(suffix)).cloned()
    }

    /// What came so far on topics that end so.
    pub(crate) fn on(&self, suffix: &str) -> Vec<Received> {
        self.all().into_iter().filter(|message| message.topic.ends_with(suffix)).collect()
    }

    /// Waits until so many messages came on topics that end so, and gives them.
    pub(crate) async fn until(&self, suffix: &str, count: usize) -> Vec<Received> {
        eventually(&format!("{count} messages on …{suffix}"), || self.on(suffix).len() >= count).await;
        self.on(suffix)
    }

    /// Publishes a message, not retained.
    pub(crate) fn publish(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload.into()).unwrap();
    }

    /// Publishes a message that the broker keeps.
    pub(crate) fn retain(&self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.client.publish(topic, QoS::AtLeastOnce, true, payload.into()).unwrap();
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        // A broker that is gone already has ended the thread as well.
        drop(self.client.disconnect());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
