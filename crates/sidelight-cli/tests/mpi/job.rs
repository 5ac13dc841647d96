//! A job of several processes, and the end that it must come to.

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::folder::{Folder, Said};

/// No job takes as long: one that does hangs.
const LIMIT: Duration = Duration::from_secs(90);

/// A started job. Dropped, it is ended.
pub(crate) struct Job {
    mpirun: Child,
    begun: Instant,
    own: String,
}

impl Job {
    /// Starts so many processes of the program.
    pub(crate) fn start(folder: &Folder, n: usize, line: &str) -> Self {
        let program = folder.command(line);
        let mut command = Command::new("mpirun");
        command
            .args([
                "--allow-run-as-root",
                "--oversubscribe",
                "--bind-to",
                "none",
            ])
            .args(["-n", &n.to_string()])
            .arg(program.get_program())
            .args(program.get_args())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // One thread each: there are more processes than cores.
        command.env("RAYON_NUM_THREADS", "1");
        Self {
            mpirun: command.spawn().expect("mpirun is installed"),
            begun: Instant::now(),
            own: format!("{}/", folder.path().display()),
        }
    }

    /// Starts them and waits for their end.
    pub(crate) fn run(folder: &Folder, n: usize, line: &str) -> Said {
        Self::start(folder, n, line).end()
    }

    /// Sends a signal to one of the processes.
    pub(crate) fn kill_rank(&self, rank: usize, signal: &str) {
        let mut processes = children(self.mpirun.id());
        processes.sort();
        let id = processes[rank].to_string();
        let done = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(done.unwrap().success());
    }

    /// What it said.
    ///
    /// # Panics
    ///
    /// Where it does not end.
    pub(crate) fn end(mut self) -> Said {
        // What is read ends when the processes do; they are few words, which a pipe holds until then.
        let code = loop {
            if let Some(status) = self.mpirun.try_wait().unwrap() {
                break status.code().expect("mpirun was not killed");
            }
            assert!(self.begun.elapsed() < LIMIT, "the job hangs");
            std::thread::sleep(Duration::from_millis(20));
        };
        let read = |stream: &mut dyn Read| {
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            text.replace(&self.own, "")
        };
        let stdout = read(self.mpirun.stdout.as_mut().unwrap());
        let stderr = read(self.mpirun.stderr.as_mut().unwrap());
        Said {
            code,
            stdout,
            stderr,
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Ok(None) = self.mpirun.try_wait() {
            // mpirun ends its processes when it is asked to end.
            let id = self.mpirun.id().to_string();
            let _ = Command::new("kill").args(["-s", "TERM", &id]).status();
            let _ = self.mpirun.wait();
        }
    }
}

/// The processes that a process started.
fn children(parent: u32) -> Vec<u32> {
    let is_child = |id: &u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        line.is_some_and(|found| found.trim() == parent.to_string())
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(is_child).collect()
}

/// Steps in the log of a run.
pub(crate) fn steps(folder: &Folder, run: &str) -> usize {
    let log = fs::read_to_string(folder.path().join(run).join("log.jsonl"));
    log.map_or(0, |log| log.matches("\"event\":\"step\"").count())
}

/// Waits until something is so.
///
/// # Panics
///
/// Where it does not become so.
pub(crate) fn wait_for(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "it does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}
