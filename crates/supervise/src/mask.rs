//! Signals that we were started without.

use nix::sys::signal::SigSet;

/// Lets every signal reach this process, and those that it starts.
///
/// Blocked signals are inherited: whoever starts us may have blocked SIGTERM for itself, and we would never hear that we are to end. To
/// be called before the first thread is.
pub fn hear_signals() {
    // It is refused to nobody.
    let _ = SigSet::empty().thread_set_mask();
}
