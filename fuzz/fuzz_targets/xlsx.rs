#![no_main]
#![allow(dead_code, reason = "each target is one of those in the file")]

// What of the library it needs.
extern crate sidelight_data as sidelight;

#[path = "../targets/data.rs"]
mod data;
#[path = "../targets/scratch.rs"]
mod scratch;

libfuzzer_sys::fuzz_target!(init: scratch::say_panics(), |input: &[u8]| data::xlsx(input));
