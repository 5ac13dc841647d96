//! A small server for trained models: a page for people, JSON for programs.
//!
//! The way of a request: [`connection`] takes it, [`guard`] lets it pass, [`body`] reads it within limits, [`request`]
//! makes rows of it, [`engine`] predicts them together with those of others, [`reply`] writes the answer. [`models`]
//! are found by name and read again when their folder changes. The library knows nothing of all this and stays
//! synchronous: one thread a model runs the network.

mod body;
mod connection;
mod engine;
mod explain;
mod fault;
mod guard;
mod metrics;
mod models;
mod openapi;
mod reply;
mod request;
mod schema;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tower_http::cors::{AllowOrigin, CorsLayer};

pub(crate) use connection::serve;
pub(crate) use engine::Batching;
pub(crate) use metrics::Metrics;
pub(crate) use models::Models;

use body::{Bodies, Held};
use engine::{Decoders, Engine};
use fault::Fault;
use models::Shelved;
use request::Asked;

/// What a request may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of a request's body.
    pub(crate) max_body: usize,
    /// Width × height of an image, and of all images that are being decoded together.
    pub(crate) max_pixels: u64,
    /// Rows of one request.
    pub(crate) max_rows: usize,
    /// For a request to arrive, and again for its answer to be made.
    pub(crate) time: Duration,
}

/// Something to be said on the terminal while the server runs.
#[derive(Debug)]
pub(crate) enum Said {
    /// What happened.
    Line(String),
    /// What may be wrong.
    Warning(String),
}

/// All that handlers share.
#[derive(Debug)]
pub(crate) struct App {
    models: Arc<Models>,
    limits: Limits,
    bodies: Bodies,
    decoders: Arc<Decoders>,
    /// Explanations are made one at a time: each holds a network's features many times over.
    explaining: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    token: Option<String>,
}

impl App {
    /// The server's state; `token`: what requests must show.
    pub(crate) fn new(
        models: Arc<Models>,
        limits: Limits,
        metrics: Arc<Metrics>,
        token: Option<String>,
    ) -> Self {
        Self {
            models,
            limits,
            bodies: Bodies::new(limits.max_body, limits.time),
            decoders: Arc::new(Decoders::new(limits.max_pixels)),
            explaining: Arc::new(Semaphore::new(1)),
            metrics,
            token,
        }
    }
}

/// Every route. Pages of `origins` may ask as well; without one, no CORS header is sent.
pub(crate) fn router(app: App, origins: Vec<HeaderValue>) -> Router {
    let app = Arc::new(app);
    let text = |kind: &'static str, text: String| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    let style = format!(
        "{}{}",
        sidelight::report::page::STYLE,
        include_str!("serve/page.css")
    );
    let mut router = Router::new()
        .route(
            "/",
            text(
                "text/html; charset=utf-8",
                include_str!("serve/page.html").into(),
            ),
        )
        .route("/page.css", text("text/css; charset=utf-8", style))
        .route(
            "/page.js",
            text(
                "text/javascript; charset=utf-8",
                include_str!("serve/page.js").into(),
            ),
        )
        .route("/v1/predict", post(predict))
        .route("/v1/explain", post(explain))
        .route("/v1/schema", get(schema))
        .route("/v1/models", get(names))
        .route("/openapi.json", get(openapi))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        // Bodies are bounded by hand, as they come in.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(Arc::clone(&app), guard::pass));
    if !origins.is_empty() {
        let cors = CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE]);
        router = router.layer(cors);
    }
    router.with_state(app)
}

/// Which model is asked.
#[derive(Debug, Deserialize)]
struct Which {
    model: Option<String>,
}

type Asking = Result<Query<Which>, axum::extract::rejection::QueryRejection>;

fn which(query: Asking) -> Result<Option<String>, Fault> {
    let refused = |_| {
        Fault::new(StatusCode::BAD_REQUEST, "the query cannot be read").hint("as in ?model=NAME")
    };
    Ok(query.map_err(refused)?.0.model)
}

