//! Whose request it is. Pure.
//!
//! The one rule: a path is matched as its upstream would resolve it, and forwarded as it was received. Where only the path as it
//! was received has a route, the request is refused: one side would take it for something else than the other.
//!
//! Who asks in which order is the front's matter: a route that names the path, then the server's own paths, then functions, then
//! the route with the longest prefix.
//!
//! ```
//! use calls::{config::Route, routes::{Found, Routes}};
//! use http::Method;
//!
//! let api = Route { prefix: Some("/api".into()), upstream: Some("api".into()), ..Route::default() };
//! let routes = Routes::new(&[api]);
//! let Found::Route(found) = routes.find(&Method::GET, None, "/api/x") else { panic!("it is found") };
//! assert_eq!((found.index, found.names_path), (0, false));
//! assert!(matches!(routes.find(&Method::GET, None, "/apix"), Found::Nothing));
//! assert!(matches!(routes.find(&Method::GET, None, "/api/../x"), Found::Refused));
//! ```

mod path;
mod table;

pub use path::resolved;
pub use table::{Found, Match, Routes};
