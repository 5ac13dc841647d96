//! What only the build knows of itself, for `sidelight --version --verbose`.
#![allow(clippy::print_stdout, reason = "so a build script speaks to cargo")]

use std::process::Command;
use std::{env, fs};

/// Beside the manifest of a published crate: the commit that it was packed from.
const VCS_INFO: &str = ".cargo_vcs_info.json";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SIDELIGHT_COMMIT");
    let known = [
        ("TARGET", env::var("TARGET").ok()),
        ("PROFILE", env::var("PROFILE").ok()),
        ("RUSTC", rustc()),
        // A release says it; git is not asked, so that every commit does not build anew.
        ("COMMIT", env::var("SIDELIGHT_COMMIT").ok().or_else(packed)),
    ];
    for (name, value) in known {
        let value = value.filter(|value| !value.contains('\n'));
        let value = value.unwrap_or_else(|| "unknown".into());
        println!("cargo::rustc-env=SIDELIGHT_BUILD_{name}={value}");
    }
}

/// `1.95.0 (59807616e 2026-04-14)`.
fn rustc() -> Option<String> {
    let said = Command::new(env::var_os("RUSTC")?)
        .arg("--version")
        .output();
    let said = String::from_utf8(said.ok()?.stdout).ok()?;
    Some(said.trim().trim_start_matches("rustc ").to_owned())
}

/// The commit that `cargo package` noted.
fn packed() -> Option<String> {
    let info = fs::read_to_string(VCS_INFO).ok()?;
    let (_, rest) = info.split_once("\"sha1\": \"")?;
    let (commit, _) = rest.split_once('"')?;
    Some(commit.to_owned())
}
