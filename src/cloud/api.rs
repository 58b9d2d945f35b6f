//! One API with the credentials that open it, and its single calls: lists are `page`'s.

use std::fmt;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use url::Url;

use super::Error;
use super::altair::TokenKeeper;
use super::body::read_error;
use super::http::{Answer, Ask, Content, Http};
use super::row::Json;
use super::soracom::{Session, SessionKeeper};

/// An API that can be asked. Clones share connections, ceilings and the session.
#[derive(Debug, Clone)]
pub(super) struct Api {
    pub(super) http: Http,
    auth: Auth,
}

/// How a request shows who asks.
#[derive(Debug, Clone)]
enum Auth {
    /// The same headers every time.
    Headers(HeaderMap),
    /// A session that ends and is begun again (Soracom).
    Session(Arc<SessionKeeper>),
    /// A token that ends and is asked for again (Altair).
    Token(Arc<TokenKeeper>),
}

/// What is asked, before anybody signs it.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<Value>,
    pub(super) asked: String,
}

impl Api {
    pub(super) fn with_headers(http: Http, headers: HeaderMap) -> Self {
        Self { http, auth: Auth::Headers(headers) }
    }

    pub(super) fn with_session(http: Http, session: SessionKeeper) -> Self {
        Self { http, auth: Auth::Session(Arc::new(session)) }
    }

    pub(super) fn with_token(http: Http, token: TokenKeeper) -> Self {
        Self { http, auth: Auth::Token(Arc::new(token)) }
    }

    /// The current session, where there is such a thing.
    pub(super) async fn session(&self) -> Option<Session> {
        match &self.auth {
            Auth::Session(keeper) => keeper.current().await,
            Auth::Headers(_) | Auth::Token(_) => None,
        }
    }

    /// Asks for what opens the API, where that is not there yet.
    pub(super) async fn log_in(&self) -> Result<(), Error> {
        self.auth.headers(&self.http).await.map(drop)
    }

    /// Gives a token back; says whether there was one.
    pub(super) async fn revoke(&self) -> Result<bool, Error> {
        match &self.auth {
            Auth::Token(keeper) => keeper.revoke(&self.http).await,
            Auth::Headers(_) | Auth::Session(_) => Ok(false),
        }
    }

    /// Makes a request; one whose session has ended is made once more in a new one.
    pub(super) async fn send(&self, request: &Request) -> Result<Answer, Error> {
        let (headers, number) = self.auth.headers(&self.http).await?;
        let answer = self.http.send(ask(request, headers)).await;
        if !matches!(answer, Err(Error::Unauthorized { .. })) || !self.auth.forget(number).await {
            return answer;
        }
        let (headers, _) = self.auth.headers(&self.http).await?;
        self.http.send(ask(request, headers)).await
    }
}

impl Auth {
    /// What a request shows, and the number of the session or token that it stands for.
    async fn headers(&self, http: &Http) -> Result<(HeaderMap, u64), Error> {
        match self {
            Self::Headers(headers) => Ok((headers.clone(), 0)),
            Self::Session(keeper) => keeper.headers(http).await,
            Self::Token(keeper) => keeper.headers(http).await,
        }
    }

    /// Forgets what was refused; says whether there may be another.
    async fn forget(&self, number: u64) -> bool {
        match self {
            Self::Headers(_) => return false,
            Self::Session(keeper) => keeper.forget(number).await,
            Self::Token(keeper) => keeper.forget(number).await,
        }
        true
    }
}

fn ask(request: &Request, mut headers: HeaderMap) -> Ask<'_> {
    if request.method == Method::PATCH {
        // Of these clouds only Altair has it, and only in this form.
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json-patch+json"));
    }
    Ask {
        method: request.method.clone(),
        url: request.url.clone(),
        headers,
        body: request.body.clone().map(Content::Json),
        asked: &request.asked,
    }
}

/// How the JSON of an answer becomes a value; the error says what is wrong with it.
pub(super) type Read<T> = fn(&Json<'_>) -> Result<T, String>;

/// One call that can be made. Nothing is sent before `send`.
pub struct Call<T> {
    made: Result<(Api, Request), Error>,
    read: Read<T>,
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.made {
            Ok((_, request)) => write!(f, "{} {}", request.method, request.url),
            Err(error) => write!(f, "{error}"),
        }
    }
}

impl<T> Call<T> {
    pub(super) fn new(api: &Api, request: Request, read: Read<T>) -> Self {
        Self { made: Ok((api.clone(), request)), read }
    }

    /// A call that this version of the API does not have.
    pub(super) fn unsupported(call: &'static str, api: &'static str, nearest: &'static str) -> Self {
        Self::failing(Error::Unsupported { call, api, nearest })
    }

    /// A call that is wrong before it is made.
    pub(super) fn failing(error: Error) -> Self {
        Self { made: Err(error), read: |_| Err(String::new()) }
    }

    /// Makes the call and reads the answer.
    ///
    /// # Errors
    /// As [`Error`] says, by what is to be done about it.
    pub async fn send(self) -> Result<T, Error> {
        let read = self.read;
        let (value, asked) = self.answer().await?;
        read(&Json::from(&value)).map_err(|why| Error::Malformed { asked, why })
    }

    /// Makes the call and gives the cloud's own JSON; null where it answers without a body.
    ///
    /// # Errors
    /// As [`Error`] says, by what is to be done about it.
    pub async fn send_raw(self) -> Result<Value, Error> {
        Ok(self.answer().await?.0)
    }

    async fn answer(self) -> Result<(Value, String), Error> {
        let (api, request) = self.made?;
        let answer = api.send(&request).await?;
        let value = if answer.body.iter().all(u8::is_ascii_whitespace) {
            Value::Null
        } else {
            serde_json::from_slice(&answer.body)
                .map_err(|error| read_error(&error, &answer.body, &request.asked))?
        };
        Ok((value, request.asked))
    }
}

/// Nothing to read: the call is done.
pub(super) fn done(_: &Json<'_>) -> Result<(), String> {
    Ok(())
}
