//! Which topics a filter matches (MQTT 5, section 4.7). Pure.

/// A filter that is well formed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Filter(String);

impl Filter {
    /// A filter: `#` only as its last level, `+` only as a whole level.
    pub(super) fn new(text: String) -> Option<Self> {
        let mut levels = text.split('/').peekable();
        let mut well_formed = !text.is_empty();
        while let Some(level) = levels.next() {
            well_formed &= match level {
                "#" => levels.peek().is_none(),
                "+" => true,
                _ => !level.contains(['+', '#']),
            };
        }
        well_formed.then_some(Self(text))
    }

    /// Whether it asks to share its messages with others.
    pub(super) fn is_shared(&self) -> bool {
        self.0.starts_with("$share/")
    }

    /// What every topic that it matches begins with.
    pub(super) fn prefix(&self) -> &str {
        let wild = self.0.find(['+', '#']).unwrap_or(self.0.len());
        // `a/#` matches `a`, too.
        self.0.get(..wild).unwrap_or_default().trim_end_matches('/')
    }

    pub(super) fn matches(&self, topic: &str) -> bool {
        // Wildcards do not reach what brokers say of themselves.
        if topic.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut topic = topic.split('/');
        for level in self.0.split('/') {
            match (level, topic.next()) {
                ("#", _) => return true,
                (_, None) => return false,
                ("+", Some(_)) => {}
                (level, Some(part)) if level == part => {}
                _ => return false,
            }
        }
        topic.next().is_none()
    }
}

/// Whether a message may have this topic.
pub(super) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_specification_says() {
        for (filter, topic, expected) in [
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/b", "a", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("a/+/c", "a/b/c", true),
            ("+/+", "/b", true),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "a/b", true),
            ("#", "$SYS/a", false),
            ("+/a", "$SYS/a", false),
            ("$SYS/#", "$SYS/a", true),
        ] {
            let parsed = Filter::new(filter.to_owned()).unwrap();
            assert_eq!(parsed.matches(topic), expected, "{filter} {topic}");
            assert!(!expected || topic.starts_with(parsed.prefix()), "{filter} {topic}");
        }
        for wrong in ["", "a#", "a/#/b", "a+/b", "#/a", "a/b+"] {
            assert_eq!(Filter::new(wrong.to_owned()), None, "{wrong}");
        }
    }
}
