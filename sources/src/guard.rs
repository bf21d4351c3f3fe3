//! Catches panics of libraries on external input: they become a fault of that input and do not end the run.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is passing input to a library that may panic on it. Such a panic is caught: a panic hook must
/// ignore it.
pub fn is_guarded() -> bool {
    IS_GUARDED.get()
}

/// Calls `read`; the error holds the message of a panic. What `read` changed must not be used after one.
pub(crate) fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, String> {
    let before = IS_GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(read));
    IS_GUARDED.set(before);
    result.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_its_message_and_the_guard_ends_with_the_call() {
        assert_eq!(guarded(|| 5), Ok(5));
        let (index, length) = (3, 2);
        assert!(guarded(|| assert!(is_guarded())).is_ok());
        assert_eq!(guarded(|| panic!("index {index} out of {length}")), Err::<(), _>("index 3 out of 2".to_owned()));
        assert_eq!(guarded(|| panic!("fixed")), Err::<(), _>("fixed".to_owned()));
        assert!(!is_guarded());
    }
}
