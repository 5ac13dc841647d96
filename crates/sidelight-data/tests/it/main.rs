//! Tests of what is public.

mod real_data;
