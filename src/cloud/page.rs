//! Lists as pages: Sigfox's `{"data":[…],"paging":{"next":…}}`, Altair's with a cursor there, and Soracom's plain
//! lists with a key in a header.
//! Every page is read row by row, so that one bad row costs only itself, and no loop of pages is walked twice.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures_util::Stream;
use reqwest::Method;
use serde_json::Value;
use url::Url;

use super::Error;
use super::api::{Api, Read, Request};
use super::body::Body;
use super::http::{Answer, NextUrl};
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

/// No account has a list of ten million rows; whoever always has another page is not believed.
const MOST_PAGES: usize = 100_000;

/// The pages of one list, asked for one after the other. Nothing is sent before `next_page`.
#[derive(Debug)]
pub struct Pages<T> {
    list: List,
    read: Read<T>,
}

/// A list apart from how its rows are read.
#[derive(Debug)]
struct List {
    api: Api,
    asked: String,
    walk: Walk,
    first: Url,
    /// Whether the first page may be asked for again with a slash at the end of its path.
    slash: bool,
    step: Step,
    walked: HashSet<u64>,
    last_page: HashSet<u64>,
    /// What each page held: a list that goes round in a circle may give every page an address of its own.
    pages: HashSet<u64>,
    rows: usize,
}

/// How a list says where its next page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    /// By a link in the page (Sigfox), whose times have this smallest step in milliseconds.
    Link {
        /// 1000 where times are in seconds.
        unit_ms: i64,
    },
    /// By a key in the answer's headers (Soracom), to be sent back with the same query; an empty page may have
    /// one, too.
    Key,
    /// By a cursor in the page (Altair), to be sent back with the same query; an empty one is the end.
    Cursor,
}

/// Which page comes next.
#[derive(Debug)]
enum Step {
    Ask(Url),
    /// The cursor moved by one unit so that siblings of one instant are not lost; the cloud's own stands by.
    AskAround(Url, Url),
    /// By our own reckoning, where the cloud's link must not be followed; if nothing new comes, that was all.
    AskBeyond(Url),
    /// The link leads to a page that was here already.
    Circle,
    /// There is no such list.
    Refuse(Error),
    End,
}

/// An answer to a question for a page.
#[derive(Debug)]
struct Asked {
    answer: Answer,
    /// Where it came from.
    walked: u64,
    /// What follows if its rows were here already.
    if_nothing_new: Step,
}

impl<T> Pages<T> {
    pub(super) fn new(api: &Api, first: Url, asked: String, walk: Walk, read: Read<T>) -> Self {
        let list = List {
            api: api.clone(),
            asked,
            walk,
            step: Step::Ask(first.clone()),
            first,
            slash: false,
            walked: HashSet::new(),
            last_page: HashSet::new(),
            pages: HashSet::new(),
            rows: 0,
        };
        Self { list, read }
    }

    /// A list that some servers know only with a slash at the end of its path.
    pub(super) fn or_with_slash(mut self) -> Self {
        self.list.slash = true;
        self
    }

    /// A list that this version of the API does not have.
    pub(super) fn refusing(mut self, error: Error) -> Self {
        self.list.step = Step::Refuse(error);
        self
    }

    /// The same pages with each row as the cloud wrote it.
    #[must_use]
    pub fn raw(self) -> Pages<Value> {
        Pages { list: self.list, read: |row| Ok(row.into()) }
    }

    /// The next page; none after the last. After a passing error the same page can be asked for again.
    ///
    /// # Errors
    /// [`Error::Circle`] ends the list: what came before it is good, but may not be all.
    pub async fn next_page(&mut self) -> Result<Option<Page<T>>, Error> {
        while let Some(Asked { answer, walked, if_nothing_new }) = self.list.ask().await? {
            let body = Body::of(&answer, &self.list.asked)?;
            if !self.list.is_new(&body, walked, if_nothing_new) {
                continue;
            }
            let oldest = body.rows.iter().filter_map(|row| Row::of(row)?.time("time")).min();
            let foreign = self.list.go_on(&body, oldest);
            let mut page =
                Page { rows: Vec::new(), skipped: Vec::new(), oldest, date: answer.date(), foreign };
            for row in &body.rows {
                match (self.read)(row) {
                    Ok(value) => page.rows.push(value),
                    Err(why) => {
                        let begins = row.to_string().chars().take(120).collect();
                        page.skipped.push(Skipped { why, begins });
                    }
                }
            }
            return Ok(Some(page));
        }
        Ok(None)
    }

    /// Whether the last page was here.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.list.step, Step::End)
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
}

