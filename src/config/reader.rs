//! Reads the keys of one table by their kinds, and remembers what was wrong.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::Schedule;
use super::keys::FILE;
use super::path::KeyPath;
use super::problem::{Place, Problems};
use super::secret::{Folders, read_at_most};
use super::settings::Settings;
use super::value::{Value, quote};

/// So much of a file that a key names is looked at to see whether it changed.
const LONGEST_FILE: u64 = 1 << 20;

/// What the rules of `build` read from and report to.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// Every key that holds.
    pub(super) settings: &'a mut Settings,
    /// Where files are looked for.
    pub(super) folders: &'a Folders,
    /// What must be put right.
    pub(super) problems: &'a mut Problems,
    /// What works, but is hardly meant.
    pub(super) warnings: &'a mut Problems,
    /// Secrets that stand in the file itself.
    pub(super) clear: &'a mut Vec<(KeyPath, Place)>,
    /// Whether all of the text could be read; if not, nothing can be called missing.
    pub(super) is_whole: bool,
}

impl<'a> Reader<'a> {
    /// One table of the settings.
    pub(super) fn table<'r>(&'r mut self, path: KeyPath) -> Table<'r, 'a> {
        Table { reader: self, path }
    }

    /// Reports what must be there and is not.
    pub(super) fn missing(&mut self, place: Place, path: &KeyPath, expected: &str) {
        if self.is_whole {
            self.problems.add(place, path, format!("is missing, expected {expected}"));
        }
    }
}

/// One table of the settings. A key that is absent or faulty reads as none; a fault is reported already.
#[derive(Debug)]
pub(super) struct Table<'r, 'a> {
    reader: &'r mut Reader<'a>,
    path: KeyPath,
}

macro_rules! read_as {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $result:ty) => {
        $(#[$doc])*
        pub(super) fn $name(&self, key: &str) -> Option<$result> {
            match self.value(key)? {
                Value::$variant(value) => Some(value.clone()),
                _ => None,
            }
        }
    };
}

impl Table<'_, '_> {
    read_as!(
        #[doc = "A text, a name, one of several words, or a path as written."]
        text,
        Text,
        String
    );
    read_as!(
        #[doc = "A truth value."]
        boolean,
        Boolean,
        bool
    );
    read_as!(
        #[doc = "A duration."]
        duration,
        Duration,
        Duration
    );
    read_as!(
        #[doc = "A size in bytes."]
        size,
        Size,
        u64
    );
    read_as!(
        #[doc = "A schedule."]
        schedule,
        Schedule,
        Schedule
    );
    read_as!(
        #[doc = "A URL."]
        url,
        Url,
        Url
    );
    read_as!(
        #[doc = "An address to listen on."]
        address,
        Address,
        SocketAddr
    );
    read_as!(
        #[doc = "A list of texts."]
        texts,
        Texts,
        Vec<String>
    );

    /// A whole number; its kind has seen to it that it fits.
    pub(super) fn integer<T: TryFrom<i64>>(&self, key: &str) -> Option<T> {
        match self.value(key)? {
            Value::Integer(value) => T::try_from(*value).ok(),
            _ => None,
        }
    }

    /// So many in so long.
    pub(super) fn rate(&self, key: &str) -> Option<(u32, Duration)> {
        match self.value(key)? {
            Value::Rate(count, period) => Some((*count, *period)),
            _ => None,
        }
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, key: &str, expected: &str) -> Option<String> {
        let text = self.text(key);
        if text.is_none() && !self.reader.settings.is_faulty(&self.path.join(key)) {
            self.missing(key, expected);
        }
        text
    }

