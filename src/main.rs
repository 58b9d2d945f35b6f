//! The thin binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Every TLS connection of the process uses ring; only a second installation could fail, and this is the first.
    let _first = rustls::crypto::ring::default_provider().install_default();
    sigfox2mqtt::cli::main(std::env::args_os())
}