impl List {
    /// What the next page is answered with.
    async fn ask(&mut self) -> Result<Option<Asked>, Error> {
        loop {
            let (url, if_nothing_new) = match &self.step {
                Step::Ask(url) => (url.clone(), Step::Circle),
                Step::AskAround(url, own) => (url.clone(), self.unless_walked(own.clone())),
                Step::AskBeyond(url) => (url.clone(), Step::End),
                Step::Circle => {
                    self.step = Step::End;
                    return Err(Error::Circle { asked: self.asked.clone() });
                }
                Step::Refuse(error) => return Err(error.clone()),
                Step::End => return Ok(None),
            };
            let asked = self.asked.clone();
            let walked = hash(&url);
            let request = Request { method: Method::GET, url, body: None, asked };
            let answer = match self.api.send(&request).await {
                Err(Error::NotFound { .. }) if std::mem::take(&mut self.slash) => {
                    let path = format!("{}/", self.first.path());
                    self.first.set_path(&path);
                    self.step = Step::Ask(self.first.clone());
                    continue;
                }
                answer => answer?,
            };
            self.slash = false;
            return Ok(Some(Asked { answer, walked, if_nothing_new }));
        }
    }

    /// Whether a page brings something new, and there may be such pages still.
    fn is_new(&mut self, body: &Body<'_>, walked: u64, if_nothing_new: Step) -> bool {
        self.walked.insert(walked);
        if self.walked.len() > MOST_PAGES {
            self.step = Step::Circle;
            return false;
        }
        let rows: HashSet<u64> = body.rows.iter().map(hash).collect();
        let held = rows.iter().fold(0, |sum: u64, row| sum.wrapping_add(*row));
        if !rows.is_empty() && (rows.is_subset(&self.last_page) || !self.pages.insert(held)) {
            self.step = if_nothing_new;
            return false;
        }
        self.last_page = rows;
        true
    }

    /// Finds out which page comes after this one; says the host of a link that must not be followed.
    fn go_on(&mut self, body: &Body<'_>, oldest: Option<Timestamp>) -> Option<String> {
        self.rows += body.rows.len();
        let mut foreign = None;
        self.step = match (self.walk, &body.next, &body.key) {
            (Walk::Key, _, Some(key)) => {
                self.unless_walked(with_query(&self.first, "last_evaluated_key", key))
            }
            (Walk::Cursor, _, Some(cursor)) => {
                self.unless_walked(with_query(&self.first, "next_cursor", cursor))
            }
            (Walk::Link { unit_ms }, Some(next), _) if !body.rows.is_empty() => {
                match self.api.http.next_url(next) {
                    NextUrl::Own(own) => self.follow(own, oldest, unit_ms),
                    NextUrl::Foreign(host) => {
                        foreign = Some(host);
                        let beyond = self.beyond(oldest, unit_ms);
                        if self.walked.contains(&hash(&beyond)) { Step::End } else { Step::AskBeyond(beyond) }
                    }
                    NextUrl::Unreadable => Step::End,
                }
            }
            _ => Step::End,
        };
        foreign
    }

    /// A cursor `before` with the time of the last row loses that row's siblings where the cloud means it
    /// exclusively; one unit later brings a few rows again instead.
    fn follow(&self, own: Url, oldest: Option<Timestamp>, unit_ms: i64) -> Step {
        let before = query(&own, "before").and_then(|text| text.parse().ok()).and_then(Timestamp::from_cloud);
        match (before, oldest) {
            (Some(before), Some(oldest)) if before <= oldest => {
                let around = with_query(&own, "before", &one_later(before, unit_ms));
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

    fn beyond(&self, oldest: Option<Timestamp>, unit_ms: i64) -> Url {
        match oldest {
            Some(oldest) => with_query(&self.first, "before", &one_later(oldest, unit_ms)),
            None => with_query(&self.first, "offset", &self.rows.to_string()),
        }
    }
}

fn one_later(time: Timestamp, unit_ms: i64) -> String {
    (time.as_millis() / unit_ms + 1).to_string()
}

fn query(url: &Url, key: &str) -> Option<String> {
    url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
}

fn with_query(url: &Url, key: &str, value: &str) -> Url {
    let pairs = url.query_pairs().filter(|(name, _)| name != key);
    let others: Vec<_> = pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair(key, value);
    url
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_replaced_and_the_rest_kept() {
        let url: Url = "https://api.sigfox.com/v2/x?limit=100&before=5&since=1".parse().unwrap();
        assert_eq!(with_query(&url, "before", "6").query(), Some("limit=100&since=1&before=6"));
    }
}
