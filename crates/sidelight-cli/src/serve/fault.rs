//! Errors as HTTP responses.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sidelight::error::{DataError, in_full};

use crate::hint;

/// What someone who sends a row can do about a cell; settings and commands are not theirs.
const CELL: &str =
    "`GET /v1/schema` says what each column holds; a column that is left out or null is missing";

/// An error response: a status, and `{"error": …, "hint": …}`.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// 4xx: the request is wrong; 5xx: this server failed.
    pub(crate) status: StatusCode,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do instead.
    pub(crate) hint: Option<String>,
}

impl Fault {
    /// An error without a hint.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            hint: None,
        }
    }

    /// Adds a hint.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// 429: the server has more to do than it accepts.
    pub(crate) fn busy(what: &str) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!("the server is busy: {what}"),
        )
        .hint("try again in a second")
    }

    /// 503: the answer took too long.
    pub(crate) fn late(seconds: u64) -> Self {
        let message = format!("the answer took longer than {seconds} s");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
            .hint("try again later, or with fewer rows")
    }

    /// A query that asks for what the model cannot give.
    pub(crate) fn from_query_error(status: StatusCode, error: &sidelight::Error) -> Self {
        Self {
            status,
            message: in_full(error),
            hint: hint::of(error),
        }
    }

    /// The library's error about a row of a request.
    pub(crate) fn from_row_error(
        error: &sidelight::Error,
        number: usize,
        is_one_of_many: bool,
    ) -> Self {
        match error {
            sidelight::Error::Data(error) => Self::from_data_error(error, number, is_one_of_many),
            other => Self {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                message: in_row(number, is_one_of_many, other),
                hint: hint::of(other),
            },
        }
    }

    /// The error about the cells or the image of a row of a request.
    pub(crate) fn from_data_error(error: &DataError, number: usize, is_one_of_many: bool) -> Self {
        use DataError as E;
        let status = match error {
            E::ImagePixels { .. } | E::ImageBytes { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            E::NoColumn { .. }
            | E::Cell { .. }
            | E::ImageArea { .. }
            | E::ImageChannels { .. }
            | E::ImageEmpty { .. }
            | E::ImageFormat { .. }
            | E::ImageTruncated { .. }
            | E::ImageDecode { .. }
            | E::ImageFault { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // An error about a cell names its row.
        let is_named = matches!(error, E::Cell { .. });
        Self {
            status,
            message: in_row(number, is_one_of_many && !is_named, error),
            hint: match error {
                E::Cell { .. } => Some(CELL.into()),
                // What could be set is in the model's configuration.
                E::ImageArea { .. } | E::ImageChannels { .. } => None,
                other => hint::of_data(other),
            },
        }
    }

    /// 500: a bug in this program, without its details.
    pub(crate) fn internal(what: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, what).hint("this is a bug: please report it")
    }
}

fn in_row(number: usize, is_one_of_many: bool, error: &dyn std::error::Error) -> String {
    let row = match is_one_of_many {
        true => format!("row {number}: "),
        false => String::new(),
    };
    row + &in_full(error)
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut body = json!({"error": self.message});
        if let Some(hint) = self.hint {
            body["hint"] = hint.into();
        }
        let mut response = (self.status, super::json(&body)).into_response();
        let headers = response.headers_mut();
        if matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
