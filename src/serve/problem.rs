//! What is wrong with a request, as text or as a page.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::negotiate::{self, TRIPLES};
use super::routes::Page;
use crate::diagnostic::{causes, explained};
use crate::graph::{self, QueryError};

/// Seconds after which it is worth asking again.
const SOON: u32 = 5;

/// Why a request is not answered.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// What is wrong, and how it is mended.
    text: String,
    /// Methods that are answered.
    allow: Option<&'static str>,
    /// What was asked for is elsewhere too.
    pub near: Vec<(String, String)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), allow: None, near: Vec::new() }
    }

    /// A request that no server could answer.
    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// A request that would change the graph.
    pub(super) fn read_only() -> Self {
        Self::new(StatusCode::FORBIDDEN, "this graph is served to be read: updates are refused")
    }

    /// A body of a kind that is not read.
    pub(super) fn of_kind(text: String) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    }

    /// None of the formats that the client takes.
    pub(super) fn unacceptable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, text)
    }

    /// Nothing is there.
    pub(super) fn missing(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// Too much at once.
    pub(super) fn busy(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// A method that is not answered here.
    pub(super) fn method(allow: &'static str) -> Self {
        let text = format!("only {allow} are answered here: the graph is served to be read");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, text) }
    }

    /// The store cannot be read.
    pub(super) fn broken(error: &dyn std::error::Error) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, format!("the graph could not be read: {error}"))
    }

    /// What a graph does not say.
    pub(super) fn of_graph(error: &graph::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, explained(error))
    }

    /// A query that has no result.
    pub(super) fn of_query(error: &QueryError) -> Self {
        let status = match error {
            QueryError::Syntax(_) | QueryError::TooDeep(_) => StatusCode::BAD_REQUEST,
            QueryError::Unwanted { .. } => StatusCode::NOT_ACCEPTABLE,
            QueryError::TimedOut { .. } | QueryError::Thread(_) => StatusCode::SERVICE_UNAVAILABLE,
            // What only others could answer.
            QueryError::Evaluation(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut text = explained(error);
        for cause in causes(error) {
            text += &format!("\n  caused by: {cause}");
        }
        Self::new(status, text)
    }

    /// The status that is sent.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, within a page.
    pub(super) fn markup(&self) -> Markup {
        html! {
            pre class="problem" role="alert" { (self.text) }
            @if !self.near.is_empty() {
                p { "Near to it:" }
                ul { @for (address, name) in &self.near { li { a href=(address) { (name) } } } }
            }
        }
    }

    /// As a page for those who read, as text for others.
    pub(super) fn response(self, headers: &HeaderMap) -> Response {
        let (status, allow) = (self.status, self.allow);
        let mut response = if negotiate::wants_page(headers, &TRIPLES) {
            let title = status.canonical_reason().unwrap_or("Problem");
            Page { title, lead: "", body: self.markup() }.into_response()
        } else {
            let near = self.near.iter().map(|(_, name)| format!("\n  near to it: {name}"));
            let text = format!("{}{}\n", self.text, near.collect::<String>());
            let mut response = Response::new(Body::from(text));
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, plain);
            response
        };
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, SOON.into());
        }
        if let Some(allow) = allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
