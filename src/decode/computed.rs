//! Fields that are computed from other fields, by expressions in CEL (the Common Expression Language).
//!
//! Numbers are doubles throughout, so that `t / 2` means the same for 17 and for 17.5. There are no loops and no
//! I/O: an expression is bounded by its length.

mod function;

use std::fmt;

use cel::common::ast::{Expr, IdedExpr, operators};
use cel::common::value::CelVal;
use cel::parser::Parser;
use cel::{Context, ExecutionError};
use serde_json::Value;

use super::{FieldKind, number};
use crate::model::Fields;

/// The longest expression in bytes.
const LONGEST: usize = 512;
/// How deep an expression may be nested; parsing and evaluating recurse that far.
const DEEPEST: usize = 48;
/// All fields as a map, for names that are no identifiers: `fields["x-y"]`.
const FIELDS: &str = "fields";

/// An expression, compiled.
pub(super) struct Expression {
    tree: IdedExpr,
    /// The fields that it names.
    names: Vec<String>,
    /// Whether it uses the map of all fields.
    uses_map: bool,
    functions: Context<'static>,
}

/// What an expression came to.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// A value.
    Value(Value),
    /// It needs this field, which the payload did not give.
    Missing(String),
    /// It has no value, for this reason.
    Failed(String),
}

impl Expression {
    /// Compiles an expression, or says where it is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("the expression is too long (expected at most {LONGEST} bytes)"));
        }
        check_nesting(text)?;
        let limit = u16::try_from(DEEPEST).unwrap_or(u16::MAX);
        let mut tree = Parser::new().max_recursion_depth(limit).parse(text).map_err(|errors| {
            let column = errors.errors.first().map_or(0, |error| error.pos.1).max(1);
            format!(
                "column {column}: this is no expression (expected such as `round(temperature * 1.8 + 32, 1)`)"
            )
        })?;
        let mut found = Found::default();
        found.visit(&mut tree, 0)?;
        let uses_map = found.names.iter().any(|name| name == FIELDS);
        found.names.retain(|name| name != FIELDS);
        Ok(Self { tree, names: found.names, uses_map, functions: function::all() })
    }

    /// The fields that it names.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// What it comes to with these fields.
    pub(super) fn evaluate(&self, fields: &Fields) -> Outcome {
        let mut scope = self.functions.new_inner_scope();
        for name in &self.names {
            match fields.get(name) {
                None | Some(Value::Null) => return Outcome::Missing(name.clone()),
                Some(value) => scope.add_variable_from_value(name.as_str(), of_json(value)),
            }
        }
        if self.uses_map {
            let map: std::collections::HashMap<String, cel::Value> =
                fields.iter().map(|(key, value)| (key.clone(), of_json(value))).collect();
            scope.add_variable_from_value(FIELDS, map);
        }
        match cel::Value::resolve(&self.tree, &scope) {
            Ok(value) => to_json(&value),
            Err(ExecutionError::NoSuchKey(name)) => Outcome::Missing(name.to_string()),
            Err(ExecutionError::FunctionError { function, message }) => {
                Outcome::Failed(format!("`{function}` {message}"))
            }
            Err(_mismatch) => Outcome::Failed("its operations do not fit the kinds of its values".to_owned()),
        }
    }

    /// What kind of value it gives, as far as its outermost operation tells.
    pub(super) fn kind(&self) -> FieldKind {
        kind_of(&self.tree)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression").field("tree", &self.tree).finish_non_exhaustive()
    }
}

/// Refuses what the parser would have to recurse into too deeply.
fn check_nesting(text: &str) -> Result<(), String> {
    let mut depth = 0_usize;
    for (character, column) in text.chars().zip(1..) {
        match character {
            '(' | '[' | '{' | '?' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(format!("column {column}: nested too deep (expected at most {DEEPEST} levels)"));
        }
    }
    Ok(())
}

/// What a walk through an expression finds.
#[derive(Default)]
struct Found {
    names: Vec<String>,
}

