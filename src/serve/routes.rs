//! What is answered at which address.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use maud::{Markup, html};
use oxigraph::io::RdfFormat;
use oxigraph::model::NamedNode;
use tokio::time;

use super::answer::answer;
use super::negotiate::{TRIPLES, choose, wants_page};
use super::problem::Problem;
use super::protocol::{self, graph, pairs, parameter, request};
use super::{Served, pages, reconcile, service};
use crate::graph::{self, Dataset};
use crate::html;

/// Bytes of a request's body.
const BODY: usize = 1 << 20;
/// How long a client may take to send it.
const SENDING: Duration = Duration::from_secs(30);
/// What pages may load: nothing from elsewhere, and no script or style within them.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// What is the same as long as the program is.
const FOR_AN_HOUR: &str = "max-age=3600";

/// All addresses.
pub(super) fn router(served: &Arc<Served>) -> Router {
    // Which methods there are is said by the router.
    let others = |headers: HeaderMap| async move { Problem::method().response(&headers) };
    let read = |methods: MethodRouter<Arc<Served>>| methods.fallback(others);
    Router::new()
        .route("/", read(get(pages::home)))
        .route("/search", read(get(pages::search)))
        .route("/suggest", read(get(pages::suggest)))
        .route("/query", read(get(pages::query)))
        .route("/runs", read(get(pages::runs)))
        .route("/review", read(get(pages::review_page)))
        .route("/review/enter", read(post(pages::enter)))
        .route("/review/judge", read(post(pages::judge)))
        .route("/review/skip", read(post(pages::skip)))
        .route("/review/take-back", read(post(pages::take_back)))
        .route("/review/leave", read(post(pages::leave)))
        .route("/review/precision", read(get(pages::precision)))
        .route("/entity", read(get(resource)))
        .route("/entity/{*name}", read(get(named)))
        .route("/neighbours", read(get(pages::neighbours)))
        .route("/relation", read(get(resource)))
        .route("/relation/{*name}", read(get(named)))
        .route("/sparql", read(get(sparql).post(sparql)))
        .route("/store", read(get(store)))
        .route("/reconcile", read(get(reconcile::reconcile).post(reconcile::reconcile)))
        .route("/reconcile/suggest/{kind}", read(get(reconcile::suggest)))
        .route("/reconcile/properties", read(get(reconcile::properties)))
        .route("/reconcile/preview", read(get(reconcile::preview)))
        .route("/.well-known/void", read(get(|| async { Redirect::to("/sparql") })))
        .route("/static/{name}", read(get(file)))
        .fallback(|uri: Uri, headers: HeaderMap| async move {
            Problem::missing(format!("there is nothing at {}", uri.path())).response(&headers)
        })
        .layer(from_fn_with_state(Arc::clone(served), around))
        .with_state(Arc::clone(served))
}

/// A page of the server's.
pub(super) struct Page<'a> {
    pub title: &'a str,
    pub lead: &'a str,
    pub body: Markup,
}

impl IntoResponse for Page<'_> {
    fn into_response(self) -> Response {
        let links = html! {
            link rel="stylesheet" href="/static/style.css";
            script src="/static/search.js" defer {}
        };
        let ahead = html! {
            nav {
                a href="/" { "Graph" }
                a href="/query" { "Query" }
                a href="/runs" { "Runs" }
                a href="/review" { "Review" }
                form action="/search" role="search" {
                    label for="q" class="unseen" { "Search entities and relations" }
                    input #q name="q" type="search" placeholder="Search" autocomplete="off";
                }
            }
        };
        let page = html::linked_page(self.title, self.lead, &links, &ahead, &self.body);
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        ([(header::CONTENT_TYPE, kind)], page.into_string()).into_response()
    }
}

/// Whether a text may be an origin that answers are for.
pub(super) fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_plain =
        |host: &str| !host.is_empty() && host.chars().all(|c| c.is_ascii_graphic() && c != '/');
    text == "*" || host.is_some_and(is_plain)
}

