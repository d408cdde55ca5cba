//! What is wrong with a request, as text or as a page.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

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
    pub status: StatusCode,
    /// What is wrong, and how it is mended.
    pub text: String,
    /// Whether the same will be answered soon.
    is_passing: bool,
    /// What was asked for is elsewhere too.
    pub near: Vec<(String, String)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), is_passing: false, near: Vec::new() }
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

    /// Something else was done meanwhile.
    pub(super) fn conflict(text: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, text)
    }

    /// Nothing is there.
    pub(super) fn missing(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// Too much at once: it is worth asking again.
    pub(super) fn busy(text: impl Into<String>) -> Self {
        Self { is_passing: true, ..Self::ended(text) }
    }

    /// More than is granted.
    pub(super) fn ended(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// The process that answered a query ended by itself.
    pub(super) fn of_worker(status: Option<ExitStatus>) -> Self {
        // An allocation beyond the limit aborts, a stack that cannot grow is a fault.
        const OF_MEMORY: [i32; 3] = [6, 9, 11];
        match status {
            Some(status) if status.signal().is_some_and(|signal| OF_MEMORY.contains(&signal)) => {
                Self::ended(
                    "the query was ended: it took more memory than is granted; ask for less, as with LIMIT",
                )
            }
            status => {
                let how = status.map_or("without a word".to_owned(), |status| status.to_string());
                let text = format!("the process that was to answer ended: {how}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }

    /// A method that is not answered here.
    pub(super) fn method() -> Self {
        let text = "the graph is served to be read: another method is not answered here";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, text)
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
            // A term within a term, in a format that has none.
            QueryError::Output(error) if error.kind() == io::ErrorKind::InvalidInput => {
                StatusCode::NOT_ACCEPTABLE
            }
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

    /// What is wrong, within a page.
    pub(super) fn markup(&self) -> Markup {
        html! {
            // A drawing of where in a query it is would be nothing in lines of other lengths.
            @if self.text.contains('\n') {
                pre class="problem" role="alert" tabindex="0" { (self.text) }
            } @else {
                p class="problem" role="alert" { (self.text) }
            }
            @if !self.near.is_empty() {
                p { "Near to it:" }
                ul { @for (address, name) in &self.near { li { a href=(address) { (name) } } } }
            }
        }
    }

    /// As a page for those who read, as text for others.
    pub(super) fn response(&self, headers: &HeaderMap) -> Response {
        let mut response = if negotiate::wants_page(headers, &TRIPLES) {
            let title = self.status.canonical_reason().unwrap_or("Problem");
            Page { title, lead: "", body: self.markup() }.into_response()
        } else {
            let near = self.near.iter().map(|(_, name)| format!("\n  near to it: {name}"));
            let text = format!("{}{}\n", self.text, near.collect::<String>());
            let mut response = Response::new(Body::from(text));
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, plain);
            response
        };
        self.mark(&mut response);
        response
    }

    /// Gives a response its status, and says when it is worth asking again.
    pub(super) fn mark(&self, response: &mut Response) {
        *response.status_mut() = self.status;
        if self.is_passing {
            response.headers_mut().insert(header::RETRY_AFTER, SOON.into());
        }
    }
}
