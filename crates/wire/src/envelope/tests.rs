//! What an envelope must do.
