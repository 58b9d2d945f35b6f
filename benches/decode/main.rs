//! Nanoseconds of processor time that a payload takes to become JSON: by grammar, built-in decoder, expression and script, beside
//! decoders of the same payload in Python and in JavaScript (node), where those are installed.
//!
//! `cargo bench --bench decode -- [PAYLOADS]`; a table on standard output. Every line decodes the same eight
//! bytes to the same five fields and counts the bytes of their JSON, so that nobody can leave work out.

use std::hint::black_box;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, anyhow};
use sigfox2mqtt::config::DecoderSettings;
use sigfox2mqtt::decode::Decoder;
use sigfox2mqtt::decode::grammar::{Dialect, Grammar};
use sigfox2mqtt::model::{DeviceId, Payload, Timestamp};

/// HARDWARIO's climate monitor, whose layout the built-in decoder has, too.
const FORMAT: &str = "header::uint:8 temperature::int:16:little-endian:/2 humidity::uint:8:/2 \
    illuminance::uint:16:little-endian:*2 pressure::uint:16:little-endian:*2";
const PAYLOAD: &str = "0f0800925302ffb6";

/// A fresh engine a call costs thousands of times a grammar: fewer calls measure it as well.
const SCRIPT_SHARE: usize = 1000;

fn main() -> anyhow::Result<()> {
    let payloads: usize = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let mut out = io::stdout().lock();
    writeln!(out, "| decoder | payloads | ns a payload |\n|---|---|---|")?;
    let mut row = |name: &str, payloads: usize, ns: f64| writeln!(out, "| {name} | {payloads} | {ns:.0} |");

    let settings = DecoderSettings { format: Some(FORMAT.to_owned()), ..DecoderSettings::default() };
    let with_expression = DecoderSettings {
        computed: vec![("fahrenheit".to_owned(), "temperature * 1.8 + 32".to_owned())],
        ..settings.clone()
    };
    let script = DecoderSettings { script: Some("peer.js".into()), ..DecoderSettings::default() };
    let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/decode/peer.js");
    let source = std::fs::read_to_string(&peer)?;

    row("compile the grammar", payloads / 10, compile(payloads / 10)?)?;
    row("grammar, fields only", payloads, measure(&compiled(&settings, None)?, payloads, false)?)?;
    row("grammar", payloads, measure(&compiled(&settings, None)?, payloads, true)?)?;
    let oyster = Decoder::builtin("oyster").context("oyster")?;
    row(
        "built-in (oyster, a function)",
        payloads,
        measure_of(&oyster, "10b67dcc0006efda3d9816c2", payloads, true)?,
    )?;
    row("grammar and an expression", payloads, measure(&compiled(&with_expression, None)?, payloads, true)?)?;
    let few = (payloads / SCRIPT_SHARE).max(1);
    row("script (QuickJS, fresh each call)", few, measure(&compiled(&script, Some(&source))?, few, true)?)?;

    for (name, program, file) in
        [("Python 3, struct and json", "python3", "peer.py"), ("node, the same script", "node", "peer.js")]
    {
        match run_peer(program, &peer.with_file_name(file), payloads) {
            Ok(ns) => row(name, payloads, ns)?,
            Err(reason) => writeln!(io::stderr(), "{name}: {reason:#}")?,
        }
    }
    Ok(())
}

fn compiled(settings: &DecoderSettings, script: Option<&str>) -> anyhow::Result<Decoder> {
    Decoder::compile(settings, script).map_err(|problems| anyhow!("{problems:?}"))
}

fn compile(times: usize) -> anyhow::Result<f64> {
    let start = processor_ns();
    for _ in 0..times {
        black_box(Grammar::parse(black_box(FORMAT), Dialect::Sigfox)?);
    }
    Ok(per_payload(start, times))
}

fn measure(decoder: &Decoder, payloads: usize, json: bool) -> anyhow::Result<f64> {
    measure_of(decoder, PAYLOAD, payloads, json)
}

fn measure_of(decoder: &Decoder, payload: &str, payloads: usize, json: bool) -> anyhow::Result<f64> {
    let payload: Payload = payload.parse()?;
    let (device, time) = (DeviceId::new(0x1A_2B3C, 6), Timestamp::default());
    let mut written = 0;
    let start = processor_ns();
    for _ in 0..payloads {
        let decoded = decoder.decode(device, time, black_box(&payload));
        anyhow::ensure!(decoded.errors.is_empty(), "{:?}", decoded.errors);
        written += if json { serde_json::to_string(&decoded.fields)?.len() } else { decoded.fields.len() };
    }
    black_box(written);
    Ok(per_payload(start, payloads))
}

fn per_payload(start: f64, payloads: usize) -> f64 {
    (processor_ns() - start) / payloads as f64
}

/// What this process has used, so that a busy machine counts less.
fn processor_ns() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 * 1e9 + used.tv_nsec as f64
}

/// A peer decodes so many payloads and prints the nanoseconds of each.
fn run_peer(program: &str, file: &Path, payloads: usize) -> anyhow::Result<f64> {
    let output = Command::new(program).arg(file).arg(PAYLOAD).arg(payloads.to_string()).output();
    let output = output.with_context(|| format!("{program} is not installed"))?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
