//! What the plane answers on the admin address: a trace as a tree, and the lines as they come.

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::task::spawn_blocking;
use tracing::error;
use wire::Problem;

use crate::{
    hub::Hub,
    tail::{Filter, WATCHERS, Wanted},
    traces::{self, Tree},
};

/// The routes.
pub(crate) fn routes(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/traces/{id}", get(trace))
        .route("/tail", get(tail))
        .with_state(hub)
}

async fn trace(State(hub): State<Arc<Hub>>, Path(id): Path<String>) -> Response {
    let Some(spans) = hub.traces.spans(&id, Instant::now()) else {
        let detail =
            format!("there is no span of trace `{id}` here: traces are kept for an hour after their last line");
        let problem = Problem::new(404, "unknown_trace", "there is no such trace");
        return answer(&problem.detail(detail).instance(format!("/traces/{id}")));
    };
    // A large trace takes milliseconds, in which this thread could read lines.
    let written = spawn_blocking(move || traces::write(&id, &Tree::new(spans))).await;
    match written
        .map_err(|error| error.to_string())
        .and_then(|text| text.map_err(|error| error.to_string()))
    {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => {
            error!(error, "a trace cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn tail(State(hub): State<Arc<Hub>>, wanted: Result<Query<Wanted>, QueryRejection>) -> Response {
    let filter = match wanted {
        Ok(Query(wanted)) => Filter::try_from(wanted),
        Err(error) => Err(error.body_text()),
    };
    let filter = match filter {
        Ok(filter) => filter,
        Err(error) => return answer(&Problem::new(400, "bad_filter", "this is no filter for lines").detail(error)),
    };
    let Ok(watch) = hub.tail.watch(filter) else {
        let detail = format!("{WATCHERS} watch already: end one of them");
        return answer(&Problem::new(503, "too_many_watchers", "too many watch").detail(detail));
    };
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    // Pieces come as events already: with an event of the server's own for each line, lines would be copied twice.
    (head, Body::from_stream(watch.stream())).into_response()
}

fn answer(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(problem)).into_response();
    let media = HeaderValue::from_static(Problem::MEDIA_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    response
}
