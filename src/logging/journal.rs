//! Log lines as entries of systemd's journal, each field as one of its own: `journalctl SIGFOX2MQTT_SOURCE=factory`.
//!
//! The protocol is that of systemd's page "Native Journal Protocol": `NAME=value` lines in one datagram, and a length
//! before what may hold newlines.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use super::priority;

const SOCKET: &str = "/run/systemd/journal/socket";

/// A datagram of the journal may be larger, but no line that a person reads.
const LONGEST: usize = 32 * 1024;

/// Ends the fields and begins the text in what `Entry` writes.
const TEXT: &str = "\n\n";

/// The journal's socket.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
}

impl Journal {
    /// The journal, if it is what reads our standard error (systemd.exec(5), `JOURNAL_STREAM`).
    pub(super) fn behind_stderr() -> Option<Self> {
        let announced = std::env::var("JOURNAL_STREAM").ok()?;
        let stderr = rustix::fs::fstat(io::stderr()).ok()?;
        (announced == format!("{}:{}", stderr.st_dev, stderr.st_ino)).then_some(())?;
        Self::at(SOCKET).ok()
    }

    fn at(path: &str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self { socket })
    }
}

impl<'a> MakeWriter<'a> for Journal {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Journal {
    /// One entry, as `Entry` wrote it. Where the journal does not take it, standard error does.
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        let text_at = entry.windows(TEXT.len()).position(|bytes| bytes == TEXT.as_bytes());
        let (fields, text) = text_at.and_then(|at| entry.split_at_checked(at)).unwrap_or((b"", entry));
        let text = text.trim_ascii();
        let text = text.get(..LONGEST).unwrap_or(text);
        let mut datagram = fields.to_vec();
        datagram.extend_from_slice(b"\nMESSAGE\n");
        datagram.extend_from_slice(&u64::try_from(text.len()).unwrap_or_default().to_le_bytes());
        datagram.extend_from_slice(text);
        datagram.push(b'\n');
        if self.socket.send(&datagram).is_err() {
            io::stderr().write_all(text)?;
            io::stderr().write_all(b"\n")?;
        }
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes an event as the journal's fields, an empty line, and the text that people read.
pub(super) struct Entry(pub(super) Format<Full, ()>);

impl<S, N> FormatEvent<S, N> for Entry
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        write!(writer, "PRIORITY={}\nSYSLOG_IDENTIFIER=sigfox2mqtt\n", priority(*metadata.level()))?;
        write!(writer, "SIGFOX2MQTT_TARGET={}", metadata.target())?;
        let mut fields = Fields { writer: writer.by_ref(), written: Ok(()) };
        event.record(&mut fields);
        fields.written?;
        writer.write_str(TEXT)?;
        self.0.format_event(context, writer, event)
    }
}

struct Fields<'w> {
    writer: Writer<'w>,
    written: fmt::Result,
}

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            return;
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let name: String = field.name().chars().map(plain).collect();
        // A line is a field: a value of several lines is still one.
        let value: String =
            value.chars().take(LONGEST / 8).map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.written = self.written.and_then(|()| write!(self.writer, "\nSIGFOX2MQTT_{name}={value}"));
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What the journal gets for what is logged meanwhile.
    fn entry(log: impl FnOnce()) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::at(path.to_str().unwrap()).unwrap();
        let lines = tracing_subscriber::fmt::layer().event_format(Entry(crate::logging::plain()));
        let subscriber = tracing_subscriber::registry().with(lines.with_writer(journal));
        tracing::subscriber::with_default(subscriber, log);
        let mut buffer = vec![0; 2 * LONGEST];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn an_entry_has_priority_fields_and_the_text_that_people_read() {
        let entry =
            entry(|| tracing::warn!(source = "factory", error = %"two\nlines", retry_s = 5, "source state"));
        let text = " WARN source state source=\"factory\" error=two\nlines retry_s=5".trim_start();
        let length = String::from_utf8((text.len() as u64).to_le_bytes().to_vec()).unwrap();
        assert_eq!(
            entry,
            format!(
                "PRIORITY=4\nSYSLOG_IDENTIFIER=sigfox2mqtt\nSIGFOX2MQTT_TARGET={}\nSIGFOX2MQTT_SOURCE=factory\n\
                 SIGFOX2MQTT_ERROR=two lines\nSIGFOX2MQTT_RETRY_S=5\nMESSAGE\n{length}{text}\n",
                module_path!()
            )
        );
    }

    #[test]
    fn no_text_forges_a_field_or_outgrows_a_datagram() {
        let forged = entry(|| tracing::error!(topic = "a\nPRIORITY=7\n\nb", "a\n\nPRIORITY=7"));
        assert!(forged.starts_with("PRIORITY=3\n"));
        assert!(forged.contains("\nSIGFOX2MQTT_TOPIC=a PRIORITY=7  b\nMESSAGE\n"), "{forged}");
        let long = entry(|| tracing::error!(field = "x".repeat(100_000), "{}", "y".repeat(100_000)));
        assert!(long.len() < 2 * LONGEST);
    }
}
