//! From the bytes of a request to the variables of its callbacks: usually one, in a batch one a line.

use super::batch::LinePattern;
use super::{Malformed, Variables};

/// The variables of each callback in a request. Lines of a batch stand each for themselves: a bad one among good
/// ones costs only itself.
#[derive(Debug, PartialEq)]
pub(super) enum Body {
    One(Variables),
    Batch(Vec<Result<Variables, Malformed>>),
}

/// Reads the query and the body of a request. What the content type says is not relied on: templates are written by
/// hand, and their authors seldom set it.
pub(super) fn read(query: &[u8], body: &[u8], pattern: Option<&LinePattern>) -> Result<Body, Malformed> {
    let query = Variables::from_form(query)?;
    let body = body.trim_ascii();
    let variables = match body.first() {
        None => query,
        Some(b'{' | b'[') => Variables::from_json(body)?.or(query),
        Some(_) if body.contains(&b'=') => Variables::from_form(body)?.or(query),
        Some(_) => return batch(&String::from_utf8_lossy(body), pattern),
    };
    // `batch={batch}` by most vendors; the Sigfox document itself shows `data=` in a query without a device.
    let lines = variables.text("batch").or_else(|| {
        let is_alone = !variables.has("device");
        variables.text("data").filter(|_| is_alone)
    });
    match lines {
        Some(lines) => batch(&lines, pattern),
        None => Ok(Body::One(variables)),
    }
}

fn batch(text: &str, pattern: Option<&LinePattern>) -> Result<Body, Malformed> {
    let Some(pattern) = pattern else {
        return Err(Malformed::new(
            "neither JSON nor a form (for a batch, set callback_batch to the pattern of its lines)",
        ));
    };
    let lines: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| pattern.read(line)).collect();
    if lines.is_empty() { Err(Malformed::new("the batch has no line")) } else { Ok(Body::Batch(lines)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern() -> LinePattern {
        LinePattern::parse("{device};{data};").unwrap()
    }

    #[test]
    fn json_form_and_query_say_the_same() {
        let json = read(b"", br#"{"device":"1A2345","time":1476980426}"#, None).unwrap();
        let Body::One(json) = json else { panic!("{json:?}") };
        for (query, body) in [
            (&b"device=1A2345&time=1476980426"[..], &b""[..]),
            (b"", b"device=1A2345&time=1476980426\n"),
            (b"device=1A2345", b"time=1476980426"),
            (b"device=FFFF&time=1476980426", br#"{"device":"1A2345"}"#),
        ] {
            let Body::One(read) = read(query, body, None).unwrap() else { panic!("a batch") };
            for name in ["device", "time"] {
                assert_eq!(read.text(name), json.text(name), "{name}");
            }
        }
    }

    #[test]
    fn a_batch_comes_as_lines_or_in_a_parameter() {
        let lines = b"00A0;0a0b0c0d;\r\n4D9A83;0123456789abcdef;\n";
        let encoded = b"data=00A0%3B0a0b0c0d%3B%0A4D9A83%3B0123456789abcdef%3B";
        let named = b"batch=00A0%3B0a0b0c0d%3B%0A4D9A83%3B0123456789abcdef%3B";
        for (query, body) in [(&b""[..], &lines[..]), (encoded, b""), (b"", encoded), (b"", named)] {
            let Ok(Body::Batch(lines)) = read(query, body, Some(&pattern())) else { panic!("no batch") };
            let devices: Vec<_> =
                lines.iter().map(|line| line.as_ref().unwrap().text("device").unwrap()).collect();
            assert_eq!(devices, ["00A0", "4D9A83"]);
        }
    }

    #[test]
    fn a_bad_line_costs_only_itself() {
        let Ok(Body::Batch(lines)) = read(b"", b"00A0;0a;\nnonsense\n", Some(&pattern())) else {
            panic!("no batch")
        };
        assert_eq!(lines.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn what_is_neither_is_malformed() {
        for body in ["[1,2]", "{\"device\":", "hello", "<html>"] {
            assert!(read(b"", body.as_bytes(), None).is_err(), "{body}");
        }
        assert!(
            read(b"", b"hello", Some(&pattern()))
                .is_ok_and(|body| matches!(body, Body::Batch(lines) if lines[0].is_err()))
        );
    }
}
