//! Where log lines go: standard error, in colour on a terminal, with journald's priority under systemd.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// What is logged unless `--log` says otherwise. The libraries' own lines speak of packets, not of the gateway.
const DEFAULT_FILTER: &str = "warn,sigfox2mqtt=info,rumqttd=error,rumqttc=error,sled=error";

/// Starts logging; `filter` as in `--log` (`debug`, `warn,sigfox2mqtt::ingest=debug`).
///
/// # Errors
/// The filter is wrong, or logging was started already.
pub fn start(filter: Option<&str>) -> anyhow::Result<()> {
    let text = filter.unwrap_or(DEFAULT_FILTER);
    let filter = EnvFilter::try_new(text).with_context(|| {
        format!("--log `{text}` is no filter (such as `debug` or `sigfox2mqtt::mqtt=debug`)")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::env::var_os("JOURNAL_STREAM").is_some() {
        let format = tracing_subscriber::fmt::format().with_ansi(false).without_time().with_target(false);
        builder.event_format(WithPriority { format }).try_init()
    } else {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        builder.with_ansi(colour).with_target(false).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("logging is on already: {error}"))
}

/// Lines with the priority that journald reads from their beginning (sd-daemon(3)).
struct WithPriority {
    format: Format<Full, ()>,
}

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
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.format.format_event(context, writer, event)
    }
}
