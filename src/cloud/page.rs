//! Lists of a Sigfox API as pages: `{"data":[…],"paging":{"next":…}}`, newest first. Every page is read row by
//! row, so that one bad row costs only itself, and no loop of pages is walked twice.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures_util::Stream;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use url::Url;

use super::Error;
use super::http::{Ask, Http};
use super::row::Row;
use crate::model::Timestamp;

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The rows that could be read, in the cloud's order.
    pub rows: Vec<T>,
    /// The rows that could not.
    pub skipped: Vec<Skipped>,
    /// The oldest `time` of a row.
    pub oldest: Option<Timestamp>,
    /// What the cloud's clock said when it answered.
    pub date: Option<Timestamp>,
    /// The host of a next page that was not followed because it is not the API's own.
    pub foreign: Option<String>,
}

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Skipped {
    /// What is wrong with it.
    pub why: String,
    /// How the row begins.
    pub begins: String,
}

/// How a row becomes a value; the error says what is wrong with it.
pub(super) type Read<T> = fn(&Value) -> Result<T, String>;

/// The pages of one list, asked for one after the other.
#[derive(Debug)]
pub struct Pages<T> {
    http: Http,
    headers: HeaderMap,
    asked: String,
    read: Read<T>,
    /// The smallest step of the API's times in milliseconds.
    unit_ms: i64,
    first: Url,
    step: Step,
    walked: HashSet<u64>,
    last_page: HashSet<u64>,
    rows: usize,
}

/// Which page comes next.
#[derive(Debug)]
enum Step {
    Ask(Url),
    /// The cursor moved by one unit so that siblings of one instant are not lost; the cloud's own stands by.
    AskAround(Url, Url),
    /// The link leads to a page that was here already.
    Circle,
    End,
}

impl<T> Pages<T> {
    pub(super) fn new(
        http: Http,
        headers: HeaderMap,
        first: Url,
        asked: String,
        unit_ms: i64,
        read: Read<T>,
    ) -> Self {
        Self {
            http,
            headers,
            asked,
            read,
            unit_ms,
            step: Step::Ask(first.clone()),
            first,
            walked: HashSet::new(),
            last_page: HashSet::new(),
            rows: 0,
        }
    }

    /// The same pages with each row as the cloud wrote it.
    #[must_use]
    pub fn raw(self) -> Pages<Value> {
        Pages {
            read: |row| Ok(row.clone()),
            http: self.http,
            headers: self.headers,
            asked: self.asked,
            unit_ms: self.unit_ms,
            first: self.first,
            step: self.step,
            walked: self.walked,
            last_page: self.last_page,
            rows: self.rows,
        }
    }

    /// The next page; none after the last. After a passing error the same page can be asked for again.
    ///
    /// # Errors
    /// [`Error::Circle`] ends the list: what came before it is good, but may not be all.
    pub async fn next_page(&mut self) -> Result<Option<Page<T>>, Error> {
        loop {
            let (url, fallback) = match &self.step {
                Step::Ask(url) => (url.clone(), None),
                Step::AskAround(url, own) => (url.clone(), Some(own.clone())),
                Step::Circle => {
                    self.step = Step::End;
                    return Err(Error::Circle { asked: self.asked.clone() });
                }
                Step::End => return Ok(None),
            };
            let ask = Ask {
                method: Method::GET,
                url: url.clone(),
                headers: self.headers.clone(),
                body: None,
                asked: &self.asked,
            };
            let answer = self.http.send(ask).await?;
            let body = read_body(&answer.body, &self.asked)?;
            self.walked.insert(hash(&url));

            let hashes: HashSet<u64> = body.rows.iter().map(|row| hash(&row.to_string())).collect();
            let nothing_new = !hashes.is_empty() && hashes.is_subset(&self.last_page);
            if nothing_new {
                self.step = fallback.map_or(Step::Circle, |own| self.unless_walked(own));
                continue;
            }
            self.last_page = hashes;
            return Ok(Some(self.page(&body, answer.date())));
        }
    }

    /// The rows one by one, over all pages; rows that cannot be read are left out.
    pub fn into_rows(mut self) -> impl Stream<Item = Result<T, Error>> {
        async_stream::try_stream! {
            while let Some(page) = self.next_page().await? {
                for row in page.rows {
                    yield row;
                }
            }
        }
    }

