//! The built program on small generated data: its help, its errors, one whole story.

mod errors;
mod folder;
mod help;
mod story;
