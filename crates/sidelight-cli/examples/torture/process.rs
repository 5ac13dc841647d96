//! A process, its end and what it said.

use std::io;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A command that takes longer has hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How a command ended.
pub(crate) enum Ended {
    Done,
    /// By `SIGKILL`.
    Killed,
    /// With exit code 1 or 2 and these words.
    Refused(String),
    /// With another code, or by another signal, and these words.
    Broken(Option<i32>, String),
    Hung,
}

impl Ended {
    /// Whether it was refused in words, not by a panic.
    pub(crate) fn is_refused(&self) -> bool {
        let says = |text: &str| text.contains("error") || text.contains("warning");
        matches!(self, Self::Refused(text) if !text.contains("panicked") && says(text))
    }
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Killed => f.write_str("killed"),
            Self::Refused(text) => write!(f, "refused: {text}"),
            Self::Broken(code, text) => write!(f, "exit code {code:?}: {text}"),
            Self::Hung => f.write_str("hung"),
        }
    }
}

/// Waits for the end; kills the process where it comes only after `patience`.
pub(crate) fn end_within(mut process: Child, patience: Duration) -> io::Result<Ended> {
    let mut said = process.stderr.take();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(said) = &mut said {
            let _ = io::Read::read_to_string(said, &mut text);
        }
        text
    });
    let began = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait()? {
            break Some(status);
        }
        if began.elapsed() > patience {
            process.kill()?;
            process.wait()?;
            break None;
        }
        // Short against what is waited for: a kill is to come at any of its moments.
        sleep(Duration::from_micros(500));
    };
    let text = reading.join().unwrap_or_default();
    Ok(match status {
        None => Ended::Hung,
        Some(status) if was_killed(status) => Ended::Killed,
        Some(status) => match status.code() {
            Some(0) => Ended::Done,
            Some(1 | 2) => Ended::Refused(text),
            code => Ended::Broken(code, text),
        },
    })
}

/// Waits for the end.
pub(crate) fn end(process: Child) -> io::Result<Ended> {
    end_within(process, PATIENCE)
}

/// Kills it after so long, where it has not ended by then.
pub(crate) fn kill_after(process: Child, after: Duration) -> io::Result<Ended> {
    Ok(match end_within(process, after)? {
        Ended::Hung => Ended::Killed,
        ended => ended,
    })
}

#[cfg(unix)]
fn was_killed(status: std::process::ExitStatus) -> bool {
    std::os::unix::process::ExitStatusExt::signal(&status) == Some(9)
}

#[cfg(not(unix))]
fn was_killed(_: std::process::ExitStatus) -> bool {
    false
}
