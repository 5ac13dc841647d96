//! A server that is killed, or asked to stop, while it answers: what it has answered is whole and right, and so is what it
//! answers when it is started again.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::{scope, sleep};
use std::time::Duration;

use super::bench::{Bench, Tally};
use super::content::{Content, bmp, content};
use super::process::{Ended, end};
use super::random::Random;
use super::shim::Trouble;

const NAME: &str = "serve";
/// Who asks at once.
const N_CLIENTS: u8 = 4;
/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is answered by a server that nobody disturbs, and the folder of its model.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    bench: &'a Bench,
    answers: Vec<String>,
    model: Content,
}

struct Running {
    process: Child,
    at: String,
}

/// What became of a request.
enum Answer {
    Whole(String),
    /// The connection ended before the answer began.
    None,
    /// The connection ended within the answer, of which this is there.
    Part(String),
}

impl<'a> Service<'a> {
    pub(crate) fn new(bench: &'a Bench) -> io::Result<Self> {
        let server = start(bench)?;
        let mut answers = Vec::new();
        for client in 0..N_CLIENTS {
            match ask(&server.at, client)? {
                Answer::Whole(answer) => answers.push(answer),
                _ => return Err(io::Error::other("an undisturbed server does not answer")),
            }
        }
        signal(&server.process, "TERM")?;
        end(server.process)?;
        let model = content(&bench.folder.join("model"))?;
        Ok(Self {
            bench,
            answers,
            model,
        })
    }

    /// Clients ask again and again until the server is gone.
    pub(crate) fn trial(&self, random: &mut Random, tally: &mut Tally) -> io::Result<()> {
        tally.count("trials");
        let server = start(self.bench)?;
        let at = &server.at;
        let is_kill = random.below(2) == 0;
        let after = Duration::from_micros(random.below(100_000));
        let heard = Mutex::new(Vec::new());
        let ended = scope(|scope| {
            for client in 0..N_CLIENTS {
                let heard = &heard;
                scope.spawn(move || {
                    // Until it is not there any more.
                    while let Ok(answer) = ask(at, client) {
                        let is_last = !matches!(answer, Answer::Whole(_));
                        if let Ok(mut heard) = heard.lock() {
                            heard.push((client, answer));
                        }
                        if is_last {
                            break;
                        }
                    }
                });
            }
            sleep(after);
            signal(&server.process, if is_kill { "KILL" } else { "TERM" })?;
            end(server.process)
        })?;
        match (is_kill, &ended) {
            (true, Ended::Killed) => tally.count("kills"),
            (false, Ended::Done) => tally.count("stops"),
            (_, other) => tally.fault(NAME, format_args!("its end: {other:?}")),
        }
        for (client, answer) in heard.into_inner().unwrap_or_default() {
            match answer {
                Answer::Whole(answer) => {
                    tally.count("answers");
                    self.check(client, &answer, tally);
                }
                Answer::Part(answer) if !is_kill => {
                    tally.fault(NAME, format_args!("asked to stop, it broke off: {answer}"));
                }
                Answer::Part(_) | Answer::None => {}
            }
        }
        let again = start(self.bench)?;
        for client in 0..N_CLIENTS {
            match ask(&again.at, client)? {
                Answer::Whole(answer) => self.check(client, &answer, tally),
                _ => tally.fault(NAME, "started again, it does not answer"),
            }
        }
        signal(&again.process, "TERM")?;
        end(again.process)?;
        if content(&self.bench.folder.join("model"))? != self.model {
            tally.fault(NAME, "the run that is served was changed");
        }
        Ok(())
    }

    fn check(&self, client: u8, answer: &str, tally: &mut Tally) {
        if self.answers[usize::from(client)] != answer {
            tally.fault(NAME, format_args!("another answer: {answer}"));
        }
    }
}

/// A server on a free port.
fn start(bench: &Bench) -> io::Result<Running> {
    let mut command = bench.command("serve model --addr 127.0.0.1:0", &Trouble::None);
    let mut process = command.stdout(Stdio::piped()).spawn()?;
    let mut first = String::new();
    if let Some(said) = &mut process.stdout {
        BufReader::new(said).read_line(&mut first)?;
    }
    match first.trim().strip_prefix("http://") {
        Some(at) => Ok(Running {
            at: at.to_owned(),
            process,
        }),
        None => Err(io::Error::other(format!("{:?}", end(process)?))),
    }
}

fn signal(process: &Child, name: &str) -> io::Result<()> {
    let id = process.id().to_string();
    let status = Command::new("kill").args(["-s", name, &id]).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("kill: {status}"))),
    }
}

/// Asks for the prediction of one row, as a form; an error where there is no connection.
fn ask(at: &str, client: u8) -> io::Result<Answer> {
    let mut body =
        b"--B\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n".to_vec();
    body.extend(bmp(client));
    let cells = [("beds", client.to_string()), ("tree", "elm".to_owned())];
    for (name, cell) in cells {
        let part =
            format!("\r\n--B\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{cell}");
        body.extend(part.as_bytes());
    }
    body.extend(b"\r\n--B--\r\n");
    let head = format!(
        "POST /v1/predict HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\
         content-type: multipart/form-data; boundary=B\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut bytes = Vec::new();
    let asked = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body))
        .and_then(|()| stream.read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if text.is_empty() {
        return Ok(Answer::None);
    }
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Ok(Answer::Part(text));
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse::<usize>().ok())?
    });
    match asked.is_ok() && length == Some(body.len()) {
        true => Ok(Answer::Whole(body.to_owned())),
        false => Ok(Answer::Part(text)),
    }
}
