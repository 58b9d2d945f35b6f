//! Comma-separated values as RFC 4180 has them.

use std::io::{self, Write};

use serde_json::Value;

use super::RowWriter;
use super::column::Column;

/// A file of comma-separated values.
pub(super) struct Csv<W: Write> {
    writer: W,
    columns: &'static [Column],
}

impl<W: Write> Csv<W> {
    /// Writes the heads of the columns.
    pub(super) fn begin(writer: W, columns: &'static [Column]) -> io::Result<Self> {
        let mut csv = Self { writer, columns };
        csv.line(columns.iter().map(|column| column.name.to_owned()))?;
        Ok(csv)
    }

    fn line(&mut self, cells: impl Iterator<Item = String>) -> io::Result<()> {
        let cells = cells.map(|cell| {
            let is_plain = !cell.contains(['"', ',', '\r', '\n']);
            if is_plain { cell } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
        });
        write!(self.writer, "{}\r\n", cells.collect::<Vec<_>>().join(","))
    }
}

impl<W: Write> RowWriter for Csv<W> {
    fn row(&mut self, row: &Value) -> io::Result<()> {
        self.line(self.columns.iter().map(|column| match column.value(row) {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }))
    }

    fn end(mut self: Box<Self>) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::export::column;
    use crate::control::Rows;

    #[test]
    fn what_could_be_taken_for_the_end_of_a_cell_is_quoted() {
        let mut text = Vec::new();
        let mut csv = Csv::begin(&mut text, column::of(Rows::Locations)).unwrap();
        csv.row(&json!({ "device": "a,b", "source": "say \"x\"\n", "latitude": 1.5, "uplink": null }))
            .unwrap();
        Box::new(csv).end().unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "time,device,latitude,longitude,gps_accuracy,source,uplink\r\n,\"a,b\",1.5,,,\"say \"\"x\"\"\n\",\r\n"
        );
    }
}
