//! The functions that an expression may call.

use cel::extractors::Arguments;
use cel::{Context, ExecutionError, Value};

/// Their names.
pub(super) const NAMES: [&str; 22] = [
    "abs",
    "ceil",
    "contains",
    "double",
    "endsWith",
    "exp",
    "floor",
    "int",
    "log",
    "log10",
    "max",
    "min",
    "pow",
    "round",
    "size",
    "sqrt",
    "startsWith",
    "string",
    "sin",
    "cos",
    "tan",
    "atan2",
];

/// What `%` becomes.
pub(super) const REMAINDER: &str = "_%_of_doubles";

/// A context with all of them and no variables.
pub(super) fn all() -> Context<'static> {
    let mut context = Context::empty();
    context.add_function("abs", f64::abs);
    context.add_function("ceil", f64::ceil);
    context.add_function("floor", f64::floor);
    context.add_function("int", f64::trunc);
    context.add_function("sqrt", f64::sqrt);
    context.add_function("exp", f64::exp);
    context.add_function("log", f64::ln);
    context.add_function("log10", f64::log10);
    context.add_function("pow", f64::powf);
    context.add_function("sin", f64::sin);
    context.add_function("cos", f64::cos);
    context.add_function("tan", f64::tan);
    context.add_function("atan2", f64::atan2);
    context.add_function(REMAINDER, |one: f64, other: f64| one % other);
    context.add_function("round", round);
    context.add_function("min", cel::functions::min);
    context.add_function("max", cel::functions::max);
    context.add_function("size", cel::functions::size);
    context.add_function("contains", cel::functions::contains);
    context.add_function("startsWith", cel::functions::starts_with);
    context.add_function("endsWith", cel::functions::ends_with);
    context.add_function("string", cel::functions::string);
    context.add_function("double", cel::functions::double);
    context
}

/// `round(x)` and `round(x, digits)`, half away from zero.
fn round(Arguments(arguments): Arguments) -> Result<Value, ExecutionError> {
    match arguments.as_slice() {
        [Value::Float(value)] => Ok(Value::Float(value.round())),
        [Value::Float(value), Value::Float(digits)] if (0.0..=12.0).contains(digits) => {
            let factor = 10_f64.powf(digits.trunc());
            Ok(Value::Float((value * factor).round() / factor))
        }
        _ => Err(ExecutionError::function_error("round", "takes a number and 0 to 12 digits")),
    }
}
