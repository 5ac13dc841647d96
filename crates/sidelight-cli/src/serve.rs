//! A small HTTP server for trained models: a page for people, a JSON API for programs.
//!
//! The path of a request: [`connection`] accepts it, [`record`] counts and [`log`]s it, [`guard`] checks who asks,
//! [`body`] reads it within limits, [`request`] parses it into rows, [`engine`] predicts them together with those of other requests, [`reply`] writes
//! the answer. [`models`] are found by name and reloaded when their folder changes. The library knows nothing of all
//! this and stays synchronous: one thread per model runs the network.

mod body;
mod connection;
mod engine;
mod explain;
mod fault;
mod guard;
mod listen;
mod log;
mod metrics;
mod models;
mod openapi;
mod record;
mod reply;
mod request;
mod schema;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;
use sidelight::dataset::RequestRow;
use sidelight::explain::point_number;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::cors::{AllowOrigin, CorsLayer};

pub(crate) use connection::{ConnectionLimits, Door, serve};
pub(crate) use engine::Batching;
pub(crate) use explain::row as explanation;
pub(crate) use listen::{listen, places};
pub(crate) use log::{Log, LogFormat};
pub(crate) use metrics::Metrics;
pub(crate) use models::Models;
pub(crate) use reply::prediction;
pub(crate) use tls::acceptor;

use crate::args::coverage;

use body::{BodyReader, BufferedBody};
use engine::{Decoders, Engine};
use fault::Fault;
use models::ServedModel;
use record::{REQUEST_ID, Rows};
use request::PredictRequest;

/// Bytes of an answer that is worth compressing: a smaller one fits into a packet as it is.
const WORTH_PACKING: u64 = 1024;

/// Limits of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of the body.
    pub(crate) max_body: usize,
    /// Width × height of an image, and of all images that are being decoded at the same time.
    pub(crate) max_pixels: u64,
    /// Rows.
    pub(crate) max_rows: usize,
    /// Time to receive the request, and again to answer it.
    pub(crate) time: Duration,
}

/// The state that handlers share.
#[derive(Debug)]
pub(crate) struct App {
    models: Arc<Models>,
    limits: Limits,
    bodies: BodyReader,
    decoders: Arc<Decoders>,
    /// One explanation at a time: each holds a network's features many times over.
    explaining: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    log: Arc<Log>,
    names: record::Names,
    token: Option<String>,
    access: Access,
    /// Pages of these may send requests too.
    origins: Vec<HeaderValue>,
    is_stopping: Arc<AtomicBool>,
}

/// Who can reach a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Programs of this machine; a page from elsewhere that has itself sent here is none of them.
    ThisMachine,
    /// Whoever can reach the address, or has the token.
    Any,
}

/// Who may ask.
#[derive(Debug)]
pub(crate) struct Visitors {
    /// Requests must carry it.
    pub(crate) token: Option<String>,
    /// Who can reach the server.
    pub(crate) access: Access,
    /// Pages of these origins may send requests too (CORS).
    pub(crate) origins: Vec<HeaderValue>,
}

impl App {
    /// The state of a server.
    pub(crate) fn new(
        models: Arc<Models>,
        limits: Limits,
        metrics: Arc<Metrics>,
        log: Arc<Log>,
        visitors: Visitors,
    ) -> Self {
        let Visitors {
            token,
            access,
            origins,
        } = visitors;
        Self {
            models,
            limits,
            bodies: BodyReader::new(limits.max_body, limits.time),
            decoders: Arc::new(Decoders::new(limits.max_pixels)),
            explaining: Arc::new(Semaphore::new(1)),
            metrics,
            log,
            names: record::Names::default(),
            token,
            access,
            origins,
            is_stopping: Arc::default(),
        }
    }

    /// Set once the server is about to stop.
    pub(crate) fn stopping(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_stopping)
    }
}

