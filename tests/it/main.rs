//! Integration tests: the real program against a real broker, a real store and real HTTP.

#[path = "../support/mod.rs"]
mod support;

mod callback;
mod built_in_broker;
mod check;
mod cloud;
mod cloud_mock;
mod downlink_command;
mod decode;
mod house;
mod ingest;
mod listener;
mod main_job;
mod reading;
mod mqtt;
mod publisher_rig;
