//! Connections: how many, for how long, and their end.

use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time;
use tokio_io_timeout::TimeoutStream;

use super::{Served, UNREAD, routes};

/// How long a client may take for the lines before a request's body, and be silent between two requests.
const SILENCE: Duration = Duration::from_secs(15);
/// How often it is looked whether to stop.
const LOOK: Duration = Duration::from_millis(50);
/// How many clients may be connected.
const CLIENTS: usize = 512;
/// Bytes of the lines before a body.
const HEAD: usize = 64 << 10;
/// What is said where no more clients are taken.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 15\r\nconnection: close\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 45\r\n\r\n\
    as many clients as are taken are connected.\r\n";

/// Answers whoever connects, until `stop` is set and what was begun is finished.
pub(super) async fn serve(listener: TcpListener, served: &Arc<Served>, stop: &AtomicBool) {
    let router = routes::router(served);
    let room = Arc::new(Semaphore::new(CLIENTS));
    let finishing = GracefulShutdown::new();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(SILENCE).max_buf_size(HEAD);
    let mut look = time::interval(LOOK);
    while !stop.load(Ordering::Relaxed) {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // No more files, or a client that went again: neither passes by asking at once.
                Err(_) => {
                    time::sleep(LOOK).await;
                    continue;
                }
            },
            _ = look.tick() => continue,
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            refuse(stream);
            continue;
        };
        // Answers are written whole; waiting for more of them only delays the last part.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(UNREAD));
        let service = TowerToHyperService::new(router.clone());
        let connection = server.serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = finishing.watch(connection);
        tokio::spawn(async move {
            // A client that does not speak HTTP, or went away, concerns nobody else.
            let _ = connection.await;
            drop(permit);
        });
    }
    // Who comes now is told by the system that nobody is here.
    drop(listener);
    let longest = served.limits.time.saturating_add(UNREAD);
    let _ = time::timeout(longest, finishing.shutdown()).await;
}

/// Says that there is no room, if that can be said without waiting.
fn refuse(stream: TcpStream) {
    // The runtime has not seen yet that it can be written to; the system knows.
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(FULL);
        let _ = stream.shutdown(Shutdown::Write);
    }
}