/// What goes with every answer.
async fn around(State(served): State<Arc<Served>>, mut request: Request, next: Next) -> Response {
    // A link cannot say otherwise what it takes. Other clients have short names there, beside their header.
    let format = parameter(request.uri().query(), "format").filter(|format| format.contains('/'));
    if let Some(format) = format.and_then(|format| HeaderValue::from_str(&format).ok()) {
        request.headers_mut().insert(header::ACCEPT, format);
    }
    let is_own = request.uri().path().starts_with("/review");
    let asks_whether = request.method() == Method::OPTIONS;
    let mut response = match (asks_whether, &served.origin) {
        (true, Some(_)) => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    let mut say = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    say(header::CONTENT_SECURITY_POLICY, POLICY);
    say(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    say(header::REFERRER_POLICY, "same-origin");
    say(header::VARY, "accept");
    if is_own {
        // What only one may see is kept by nobody.
        say(header::CACHE_CONTROL, "no-store");
    }
    if let Some(origin) = &served.origin {
        say(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST");
        say(header::ACCESS_CONTROL_ALLOW_HEADERS, "accept, content-type");
        say(header::ACCESS_CONTROL_MAX_AGE, "3600");
        if let Ok(origin) = HeaderValue::from_str(origin) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
    }
    response
}

/// The SPARQL protocol.
async fn sparql(State(served): State<Arc<Served>>, sent: Request) -> Response {
    let (head, body) = sent.into_parts();
    let headers = head.headers;
    let answered = async {
        let body = read(body).await?;
        let in_url = head.uri.query().unwrap_or_default();
        match request(&head.method, &headers, in_url, &body)? {
            protocol::Request::Query(sparql, dataset) => {
                answer(&served, &headers, sparql, dataset).await
            }
            protocol::Request::Description if wants_page(&headers, &TRIPLES) => {
                Ok(Redirect::to("/query").into_response())
            }
            protocol::Request::Description => description(&served, &headers).await,
        }
    };
    answered.await.unwrap_or_else(|problem| problem.response(&headers))
}

async fn description(served: &Arc<Served>, headers: &HeaderMap) -> Result<Response, Problem> {
    let chosen = choose(headers, &TRIPLES)
        .ok_or_else(|| Problem::unacceptable("the service is described in RDF alone"))?;
    let endpoint = format!("{}/sparql", reached_at(headers)?);
    let shared = Arc::clone(served);
    let text =
        in_background(served, move || service::describe(&shared.store, &endpoint, chosen.format))
            .await?;
    let text = text.map_err(|error| Problem::broken(&error))?;
    Ok(([(header::CONTENT_TYPE, chosen.content_type)], text).into_response())
}

/// Where the client reaches the server, as `http://localhost:7878`. One before it that has the encryption says so.
///
/// # Errors
/// Where the client says that it is at no host.
pub(super) fn reached_at(headers: &HeaderMap) -> Result<String, Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let is_secure =
        headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes() == b"https");
    let scheme = if is_secure { "https" } else { "http" };
    let address = NamedNode::new(format!("{scheme}://{host}"));
    Ok(address.map_err(|_| Problem::bad("its Host is no host"))?.into_string())
}

/// A whole body.
///
/// # Errors
/// Where it is too long, breaks off, or does not end.
pub(super) async fn read(body: Body) -> Result<Bytes, Problem> {
    let reading = axum::body::to_bytes(body, BODY);
    match time::timeout(SENDING, reading).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if is_too_long(&error) => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("a request has at most {BODY} bytes"),
        )),
        Ok(Err(_)) => Err(Problem::bad("the request broke off")),
        Err(_) => {
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the request did not come to its end"))
        }
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error)
        .is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>())
}

/// The Graph Store protocol, as far as it reads (W3C, SPARQL 1.1 Graph Store HTTP Protocol, section 5.2).
async fn store(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    RawQuery(parameters): RawQuery,
) -> Response {
    let answered = async {
        let parameters = pairs(parameters.unwrap_or_default().as_bytes());
        let mut dataset = Dataset::default();
        match &parameters[..] {
            [(name, _)] if name == "default" => {}
            [(name, value)] if name == "graph" => dataset.default.push(graph(name, value)?),
            _ => return Err(Problem::bad("name one graph: ?default or ?graph=IRI")),
        }
        if let Some(named) = dataset.default.first().cloned() {
            let shared = Arc::clone(&served);
            let is_there =
                in_background(&served, move || shared.store.contains_named_graph(named.as_ref()));
            if !is_there.await?.map_err(|error| Problem::broken(&error))? {
                return Err(Problem::missing("there is no such graph"));
            }
        }
        let all = "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }";
        answer(&served, &headers, all.to_owned(), dataset).await
    };
    answered.await.unwrap_or_else(|problem| problem.response(&headers))
}

/// Something by its IRI.
async fn resource(State(served): State<Arc<Served>>, headers: HeaderMap, uri: Uri) -> Response {
    let iri = parameter(uri.query(), "iri");
    let is_relation = uri.path().starts_with("/relation");
    let answered = async {
        let iri = iri.ok_or_else(|| Problem::bad("name it: ?iri=IRI"))?;
        about(&served, &headers, &graph("iri", &iri)?, is_relation).await
    };
    answered.await.unwrap_or_else(|problem| problem.response(&headers))
}

