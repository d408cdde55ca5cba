//! Requests to a hub, which is not trusted: it may answer wrongly, never, or send elsewhere.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use ureq::http::header::{AUTHORIZATION, CONTENT_RANGE, ETAG, LOCATION, RANGE};
use ureq::http::{HeaderMap, Response, StatusCode, Uri};
use ureq::{Agent, Body, Timeout};

use super::super::{Cache, Error};
use super::Model;
use super::published::{Listing, Published};
use super::settings::HubSettings;

/// How long a name may take to be looked up, and a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a listing may take to arrive.
const LISTING_TIMEOUT: Duration = Duration::from_secs(120);
/// The largest listing that is read: some 100,000 files.
const MOST_LISTING_BYTES: u64 = 32 << 20;
/// How often one request may be sent elsewhere; a hub does so twice.
const MOST_REDIRECTS: usize = 10;
/// How long Ctrl-C may go unheeded.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

const LINKED_ETAG: &str = "x-linked-etag";
const LINKED_SIZE: &str = "x-linked-size";

/// Asks a hub for what belongs to one model.
pub(super) struct Client<'a> {
    agent: Agent,
    settings: &'a HubSettings,
    model: &'a Model<'a>,
}

/// What a request is for.
#[derive(Clone, Copy, PartialEq)]
enum Want {
    Listing,
    Content,
    /// What is said of a file, without its content.
    Headers,
}

impl<'a> Client<'a> {
    pub(super) fn new(settings: &'a HubSettings, model: &'a Model<'a>) -> Self {
        let config = Agent::config_builder()
            .user_agent(concat!("kgbuild/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .http_status_as_error(false)
            // They are followed here, where it is seen what goes to whom.
            .max_redirects(0)
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_send_request(Some(settings.patience))
            .timeout_recv_response(Some(settings.patience))
            .timeout_per_read(Some(settings.patience))
            .build();
        Self { agent: config.into(), settings, model }
    }

    /// Does what needs this client, whose connections are closed when the cache is told to stop.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where it failed for that, else those of `work`.
    pub(super) fn watched<T>(
        &self,
        cache: &Cache,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = thread::scope(|scope| {
            let (working, worked) = mpsc::channel::<()>();
            scope.spawn(move || {
                while worked.recv_timeout(WATCH_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    if cache.is_stopped() {
                        return self.agent.clone().shutdown();
                    }
                }
            });
            let done = work();
            drop(working);
            done
        });
        done.or_else(|error| cache.unless_stopped().and(Err(error)))
    }

    /// The files of the model's revision.
    ///
    /// # Errors
    /// [`Error::Hub`].
    pub(super) fn listing(&self) -> Result<Listing, Error> {
        let Model { owner_name, revision } = self.model;
        let revision = escaped(revision).replace('/', "%2F");
        let url = self.url(&format!("api/models/{owner_name}/revision/{revision}?blobs=true"))?;
        let (url, response) = self.send(url, Want::Listing, 0)?;
        let mut body = response.into_body();
        let text = body.with_config().limit(MOST_LISTING_BYTES).read_to_vec();
        let text = text.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(most) => {
                self.model.refused(format!("{} lists more than {most} bytes", shown(&url)))
            }
            error => self.unanswered(&url, error),
        })?;
        serde_json::from_slice(&text).map_err(|error| {
            self.model.refused(format!("{} is not a model's listing: {error}", shown(&url)))
        })
    }

    /// What the hub says of a file that its listing did not say.
    ///
    /// # Errors
    /// [`Error::Hub`].
    pub(super) fn published(&self, commit: &str, name: &str) -> Result<Published, Error> {
        let (url, response) = self.send(self.file_url(commit, name)?, Want::Headers, 0)?;
        let headers = response.headers();
        let size = number(headers, LINKED_SIZE).or_else(|| {
            let here = !response.status().is_redirection();
            here.then(|| number(headers, "content-length")).flatten()
        });
        let etag = headers.get(LINKED_ETAG).or_else(|| headers.get(ETAG));
        let Some(etag) = etag else { return Ok(Published { hash: None, size }) };
        let etag = String::from_utf8_lossy(etag.as_bytes());
        Published::from_etag(&etag, size)
            .map_err(|problem| self.model.refused(format!("{}: {problem}", shown(&url))))
    }

