//! What an envelope must do, case by case.

mod edit;
mod given;
mod hop;
mod read;
