//! The path of a key: its segments, printed as TOML writes a dotted key.

use std::fmt;

/// Where a key stands, from the top of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyPath(Vec<String>);

impl KeyPath {
    /// The path of a table or key whose segments hold no dots.
    pub(super) fn of(dotted: &str) -> Self {
        Self(dotted.split('.').filter(|segment| !segment.is_empty()).map(str::to_owned).collect())
    }

    /// The path of something inside this table.
    pub(super) fn join(&self, name: &str) -> Self {
        let mut segments = self.0.clone();
        segments.push(name.to_owned());
        Self(segments)
    }

    /// The table that this path lies in, and the last segment; none at the top.
    pub(super) fn split_last(&self) -> Option<(Self, &str)> {
        let (last, table) = self.0.split_last()?;
        Some((Self(table.to_vec()), last))
    }

    /// The last segment; empty at the top.
    pub(super) fn last(&self) -> &str {
        self.0.last().map(String::as_str).unwrap_or_default()
    }

    /// The segments from the top down.
    pub(super) fn segments(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            if !segment.is_empty() && segment.bytes().all(bare) {
                f.write_str(segment)?;
            } else {
                write!(f, "\"{}\"", segment.escape_debug())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_printed_as_toml_writes_it() {
        let types = KeyPath::of("device_types");
        for (path, printed) in [
            (KeyPath::of("mqtt.url"), "mqtt.url"),
            (types.join("Tank v1.2").join("decoder"), "device_types.\"Tank v1.2\".decoder"),
            (types.join(""), "device_types.\"\""),
            (types.join("a\nb"), "device_types.\"a\\nb\""),
            (KeyPath::default(), ""),
        ] {
            assert_eq!(path.to_string(), printed);
        }
    }
}
