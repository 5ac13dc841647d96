//! Tests of what is public.

mod encode;
mod image;
mod loader;
mod real_data;
