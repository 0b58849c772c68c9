//! Where the admin server finds the series of a backend.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use wire::Problem;

use super::series::Series;

/// The series of all backends, by name, for as long as somebody writes to them; a cheap handle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shelf {
    by_name: Arc<Mutex<BTreeMap<String, Weak<Series>>>>,
}

impl Shelf {
    /// The series of a backend. Those of one that is configured anew, or used with settings of a rule's own, stay the same.
    pub(super) fn series(&self, name: &str) -> Arc<Series> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        by_name.retain(|_, series| series.strong_count() > 0);
        if let Some(series) = by_name.get(name).and_then(Weak::upgrade) {
            return series;
        }
        let series = Arc::new(Series::default());
        by_name.insert(name.to_owned(), Arc::downgrade(&series));
        series
    }

    fn find(&self, name: &str) -> Option<Arc<Series>> {
        let by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        by_name.get(name)?.upgrade()
    }

    /// `GET /metrics/{name}`.
    pub(crate) fn routes(&self) -> Router {
        Router::new()
            .route("/metrics/{name}", get(show))
            .with_state(self.clone())
    }
}

async fn show(State(shelf): State<Shelf>, Path(name): Path<String>) -> Response {
    let (media, mut response) = if let Some(series) = shelf.find(&name) {
        (
            "text/plain; version=0.0.4; charset=utf-8",
            series.text().into_response(),
        )
    } else {
        let problem = Problem::new(404, "not_found", "there is no such backend")
            .detail(format!("no backend of type `prometheus` is called `{name}`"));
        (
            Problem::MEDIA_TYPE,
            (StatusCode::NOT_FOUND, Json(problem)).into_response(),
        )
    };
    let media = HeaderValue::from_static(media);
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}
