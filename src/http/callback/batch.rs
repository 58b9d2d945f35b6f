//! Lines of a batch callback, read by the pattern by which the cloud wrote them (Sigfox callbacks, `BATCH_URL`).

use super::{Malformed, Variables};

/// A pattern such as `{device};{data};`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinePattern {
    lead: String,
    /// Each variable with the text after it.
    variables: Vec<(String, String)>,
}

impl LinePattern {
    /// Reads a pattern: variables in braces, apart from each other by at least one character.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split('{');
        let lead = parts.next().unwrap_or_default().to_owned();
        let mut variables: Vec<(String, String)> = Vec::new();
        for part in parts {
            let (name, after) =
                part.split_once('}').ok_or_else(|| format!("`{{{part}` has no closing brace"))?;
            if variables.last().is_some_and(|(_, between)| between.is_empty()) {
                return Err(format!("nothing stands between `{{{name}}}` and the variable before it"));
            }
            variables.push((name.trim().to_owned(), after.to_owned()));
        }
        if !variables.iter().any(|(name, _)| name == "device") {
            return Err("the pattern has no `{device}`".to_owned());
        }
        Ok(Self { lead, variables })
    }

    /// Reads one line.
    pub(super) fn read(&self, line: &str) -> Result<Variables, Malformed> {
        let refuse = || {
            let start: String = line.chars().take(40).collect();
            Malformed::new(format!("the line `{start}` does not follow the pattern of the batch"))
        };
        let mut rest = line.strip_prefix(self.lead.as_str()).ok_or_else(refuse)?;
        let mut pairs = Vec::with_capacity(self.variables.len());
        for (name, after) in &self.variables {
            let (value, next) = if after.is_empty() {
                (rest, "")
            } else {
                // The separator after the last value may be missing.
                match rest.split_once(after.as_str()) {
                    Some(split) => split,
                    None if self.is_last(name) && !rest.is_empty() => (rest, ""),
                    None => return Err(refuse()),
                }
            };
            pairs.push((name.clone(), value.to_owned()));
            rest = next;
        }
        if rest.is_empty() { Variables::from_pairs(pairs.into_iter()) } else { Err(refuse()) }
    }

    fn is_last(&self, name: &str) -> bool {
        self.variables.last().is_some_and(|(last, _)| last == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_by_its_pattern() {
        for (pattern, line, expected) in [
            ("{device};{data};", "00A0;0a0b0c0d;", Some(("00A0", "0a0b0c0d"))),
            ("{device};{data};", "00A0;0a0b0c0d", Some(("00A0", "0a0b0c0d"))),
            ("{device};{data};", "00A0;;", Some(("00A0", ""))),
            ("<{device}|{data}>", "<00A0|0a>", Some(("00A0", "0a"))),
            ("{data},{device}", "0a,00A0", Some(("00A0", "0a"))),
            ("{device};{data};", "00A0", None),
            ("{device};{data};", "00A0;0a;0b;", None),
            ("<{device}|{data}>", "00A0|0a>", None),
        ] {
            let read = LinePattern::parse(pattern).unwrap().read(line).ok();
            let pair = read.map(|line| (line.text("device").unwrap(), line.written("data").unwrap()));
            let pair = pair.as_ref().map(|(device, data)| (device.as_str(), data.as_str()));
            assert_eq!(pair, expected, "{line} by {pattern}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_tell_values_apart_is_refused() {
        for pattern in ["", "{data};", "{device}{data}", "{device;{data}", "device"] {
            assert!(LinePattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
