//! The command line: what may be asked for, and how an answer becomes an exit code.
//!
//! One file a command, each with its `Args` and an `execute`. A command returns how it ended, or an error whose
//! whole chain is printed once; it never ends the process itself.

mod check;
mod cloud;
mod config;
mod decode;
mod demo;
mod devices;
mod doctor;
mod downlink;
mod downlinks;
mod exit;
mod export;
mod globals;
mod init;
mod locations;
mod messages;
mod outbox;
mod output;
mod ownership;
mod reading;
mod run;
mod simulate;
mod sources;
mod store;
mod sync;
mod user;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub(crate) use exit::Exit;
pub(crate) use globals::Globals;

/// Gateway from the Sigfox clouds and Soracom to MQTT.
#[derive(Debug, Parser)]
#[command(
    name = "sigfox2mqtt",
    version,
    after_help = "Example:\n  sigfox2mqtt demo\n\nExit codes: 0 done, 1 failed, 2 wrong usage, 78 the configuration is wrong."
)]
struct Cli {
    #[command(flatten)]
    options: globals::Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Demo(demo::Args),
    Simulate(simulate::Args),
    Init(init::Args),
    Check(check::Args),
    Doctor(doctor::Args),
    Config(config::Args),
    Decode(decode::Args),
    Devices(devices::Args),
    Messages(messages::Args),
    Locations(locations::Args),
    Downlinks(downlinks::Args),
    Sources(sources::Args),
    Outbox(outbox::Args),
    Store(store::Args),
    Downlink(downlink::Args),
    Sync(sync::Args),
    Cloud(cloud::Args),
    Export(export::Args),
}

/// What may be asked for, as the manual and the completions are made of it.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Does what the arguments ask for; the first one is the program's name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(usage) => return exit::of_usage(&usage),
    };
    let globals = Globals::of_process(cli.options);
    let outcome = match cli.command {
        Command::Run(args) => run::execute(&args, &globals),
        Command::Demo(args) => demo::execute(&args, &globals),
        Command::Simulate(args) => simulate::execute(args, &globals),
        Command::Init(args) => init::execute(&args, &globals),
        Command::Check(args) => check::execute(&args, &globals),
        Command::Cloud(args) => cloud::execute(&args, &globals),
        Command::Doctor(args) => doctor::execute(&args, &globals),
        Command::Config(args) => config::execute(&args, &globals),
        Command::Decode(args) => decode::execute(&args, &globals),
        Command::Devices(args) => devices::execute(&args, &globals),
        Command::Messages(args) => messages::execute(&args, &globals),
        Command::Locations(args) => locations::execute(&args, &globals),
        Command::Downlinks(args) => downlinks::execute(&args, &globals),
        Command::Sources(args) => sources::execute(&args, &globals),
        Command::Outbox(args) => outbox::execute(&args, &globals),
        Command::Store(args) => store::execute(&args, &globals),
        Command::Downlink(args) => downlink::execute(&args, &globals),
        Command::Sync(args) => sync::execute(&args, &globals),
        Command::Export(args) => export::execute(&args, &globals),
    };
    exit::of_outcome(outcome)
}
