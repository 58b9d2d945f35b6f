//! A gateway from the Sigfox clouds and Soracom Air for Sigfox to MQTT.
//!
//! Data walks through the house in one direction, and the rooms stand in that order:
//!
//! ```text
//! Sigfox, Soracom ──▶ cloud ──▶ ingest ──▶ store ──▶ decode ──▶ publish ──▶ mqtt ──▶ broker
//! Sigfox callbacks ─▶ http  ──────┘          ▲
//! broker ──▶ mqtt ──▶ command ──▶ downlink ──┴──▶ cloud (direct, Soracom)
//!                                    ▲
//!              http (bidir asks, ack reports)
//! ```
//!
//! Beside the flow stand `config`, which all of it is told by, `control`, which answers the command line (`cli`), and
//! `simulate`, the clouds for trying things out. `daemon` wires what lasts, `shift` the rooms that a new configuration
//! changes, `supervisor` owns their tasks, `oversight` does what concerns all of them; rooms count into a `tally` for the
//! metrics.
//!
//! What always holds:
//!
//! 1. `model`, `decode` and the states of `downlink` do no I/O, know no clock and cannot await.
//! 2. Only `store` names sled, only `mqtt` names rumqttc, only `cloud` names reqwest, only `http` names axum; the
//!    simulated clouds are a server of their own and name both of the latter. `store` imports only `model` (and reads
//!    the clock).
//! 3. Nothing is acknowledged before it is durable: a callback's 2xx, a command's answer, a downlink's state.
//! 4. Nothing leaves the outbox without PUBACK.
//! 5. A sweep of several pages is stored and published oldest first, when it is whole.
//! 6. One task polls the broker's event loop; it never publishes and never waits for a full channel.
//! 7. Memory is bounded by configuration, not by history.
//! 8. The loss of a cloud, the broker, a payload or the disk's last block ends nothing; a broken invariant ends
//!    the process, and systemd starts it again.

pub mod cli;
pub mod clock;
pub mod cloud;
pub mod command;
pub mod config;
pub mod control;
pub mod daemon;
pub mod decode;
pub mod downlink;
pub mod http;
pub mod ingest;
pub mod logging;
pub mod mirror;
pub mod model;
pub mod mqtt;
pub mod oversight;
pub mod process;
pub mod publish;
mod shift;
pub mod simulate;
pub mod store;
pub mod supervisor;
pub mod systemd;
pub mod tally;
pub mod vitals;