impl Found {
    /// Makes every number a double, and refuses what is no expression over fields.
    fn visit(&mut self, tree: &mut IdedExpr, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("nested too deep (expected at most {DEEPEST} levels)"));
        }
        match &mut tree.expr {
            Expr::Literal(literal) => match literal {
                CelVal::Int(number) => *literal = CelVal::Double(*number as f64),
                CelVal::UInt(number) => *literal = CelVal::Double(*number as f64),
                CelVal::Double(_) | CelVal::Boolean(_) | CelVal::String(_) | CelVal::Null => {}
                _ => {
                    return Err("bytes cannot stand in an expression (expected numbers, texts, true, false)"
                        .to_owned());
                }
            },
            Expr::Ident(name) => {
                if !self.names.contains(name) {
                    self.names.push(name.clone());
                }
            }
            Expr::Call(call) => {
                // CEL has `%` of integers alone.
                if call.func_name == operators::MODULO {
                    call.func_name = function::REMAINDER.to_owned();
                }
                let name = call.func_name.as_str();
                let operator = name.starts_with(['_', '!', '-', '@']);
                if !operator && !function::NAMES.contains(&name) {
                    let known = function::NAMES.join(", ");
                    return Err(format!("there is no function `{name}` (expected one of {known})"));
                }
                // Places in a list are the one kind of integer.
                let place = (name == operators::INDEX).then_some(1);
                for operand in call.target.iter_mut().map(|target| &mut **target) {
                    self.visit(operand, depth + 1)?;
                }
                for (nth, operand) in call.args.iter_mut().enumerate() {
                    if Some(nth) != place || !matches!(operand.expr, Expr::Literal(CelVal::Int(_))) {
                        self.visit(operand, depth + 1)?;
                    }
                }
            }
            Expr::Select(select) => self.visit(&mut select.operand, depth + 1)?,
            Expr::List(list) => {
                for element in &mut list.elements {
                    self.visit(element, depth + 1)?;
                }
            }
            Expr::Comprehension(_) => {
                return Err("an expression has no loops (expected no all, exists, map, filter)".to_owned());
            }
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                return Err("an expression gives one value (expected no braces)".to_owned());
            }
        }
        Ok(())
    }
}

fn kind_of(tree: &IdedExpr) -> FieldKind {
    match &tree.expr {
        Expr::Literal(CelVal::Boolean(_)) => FieldKind::Bool,
        Expr::Literal(CelVal::String(_)) => FieldKind::Text,
        Expr::Select(select) if select.test => FieldKind::Bool,
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [_, one, _]) => kind_of(one),
            (operators::ADD, [one, other]) if [one, other].map(kind_of).contains(&FieldKind::Text) => {
                FieldKind::Text
            }
            (
                operators::LOGICAL_AND
                | operators::LOGICAL_OR
                | operators::LOGICAL_NOT
                | operators::EQUALS
                | operators::NOT_EQUALS
                | operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS
                | operators::IN
                | "contains"
                | "startsWith"
                | "endsWith",
                _,
            ) => FieldKind::Bool,
            ("string", _) => FieldKind::Text,
            _ => FieldKind::Number,
        },
        _ => FieldKind::Number,
    }
}

fn of_json(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(value) => value.as_f64().map_or(cel::Value::Null, cel::Value::Float),
        Value::String(value) => value.as_str().into(),
        Value::Array(values) => values.iter().map(of_json).collect::<Vec<_>>().into(),
        Value::Object(values) => {
            let map: std::collections::HashMap<String, cel::Value> =
                values.iter().map(|(key, value)| (key.clone(), of_json(value))).collect();
            map.into()
        }
    }
}

fn to_json(value: &cel::Value) -> Outcome {
    let value = match value {
        cel::Value::Float(value) => number::float(*value),
        cel::Value::Int(value) => Some(Value::from(*value)),
        cel::Value::UInt(value) => Some(Value::from(*value)),
        cel::Value::Bool(value) => Some(Value::Bool(*value)),
        cel::Value::String(value) => Some(Value::from(value.as_str())),
        cel::Value::Null => Some(Value::Null),
        _ => return Outcome::Failed("it gives neither a number nor a text nor true or false".to_owned()),
    };
    value.map_or_else(|| Outcome::Failed("its value is infinite or not a number".to_owned()), Outcome::Value)
}

#[cfg(test)]
mod tests;
