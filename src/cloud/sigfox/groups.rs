//! Groups and their users.

use serde::Serialize;

use super::Sigfox;
use super::client::Query;
use crate::cloud::row::{Json, Row};
use crate::cloud::{Call, Pages};
use crate::config::SigfoxApi::{V1, V2};
use crate::model::Timestamp;

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its identifier, 24 hex digits.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Its kind, a number of the API.
    pub kind: Option<i64>,
    /// The identifiers of the groups above it, the nearest first.
    pub path: Vec<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

/// A user of the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Its identifier.
    pub id: Option<String>,
    /// Name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Address.
    pub email: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it last came.
    pub last_login: Option<Timestamp>,
}

impl Sigfox {
    /// Groups, or those directly below one.
    ///
    /// v2 `GET /groups?parentIds=`, v1 `GET /groups?parentId=`.
    #[must_use]
    pub fn groups(&self, parent: Option<&str>) -> Pages<Group> {
        let key = if self.version == V1 { "parentId" } else { "parentIds" };
        let query: Query = parent.map(|parent| (key, parent.to_owned())).into_iter().collect();
        self.list(&["groups"], query, self.unit(), "groups".to_owned(), group)
    }

    /// One group (`GET /groups/{id}`).
    #[must_use]
    pub fn group(&self, id: &str) -> Call<Group> {
        self.get(&["groups", id], format!("group {id}"), group)
    }

    /// Users, or those of one group.
    ///
    /// v2 `GET /users?groupIds=`, v1 `GET /users?groupId=`.
    #[must_use]
    pub fn users(&self, group: Option<&str>) -> Pages<User> {
        let key = match self.version {
            V1 => "groupId",
            V2 => "groupIds",
        };
        let query: Query = group.map(|group| (key, group.to_owned())).into_iter().collect();
        self.list(&["users"], query, self.unit(), "users".to_owned(), user)
    }
}

/// `path` is a list of identifiers in v1 and of objects in v2.
fn group(value: &Json<'_>) -> Result<Group, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    let path = row.value("path").and_then(Json::as_array).into_iter().flatten();
    let above = |step: &Json<'_>| match step {
        Json::Str(id) => Some(id.clone().into_owned()),
        step => Row::of(step)?.name("id"),
    };
    Ok(Group {
        id: row.name("id").ok_or("it has no id")?,
        name: row.name("name"),
        description: row.name("description"),
        kind: row.integer("type"),
        path: path.filter_map(above).collect(),
        created: row.time("creationTime"),
    })
}

fn user(value: &Json<'_>) -> Result<User, String> {
    let row = Row::of(value).ok_or("it is no object")?;
    Ok(User {
        id: row.name("id"),
        first_name: row.name("firstName"),
        last_name: row.name("lastName"),
        email: row.name("email"),
        created: row.time("creationTime"),
        last_login: row.time("lastLogin").or_else(|| row.time("lastLoginTime")),
    })
}
