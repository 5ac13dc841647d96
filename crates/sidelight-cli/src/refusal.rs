//! What the command line itself refuses to do, with what to do instead.

use std::fmt;

/// A refusal; the library's own errors are [`sidelight::Error`].
#[derive(Debug)]
pub struct Refusal {
    /// What is wrong.
    pub message: String,
    /// What to do instead.
    pub hint: String,
}

impl Refusal {
    /// A refusal with its advice.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
