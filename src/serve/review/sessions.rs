//! Those who may judge: they know the token, and have given a name.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::serve::problem::Problem;

/// The name of the cookie.
const COOKIE: &str = "kgbuild-review";
/// How long one may judge with one entry.
const LASTS: Duration = Duration::from_secs(12 * 60 * 60);
/// How long what is before one is before nobody else.
const TAKEN: Duration = Duration::from_secs(5 * 60);
/// How many may judge at once.
const MOST: usize = 1000;
/// Characters of a name.
const NAME: usize = 60;

/// The hash of what a cookie says: who has the memory of the server cannot be another with it.
pub(in crate::serve) type Key = [u8; 32];

/// Those who may judge.
pub(in crate::serve) struct Sessions {
    /// The token's hash.
    token: [u8; 32],
    open: Mutex<HashMap<Key, Session>>,
}

/// One who may judge.
#[derive(Clone, Debug)]
pub(in crate::serve) struct Session {
    /// As they called themselves.
    pub name: String,
    /// What their forms must have, so that no other page can send them.
    pub secret: String,
    begun: Instant,
    /// The numbers of their judgements, the last one last.
    judged: Vec<u64>,
    /// The places of facts that they left out.
    skipped: HashSet<usize>,
    /// The place of the fact that is before them, and since when.
    before: Option<(usize, Instant)>,
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// A text that nobody can guess: 256 random bits in hexadecimal.
pub fn unguessable() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.ct_eq(other).into()
}

impl Sessions {
    /// For those who know a token.
    pub(super) fn new(token: &str) -> Self {
        Self { token: hash(token), open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Key, Session>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| session.begun.elapsed() < LASTS);
        open
    }

    /// Lets one judge who knows the token; gives the header that makes a browser remember it.
    ///
    /// # Errors
    /// Where it is another token, or the name is none.
    pub(in crate::serve) fn enter(&self, token: &str, name: &str) -> Result<String, Problem> {
        if !is_same(&hash(token.trim()), &self.token) {
            let text = "that is not the token: it was printed when the server started, or is in its --token-file";
            return Err(Problem::new(StatusCode::FORBIDDEN, text));
        }
        let name = name.trim();
        if name.is_empty() || name.chars().count() > NAME || name.chars().any(char::is_control) {
            return Err(Problem::bad(format!("a name has 1 to {NAME} characters")));
        }
        let mut open = self.open();
        if open.len() >= MOST {
            return Err(Problem::busy("as many people as may judge at once are doing so"));
        }
        let cookie = unguessable();
        let session = Session {
            name: name.to_owned(),
            secret: unguessable(),
            begun: Instant::now(),
            judged: Vec::new(),
            skipped: HashSet::new(),
            before: None,
        };
        open.insert(hash(&cookie), session);
        let seconds = LASTS.as_secs();
        Ok(format!("{COOKIE}={cookie}; HttpOnly; SameSite=Strict; Path=/review; Max-Age={seconds}"))
    }

    /// Who sends a request; none who may judge where they did not enter.
    pub(in crate::serve) fn of(&self, headers: &HeaderMap) -> Option<(Key, Session)> {
        let cookies = headers.get_all(header::COOKIE).into_iter();
        let cookies =
            cookies.filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(';'));
        let own = cookies.filter_map(|cookie| cookie.trim().split_once('='));
        let cookie = own.into_iter().find(|(name, _)| *name == COOKIE)?.1;
        let key = hash(cookie);
        self.open().get(&key).map(|session| (key, session.clone()))
    }

    /// Who sends a form.
    ///
    /// # Errors
    /// Where they did not enter, or the form is not from a page of theirs.
    pub(in crate::serve) fn of_form(
        &self,
        headers: &HeaderMap,
        secret: &str,
    ) -> Result<(Key, Session), Problem> {
        let forbidden = |text: &str| Problem::new(StatusCode::FORBIDDEN, text);
        let found = self.of(headers);
        let (key, session) = found.ok_or_else(|| forbidden("enter the token first, at /review"))?;
        if !is_same(&hash(secret), &hash(&session.secret)) {
            return Err(forbidden("this form is not from a page of yours: load the page again"));
        }
        Ok((key, session))
    }

    /// Ends what one may.
    pub(in crate::serve) fn leave(&self, key: &Key) {
        self.open().remove(key);
    }

    fn change<T>(&self, key: &Key, change: impl FnOnce(&mut Session) -> T) -> Option<T> {
        self.open().get_mut(key).map(change)
    }

    /// The places of facts that are not for one: left out by them, or before another.
    pub(super) fn taken(&self, key: &Key) -> HashSet<usize> {
        let open = self.open();
        let others = open.iter().filter(|(other, _)| *other != key);
        let before = others.filter_map(|(_, session)| session.before);
        let mut taken: HashSet<usize> =
            before.filter(|(_, since)| since.elapsed() < TAKEN).map(|(place, _)| place).collect();
        taken.extend(open.get(key).into_iter().flat_map(|session| &session.skipped));
        taken
    }

    pub(super) fn take(&self, key: &Key, place: usize) {
        self.change(key, |session| session.before = Some((place, Instant::now())));
    }

    pub(super) fn skip(&self, key: &Key) {
        self.change(key, |session| {
            let before = session.before.take();
            session.skipped.extend(before.map(|(place, _)| place));
        });
    }

    pub(super) fn judged(&self, key: &Key, number: u64) {
        self.change(key, |session| session.judged.push(number));
    }

    pub(super) fn take_back(&self, key: &Key) -> Option<u64> {
        self.change(key, |session| session.judged.pop()).flatten()
    }
}

impl Session {
    /// How many judgements they made.
    pub(in crate::serve) fn count(&self) -> usize {
        self.judged.len()
    }

    /// The number of their last one.
    pub(in crate::serve) fn last(&self) -> Option<u64> {
        self.judged.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let own = format!("other=1; {}", cookie.split(';').next().unwrap());
        headers.insert(header::COOKIE, HeaderValue::from_str(&own).unwrap());
        headers
    }

    #[test]
    fn who_knows_the_token_may_judge() {
        let sessions = Sessions::new("the token");
        assert_eq!(sessions.enter("another", "Ann").unwrap_err().status, StatusCode::FORBIDDEN);
        assert_eq!(sessions.enter("the token", " ").unwrap_err().status, StatusCode::BAD_REQUEST);
        let [ann, ben] = ["Ann", "Ben"].map(|name| sessions.enter(" the token\n", name).unwrap());
        assert!(ann.contains("HttpOnly; SameSite=Strict"), "{ann}");
        let (ann, ben) = (headers(&ann), headers(&ben));
        let ([key, other], name) = (
            [&ann, &ben].map(|own| sessions.of(own).unwrap().0),
            sessions.of(&ben).unwrap().1.name,
        );
        assert_eq!(name, "Ben");
        assert!(sessions.of(&HeaderMap::new()).is_none());
        let secret = sessions.of(&ann).unwrap().1.secret;
        assert!(sessions.of_form(&ann, &secret).is_ok());
        assert_eq!(sessions.of_form(&ben, &secret).unwrap_err().status, StatusCode::FORBIDDEN);
        sessions.take(&key, 7);
        sessions.judged(&key, 3);
        assert!(sessions.taken(&other).contains(&7) && !sessions.taken(&key).contains(&7));
        sessions.skip(&key);
        assert!(sessions.taken(&key).contains(&7) && !sessions.taken(&other).contains(&7));
        assert_eq!((sessions.take_back(&key), sessions.take_back(&key)), (Some(3), None));
        sessions.leave(&key);
        assert!(sessions.of(&ann).is_none());
    }
}