/// Something by a common prefix and its name behind that, as `wd:Q142`.
async fn named(
    State(served): State<Arc<Served>>,
    headers: HeaderMap,
    Path(name): Path<String>,
    uri: Uri,
) -> Response {
    let is_relation = uri.path().starts_with("/relation");
    let answered = async {
        let iri = graph::expand(&name)
            .ok_or_else(|| Problem::missing(format!("`{name}` has no prefix that is known")))?;
        about(&served, &headers, &graph("its IRI", &iri)?, is_relation).await
    };
    answered.await.unwrap_or_else(|problem| problem.response(&headers))
}

/// A page about something, or the triples with it.
async fn about(
    served: &Arc<Served>,
    headers: &HeaderMap,
    iri: &NamedNode,
    is_relation: bool,
) -> Result<Response, Problem> {
    let (shared, own) = (Arc::clone(served), iri.clone());
    let found = in_background(served, move || match graph::is_known(&shared.store, own.as_ref()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(pages::unknown(&shared, &own)),
        Err(error) => Err(Problem::of_graph(&error)),
    });
    found.await??;
    if !wants_page(headers, &TRIPLES) {
        let is_plain = choose(headers, &TRIPLES)
            .is_some_and(|chosen| matches!(chosen.format, RdfFormat::JsonLd { .. }));
        let triples = triples_with(iri, is_relation, !is_plain);
        return answer(served, headers, triples, Dataset::default()).await;
    }
    let (shared, iri) = (Arc::clone(served), iri.clone());
    let page = in_background(served, move || {
        if is_relation { pages::relation(&shared, &iri) } else { pages::entity(&shared, &iri) }
    });
    page.await?
}

/// A query for what a page about something shows: what is said of it, by the schema too, what points to it, and,
/// where the format has triples within triples, what is said of its facts.
fn triples_with(iri: &NamedNode, is_relation: bool, with_annotations: bool) -> String {
    // An IRI has no character that would end it within a query.
    let mut parts = vec![
        format!("{{ BIND({iri} AS ?s) {iri} ?p ?o }}"),
        format!("{{ BIND({iri} AS ?s) GRAPH kgb:schema {{ {iri} ?p ?o }} }}"),
    ];
    if !is_relation {
        parts.push(format!("{{ BIND({iri} AS ?o) ?s ?p {iri} }}"));
        if with_annotations {
            parts.push(format!("{{ {iri} ?q ?v . ?s rdf:reifies <<( {iri} ?q ?v )>> ; ?p ?o }}"));
        }
    }
    let parts = parts.join(" UNION ");
    format!("CONSTRUCT {{ ?s ?p ?o }} WHERE {{ {parts} }}")
}

/// Runs what reads the store where it holds up no one else.
pub(super) async fn in_background<T: Send + 'static>(
    served: &Arc<Served>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let Ok(permit) = Arc::clone(&served.pages).acquire_owned().await else {
        return Err(Problem::busy("the server ends"));
    };
    // Kept until the work is done, also where nobody waits for it any more.
    let work = move || {
        let _permit = permit;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::busy("the request was given up"))
}

/// A file of the program's own.
async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let script = |text: &'static str| ("text/javascript", Cow::Borrowed(text));
    let (kind, text) = match &*name {
        "style.css" => ("text/css", Cow::Owned(html::style() + include_str!("static/serve.css"))),
        "search.js" => script(include_str!("static/search.js")),
        "review.js" => script(include_str!("static/review.js")),
        "drawing.js" => script(include_str!("static/drawing.js")),
        "cytoscape.js" => script(include_str!("static/cytoscape.min.js")),
        _ => return Problem::missing(format!("there is no file {name}")).response(&headers),
    };
    let kind = format!("{kind}; charset=utf-8");
    let kept = FOR_AN_HOUR.to_owned();
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)], text).into_response()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn files_of_others_are_those_that_were_pinned() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/serve/static");
        let list = std::fs::read_to_string(folder.join("README.md")).unwrap();
        let mut pinned = Vec::new();
        for row in list.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> =
                row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            let [_, name, _, _, _, sha256, _] = cells[..] else { panic!("not five cells: {row}") };
            let bytes = std::fs::read(folder.join(name)).unwrap();
            assert_eq!(hex::encode(Sha256::digest(&bytes)), sha256, "{name}");
            pinned.push(name.to_owned());
        }
        pinned.sort();
        let mut others: Vec<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".min.js") || name.ends_with(".LICENSE"))
            .collect();
        others.sort();
        assert_eq!(pinned, others);
    }

    #[test]
    fn origins_are_told_from_other_texts() {
        for good in ["*", "http://localhost:3000", "https://example.org"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in ["", "example.org", "https://", "https://a/b", "https://a\r\nx: y", "ftp://a"] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