    fn page(&mut self, body: &Body, date: Option<Timestamp>) -> Page<T> {
        let mut page = Page { rows: Vec::new(), skipped: Vec::new(), oldest: None, date, foreign: None };
        for row in &body.rows {
            let time = Row::of(row).and_then(|row| row.time("time"));
            page.oldest = [page.oldest, time].into_iter().flatten().min();
            match (self.read)(row) {
                Ok(value) => page.rows.push(value),
                Err(why) => {
                    let begins = row.to_string().chars().take(120).collect();
                    page.skipped.push(Skipped { why, begins });
                }
            }
        }
        self.rows += body.rows.len();
        self.step = Step::End;
        if let (Some(next), false) = (&body.next, body.rows.is_empty()) {
            match self.http.next_url(next) {
                Some(own) => self.step = self.follow(own, page.oldest),
                None => {
                    page.foreign = Some(foreign_host(next));
                    self.step = self.unless_walked(self.beyond(page.oldest));
                }
            }
        }
        page
    }

    /// A cursor `before` with the time of the last row loses that row's siblings where the cloud means it
    /// exclusively; one unit later brings a few rows again instead.
    fn follow(&self, own: Url, oldest: Option<Timestamp>) -> Step {
        let before = query(&own, "before").and_then(|text| text.parse().ok()).and_then(Timestamp::from_cloud);
        match (before, oldest) {
            (Some(before), Some(oldest)) if before <= oldest => {
                let around = with_query(&own, "before", before.as_millis() / self.unit_ms + 1);
                if self.walked.contains(&hash(&around)) {
                    self.unless_walked(own)
                } else {
                    Step::AskAround(around, own)
                }
            }
            _ => self.unless_walked(own),
        }
    }

    fn unless_walked(&self, url: Url) -> Step {
        if self.walked.contains(&hash(&url)) { Step::Circle } else { Step::Ask(url) }
    }

    /// The next page by our own reckoning, where the cloud's link must not be followed.
    fn beyond(&self, oldest: Option<Timestamp>) -> Url {
        match oldest {
            Some(oldest) => with_query(&self.first, "before", oldest.as_millis() / self.unit_ms + 1),
            None => with_query(&self.first, "offset", i64::try_from(self.rows).unwrap_or(i64::MAX)),
        }
    }
}

fn foreign_host(next: &str) -> String {
    let host = next.parse::<Url>().ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| "an unreadable address".to_owned())
}

fn query(url: &Url, key: &str) -> Option<String> {
    url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
}

fn with_query(url: &Url, key: &str, value: i64) -> Url {
    let others: Vec<_> = url
        .query_pairs()
        .filter(|(name, _)| name != key)
        .map(|(k, v)| (k.into_owned(), v.into_owned()))
        .collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair(key, &value.to_string());
    url
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A page as it came: its rows, and where the next one is.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) rows: Vec<Value>,
    next: Option<String>,
}

pub(super) fn read_body(bytes: &[u8], asked: &str) -> Result<Body, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        let begins: String =
            String::from_utf8_lossy(bytes.get(..40).unwrap_or(bytes)).escape_default().collect();
        let why = if bytes.first().is_some_and(|byte| b"{[".contains(byte)) {
            error.to_string()
        } else {
            format!("it is no JSON, it begins with `{begins}`")
        };
        Error::Malformed { asked: asked.to_owned(), why }
    })
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with a list `data`, or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body, A::Error> {
        let (mut rows, mut next) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "data" => rows = Some(map.next_value::<Vec<Value>>()?),
                "paging" => {
                    let paging = map.next_value::<Value>()?;
                    next = Row::of(&paging).and_then(|paging| paging.name("next"));
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let rows = rows.ok_or_else(|| serde::de::Error::missing_field("data"))?;
        Ok(Body { rows, next })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Body, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = seq.next_element()? {
            rows.push(row);
        }
        Ok(Body { rows, next: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_ways_to_say_no_more() {
        for body in [r#"{"data":[],"paging":{}}"#, r#"{"data":[]}"#, r#"{"data":[],"paging":{"next":null}}"#]
        {
            assert_eq!(read_body(body.as_bytes(), "").unwrap().next, None, "{body}");
        }
    }

    #[test]
    fn what_is_no_page_is_told_in_words() {
        for (body, why) in [
            ("<html>login</html>", "it is no JSON, it begins with `<html>login</html>`"),
            ("", "it is no JSON, it begins with ``"),
            (r#"{"message":"ok"}"#, "missing field `data` at line 1 column 16"),
            (r#"{"data":[{"#, "EOF while parsing an object at line 1 column 10"),
        ] {
            let Err(Error::Malformed { why: found, .. }) = read_body(body.as_bytes(), "x") else {
                panic!("{body}")
            };
            assert_eq!(found, why);
        }
    }

    #[test]
    fn a_query_is_replaced_and_the_rest_kept() {
        let url: Url = "https://api.sigfox.com/v2/x?limit=100&before=5&since=1".parse().unwrap();
        assert_eq!(with_query(&url, "before", 6).query(), Some("limit=100&since=1&before=6"));
    }
}
