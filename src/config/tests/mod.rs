//! The whole way from a text to a `Config`.

mod accepted;
mod change;
mod refused;
mod shipped;

use std::collections::BTreeMap;
use std::path::Path;

use super::{Config, Environment, Loaded, Problems};

/// What a configuration begins with that is tested for something else.
const HEAD: &str = "version = 1\n[sources.a]\nkind = \"sigfox\"\nlogin = \"l\"\npassword = \"p\"\n";

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Environment { variables: variables.collect::<BTreeMap<_, _>>(), host_name: "Pi-4.local".to_owned() }
}

fn parse(text: &str) -> Result<Loaded, Problems> {
    parse_with(text, &[])
}

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Problems> {
    Config::parse(text, "c.toml", Path::new("/nowhere"), &environment(variables))
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|problems| panic!("{text}\n{problems}")).config
}

fn problems(text: &str) -> Vec<String> {
    parse(text).err().map(|problems| problems.lines().collect()).unwrap_or_default()
}
