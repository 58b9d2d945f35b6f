//! Where log lines go: standard error, in colour on a terminal; under systemd the journal, with priority and fields.

mod journal;
mod recent;

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

use self::journal::Journal;

pub use recent::{Line, Recent};

/// What is logged unless `--log` says otherwise. The libraries' own lines speak of packets, not of the gateway.
const DEFAULT_FILTER: &str = "warn,sigfox2mqtt=info,sled=error";

/// What is logged, changeable while the program runs.
pub struct Filter {
    handle: reload::Handle<Targets, Registry>,
    /// The last warnings and errors that it let through.
    pub recent: Recent,
}

impl Filter {
    /// Logs by another filter from now on.
    ///
    /// # Errors
    /// A filter that is wrong, in words.
    pub fn set(&self, text: &str) -> anyhow::Result<()> {
        self.handle.reload(parse(text)?).context("the filter cannot be changed")
    }
}

/// Starts logging; `filter` as in `--log` (`debug`, `warn,sigfox2mqtt::ingest=debug`).
///
/// # Errors
/// The filter is wrong, or logging was started already.
pub fn start(filter: Option<&str>) -> anyhow::Result<Filter> {
    let filter = parse(filter.unwrap_or(DEFAULT_FILTER)).context("--log")?;
    let (filter, handle) = reload::Layer::new(filter);
    let recent = Recent::default();
    let subscriber = tracing_subscriber::registry().with(filter).with(lines()).with(recent.clone());
    subscriber.try_init().context("logging is on already")?;
    Ok(Filter { handle, recent })
}

/// What writes the lines. A terminal that inherited `JOURNAL_STREAM` is still a terminal.
fn lines<S>() -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let is_terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer();
    if is_terminal || std::env::var_os("JOURNAL_STREAM").is_none() {
        // Empty is as good as absent (no-color.org).
        let colour = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        return lines.with_target(false).with_ansi(colour).with_writer(std::io::stderr).boxed();
    }
    match Journal::behind_stderr() {
        Some(journal) => lines.event_format(journal::Entry(plain())).with_writer(journal).boxed(),
        None => lines.event_format(WithPriority(plain())).with_writer(std::io::stderr).boxed(),
    }
}

fn plain() -> Format<Full, ()> {
    tracing_subscriber::fmt::format().with_ansi(false).without_time().with_target(false)
}

fn parse(text: &str) -> anyhow::Result<Targets> {
    let directives: Vec<_> = text.split(',').map(str::trim).collect();
    directives
        .join(",")
        .parse()
        .with_context(|| format!("`{text}` is no filter (such as `debug` or `sigfox2mqtt::mqtt=debug`)"))
}

/// The syslog priority of a level (sd-daemon(3)).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Lines with the priority that journald reads from their beginning (sd-daemon(3)).
struct WithPriority(Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for WithPriority
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_or_levels_by_target() {
        for good in ["debug", "warn,sigfox2mqtt=info", "warn, sigfox2mqtt::mqtt=debug", "off", DEFAULT_FILTER]
        {
            assert!(parse(good).is_ok(), "{good}");
        }
        for wrong in ["sigfox2mqtt=loud", "a=b=c"] {
            let said = parse(wrong).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(said.contains("is no filter"), "{wrong}: {said}");
        }
    }
}
