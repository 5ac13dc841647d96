//! Errors of the command line itself, each with a hint.

use std::fmt;

/// An error of the command line; the library's are [`sidelight::Error`].
#[derive(Debug)]
pub(crate) struct Refusal {
    /// What is wrong.
    pub(crate) message: String,
    /// What to do instead.
    pub(crate) hint: String,
}

impl Refusal {
    /// An error with its hint.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