impl App {
    /// The model that is asked, as it was when it was, and the rows.
    async fn asked(
        &self,
        query: Asking,
        request: Request,
    ) -> Result<(&Shelved, Arc<Engine>, Asked, Held), Fault> {
        let shelved = self.models.get(which(query)?.as_deref())?;
        let engine = shelved.engine();
        let (parts, body) = request.into_parts();
        let mut held = self.bodies.read(&parts.headers, body).await?;
        let bytes = std::mem::take(&mut held.bytes);
        let asked = request::rows(&parts.headers, bytes, self.limits.max_rows).await?;
        Ok((shelved, engine, asked, held))
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let done = tokio::time::timeout(self.limits.time, work).await;
        done.unwrap_or_else(|_| Err(Fault::late(self.limits.time.as_secs())))
    }
}

/// Rows of a model that needs images have images.
fn check_images(asked: &Asked, needs_image: bool) -> Result<(), Fault> {
    let lacking = asked
        .rows
        .iter()
        .find(|row| needs_image && row.image.is_none());
    match lacking {
        None => Ok(()),
        Some(row) => Err(Fault::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            match asked.is_list {
                true => format!("row {} has no image, and the model needs one", row.number),
                false => "there is no image, and the model needs one".into(),
            },
        )
        .hint("`image` is the file in base64, or a part of the form")),
    }
}

async fn predict(
    State(app): State<Arc<App>>,
    query: Asking,
    request: Request,
) -> Result<Response, Fault> {
    let (shelved, engine, asked, _held) = app.asked(query, request).await?;
    check_images(&asked, engine.predictor().needs_image())?;
    let predicted = app
        .in_time(engine.predict(asked.rows, &app.decoders))
        .await?;
    let task = &engine.predictor().model().task;
    let mut answers: Vec<Value> = predicted
        .iter()
        .map(|row| reply::row(&shelved.name, task, row))
        .collect();
    Ok(json(&match asked.is_list {
        true => answers.into(),
        false => answers.pop().unwrap_or_default(),
    }))
}

async fn explain(
    State(app): State<Arc<App>>,
    query: Asking,
    request: Request,
) -> Result<Response, Fault> {
    let (shelved, engine, mut asked, held) = app.asked(query, request).await?;
    check_images(&asked, engine.predictor().reads_image())?;
    let (Some(row), false) = (asked.rows.pop(), asked.is_list) else {
        return Err(Fault::new(
            StatusCode::BAD_REQUEST,
            "one row at a time is explained",
        ));
    };
    let place = engine.place()?;
    let work = async {
        let gate = Arc::clone(&app.explaining).acquire_owned().await;
        let row = Arc::new(row);
        let permits = app.decoders.admit(engine.predictor(), &row, false).await?;
        let (predictor, name) = (Arc::clone(engine.predictor()), shelved.name.clone());
        let explained = tokio::task::spawn_blocking(move || {
            let _kept = (gate, permits, place, held);
            explain::row(&name, &predictor, &row)
        });
        explained
            .await
            .map_err(|_| Fault::ours("the explanation failed on this row"))?
    };
    Ok(json(&app.in_time(work).await?))
}

async fn schema(State(app): State<Arc<App>>, query: Asking) -> Result<Response, Fault> {
    let name = which(query)?;
    let shelved = app.models.get(name.as_deref())?;
    Ok(json(&schema::of_model(
        &shelved.name,
        shelved.engine().predictor(),
    )))
}

async fn names(State(app): State<Arc<App>>) -> Response {
    let names: Vec<Value> = app
        .models
        .all()
        .iter()
        .map(|model| (*model.name).into())
        .collect();
    json(&names.into())
}

async fn openapi(State(app): State<Arc<App>>) -> Response {
    json(&openapi::document(
        &app.models,
        app.limits.max_rows,
        app.token.is_some(),
    ))
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    (
        [(header::CONTENT_TYPE, kind)],
        app.metrics.text(&app.models),
    )
        .into_response()
}

async fn no_route(uri: Uri) -> Fault {
    let path: String = uri.path().chars().take(100).collect();
    Fault::new(StatusCode::NOT_FOUND, format!("nothing is at {path}"))
        .hint("see /openapi.json, or / with a browser")
}

async fn no_method(method: Method, uri: Uri) -> Fault {
    let method: String = method.as_str().chars().take(20).collect();
    Fault::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not take {method}", uri.path()),
    )
}

fn json(value: &Value) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        Body::from(value.to_string()),
    )
        .into_response()
}