    /// A secret, from the key itself or from the file that `KEY_file` names; not both.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretString> {
        let (path, file_path) = (self.path.join(key), self.path.join(&format!("{key}{FILE}")));
        let file = self.reader.settings.value(&file_path).cloned();
        let inline = self.reader.settings.value(&path).cloned();
        if let Some(inline) = &inline {
            if matches!(inline.place, Place::Text { .. }) {
                self.reader.clear.push((path.clone(), inline.place.clone()));
            }
            if let Some(file) = &file {
                let message = format!("is given together with `{key}`, expected one of them");
                self.reader.problems.add(file.place.clone(), &file_path, message);
            }
        }
        match (inline.map(|setting| setting.value), file) {
            (Some(Value::Secret(secret)), _) => Some(secret),
            (None, Some(file)) => {
                let Value::Text(name) = &file.value else { return None };
                match self.reader.folders.secret(name) {
                    Ok(secret) => {
                        if let Some(found) = self.reader.folders.exposed(name) {
                            let message = format!(
                                "{} is a secret that others on this machine may read, expected mode 0600 or 0640",
                                found.display()
                            );
                            self.reader.warnings.add(file.place.clone(), &file_path, message);
                        }
                        let content = hash(secret.expose_secret().as_bytes());
                        self.reader.settings.note_content(file_path, content);
                        Some(secret)
                    }
                    Err(message) => {
                        self.reader.problems.add(file.place.clone(), &file_path, message);
                        self.reader.settings.mark_faulty(file_path, file.place);
                        None
                    }
                }
            }
            _ => None,
        }
    }

    /// A secret that must be there.
    pub(super) fn required_secret(&mut self, key: &str, expected: &str) -> Option<SecretString> {
        let secret = self.secret(key);
        let faulty = [key.to_owned(), format!("{key}{FILE}")]
            .iter()
            .any(|key| self.reader.settings.is_faulty(&self.path.join(key)));
        if secret.is_none() && !faulty {
            self.missing(key, &format!("{expected} here or in `{key}{FILE}`"));
        }
        secret
    }

    /// A file that must be there if it is named.
    pub(super) fn file(&mut self, key: &str) -> Option<PathBuf> {
        let name = self.text(key)?;
        match self.reader.folders.find(&name) {
            Ok(path) => {
                // One that cannot be read to its end is its reader's to complain about.
                let content = read_at_most(&path, LONGEST_FILE).unwrap_or_default();
                self.reader.settings.note_content(self.path.join(key), hash(&content));
                Some(path)
            }
            Err(message) => {
                self.problem(key, message);
                let place = self.place(key);
                self.reader.settings.mark_faulty(self.path.join(key), place);
                None
            }
        }
    }

    /// Two files that belong together: a certificate and its key.
    pub(super) fn file_pair(&mut self, first: &str, second: &str) -> Option<(PathBuf, PathBuf)> {
        for (there, absent) in [(first, second), (second, first)] {
            if self.is_written(there) && !self.is_written(absent) {
                self.problem(there, format!("is given without `{absent}`, expected both or neither"));
            }
        }
        let pair = (self.file(first), self.file(second));
        Some((pair.0?, pair.1?))
    }

    /// Whether somebody wrote a key, rightly or wrongly; a secret counts in either form.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.written(key).is_some()
    }

    /// Lets a derived default hold where nothing was said.
    pub(super) fn default(&mut self, key: &str, value: Value) {
        self.reader.settings.fill(self.path.join(key), Some(value));
    }

    /// A key whose default means nothing here.
    pub(super) fn drop_default(&mut self, key: &str) {
        self.reader.settings.unsay(&self.path.join(key));
    }

    /// Reports a key's value as wrong.
    pub(super) fn problem(&mut self, key: &str, message: impl Into<String>) {
        let place = self.place(key);
        self.reader.problems.add(place, self.path.join(key), message);
    }

    /// Reports a key's value as right, but hardly meant.
    pub(super) fn warning(&mut self, key: &str, message: impl Into<String>) {
        let place = self.place(key);
        self.reader.warnings.add(place, self.path.join(key), message);
    }

    /// Reports a key that must be there as missing, at the table's beginning.
    pub(super) fn missing(&mut self, key: &str, expected: &str) {
        let place = self.reader.settings.table(&self.path).cloned().unwrap_or(Place::Default);
        self.reader.missing(place, &self.path.join(key), expected);
    }

    /// Reports entries of a list that are no patterns of device ids.
    pub(super) fn device_patterns(&mut self, key: &str) -> Option<Vec<String>> {
        let patterns = self.texts(key)?;
        let wild = |byte: u8| byte.is_ascii_hexdigit() || b"*?".contains(&byte);
        if let Some(wrong) = patterns.iter().find(|text| text.len() > 32 || !text.bytes().all(wild)) {
            let message =
                format!("{} is no device id, expected 1 to 8 hex digits, with * and ? for any", quote(wrong));
            self.problem(key, message);
        }
        Some(patterns)
    }

    /// Where a key was written, else where its table begins.
    fn place(&self, key: &str) -> Place {
        let table = || self.reader.settings.table(&self.path).cloned();
        self.written(key).cloned().or_else(table).unwrap_or(Place::Default)
    }

    fn written(&self, key: &str) -> Option<&Place> {
        let file = self.path.join(&format!("{key}{FILE}"));
        let settings = &self.reader.settings;
        settings.written(&self.path.join(key)).or_else(|| settings.written(&file))
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.reader.settings.value(&self.path.join(key)).map(|setting| &setting.value)
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
