//! What expressions come to, and what is none.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn evaluate(text: &str, fields: Value) -> Outcome {
    let Value::Object(fields) = fields else { panic!("{fields} is no object") };
    Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).evaluate(&fields)
}

#[test]
fn an_expression_computes_over_the_fields() {
    let fields = json!({ "t": 17, "h": 50.5, "on": true, "name": "Tank", "x-y": 3, "list": [1, 2.5], "o": { "a": 7 } });
    for (text, expected) in [
        ("t / 2", json!(8.5)),
        ("t * 1.8 + 32", json!(62.6)),
        ("round(h / 3, 2)", json!(16.83)),
        ("round(2.5) + round(-2.5)", json!(0)),
        ("t % 5", json!(2)),
        ("-t", json!(-17)),
        ("min(t, h, 3) + max(t, 1)", json!(20)),
        ("t > 15 && !on ? \"warm\" : \"cold\"", json!("cold")),
        ("on || t > 100", json!(true)),
        ("name + \"!\"", json!("Tank!")),
        ("name.startsWith(\"T\")", json!(true)),
        ("fields[\"x-y\"] * 2", json!(6)),
        ("has(fields.zz) ? fields.zz : 1", json!(1)),
        ("list[1]", json!(2.5)),
        ("o.a", json!(7)),
        ("t in [1, 17]", json!(true)),
        ("abs(-1.5) + sqrt(16) + pow(2, 3) + floor(1.9) + ceil(0.1) + int(2.9)", json!(17.5)),
        ("round(exp(1), 4) + round(log(exp(2)), 4) + log10(100)", json!(6.7183)),
        ("size(name)", json!(4)),
        // Magnus, as meteorologists write it.
        (
            "round(243.04 * (log(h / 100) + 17.625 * t / (243.04 + t)) / (17.625 - log(h / 100) - 17.625 * t / (243.04 + t)), 1)",
            json!(6.6),
        ),
    ] {
        assert_eq!(evaluate(text, fields.clone()), Outcome::Value(expected), "{text}");
    }
}

#[test]
fn a_field_that_is_not_there_is_named() {
    for (text, fields) in [("a + b", json!({ "a": 1 })), ("b", json!({ "b": null })), ("fields.b", json!({}))]
    {
        assert_eq!(evaluate(text, fields), Outcome::Missing("b".to_owned()), "{text}");
    }
}

#[test]
fn a_value_that_is_none_is_a_failure() {
    for (text, words) in [
        ("1 / 0", "infinite or not a number"),
        ("sqrt(-1)", "infinite or not a number"),
        ("\"a\" * 2", "do not fit"),
        ("[1]", "neither a number"),
        ("round(1, 99)", "0 to 12"),
        ("round(\"a\")", "0 to 12"),
    ] {
        match evaluate(text, json!({})) {
            Outcome::Failed(reason) => assert!(reason.contains(words), "{text}: {reason}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_expression_is_refused() {
    let long = "1+".repeat(400);
    let nested = "(".repeat(100);
    let chain = format!("1{}", "+1".repeat(200));
    for (text, words) in [
        ("", "column 1"),
        ("1 +", "column 4"),
        ("t *** 2", "column"),
        (long.as_str(), "too long"),
        (nested.as_str(), "nested too deep"),
        (chain.as_str(), "nested too deep"),
        ("[1].map(x, x * 2)", "no loops"),
        ("[1].all(x, x > 0)", "no loops"),
        ("{\"a\": 1}", "no braces"),
        ("b\"abc\"", "bytes"),
        ("exec(\"rm\")", "there is no function `exec`"),
    ] {
        let error = Expression::parse(text).map(|_| ()).expect_err(text);
        assert!(error.contains(words), "{text}: {error}");
    }
}

#[test]
fn the_kind_of_an_expression_shows_in_its_outermost_operation() {
    for (text, kind) in [
        ("t * 2", FieldKind::Number),
        ("t > 2", FieldKind::Bool),
        ("has(fields.t)", FieldKind::Bool),
        ("t > 2 ? \"warm\" : \"cold\"", FieldKind::Text),
        ("string(t) + \" °C\"", FieldKind::Text),
        ("round(t)", FieldKind::Number),
    ] {
        assert_eq!(Expression::parse(text).map(|expression| expression.kind()), Ok(kind), "{text}");
    }
}

proptest! {
    #![proptest_config(crate::decode::cases(4))]

    #[test]
    fn no_text_is_too_strange(text in "([a-c]|[0-9.]{1,3}|[-+*/%<>=!&|?:()\\[\\]{},.\"' ]|round|min|fields|in|true|null|has){0,24}|\\PC{0,30}") {
        if let Ok(expression) = Expression::parse(&text) {
            let Value::Object(fields) = json!({ "a": 1, "b": "x", "c": true }) else { unreachable!() };
            expression.evaluate(&fields);
        }
    }
}
