//! Requests that are too large, too deep or too slow: each is refused with a message, at a bounded cost. They are sent
//! to a process, whose memory can be measured; requests that are only wrong are in [`super::refusals`].

use std::io::Write;
use std::net::Shutdown;

use serde_json::json;

use super::client::{Answer, Server, answer, assert_refused, base64, head, row};
use super::runs::{photograph, runs};

const JSON: &str = "application/json";

/// A JPEG whose header claims so many pixels a side.
fn jpeg_of(side: u16) -> Vec<u8> {
    let mut bytes = photograph(1);
    let frame = bytes
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .unwrap();
    for at in [frame + 5, frame + 7] {
        bytes[at..at + 2].copy_from_slice(&side.to_be_bytes());
    }
    bytes
}

/// A PNG whose header claims so many pixels a side; its checksum is right.
pub(crate) fn png_of(png: &[u8], side: u32) -> Vec<u8> {
    let mut bytes = png.to_vec();
    for at in [16, 20] {
        bytes[at..at + 4].copy_from_slice(&side.to_be_bytes());
    }
    let mut crc = !0_u32;
    for &byte in &bytes[12..29] {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

/// A bitmap of three bytes that claims to be immense.
fn bmp_of(side: u32) -> Vec<u8> {
    let mut bytes = b"BM\x3d\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
    bytes.extend([side.to_le_bytes(), side.to_le_bytes()].concat());
    bytes.extend(b"\x01\0\x18\0");
    bytes.extend([0; 27]);
    bytes
}

/// A TIFF of one strip that claims to be immense.
fn tiff_of(side: u32) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    let entries: [(u16, u32); 8] = [
        (256, side),
        (257, side),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (278, side),
        (279, u32::MAX),
    ];
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, value) in entries {
        bytes.extend([tag.to_le_bytes(), 4_u16.to_le_bytes()].concat());
        bytes.extend([1_u32.to_le_bytes(), value.to_le_bytes()].concat());
    }
    bytes.extend([0; 4]);
    bytes
}

/// Sends a body in chunks, all that is taken.
fn chunked(server: &Server, chunk: &[u8], times: usize) -> Answer {
    let mut stream = server.connect();
    write!(
        stream,
        "POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: {JSON}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .unwrap();
    for _ in 0..times {
        let sent = write!(stream, "{:x}\r\n", chunk.len())
            .and_then(|()| stream.write_all(chunk))
            .and_then(|()| stream.write_all(b"\r\n"));
        if sent.is_err() {
            break;
        }
    }
    let _ = stream.write_all(b"0\r\n\r\n");
    answer(stream)
}

/// Largest memory that the process ever had, in MiB; `None` where the system does not say.
fn peak_mib(server: &Server) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kib| kib >> 10)
}

#[test]
fn what_is_too_large_or_too_slow_is_refused_with_a_message_and_costs_little() {
    let folder = runs();
    let png = folder.read_bytes("0.png");
    let server = Server::start(folder, "runs/a --max-body 2 --max-pixels 1 --timeout 2");
    let predict = |body: &[u8]| server.send("/v1/predict", JSON, body);
    let image = |bytes: &[u8]| server.post("/v1/predict", &row(bytes, &json!({})));
    let good = || image(&png);
    assert_eq!(good().status, 200);
    let before = peak_mib(&server);

    let begun = || {
        let mut stream = server.connect();
        let head = head("/v1/predict", JSON, 100);
        write!(
            stream,
            "{head}host: localhost\r\nconnection: close\r\n\r\n{{"
        )
        .unwrap();
        stream
    };
    let slow = answer(begun());
    let half = {
        let stream = begun();
        stream.shutdown(Shutdown::Write).unwrap();
        answer(stream)
    };
    let nested = format!(
        r#"{{"image": "{}", "metadata": {{"beds": {}}}}}"#,
        base64(&png),
        "[".repeat(100_000)
    );
    let many = json!(vec![json!({}); 257]);
    let bad: Vec<(&str, Answer, &[u16])> = vec![
        // Too large.
        (
            "a length of 10 GiB",
            server.ask(&head("/v1/predict", JSON, 10 << 30), b""),
            &[413],
        ),
        ("a body of 3 MiB", predict(&vec![b' '; 3 << 20]), &[413]),
        ("a body of 64 MiB", predict(&vec![b' '; 64 << 20]), &[413]),
        (
            "chunks without an end",
            chunked(&server, &[b' '; 1 << 16], 4096),
            &[413],
        ),
        (
            "a PNG of 60000 × 60000",
            image(&png_of(&png, 60_000)),
            &[413],
        ),
        (
            "a PNG of 2³¹ a side",
            image(&png_of(&png, 1 << 31)),
            &[413, 422],
        ),
        ("a JPEG of 65000 × 65000", image(&jpeg_of(65_000)), &[413]),
        (
            "a BMP of 60000 × 60000",
            image(&bmp_of(60_000)),
            &[413, 422],
        ),
        (
            "a TIFF of 10⁶ × 10⁶",
            image(&tiff_of(1_000_000)),
            &[413, 422],
        ),
        ("257 rows", server.post("/v1/predict", &many), &[413]),
        // Too deep.
        ("100 000 brackets", predict(&vec![b'['; 100_000]), &[400]),
        ("nested cells", predict(nested.as_bytes()), &[400]),
        // Too slow.
        ("half a body and no more", slow, &[408]),
        ("half a body and the end", half, &[400]),
    ];
    for (what, answer, expected) in bad {
        assert_refused(what, &answer, expected);
    }
    assert_eq!(good().status, 200);
    // Bodies of 8 × 2 MiB and an image of 1 megapixel may be held; a bomb would be thousands of MiB.
    if let (Some(before), Some(after)) = (before, peak_mib(&server)) {
        assert!(
            after - before < 96,
            "{before} MiB before, {after} MiB after"
        );
    }
}
