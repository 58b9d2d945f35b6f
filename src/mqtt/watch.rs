//! A small client: what any other at the broker sees and may say, for `demo`, `doctor` and tests.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::fault::Fault;
use super::message::Publish;
use super::options::Options;
use super::outgoing::Outgoing;
use super::session::{Incoming, Session, Step};
use super::window::Verdict;
use crate::config;

/// A message as a subscriber sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Where it was published.
    pub topic: String,
    /// What it says.
    pub payload: bytes::Bytes,
    /// Whether the broker had kept it.
    pub retain: bool,
}

/// A subscription; it ends when its connection does.
pub struct Watch {
    session: Session,
    outgoing: Arc<Outgoing>,
    /// What came before the subscription was confirmed.
    early: VecDeque<Seen>,
}

/// Subscribes to `filters`; the broker has confirmed it when this returns.
///
/// # Errors
/// A broker that cannot be reached, or refuses; in a person's words.
pub async fn watch(mqtt: &config::Mqtt, filters: &[&str]) -> anyhow::Result<Watch> {
    let client_id = format!("sigfox2mqtt-watch-{:08x}", fastrand::u32(..));
    let mut options = Options::new(mqtt, &client_id)?;
    options.clean = true;
    let (outgoing, session) = Session::new(&options);
    let filters: Vec<String> = filters.iter().map(|&filter| filter.to_owned()).collect();
    let mut watch = Watch { session, outgoing, early: VecDeque::new() };
    loop {
        let step = watch.session.next().await;
        match step.with_context(|| format!("no connection to {}", options.place()))? {
            Step::Connected(_) => {
                anyhow::ensure!(watch.outgoing.subscribe(&filters), "the subscription could not be sent");
            }
            Step::Subscribed { refused: 0 } => return Ok(watch),
            Step::Subscribed { .. } => anyhow::bail!("the broker refuses the subscription to {filters:?}"),
            Step::Message(incoming) => {
                let seen = watch.take(incoming)?;
                watch.early.push_back(seen);
            }
            _ => {}
        }
    }
}

impl Watch {
    /// The next message. To be awaited to its end: a call that is dropped may lose one.
    ///
    /// # Errors
    /// The end of the connection.
    pub async fn next(&mut self) -> Result<Seen, Fault> {
        if let Some(seen) = self.early.pop_front() {
            return Ok(seen);
        }
        loop {
            if let Step::Message(incoming) = self.session.next().await? {
                return self.take(incoming);
            }
        }
    }

    /// Publishes a message; what the broker says of it.
    ///
    /// # Errors
    /// The end of the connection.
    pub async fn publish(&mut self, publish: &Publish) -> anyhow::Result<Verdict> {
        anyhow::ensure!(self.outgoing.publish(publish, 1), "{} could not be sent", publish.topic);
        self.outgoing.flush();
        loop {
            match self.session.next().await? {
                // Nothing else is on its way.
                Step::Acked(_, verdict) => return Ok(verdict),
                Step::Message(incoming) => {
                    let seen = self.take(incoming)?;
                    self.early.push_back(seen);
                }
                _ => {}
            }
        }
    }

    /// Sends every message to `seen` until that is closed or the connection ends.
    ///
    /// # Errors
    /// The end of the connection.
    pub async fn forward(mut self, seen: mpsc::Sender<Seen>) -> Result<(), Fault> {
        loop {
            let message = self.next().await?;
            if seen.send(message).await.is_err() {
                return Ok(());
            }
        }
    }

    fn take(&self, incoming: Incoming) -> Result<Seen, Fault> {
        let Incoming { topic, payload, retain, packet, .. } = incoming;
        if packet != 0 && !self.outgoing.acknowledge(packet) {
            return Err(Fault::Lost("acknowledgement not sent".to_owned()));
        }
        Ok(Seen { topic, payload, retain })
    }
}
