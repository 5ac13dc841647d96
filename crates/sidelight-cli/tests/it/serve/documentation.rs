//! The examples of docs/serve.md are run.

use std::path::Path;
use std::process::Command;

use super::client::Server;
use super::runs::runs;

#[test]
fn the_examples_with_curl_are_answered() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: there is no curl here");
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/serve.md");
    let text = std::fs::read_to_string(path).unwrap();
    let folder = runs();
    folder.write_bytes("photo.jpg", &folder.read_bytes("0.png"));
    folder.write_bytes("other.jpg", &folder.read_bytes("1.png"));
    let server = Server::start(folder, "runs/a runs/alone");
    let mut n = 0;
    for block in text.split("```sh\n").skip(1) {
        let (commands, _) = block.split_once("```").unwrap();
        if !commands.contains("curl") {
            continue;
        }
        let commands = commands.replace("127.0.0.1:8080", &server.at);
        let done = Command::new("sh")
            .args([
                "-e",
                "-c",
                &commands.replace("curl ", "curl --fail-with-body -sS "),
            ])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(
            done.status.success(),
            "{commands}\n{said}\n{}",
            String::from_utf8_lossy(&done.stderr)
        );
        n += 1;
    }
    assert!(n >= 4, "{n} blocks with curl");
}
