//! `sidelight serve`, as a client sees it: predictions, refusals, its end, its page.

mod access;
mod bad_requests;
#[cfg(unix)]
mod browser;
pub(crate) mod client;
#[cfg(unix)]
mod crowd;
#[cfg(unix)]
mod devtools;
mod documentation;
mod life;
#[cfg(unix)]
mod log;
mod predictions;
mod refusals;
mod runs;
mod site;
mod tls;
