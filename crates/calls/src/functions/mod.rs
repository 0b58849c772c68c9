//! Functions: what they are called, what they take and give, and how a call of one goes.
//!
//! ```text
//! config, hellos  ->  Table (pure)  ->  Registry: the table of the moment
//!                                          ->  Function: arguments checked  ->  Exchange with its handler  ->  result checked
//! ```
//!
//! The one rule: a handler gets arguments that fit the function's contract, and a caller gets a result that does.

mod actor;
mod args;
mod contract;
mod discovery;
mod error;
mod exchange;
mod flaw;
mod function;
mod listing;
mod names;
mod registry;
mod schema;
mod source;
mod table;
mod typescript;

pub use actor::FunctionHandler;
pub(crate) use args::Args;
pub(crate) use contract::Contract;
pub(crate) use discovery::Catalog;
pub(crate) use error::CallError;
pub(crate) use exchange::{Event, Exchange, Wanted};
pub(crate) use flaw::Flaw;
pub(crate) use function::{Caller, Function};
pub(crate) use listing::{declarations, listing};
pub(crate) use names::{Path, kebab};
pub(crate) use registry::{Change, Found, Registry};
pub(crate) use schema::Schema;
pub(crate) use source::{Source, Target};
pub(crate) use table::Table;