/// Every route.
pub(crate) fn router(app: App) -> Router {
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
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(Arc::clone(&app), guard::pass));
    if !app.origins.is_empty() {
        let cors = CorsLayer::new()
            .allow_origin(AllowOrigin::list(app.origins.clone()))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                REQUEST_ID.clone(),
            ])
            .expose_headers([REQUEST_ID.clone()]);
        router = router.layer(cors);
    }
    let is_worth_packing = SizeAbove::new(WORTH_PACKING).and(NotForContentType::IMAGES);
    router
        .layer(from_fn_with_state(Arc::clone(&app), record::keep))
        .layer(CompressionLayer::new().compress_when(is_worth_packing))
        .with_state(app)
}

/// `?model=NAME&coverage=SHARE&point=NAME`
#[derive(Debug, Default, Deserialize)]
struct Asked {
    model: Option<String>,
    /// Of predictions alone.
    coverage: Option<String>,
    /// Of explanations alone: a point by name or number.
    point: Option<String>,
}

type AskedQuery = Result<Query<Asked>, axum::extract::rejection::QueryRejection>;

/// A request for a model, whose memory counts as used until this is dropped.
struct ParsedRequest<'a> {
    model: &'a ServedModel,
    /// The model's engine when the request arrived.
    engine: Arc<Engine>,
    rows: PredictRequest,
    body: BufferedBody,
    /// The share of rows whose set is to hold the truth.
    coverage: Option<f64>,
    /// The point that is explained.
    point: Option<String>,
}

impl App {
    fn model(&self, query: AskedQuery) -> Result<(&ServedModel, Asked), Fault> {
        let malformed =
            |_| Fault::new(StatusCode::BAD_REQUEST, "malformed query").hint("use ?model=NAME");
        let Query(asked) = query.map_err(malformed)?;
        Ok((self.models.get(asked.model.as_deref())?, asked))
    }

    async fn parse(&self, query: AskedQuery, request: Request) -> Result<ParsedRequest<'_>, Fault> {
        let (model, asked) = self.model(query)?;
        let coverage = asked.coverage.as_deref().map(coverage).transpose();
        let coverage = coverage.map_err(|why| Fault::new(StatusCode::BAD_REQUEST, why))?;
        let engine = model.engine();
        let (parts, body) = request.into_parts();
        let mut body = self.bodies.read(&parts.headers, body).await?;
        let bytes = std::mem::take(&mut body.bytes);
        let (headers, max_rows) = (parts.headers, self.limits.max_rows);
        // Beside the threads that keep all connections going.
        let parsed = tokio::task::spawn_blocking(move || {
            Handle::current().block_on(request::parse(&headers, bytes, max_rows))
        });
        let rows = parsed
            .await
            .map_err(|_| Fault::internal("the request could not be parsed"))??;
        Ok(ParsedRequest {
            model,
            engine,
            rows,
            body,
            coverage,
            point: asked.point,
        })
    }
}

/// Gives up after `limit`.
async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let done = tokio::time::timeout(limit, work).await;
    done.unwrap_or_else(|_| Err(Fault::late(limit.as_secs())))
}

/// Refuses a row without an image.
fn require_images(request: &PredictRequest, n_images: usize) -> Result<(), Fault> {
    let has_none = |row: &&RequestRow| row.image.is_none() && row.images.is_empty();
    let Some(row) = request.rows.iter().find(has_none) else {
        return Ok(());
    };
    let hint = match n_images {
        1 => "send the file in base64 as `image`, or as the part `image` of a form",
        _ => {
            "send the files in base64 as `images`, an object by column, or as parts `images.column` of a form"
        }
    };
    let row = match request.is_list {
        true => format!("row {}: ", row.number),
        false => String::new(),
    };
    let message = format!("{row}no image, and the model needs one");
    Err(Fault::new(StatusCode::UNPROCESSABLE_ENTITY, message).hint(hint))
}

