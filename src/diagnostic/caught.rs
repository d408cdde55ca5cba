//! Panics of code that is not ours, as errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// How many calls of [`caught`] this thread is in.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

/// What `work` gives, or the message of its panic. For libraries that panic where they should give
/// an error; a panic of our own is a bug and is told as one.
///
/// What `work` changed before it panicked may be half changed: throw it away.
///
/// # Errors
/// The panic's message.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    CALLS.set(CALLS.get() + 1);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    CALLS.set(CALLS.get() - 1);
    outcome.map_err(|panic| message(panic.as_ref()))
}

/// Whether a panic of this thread becomes an error, so that a panic hook has nothing to say.
pub fn is_caught() -> bool {
    // A thread that ends has no such value any more, and is in no call.
    CALLS.try_with(Cell::get).is_ok_and(|calls| calls > 0)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it does not say why").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        assert_eq!(caught(|| 7), Ok(7));
        let none: [u8; 0] = [];
        let index = none.len() + 3;
        let message = caught(|| none[index]).unwrap_err();
        assert_eq!(message, "index out of bounds: the len is 0 but the index is 3");
        assert_eq!(caught(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
    }

    #[test]
    fn it_is_known_within_and_only_within() {
        assert!(!is_caught());
        let seen = caught(|| {
            let inner = caught(|| -> bool { panic!("inner") });
            (inner.is_err(), is_caught(), std::thread::spawn(is_caught).join().unwrap())
        });
        assert_eq!(seen, Ok((true, true, false)));
        assert!(caught(|| panic!("again")).is_err());
        assert!(!is_caught());
    }
}
