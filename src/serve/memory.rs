//! The memory that queries take together.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oxigraph::sparql::CancellationToken;
use tokio::time;

use super::Served;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);
/// How long the memory of a query that was ended takes to be free again.
const GRACE: Duration = Duration::from_secs(1);

/// The queries that are being answered, in the order in which they began.
#[derive(Default)]
pub(super) struct Running(Mutex<(u64, BTreeMap<u64, Query>)>);

/// One of them.
#[derive(Clone)]
pub(super) struct Query {
    /// Ends it.
    pub token: CancellationToken,
    /// Whether it was ended for its memory.
    pub is_too_large: Arc<AtomicBool>,
}

/// Takes a query off the list when it is dropped.
pub(super) struct Entry {
    served: Arc<Served>,
    number: u64,
}

impl Running {
    /// Puts a query on the list.
    pub(super) fn enter(served: &Arc<Served>, query: Query) -> Entry {
        let mut queries = served.running.0.lock().unwrap_or_else(PoisonError::into_inner);
        queries.0 += 1;
        let number = queries.0;
        queries.1.insert(number, query);
        Entry { served: Arc::clone(served), number }
    }

    /// Ends the query that has run longest; false where there is none.
    fn end_one(&self) -> bool {
        let queries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let running = queries.1.values().find(|query| !query.token.is_cancelled());
        if let Some(query) = running {
            query.is_too_large.store(true, Ordering::SeqCst);
            query.token.cancel();
        }
        running.is_some()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut queries = self.served.running.0.lock().unwrap_or_else(PoisonError::into_inner);
        queries.1.remove(&self.number);
    }
}

/// Ends queries, the oldest first, as long as the process takes more than is granted on top of what it took before
/// the first.
pub(super) async fn watch(served: Arc<Served>) {
    let (Some(granted), Some(before)) = (served.limits.memory, served.before) else { return };
    let most = before.saturating_add(granted);
    loop {
        time::sleep(LOOK).await;
        if resident().is_some_and(|bytes| bytes > most) && served.running.end_one() {
            time::sleep(GRACE).await;
        }
    }
}

/// Bytes of memory that this process has in use, where the system says so.
pub(super) fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