async fn predict(
    State(app): State<Arc<App>>,
    query: AskedQuery,
    request: Request,
) -> Result<Response, Fault> {
    let parsed = app.parse(query, request).await?;
    let predictor = parsed.engine.predictor();
    if predictor.needs_image() {
        require_images(&parsed.rows, predictor.model().config.data.n_images())?;
    }
    let model = predictor.model();
    let within = parsed.coverage.map(|coverage| model.thresholds(coverage));
    let within = within
        .transpose()
        .map_err(|error| Fault::from_query_error(StatusCode::UNPROCESSABLE_ENTITY, &error))?;
    let work = parsed.engine.predict(parsed.rows.rows, &app.decoders);
    let predicted = in_time(app.limits.time, work).await?;
    let row = |row| reply::row(&parsed.model.name, &model.task, row, within.as_ref());
    let mut answers: Vec<Value> = predicted.iter().map(row).collect();
    let rows = Rows(answers.len());
    let mut response = json(&match parsed.rows.is_list {
        true => answers.into(),
        false => answers.pop().unwrap_or_default(),
    });
    response.extensions_mut().insert(rows);
    Ok(response)
}

async fn explain(
    State(app): State<Arc<App>>,
    query: AskedQuery,
    request: Request,
) -> Result<Response, Fault> {
    let mut parsed = app.parse(query, request).await?;
    let predictor = Arc::clone(parsed.engine.predictor());
    if predictor.reads_image() {
        require_images(&parsed.rows, predictor.model().config.data.n_images())?;
    }
    let task = &predictor.model().task;
    let point = parsed.point.map(|name| point_number(task, &name));
    let point = point
        .transpose()
        .map_err(|error| Fault::from_query_error(StatusCode::BAD_REQUEST, &error))?;
    let (Some(row), false) = (parsed.rows.rows.pop(), parsed.rows.is_list) else {
        let message = "only one row at a time can be explained";
        return Err(Fault::new(StatusCode::BAD_REQUEST, message));
    };
    let slot = parsed.engine.slot()?;
    let work = async {
        let turn = Arc::clone(&app.explaining).acquire_owned().await;
        let row = Arc::new(row);
        let permits = app.decoders.admit(&predictor, &row, false).await?;
        let name = parsed.model.name.clone();
        let explained = tokio::task::spawn_blocking(move || {
            // Released when the thread is done, even if the client has gone.
            let _held = (turn, permits, slot, parsed.body);
            explain::row(&name, &predictor, &row, point)
        });
        explained
            .await
            .map_err(|_| Fault::internal("the explanation failed on this row"))?
    };
    let mut response = json(&in_time(app.limits.time, work).await?);
    response.extensions_mut().insert(Rows(1));
    Ok(response)
}

async fn schema(State(app): State<Arc<App>>, query: AskedQuery) -> Result<Response, Fault> {
    let (model, _) = app.model(query)?;
    let schema = schema::model_schema(&model.name, model.engine().predictor());
    Ok(json(&schema))
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

/// Whether requests should be sent here: every model has answered a row and its thread lives, and the server is not
/// about to stop. (`/healthz` says only that the program runs.)
async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Fault> {
    let not_ready = |why: String| Fault::new(StatusCode::SERVICE_UNAVAILABLE, why);
    if app.is_stopping.load(Ordering::SeqCst) {
        return Err(not_ready("the server is stopping".into()));
    }
    let silent = app
        .models
        .all()
        .iter()
        .find(|model| !model.engine().is_alive());
    match silent {
        Some(model) => Err(not_ready(format!(
            "the model `{}` does not answer",
            model.name
        ))),
        None => Ok("ready\n"),
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Fault> {
    let text = app.metrics.text();
    let text = text.map_err(|_| Fault::internal("the metrics cannot be written"))?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn no_route(uri: Uri) -> Fault {
    let path: String = uri.path().chars().take(100).collect();
    Fault::new(StatusCode::NOT_FOUND, format!("no such path: {path}"))
        .hint("see /openapi.json, or / with a browser")
}

async fn no_method(method: Method, uri: Uri) -> Fault {
    let method: String = method.as_str().chars().take(20).collect();
    Fault::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} does not accept {method}", uri.path()),
    )
}

fn json(value: &Value) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        Body::from(value.to_string()),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_takes_too_long_is_given_up() {
        let never = std::future::pending::<Result<(), Fault>>();
        let late = in_time(Duration::from_millis(10), never).await;
        let status = late.map_err(|fault| fault.status);
        assert_eq!(status, Err(StatusCode::SERVICE_UNAVAILABLE));
    }
}