    /// A file's content from byte `from` on, or from the beginning where the hub does not go on.
    ///
    /// # Errors
    /// [`Error::Hub`].
    pub(super) fn content(&self, commit: &str, name: &str, from: u64) -> Result<Content, Error> {
        let (url, response) = self.send(self.file_url(commit, name)?, Want::Content, from)?;
        let partial = response.status() == StatusCode::PARTIAL_CONTENT;
        let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
        if partial && !range.is_some_and(|range| range.starts_with(&format!("bytes {from}-"))) {
            let problem = format!("{} sends another part than the one asked for", shown(&url));
            return Err(self.model.refused(problem));
        }
        Ok(Content { url, from: if partial { from } else { 0 }, body: response.into_body() })
    }

    /// Why nothing, or not all, came from `url`.
    pub(super) fn unanswered(&self, url: &Uri, error: ureq::Error) -> Error {
        let from = shown(url);
        self.model.refused(match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                let seconds = CONNECT_TIMEOUT.as_secs();
                format!("{from}: no connection within {seconds} seconds")
            }
            ureq::Error::Timeout(Timeout::RecvBody) => {
                let seconds = LISTING_TIMEOUT.as_secs();
                format!("{from} has not sent all within {seconds} seconds")
            }
            ureq::Error::Timeout(_) => {
                let seconds = self.settings.patience.as_secs();
                format!("{from} sends nothing for {seconds} seconds (HF_HUB_DOWNLOAD_TIMEOUT)")
            }
            ureq::Error::HostNotFound => format!("{from}: there is no such host"),
            ureq::Error::Io(error) => format!("{from}: {error}"),
            error => format!("{from}: {error}"),
        })
    }

    /// Sends a request and follows where it is sent: to the last answer, with its address. One for
    /// headers is not followed to another host, which knows nothing of the hub's files.
    fn send(&self, mut url: Uri, want: Want, from: u64) -> Result<(Uri, Response<Body>), Error> {
        let mut asked = Vec::new();
        loop {
            let response = self.send_once(&url, want, from)?;
            if !response.status().is_redirection() {
                self.accept(&url, response.status(), from)?;
                return Ok((url, response));
            }
            let refused = |problem: &str| self.model.refused(format!("{} {problem}", shown(&url)));
            let location = response.headers().get(LOCATION).map(|location| location.to_str());
            let next = match location {
                None | Some(Ok("")) => return Err(refused("redirects without saying where")),
                Some(Err(_)) => return Err(refused("redirects to what is no address")),
                Some(Ok(location)) => follow(&url, location).map_err(|p| refused(&p))?,
            };
            if want == Want::Headers && !is_same_host(&next, &self.settings.endpoint) {
                return Ok((url, response));
            }
            if next == url || asked.contains(&next) {
                return Err(refused("redirects in a circle"));
            }
            asked.push(url.clone());
            if asked.len() > MOST_REDIRECTS {
                return Err(refused(&format!("is behind more than {MOST_REDIRECTS} redirects")));
            }
            url = next;
        }
    }

    /// The hub's own host alone learns the token.
    fn send_once(&self, url: &Uri, want: Want, from: u64) -> Result<Response<Body>, Error> {
        let mut request = match want {
            Want::Listing => {
                self.agent.get(url).config().timeout_recv_body(Some(LISTING_TIMEOUT)).build()
            }
            Want::Content => self.agent.get(url),
            Want::Headers => self.agent.head(url),
        };
        if let Some(token) = &self.settings.token
            && is_same_host(url, &self.settings.endpoint)
        {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        request.call().map_err(|error| self.unanswered(url, error))
    }

    fn accept(&self, url: &Uri, status: StatusCode, from: u64) -> Result<(), Error> {
        let hint = match status {
            StatusCode::OK => return Ok(()),
            StatusCode::PARTIAL_CONTENT if from > 0 => return Ok(()),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.settings.token.is_none() => {
                "; a model that not everybody may have needs a token in HF_TOKEN"
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "; the token in HF_TOKEN or its file does not give access"
            }
            _ => "",
        };
        Err(self.model.refused(format!("{} answers {status}{hint}", shown(url))))
    }

    fn file_url(&self, commit: &str, name: &str) -> Result<Uri, Error> {
        let name = escaped(name);
        self.url(&format!("{}/resolve/{commit}/{name}", self.model.owner_name))
    }

    fn url(&self, path: &str) -> Result<Uri, Error> {
        let endpoint = self.settings.endpoint.to_string();
        let text = format!("{}/{path}", endpoint.trim_end_matches('/'));
        text.parse().map_err(|error| self.model.refused(format!("{text}: {error}")))
    }
}

