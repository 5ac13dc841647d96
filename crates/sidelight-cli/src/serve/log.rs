//! The log of the server: a line for each request and each event, written by a thread of its own, so that nobody waits
//! for whoever reads it. A line has no query, no header, no cell and no pixel: only what is named in [`RequestLine`].

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;
use sidelight::report::text::without_controls;

/// Lines that wait to be written; more are counted and lost.
const WAITING: usize = 4096;
/// Characters of a path.
const PATH: usize = 200;
/// How long the end waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How requests are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object per line
    Json,
    /// Requests are not logged
    Off,
}

/// A request that was answered, or whose client left.
#[derive(Debug)]
pub(crate) struct RequestLine<'a> {
    /// That of the client, or one of ours.
    pub(crate) id: &'a str,
    pub(crate) method: &'a str,
    /// Without the query.
    pub(crate) path: &'a str,
    /// 499: the client left before the answer.
    pub(crate) status: u16,
    /// From the head of the request to that of the answer.
    pub(crate) took: Duration,
    /// How many rows were predicted or explained.
    pub(crate) rows: usize,
    /// Bytes of the request's body, as its head says.
    pub(crate) received: u64,
    /// Bytes of the answer's body, before it is compressed.
    pub(crate) sent: u64,
}

/// The log; dropping it does not wait for the last lines, [`Log::close`] does.
#[derive(Debug)]
pub(crate) struct Log {
    format: LogFormat,
    /// Events of no importance are left out.
    is_quiet: bool,
    lines: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

enum Entry {
    Line(String),
    /// Answers once all lines before it are written.
    End(SyncSender<()>),
}

impl Log {
    /// Writes to `to`, line by line.
    pub(crate) fn new(
        format: LogFormat,
        is_quiet: bool,
        to: impl Write + Send + 'static,
    ) -> std::io::Result<Self> {
        let (lines, waiting) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || write(format, &waiting, &counted, to))?;
        Ok(Self {
            format,
            is_quiet,
            lines,
            lost,
        })
    }

    /// One that nobody reads.
    pub(crate) fn none() -> std::io::Result<Self> {
        Self::new(LogFormat::Off, true, std::io::sink())
    }

    /// A request.
    pub(crate) fn request(&self, line: &RequestLine<'_>) {
        if self.format != LogFormat::Off {
            self.put(line.written(self.format));
        }
    }

    /// An event.
    pub(crate) fn say(&self, text: &str) {
        if !self.is_quiet {
            self.put(message(self.format, "info", text));
        }
    }

    /// Something that may be wrong.
    pub(crate) fn warn(&self, text: &str) {
        self.put(message(self.format, "warning", text));
    }

    /// Waits, not for long, until what was said is written.
    pub(crate) fn close(&self) {
        let (done, ended) = sync_channel(1);
        // A full channel is one that nobody empties.
        if self.lines.try_send(Entry::End(done)).is_ok() {
            let _ = ended.recv_timeout(LAST_LINES);
        }
    }

