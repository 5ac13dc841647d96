//! A headless browser, driven over its debugging pipe: <https://chromedevtools.github.io/devtools-protocol/>.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

const CHROMIUM: &str = "/usr/bin/chromium";
/// Nothing on a page takes longer on a busy machine; a test that waits so long has failed.
const LONGEST: Duration = Duration::from_secs(120);

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    n: u64,
    session: String,
    /// Addresses of all that the page asked for.
    pub(crate) asked: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// `None` where there is no browser, and says so.
    pub(crate) fn start() -> Option<Self> {
        if !Path::new(CHROMIUM).exists() {
            eprintln!("skipped: there is no {CHROMIUM} here");
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        // The pipe is expected at the file handles 3 and 4.
        let line = format!(
            "exec {CHROMIUM} --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars \
             --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage \
             --remote-debugging-pipe --user-data-dir={} about:blank 3<&0 4>&1 </dev/null >/dev/null 2>&1",
            profile.path().display()
        );
        let mut child = Command::new("sh")
            .args(["-c", &line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, mut pipe) = (
            child.stdin.take().unwrap(),
            BufReader::new(child.stdout.take().unwrap()),
        );
        let (send, from) = channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while pipe.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                let read = serde_json::from_slice(message.strip_suffix(&[0]).unwrap_or(&message));
                message.clear();
                if read.is_ok_and(|value: Value| send.send(value).is_err()) {
                    break;
                }
            }
        });
        let mut browser = Self {
            child,
            to,
            from,
            n: 0,
            session: String::new(),
            asked: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Network", "DOM", "Runtime"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "parameters are written where they are used"
    )]
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.n += 1;
        let mut message = json!({"id": self.n, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.to
            .write_all(format!("{message}\0").as_bytes())
            .unwrap();
        self.to.flush().unwrap();
        loop {
            let mut message = self
                .from
                .recv_timeout(LONGEST)
                .unwrap_or_else(|_| panic!("{method} is not answered"));
            if message["method"] == "Network.requestWillBeSent" {
                self.asked.push(
                    message["params"]["request"]["url"]
                        .as_str()
                        .unwrap()
                        .to_owned(),
                );
            }
            if message["id"] == self.n {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].take();
            }
        }
    }

    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// What an expression is on the page.
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut result = self.call("Runtime.evaluate", params);
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {result}"
        );
        result["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&mut self, expression: &str) {
        let began = Instant::now();
        while self.eval(expression) != true {
            let alert = "document.getElementById('alert')?.textContent";
            assert!(
                began.elapsed() < LONGEST,
                "never: {expression}; the page says {}",
                self.eval(alert)
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Chooses a file in an input.
    pub(crate) fn choose(&mut self, selector: &str, file: &Path) {
        let root = self.call("DOM.getDocument", json!({}))["root"]["nodeId"].take();
        let node = self.call(
            "DOM.querySelector",
            json!({"nodeId": root, "selector": selector}),
        );
        let params = json!({"nodeId": node["nodeId"], "files": [file.to_str().unwrap()]});
        self.call("DOM.setFileInputFiles", params);
    }

    /// Presses a key: its name and its number.
    pub(crate) fn press(&mut self, key: &str, number: u32) {
        let mut params =
            json!({"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": number});
        match key {
            "Enter" => params["text"] = "\r".into(),
            " " => params["text"] = " ".into(),
            _ => {}
        }
        self.call("Input.dispatchKeyEvent", params.clone());
        params["type"] = "keyUp".into();
        self.call("Input.dispatchKeyEvent", params);
    }

    /// A window of this size, as on a phone or not, light or dark.
    pub(crate) fn looks(&mut self, width: u32, height: u32, is_phone: bool, scheme: &str) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": if is_phone { 2 } else { 1 }, "mobile": is_phone});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let touch = json!({"enabled": is_phone, "maxTouchPoints": 5});
        self.call("Emulation.setTouchEmulationEnabled", touch);
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "pointer", "value": if is_phone { "coarse" } else { "fine" }},
        ]});
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// The window as PNG.
    pub(crate) fn picture(&mut self) -> Vec<u8> {
        let taken = self.call("Page.captureScreenshot", json!({"format": "png"}));
        base64::engine::general_purpose::STANDARD
            .decode(taken["data"].as_str().unwrap())
            .unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It goes with its pipe; what is left is ended.
        let _ = self
            .to
            .write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        thread::sleep(Duration::from_millis(300));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
