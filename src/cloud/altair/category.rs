//! Categories: groups of Things in a space.

use reqwest::Method;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Altair;
use super::client::A_PAGE;
use super::value::time;
use crate::cloud::api::{Call, done};
use crate::cloud::page::Pages;
use crate::cloud::row::{Json, Row};
use crate::model::Timestamp;

/// A category.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Category {
    /// Its name: 1 to 26 of letters, digits, `_`, `:` and `-`.
    pub name: String,
    /// What it is, for people.
    pub description: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it was last changed.
    pub modified: Option<Timestamp>,
}

impl Altair {
    /// The categories of the space (`GET …/categories`).
    #[must_use]
    pub fn categories(&self) -> Pages<Category> {
        self.list(&["categories"], &[("limit", A_PAGE.to_string())], "categories".to_owned(), category)
    }

    /// One category (`GET …/categories/{name}`).
    #[must_use]
    pub fn category(&self, name: &str) -> Call<Category> {
        self.call(Method::GET, &["categories", name], None, about(name), category)
    }

    /// Makes a category (`POST …/categories`); 409 where there is one of that name.
    #[must_use]
    pub fn create_category(&self, name: &str, description: Option<&str>) -> Call<Category> {
        let mut body = Map::from_iter([("name".to_owned(), Value::from(name))]);
        body.extend(description.map(|text| ("description".to_owned(), Value::from(text))));
        self.call(Method::POST, &["categories"], Some(Value::Object(body)), about(name), category)
    }

    /// Deletes a category (`DELETE …/categories/{name}`); its Things stay.
    #[must_use]
    pub fn delete_category(&self, name: &str) -> Call<()> {
        self.call(Method::DELETE, &["categories", name], None, about(name), done)
    }
}

fn about(name: &str) -> String {
    format!("category {name}")
}

fn category(value: &Json<'_>) -> Result<Category, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    Ok(Category {
        name: row.name("name").ok_or("it has no name")?,
        description: row.name("description"),
        created: time(row, "created"),
        modified: time(row, "modified"),
    })
}