    fn put(&self, line: String) {
        if self.lines.try_send(Entry::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write(format: LogFormat, waiting: &Receiver<Entry>, lost: &AtomicU64, to: impl Write) {
    let mut to = std::io::BufWriter::new(to);
    while let Ok(first) = waiting.recv() {
        // What is waiting is written at once. Without a stderr there is nobody to tell.
        for entry in std::iter::once(first).chain(std::iter::from_fn(|| waiting.try_recv().ok())) {
            match entry {
                Entry::Line(line) => drop(to.write_all(line.as_bytes())),
                Entry::End(done) => {
                    let _ = to.flush();
                    let _ = done.send(());
                }
            }
        }
        let n = lost.swap(0, Ordering::Relaxed);
        if n > 0 {
            let text = format!("{n} lines of the log were lost: they were not read in time");
            let _ = to.write_all(message(format, "warning", &text).as_bytes());
        }
        let _ = to.flush();
    }
}

fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

fn message(format: LogFormat, level: &str, text: &str) -> String {
    match format {
        LogFormat::Json => {
            let line = json!({"time": now(), "level": level, "message": text});
            format!("{line}\n")
        }
        // As the program speaks elsewhere.
        LogFormat::Text | LogFormat::Off => {
            let label = if level == "info" { "" } else { "warning: " };
            format!("{label}{}\n", without_controls(text))
        }
    }
}

impl RequestLine<'_> {
    fn written(&self, format: LogFormat) -> String {
        let path = escaped(self.path);
        let method = escaped(self.method);
        let (time, seconds) = (now(), self.took.as_secs_f64());
        match format {
            LogFormat::Json => {
                let line = json!({
                    "time": time, "level": "info", "id": self.id, "method": method, "path": path,
                    "status": self.status, "seconds": (seconds * 1e6).round() / 1e6, "rows": self.rows,
                    "received": self.received, "sent": self.sent,
                });
                format!("{line}\n")
            }
            LogFormat::Text | LogFormat::Off => format!(
                "{time} {method} {path} {} {:.1}ms rows={} received={} sent={} id={}\n",
                self.status,
                1000.0 * seconds,
                self.rows,
                self.received,
                self.sent,
                self.id,
            ),
        }
    }
}

/// What a client wrote, as it may stand in a line: neither a control character nor a space, and not without an end.
fn escaped(text: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_graphic() && *c != '"' && *c != '\\';
    let mut escaped = String::new();
    for c in text.chars().take(PATH) {
        match is_plain(&c) {
            true => escaped.push(c),
            false => escaped.extend(c.escape_unicode()),
        }
    }
    if text.chars().nth(PATH).is_some() {
        escaped.push_str("...");
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Everything written, and a gate that each write waits for.
    #[derive(Clone)]
    struct Page(Arc<Mutex<Vec<u8>>>, Arc<Mutex<()>>);

    impl Page {
        fn new() -> Self {
            Self(Arc::default(), Arc::default())
        }
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _gate = self.1.lock().unwrap();
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn line(path: &str) -> RequestLine<'_> {
        RequestLine {
            id: "7",
            method: "POST",
            path,
            status: 200,
            took: Duration::from_micros(17_300),
            rows: 2,
            received: 100,
            sent: 50,
        }
    }

    #[test]
    fn a_request_is_one_line_whatever_its_path() {
        let page = Page::new();
        let log = Log::new(LogFormat::Text, false, page.clone()).unwrap();
        log.request(&line("/a\n2026 GET / 200\u{1b}[2J\u{202e}"));
        log.request(&line(&"x".repeat(10_000)));
        log.say("a\u{7}b");
        log.close();
        let text = page.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        let (_, first) = lines[0].split_once(' ').unwrap();
        assert_eq!(
            first,
            r"POST /a\u{a}2026\u{20}GET\u{20}/\u{20}200\u{1b}[2J\u{202e} 200 17.3ms rows=2 received=100 sent=50 id=7"
        );
        assert!(
            lines[1].len() < 400 && !lines[2].contains('\u{7}'),
            "{text}"
        );
    }

    #[test]
    fn in_json_every_line_is_an_object() {
        let page = Page::new();
        let log = Log::new(LogFormat::Json, false, page.clone()).unwrap();
        log.request(&line("/v1/\"predict"));
        log.warn("a \"quoted\" word");
        log.close();
        let text = page.text();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["path"], r"/v1/\u{22}predict");
        assert_eq!(
            (&lines[0]["seconds"], &lines[0]["rows"]),
            (&json!(0.0173), &json!(2))
        );
        assert_eq!(lines[1]["level"], "warning");
        assert_eq!(lines[1]["message"], "a \"quoted\" word");
        assert!(
            lines
                .iter()
                .all(|line| line["time"].as_str().unwrap().ends_with('Z'))
        );
    }

    #[test]
    fn who_does_not_read_the_log_delays_nobody_and_is_told_what_was_lost() {
        let page = Page::new();
        let log = Log::new(LogFormat::Text, false, page.clone()).unwrap();
        let gate = page.1.lock().unwrap();
        for _ in 0..3 * WAITING {
            log.request(&line(&"/v1/predict".repeat(10)));
        }
        drop(gate);
        while !page.text().contains("lines of the log were lost") {
            std::thread::sleep(Duration::from_millis(1));
        }
        log.say("on");
        log.close();
        let text = page.text();
        assert!(
            text.contains("lines of the log were lost"),
            "{}",
            text.len()
        );
        assert!(text.ends_with("on\n"));
    }
}
