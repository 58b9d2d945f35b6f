//! Integration tests: the real program against a real broker, a real store and real HTTP.

#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod api;
mod both_clouds;
mod built_in_broker;
mod callback;
mod check;
mod clock;
mod clock_jumps;
mod cloud;
mod cloud_calls;
mod cloud_cli;
mod cloud_mock;
mod cloud_simulated;
mod cloud_soracom;
mod cloud_tls;
mod decode;
mod demo;
mod disk;
mod doctor;
mod downlink_command;
mod downlink_day;
mod downlink_dispatch;
mod gateway_callbacks;
mod guides;
mod house;
mod ingest;
mod ingest_borders;
mod ingest_rig;
mod ingest_soracom;
mod ingest_v1;
mod init;
mod listener;
mod main_job;
mod metrics;
mod mirror;
mod mirror_kill;
mod mirror_rig;
mod mqtt;
mod mqtt_acks;
mod mqtt_cuts;
mod mqtt_documents;
mod mqtt_neighbours;
mod mqtt_presence;
mod mqtt_reference;
mod mqtt_rights;
mod mqtt_size;
mod mqtt_transport;
mod operations;
mod page;
mod publisher_rig;
mod reading;
mod reload;
mod source_faults;
mod sources;
mod sparkplug;
mod sparkplug_rig;
mod step_kill;
mod step_kill_downlink;
mod store;
mod store_kill;
mod systemd;
