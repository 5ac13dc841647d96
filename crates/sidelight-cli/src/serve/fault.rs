//! Why a request gets no answer, as the one who asked reads it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sidelight::error::{DataError, in_full};

use crate::hint;

/// A refusal with its status: `{"error": …, "hint": …}`.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// 4xx: the request is at fault; 5xx: this server.
    pub(crate) status: StatusCode,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do instead.
    pub(crate) hint: Option<String>,
}

impl Fault {
    /// A refusal.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            hint: None,
        }
    }

    /// With advice.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// There is more to do than is taken on.
    pub(crate) fn busy(what: &str) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            format!("the server is busy: {what}"),
        )
        .hint("try again in a second")
    }

    /// The answer took too long to make.
    pub(crate) fn late(seconds: u64) -> Self {
        let message = format!("the answer took longer than {seconds} s");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
            .hint("try again later, or with fewer rows")
    }

    /// What the library says of a row of a request.
    pub(crate) fn of_row(error: &sidelight::Error, number: usize, is_one_of_many: bool) -> Self {
        match error {
            sidelight::Error::Data(error) => Self::of_row_data(error, number, is_one_of_many),
            other => Self {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                message: in_row(number, is_one_of_many, other),
                hint: hint::of(other),
            },
        }
    }

    /// The same of its cells and its image.
    pub(crate) fn of_row_data(error: &DataError, number: usize, is_one_of_many: bool) -> Self {
        use DataError as E;
        let status = match error {
            E::ImagePixels { .. } | E::ImageBytes { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            E::NoColumn { .. }
            | E::Cell { .. }
            | E::ImageEmpty { .. }
            | E::ImageFormat { .. }
            | E::ImageTruncated { .. }
            | E::ImageDecode { .. }
            | E::ImageFault { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        // An error of a cell names its row itself.
        let is_named = matches!(error, E::Cell { .. });
        Self {
            status,
            message: in_row(number, is_one_of_many && !is_named, error),
            hint: hint::of_data(error),
        }
    }

    /// A fault of this program, told without its insides.
    pub(crate) fn ours(what: &str) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, what)
            .hint("this is a fault of the program: please report it")
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
        let mut response = (
            self.status,
            [(header::CONTENT_TYPE, "application/json")],
            body.to_string(),
        )
            .into_response();
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
