//! Where log lines go: standard error, in colour on a terminal, with journald's priority under systemd.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;

/// What is logged unless `--log` says otherwise. The libraries' own lines speak of packets, not of the gateway.
const DEFAULT_FILTER: &str = "warn,sigfox2mqtt=info,rumqttd=error,rumqttc=error,sled=error";

/// What is logged, changeable while the program runs.
pub struct Filter {
    set: Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>,
}

impl Filter {
    /// Logs by another filter from now on.
    ///
    /// # Errors
    /// A filter that is wrong, in words.
    pub fn set(&self, text: &str) -> anyhow::Result<()> {
        (self.set)(parse(text)?).context("the filter cannot be changed")
    }
}

/// Starts logging; `filter` as in `--log` (`debug`, `warn,sigfox2mqtt::ingest=debug`).
///
/// # Errors
/// The filter is wrong, or logging was started already.
pub fn start(filter: Option<&str>) -> anyhow::Result<Filter> {
    let filter = parse(filter.unwrap_or(DEFAULT_FILTER)).context("--log")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        let format = tracing_subscriber::fmt::format().with_ansi(false).without_time().with_target(false);
        let builder = builder.with_ansi(false).event_format(WithPriority { format }).with_filter_reloading();
        let handle = builder.reload_handle();
        builder.try_init().map_err(|error| already_on(&*error))?;
        Ok(Filter { set: Box::new(move |filter| handle.reload(filter)) })
    } else {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let builder = builder.with_ansi(colour).with_target(false).with_filter_reloading();
        let handle = builder.reload_handle();
        builder.try_init().map_err(|error| already_on(&*error))?;
        Ok(Filter { set: Box::new(move |filter| handle.reload(filter)) })
    }
}

fn parse(text: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(text)
        .with_context(|| format!("`{text}` is no filter (such as `debug` or `sigfox2mqtt::mqtt=debug`)"))
}

fn already_on(error: &(dyn std::error::Error + Send + Sync)) -> anyhow::Error {
    anyhow::anyhow!("logging is on already: {error}")
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
