#![no_main]
#![allow(dead_code, reason = "each target is one of those in the file")]

#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::tar(data));
