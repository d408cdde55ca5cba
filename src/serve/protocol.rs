//! A request of the SPARQL 1.1 protocol as a query (W3C, SPARQL 1.1 Protocol, section 2.1).

use axum::http::{HeaderMap, Method, header};
use oxigraph::model::NamedNode;

use super::problem::Problem;
use crate::graph::Dataset;

/// What a client asks for.
#[derive(Debug)]
pub(super) enum Request {
    /// Nothing: what the service is.
    Description,
    /// A query, and the graphs that it sees.
    Query(String, Dataset),
}

/// A form's fields, as a body.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
const QUERY: &str = "application/sparql-query";
const UPDATE: &str = "application/sparql-update";

/// Reads a request of its parts.
///
/// # Errors
/// Where it is none of the protocol's, or would change something.
pub(super) fn request(
    method: &Method,
    headers: &HeaderMap,
    in_url: &str,
    body: &[u8],
) -> Result<Request, Problem> {
    let mut parameters = pairs(in_url.as_bytes());
    if method != Method::POST {
        return of_parameters(parameters, false);
    }
    match &*kind(headers) {
        FORM => {
            parameters.extend(pairs(body));
            of_parameters(parameters, true)
        }
        QUERY => {
            let query =
                std::str::from_utf8(body).map_err(|_| Problem::bad("the query is not UTF-8"))?;
            if parameters.iter().any(|(name, _)| name == "query") {
                return Err(Problem::bad("there is a query in the address and one in the body"));
            }
            parameters.push(("query".to_owned(), query.to_owned()));
            of_parameters(parameters, true)
        }
        UPDATE => Err(Problem::read_only()),
        _ => Err(Problem::of_kind(format!("a query comes as {QUERY} or {FORM}"))),
    }
}

fn of_parameters(parameters: Vec<(String, String)>, must_ask: bool) -> Result<Request, Problem> {
    let mut query = None;
    let mut dataset = Dataset::default();
    for (name, value) in parameters {
        match &*name {
            "query" if query.is_some() => return Err(Problem::bad("there are several queries")),
            "query" => query = Some(value),
            "default-graph-uri" => dataset.default.push(graph(&name, &value)?),
            "named-graph-uri" => dataset.named.push(graph(&name, &value)?),
            "update" | "using-graph-uri" | "using-named-graph-uri" => {
                return Err(Problem::read_only());
            }
            // What others have added to the protocol is for others.
            _ => {}
        }
    }
    match query {
        Some(query) => Ok(Request::Query(query, dataset)),
        None if must_ask => Err(Problem::bad("there is no query")),
        None => Ok(Request::Description),
    }
}

/// What a body is said to be, in small letters and without its parameters.
pub(super) fn kind(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// The IRI of a graph.
///
/// # Errors
/// Where it is none.
pub(super) fn graph(name: &str, value: &str) -> Result<NamedNode, Problem> {
    NamedNode::new(value).map_err(|error| Problem::bad(format!("{name} is no IRI: {error}")))
}

/// What an address or a form says, names and values.
pub(super) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

/// What an address says by this name.
pub(super) fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query?.as_bytes());
    pairs.find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;

    fn posted(kind: &str, in_url: &str, body: &[u8]) -> Result<Request, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
        request(&Method::POST, &headers, in_url, body)
    }

    fn query(request: Result<Request, Problem>) -> (String, Vec<String>, Vec<String>) {
        let Request::Query(query, dataset) = request.unwrap() else { panic!("no query") };
        let texts =
            |graphs: Vec<NamedNode>| graphs.into_iter().map(NamedNode::into_string).collect();
        (query, texts(dataset.default), texts(dataset.named))
    }

    #[test]
    fn a_query_comes_in_three_ways() {
        let graphs = "default-graph-uri=http%3A%2F%2Fa%2F1&named-graph-uri=http://a/2";
        let expected =
            ("ASK {}".to_owned(), vec!["http://a/1".to_owned()], vec!["http://a/2".to_owned()]);
        let got = request(
            &Method::GET,
            &HeaderMap::new(),
            &format!("query=ASK+%7B%7D&{graphs}&default-graph-uri=http://a/3"),
            b"",
        );
        let (asked, default, _) = query(got);
        assert_eq!((&*asked, default.len()), ("ASK {}", 2));
        let form = "application/x-www-form-urlencoded; charset=UTF-8";
        assert_eq!(
            query(posted(form, "", format!("query=ASK%20%7B%7D&{graphs}").as_bytes())),
            expected
        );
        assert_eq!(query(posted("Application/SPARQL-query", graphs, b"ASK {}")), expected);
    }

    #[test]
    fn what_is_no_query_is_refused() {
        let status = |request: Result<Request, Problem>| request.unwrap_err().status;
        let get = |url: &str| request(&Method::GET, &HeaderMap::new(), url, b"");
        assert!(matches!(get(""), Ok(Request::Description)));
        assert_eq!(status(get("query=a&query=b")), StatusCode::BAD_REQUEST);
        assert_eq!(status(get("query=a&default-graph-uri=b")), StatusCode::BAD_REQUEST);
        assert_eq!(status(get("update=DROP+ALL")), StatusCode::FORBIDDEN);
        assert_eq!(status(posted(FORM, "", b"")), StatusCode::BAD_REQUEST);
        assert_eq!(status(posted(QUERY, "", b"\xff")), StatusCode::BAD_REQUEST);
        assert_eq!(status(posted(QUERY, "query=a", b"b")), StatusCode::BAD_REQUEST);
        assert_eq!(status(posted(UPDATE, "", b"DROP ALL")), StatusCode::FORBIDDEN);
        assert_eq!(status(posted("text/plain", "", b"a")), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}
