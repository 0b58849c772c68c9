//! wire

pub mod problem;
pub mod status;

pub use problem::Problem;
pub use status::Status;
