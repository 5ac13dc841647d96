//! `sidelight serve RUN…`

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::Machine;
use super::shared::positive;
use crate::serve::LogFormat;

/// Arguments of `sidelight serve`.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(crate) struct ServeArgs {
    /// Run folders; the first is the default model
    ///
    /// A model is named after its folder, or NAME if given as NAME=DIR.
    /// Example: sidelight serve new=runs/b runs/a
    #[arg(value_name = "[NAME=]RUN", required = true)]
    #[arg(help_heading = None::<&str>)]
    pub(crate) runs: Vec<String>,
    /// Address and port to listen on
    ///
    /// 127.0.0.1 accepts only this machine, 0.0.0.0 anyone who can reach it;
    /// port 0 picks a free one. Example: --addr 0.0.0.0:80
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    #[arg(help_heading = "Access")]
    pub(crate) addr: SocketAddr,
    /// File with the token that requests must carry
    ///
    /// Sent as `Authorization: Bearer TOKEN`; the page asks for it.
    /// Example: --token-file token.txt
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    pub(crate) token_file: Option<PathBuf>,
    /// Allow pages of another origin (CORS); repeatable
    ///
    /// Example: --allow-origin https://example.org
    #[arg(long, value_name = "ORIGIN", help_heading = "Access")]
    pub(crate) allow_origin: Vec<String>,
    /// Speak HTTPS: certificate (chain) in PEM
    ///
    /// Example: --tls-cert fullchain.pem --tls-key privkey.pem
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    #[arg(requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key in PEM, without a password
    #[arg(long, value_name = "FILE", help_heading = "Access")]
    #[arg(requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// How requests are logged on stderr [default: text]
    ///
    /// Time, identity (X-Request-Id), method, path, status, latency, rows and
    /// bytes; never what an image or a cell holds. With --quiet: off.
    #[arg(long, value_name = "FORMAT", hide_default_value = true)]
    #[arg(help_heading = "Log")]
    pub(crate) log: Option<LogFormat>,
    /// Largest batch: rows predicted together
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = positive)]
    pub(crate) max_batch: usize,
    /// Longest wait for a batch to fill, in milliseconds
    ///
    /// A row waits only while others are being read. 0: never.
    #[arg(long, value_name = "MS", default_value_t = 5)]
    pub(crate) batch_wait: u64,
    /// Rows queued per model; more are refused (429)
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = positive)]
    pub(crate) queue: usize,
    /// Largest request in MiB; eight of them are held at once
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = positive)]
    pub(crate) max_body: usize,
    /// Largest image in megapixels
    #[arg(long, value_name = "MPX", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=200))]
    pub(crate) max_pixels: u64,
    /// Seconds to receive a request, and again to answer it
    #[arg(long, value_name = "S", default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
    /// Threads and precision.
    #[command(flatten)]
    pub(crate) machine: Machine,
}
