//! One page as it came: its rows, and what it says about the next one.

use reqwest::header::HeaderMap;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Error;
use super::http::Answer;
use super::row::{Json, Row};

/// A page as it came.
#[derive(Debug)]
pub(super) struct Body<'a> {
    pub(super) rows: Vec<Json<'a>>,
    /// Sigfox: the address of the next page.
    pub(super) next: Option<String>,
    /// Soracom, Altair: the key of the next page.
    pub(super) key: Option<String>,
}

impl<'a> Body<'a> {
    pub(super) fn of(answer: &'a Answer, asked: &str) -> Result<Self, Error> {
        let body: Self =
            serde_json::from_slice(&answer.body).map_err(|error| read_error(&error, &answer.body, asked))?;
        Ok(Self { key: next_key(&answer.headers).or(body.key), ..body })
    }
}

/// Why an answer is no JSON that we can read, in words.
pub(super) fn read_error(error: &serde_json::Error, bytes: &[u8], asked: &str) -> Error {
    let begins: String = String::from_utf8_lossy(bytes.get(..40).unwrap_or(bytes)).escape_default().collect();
    let why = if bytes.first().is_some_and(|byte| b"{[".contains(byte)) {
        error.to_string()
    } else {
        format!("it is no JSON, it begins with `{begins}`")
    };
    Error::Malformed { asked: asked.to_owned(), why }
}

/// Soracom's key of the next page, from its own header or the link that stands beside it.
fn next_key(headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty());
    if let Some(key) = header("x-soracom-next-key") {
        return Some(key.to_owned());
    }
    let next = |link: &&str| link.contains("rel=\"next\"") || link.contains("rel=next");
    let (_, rest) = header("link")?.split(',').find(next)?.split_once('?')?;
    let (query, _) = rest.split_once('>')?;
    let key = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "last_evaluated_key")?;
    Some(key.1.into_owned()).filter(|key| !key.is_empty())
}

impl<'de> Deserialize<'de> for Body<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BodyVisitor)
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with a list `data`, or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body<'de>, A::Error> {
        let (mut rows, mut next, mut key_of_next) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "data" => rows = Some(map.next_value::<Vec<Json<'_>>>()?),
                "paging" => {
                    let paging = map.next_value::<Json<'_>>()?;
                    next = Row::of(&paging).and_then(|paging| paging.name("next"));
                    key_of_next = Row::of(&paging).and_then(|paging| paging.name("next_cursor"));
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let rows = rows.ok_or_else(|| serde::de::Error::missing_field("data"))?;
        Ok(Body { rows, next, key: key_of_next })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Body<'de>, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = seq.next_element()? {
            rows.push(row);
        }
        Ok(Body { rows, next: None, key: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the next page of an answer is.
    fn next(text: &str) -> Result<Option<String>, Error> {
        let answer = Answer { headers: HeaderMap::new(), body: text.as_bytes().to_vec() };
        Ok(Body::of(&answer, "x")?.next)
    }

    #[test]
    fn three_ways_to_say_no_more() {
        for text in [r#"{"data":[],"paging":{}}"#, r#"{"data":[]}"#, r#"{"data":[],"paging":{"next":null}}"#]
        {
            assert_eq!(next(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_page_is_told_in_words() {
        for (text, why) in [
            ("<html>login</html>", "it is no JSON, it begins with `<html>login</html>`"),
            ("", "it is no JSON, it begins with ``"),
            (r#"{"message":"ok"}"#, "missing field `data` at line 1 column 16"),
            (r#"{"data":[{"#, "EOF while parsing an object at line 1 column 10"),
        ] {
            let Err(Error::Malformed { why: found, .. }) = next(text) else { panic!("{text}") };
            assert_eq!(found, why);
        }
    }

    #[test]
    fn the_next_key_is_a_header_or_part_of_a_link() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(reqwest::header::HeaderName::from_static(name), value.parse().unwrap())])
        };
        let link =
            "<https://api.soracom.io/v1/sigfox_devices?limit=2&last_evaluated_key=7B%2FD>; rel=\"next\"";
        for (name, value, key) in [
            ("x-soracom-next-key", "7BFD2A", Some("7BFD2A")),
            ("x-soracom-next-key", "", None),
            ("link", link, Some("7B/D")),
            ("link", "<https://api.soracom.io/v1/sigfox_devices?limit=2>; rel=\"prev\"", None),
        ] {
            assert_eq!(next_key(&headers(name, value)).as_deref(), key, "{value}");
        }
    }
}
