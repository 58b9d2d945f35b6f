//! Apache Parquet files: typed columns, in groups of rows, so that memory is bounded by a group.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use serde_json::Value;

use super::RowWriter;
use super::column::{Column, Kind};
use crate::model::Timestamp;

/// Rows that are held before they are written.
const ROWS_A_GROUP: usize = 4096;

/// A Parquet file.
pub(super) struct Parquet<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    columns: &'static [Column],
    group: Vec<Value>,
}

impl<W: Write + Send> Parquet<W> {
    pub(super) fn begin(writer: W, columns: &'static [Column]) -> io::Result<Self> {
        let schema = parse_message_type(&message_type(columns)).map_err(failed)?;
        let properties = Arc::new(WriterProperties::builder().build());
        let writer = SerializedFileWriter::new(writer, Arc::new(schema), properties).map_err(failed)?;
        Ok(Self { writer, columns, group: Vec::new() })
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for column in self.columns {
            let Some(mut writer) = group.next_column()? else { break };
            let values = self.group.iter().map(|row| column.value(row));
            match column.kind {
                Kind::Time => fill::<Int64Type>(&mut writer, values.map(|value| millis(value?)))?,
                Kind::Integer => fill::<Int64Type>(&mut writer, values.map(|value| value?.as_i64()))?,
                Kind::Number => fill::<DoubleType>(&mut writer, values.map(|value| value?.as_f64()))?,
                Kind::Boolean => fill::<BoolType>(&mut writer, values.map(|value| value?.as_bool()))?,
                Kind::Text | Kind::Json => {
                    fill::<ByteArrayType>(&mut writer, values.map(|value| Some(text(value?))))?
                }
            }
            writer.close()?;
        }
        group.close()?;
        self.group.clear();
        Ok(())
    }
}

impl<W: Write + Send> RowWriter for Parquet<W> {
    fn row(&mut self, row: &Value) -> io::Result<()> {
        self.group.push(row.clone());
        if self.group.len() >= ROWS_A_GROUP {
            self.write_group().map_err(failed)?;
        }
        Ok(())
    }

    fn end(mut self: Box<Self>) -> io::Result<()> {
        if !self.group.is_empty() {
            self.write_group().map_err(failed)?;
        }
        let mut writer = self.writer.into_inner().map_err(failed)?;
        writer.flush()
    }
}

/// The schema in Parquet's own notation; every column may be empty.
fn message_type(columns: &[Column]) -> String {
    let columns = columns.iter().map(|Column { name, kind, .. }| match kind {
        Kind::Time => format!("optional int64 {name} (TIMESTAMP(MILLIS,true));"),
        Kind::Integer => format!("optional int64 {name};"),
        Kind::Number => format!("optional double {name};"),
        Kind::Boolean => format!("optional boolean {name};"),
        Kind::Text => format!("optional binary {name} (STRING);"),
        Kind::Json => format!("optional binary {name} (JSON);"),
    });
    format!("message rows {{ {} }}", columns.collect::<Vec<_>>().join(" "))
}

/// Definition level 1 is a value, 0 an empty cell.
fn fill<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    cells: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    writer.typed::<T>().write_batch(&values, Some(&levels), None)?;
    Ok(())
}

fn millis(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<Timestamp>().ok().map(Timestamp::as_millis)
}

fn text(value: &Value) -> ByteArray {
    match value {
        Value::String(text) => text.as_str().into(),
        other => other.to_string().as_str().into(),
    }
}

fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(io) => *io,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    use serde_json::json;

    use super::*;
    use crate::cli::export::column;
    use crate::control::Rows;

    #[test]
    fn a_file_of_several_groups_is_read_back_with_its_types() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let mut rows = Parquet::begin(path.reopen().unwrap(), column::of(Rows::Messages)).unwrap();
        for number in 0..5000 {
            let seq = if number == 0 { Value::Null } else { json!(number) };
            let row = json!({
                "time": "2026-09-09T22:26:40.123Z", "device": "1A2B3C", "seq": seq, "fields": { "level": 1.5 },
                "rssi": -118.0, "ack": false, "location": { "latitude": 48.1 },
            });
            rows.row(&row).unwrap();
        }
        Box::new(rows).end().unwrap();

        let file = SerializedFileReader::new(path.reopen().unwrap()).unwrap();
        assert_eq!(file.num_row_groups(), 2);
        let read: Vec<_> = file.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(read.len(), 5000);
        let cell = |row: usize, name: &str| {
            let (_, field) = read[row].get_column_iter().find(|(column, _)| *column == name).unwrap();
            field.clone()
        };
        assert_eq!((cell(0, "seq"), cell(4999, "seq")), (Field::Null, Field::Long(4999)));
        assert_eq!(cell(0, "time"), Field::TimestampMillis(1_788_992_800_123));
        assert_eq!(cell(0, "fields"), Field::Str("{\"level\":1.5}".to_owned()));
        assert_eq!((cell(0, "rssi"), cell(0, "ack")), (Field::Double(-118.0), Field::Bool(false)));
        assert_eq!((cell(0, "latitude"), cell(0, "longitude")), (Field::Double(48.1), Field::Null));
    }
}
