//! An existing runtime of Asya, driven unchanged, in any of its three generations.
//!
//! The one rule: one exchange a connection, the whole message goes out in the runtime's own spelling (`wire::asya`), and
//! a runtime that closes without a byte has failed: that is its error, not a lost handler.

mod framed;
mod handler;
mod http;
mod options;

pub use handler::AsyaHandler;
pub use options::AsyaOptions;