/// A file on its way.
pub(super) struct Content {
    /// The address that sends it.
    pub url: Uri,
    /// The first byte's place in the file.
    pub from: u64,
    pub body: Body,
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// Where `location`, absolute or relative, leads from `url`.
///
/// # Errors
/// Why it is not followed, to be said after the address.
fn follow(url: &Uri, location: &str) -> Result<Uri, String> {
    let location = location.split('#').next().unwrap_or_default();
    let scheme = url.scheme_str().unwrap_or_default();
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let folder = url.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let before_path = location.split(['/', '?']).next().unwrap_or_default();
    let absolute = match location {
        _ if before_path.ends_with(':') => location.to_owned(),
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{authority}{location}"),
        _ if location.starts_with('?') => format!("{scheme}://{authority}{}{location}", url.path()),
        _ => format!("{scheme}://{authority}{folder}/{location}"),
    };
    let next: Uri = absolute.parse().map_err(|_| "redirects to what is no address".to_owned())?;
    match (scheme, next.scheme_str(), next.host()) {
        (_, Some("https"), Some(_)) | ("http", Some("http"), Some(_)) => Ok(next),
        (_, Some("http"), Some(_)) => Err("redirects from https to http".to_owned()),
        _ => Err("redirects to what is no address of the web".to_owned()),
    }
}

/// Whether both are at one host, asked in one way at one port.
fn is_same_host(one: &Uri, other: &Uri) -> bool {
    let port = |url: &Uri| {
        url.port_u16().or(match url.scheme_str() {
            Some("https") => Some(443),
            _ => Some(80),
        })
    };
    let host = |url: &Uri| url.host().map(str::to_lowercase);
    one.scheme() == other.scheme() && host(one) == host(other) && port(one) == port(other)
}

/// An address without what may be secret in it: a password, a signature.
fn shown(url: &Uri) -> String {
    let port = url.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    let (scheme, host) = (url.scheme_str().unwrap_or_default(), url.host().unwrap_or_default());
    format!("{scheme}://{host}{port}{}", url.path())
}

/// A path as it is written in an address.
fn escaped(path: &str) -> String {
    let escape = |byte: u8| match byte {
        b'/' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    path.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn a_location_is_absolute_or_relative() {
        let from = url("https://hub:8443/a/b?c=d");
        for (location, to) in [
            ("https://cdn/x?y=z#f", "https://cdn/x?y=z"),
            ("//cdn/x", "https://cdn/x"),
            ("/x/y", "https://hub:8443/x/y"),
            ("x", "https://hub:8443/a/x"),
            ("?e=f", "https://hub:8443/a/b?e=f"),
            ("x?next=http://y", "https://hub:8443/a/x?next=http://y"),
        ] {
            assert_eq!(follow(&from, location), Ok(url(to)), "{location}");
        }
    }

    #[test]
    fn a_redirect_out_of_the_web_or_of_tls_is_refused() {
        let from = url("https://hub/a");
        for location in ["http://hub/a", "http://cdn/a"] {
            assert_eq!(follow(&from, location).unwrap_err(), "redirects from https to http");
        }
        for location in ["file:///etc/passwd", "ftp://hub/a", "https://", "https:///a", "a b"] {
            assert!(follow(&from, location).is_err(), "{location}");
        }
        assert!(follow(&url("http://hub/a"), "https://hub/a").is_ok());
    }

    #[test]
    fn a_host_is_the_same_with_scheme_and_port() {
        let hub = url("https://hub");
        for same in ["https://hub/a", "https://HUB:443/a?b", "https://hub:443"] {
            assert!(is_same_host(&url(same), &hub), "{same}");
        }
        for other in ["http://hub", "http://hub:443", "https://hub:8443", "https://hub.evil"] {
            assert!(!is_same_host(&url(other), &hub), "{other}");
        }
    }

    #[test]
    fn secrets_in_an_address_are_not_shown() {
        assert_eq!(shown(&url("https://me:secret@hub:1/a?sig=secret")), "https://hub:1/a");
    }

    #[test]
    fn a_path_is_escaped() {
        assert_eq!(escaped("onnx/a b?#%é.onnx"), "onnx/a%20b%3F%23%25%C3%A9.onnx");
    }
}
