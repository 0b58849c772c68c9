//! How many descriptors we may have, and those whom we start.
//!
//! Programs are mostly started with a soft limit of 1,024, for the sake of those that use `select`, which breaks beyond it. We do
//! not, and ten thousand connections want more; handlers get what we were given.

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The soft limit that we were started with, once it was raised.
static GIVEN: OnceLock<u64> = OnceLock::new();
/// As far as it is raised: some systems allow a billion.
const MOST: u64 = 131_072;

/// Raises our soft limit as far as the system lets us. Does nothing where it refuses: then there are fewer connections at once.
pub fn raise_descriptor_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    let most = hard.min(MOST);
    if soft < most && setrlimit(Resource::RLIMIT_NOFILE, most, hard).is_ok() {
        GIVEN.get_or_init(|| soft);
    }
}

/// What a process that we start is to have, where it is not what we have.
pub(crate) fn given() -> Option<u64> {
    GIVEN.get().copied()
}

/// Lowers the soft limit of this process to what its parent was given.
pub(crate) fn lower(soft: u64) {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // It is lower than what there is, which every system allows.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
    }
}
