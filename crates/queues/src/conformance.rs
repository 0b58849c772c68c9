//! The kit that any transport must pass for what it promises.
