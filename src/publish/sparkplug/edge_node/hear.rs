//! What the broker, the host and time say, and what follows from it.

use super::{EdgeNode, End, LAST_DEATH};
use crate::clock;
use crate::downlink::{Expiry, Order, Refusal};
use crate::model::{DeviceId, DownlinkPayload, ItemId};
use crate::mqtt::Message;
use crate::mqtt::edge::Line;
use crate::publish::sparkplug::command::{self, Command};
use crate::publish::sparkplug::declared::Subject;
use crate::publish::sparkplug::host::HostState;
use crate::publish::sparkplug::session::{Input, Step};
use crate::publish::sparkplug::topic::Inbound;
use crate::store::StoreError;

/// No command of a host that means well is larger.
const LARGEST: usize = 64 * 1024;

/// Who a downlink comes from, as its item says.
const TRANSACTION: &str = "sparkplug";

impl EdgeNode {
    pub(super) async fn hear(&mut self, line: &Line) -> Result<(), End> {
        let standing = line.standing();
        let before = std::mem::replace(&mut self.standing, standing);
        if standing.connected && !before.connected {
            self.connected().await;
        }
        if let (Some(refused), None) = (standing.refused, before.refused) {
            self.subscribed(refused)?;
        }
        if standing.dropped > before.dropped {
            self.ignored += standing.dropped - before.dropped;
            tracing::warn!("commands dropped: the host sends more than can be taken");
        }
        self.backlog.passed(standing.passed);
        while let Some(message) = line.take_message() {
            self.take(message).await?;
        }
        self.step(Input::Tick)
    }

    /// The number of the connection is durable before anything is born by it: a restart takes the next one.
    async fn connected(&mut self) {
        self.node.session.hear(Input::Connected, clock::now());
        let number = self.node.session.last_death().unwrap_or_default();
        if let Err(error) = self.keep(number).await {
            tracing::warn!(%error, "the number of the connection is not kept over a restart");
        }
        tracing::info!(broker = self.edge.place(), number, "edge node connected");
    }

    fn subscribed(&mut self, refused: usize) -> Result<(), End> {
        if refused > 0 {
            tracing::error!(refused, "the broker refuses subscriptions of the edge node");
        }
        self.step(Input::Subscribed)?;
        if self.node.session.is_waiting() {
            tracing::info!("the edge node waits for its primary host");
        }
        Ok(())
    }

    async fn keep(&self, number: u8) -> Result<(), StoreError> {
        let store = &self.facts.renderer.store;
        store.set_note(LAST_DEATH, &[number])?;
        store.flush().await
    }

    fn step(&mut self, input: Input) -> Result<(), End> {
        match self.node.session.hear(input, clock::now()) {
            Step::Nothing => Ok(()),
            Step::Birth => {
                self.begin_births();
                Ok(())
            }
            Step::Leave => {
                tracing::info!("the primary host is offline; the edge node stores until it is back");
                Err(End::HostAway)
            }
        }
    }

    async fn take(&mut self, message: Message) -> Result<(), End> {
        let topic = message.topic.as_str();
        let Some(inbound) = self.node.topics.parse(topic) else {
            self.ignore(topic, "unknown_topic: no command is known by this topic");
            return Ok(());
        };
        let subject = match inbound {
            Inbound::HostState => {
                let Some(state) = HostState::read(&message.payload) else {
                    self.ignore(topic, "malformed: expected {\"online\":…,\"timestamp\":…}");
                    return Ok(());
                };
                tracing::debug!(online = state.online, timestamp = state.timestamp, "primary host");
                return self.step(Input::Host(state));
            }
            Inbound::NodeCommand => Subject::Node,
            Inbound::DeviceCommand(device) => Subject::Device(device),
        };
        if message.retain {
            self.ignore(topic, "retained: a command must not be retained");
            return Ok(());
        }
        if message.payload.len() > LARGEST {
            self.ignore(topic, "too_large: the command is over 64 KiB");
            return Ok(());
        }
        match command::read(&message.payload, subject, &self.node.declared) {
            Err(reason) => self.ignore(topic, &reason.to_string()),
            Ok(commands) => {
                for command in commands {
                    match command {
                        Ok(Command::Rebirth) => self.step(Input::Rebirth)?,
                        Ok(Command::Push(device, data)) => self.push(device, data, message.dup).await,
                        Err(reason) => self.ignore(topic, &reason.to_string()),
                    }
                }
            }
        }
        Ok(())
    }

    fn ignore(&mut self, topic: &str, reason: &str) {
        self.ignored += 1;
        self.node_data_due = true;
        tracing::warn!(topic, reason, "command of a Sparkplug host ignored");
    }

    /// A downlink for a device; durable when this returns. What becomes of it the host learns by the metrics of it.
    async fn push(&mut self, device: DeviceId, data: Result<DownlinkPayload, String>, repeat: bool) {
        let made_id = ItemId::made(uuid::Uuid::new_v4());
        let transaction = Some(TRANSACTION.to_owned());
        let entry = match data {
            Ok(data) => Ok(Order {
                id: None,
                made_id,
                data,
                expiry: Expiry::Default,
                not_before: None,
                coalesce: None,
                transaction,
                repeat,
            }),
            Err(reason) => Err(Refusal { id: made_id, transaction, reason }),
        };
        if let Err(error) = self.queues.push(device, vec![entry]).await {
            self.ignored += 1;
            tracing::error!(%device, %error, "downlink of a Sparkplug host lost: it cannot be kept");
        }
    }
}
