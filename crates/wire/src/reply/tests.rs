//! The table of replies.
