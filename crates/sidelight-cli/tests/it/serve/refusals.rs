//! Requests that are wrong in every way we could think of, one test each: all are refused with a message.

use std::sync::OnceLock;

use axum::http::Request;
use serde_json::{Value, json};

use super::bad_requests::png_of;
use super::client::{Answer, assert_refused, base64, form, row};
use super::runs::{photograph, runs};
use super::site::Site;

const JSON: &str = "application/json";

/// One server for all: no request changes it.
fn site() -> &'static Site {
    static SITE: OnceLock<Site> = OnceLock::new();
    SITE.get_or_init(|| Site::open(runs(), "runs/a --max-body 2 --max-pixels 1"))
}

fn png() -> Vec<u8> {
    runs().read_bytes("0.png")
}

/// Posts a body as JSON.
fn predict(body: &[u8]) -> Answer {
    site().send("/v1/predict", JSON, body)
}

/// Posts an image.
fn image(bytes: &[u8]) -> Answer {
    site().post("/v1/predict", &row(bytes, &json!({})))
}

/// Posts a good image with these cells.
fn cells(cells: &Value) -> Answer {
    site().post("/v1/predict", &row(&png(), cells))
}

/// Posts a good image with metadata that need not be JSON.
fn metadata(text: &str) -> Answer {
    let body = format!(r#"{{"image": "{}", "metadata": {text}}}"#, base64(&png()));
    predict(body.as_bytes())
}

/// Posts a form.
fn parts(parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
    let (kind, body) = form(parts);
    site().send("/v1/predict", &kind, &body)
}

#[test]
fn what_a_client_is_told_to_do_about_a_cell_a_client_can_do() {
    let refused = cells(&json!({"beds": "many"})).json();
    let error = refused["error"].as_str().unwrap();
    assert_eq!(
        error,
        "request, row 1, column `beds`: expected a number, found `many`"
    );
    let hint = refused["hint"].as_str().unwrap();
    assert!(hint.starts_with("`GET /v1/schema` says"), "{hint}");
    assert!(!hint.contains("sidelight"), "{hint}");
    let schema = site().get("/v1/schema").json();
    let beds = &schema["properties"]["metadata"]["properties"]["beds"];
    assert_eq!(beds["type"], json!(["number", "null"]));
}

macro_rules! refused {
    ($($name:ident: $expected:expr, $answer:expr;)*) => {$(
        #[test]
        fn $name() {
            assert_refused(stringify!($name), &$answer, &$expected);
        }
    )*};
}

mod images {
    use super::*;

    refused! {
        a_png_cut_short: [422], image(&png()[..png().len() / 2]);
        a_png_without_its_pixels: [422], image(&png()[..40]);
        a_jpeg_cut_short: [422], image(&photograph(6)[..photograph(6).len() / 2]);
        a_small_png_that_claims_more: [422], image(&png_of(&png(), 900));
        a_gif: [422], image(b"GIF89a\x01\0\x01\0\0\0\0");
        a_web_page: [422], image(b"<html><script>alert(1)</script></html>");
        an_empty_image: [422], image(b"");
        an_explanation_without_an_image: [422], site().send("/v1/explain", JSON, b"{}");
        a_path_for_an_image: [400, 422], predict(br#"{"image": "/etc/passwd"}"#);
        an_image_that_is_not_base64: [400], predict(br#"{"image": "%%%"}"#);
        an_image_that_is_a_number: [400], predict(br#"{"image": 7}"#);
    }
}

mod syntax {
    use super::*;

    refused! {
        json_cut_short: [400], predict(br#"{"image": "aGk"#);
        not_utf8: [400], predict(b"{\"image\": \"\xff\xfe\"}");
        an_empty_list: [400], predict(b"[]");
        a_number_for_a_row: [400], predict(b"17");
        a_field_that_there_is_not: [400], predict(br#"{"picture": ""}"#);
        nan: [400], metadata(r#"{"beds": NaN}"#);
        a_number_beyond_all: [400], metadata(r#"{"beds": 1e999}"#);
        a_column_twice: [400], metadata(r#"{"beds": 1, "beds": 2}"#);
    }
}

/// Nothing is lowered here: these are the limits of a server that was started without options.
#[test]
fn with_the_limits_that_a_person_has_what_is_larger_is_refused() {
    let site = Site::open(runs(), "runs/a");
    let body = site.send("/v1/predict", JSON, &vec![b' '; (32 << 20) + 1]);
    assert_refused("33 MiB", &body, &[413]);
    assert!(body.error().contains("32 MiB"), "{body:?}");
    let rows = site.post("/v1/predict", &json!(vec![json!({}); 257]));
    assert_refused("257 rows", &rows, &[413]);
    let wide: serde_json::Map<String, Value> =
        (0..400).map(|at| (format!("c{at}"), json!(1))).collect();
    let cells = site.post("/v1/predict", &json!(vec![json!({"metadata": wide}); 251]));
    assert_refused("100400 cells", &cells, &[413]);
    assert!(cells.error().contains("the limit is 100000"), "{cells:?}");
    let pixels = site.post("/v1/predict", &row(&png_of(&png(), 7100), &json!({})));
    assert_refused("50.4 megapixels", &pixels, &[413]);
    assert!(pixels.error().contains("50000000"), "{pixels:?}");
}

mod values {
    use super::*;

    refused! {
        text_for_a_number: [422], cells(&json!({"beds": "many"}));
        infinity_as_text: [422], cells(&json!({"beds": "inf"}));
        a_column_that_there_is_not: [422], cells(&json!({"bedz": 1}));
        the_target_as_a_column: [422], cells(&json!({"price": 1}));
    }
}

mod forms {
    use super::*;

    const CUT: &[u8] = b"--edge\r\ncontent-disp";

    refused! {
        a_form_without_its_edge: [400], site().send("/v1/predict", "multipart/form-data", b"x");
        a_form_cut_short: [400], site().send("/v1/predict", "multipart/form-data; boundary=edge", CUT);
        a_cell_twice: [400], parts(&[("image", None, &png()), ("beds", None, b"1"), ("beds", None, b"2")]);
        three_images_and_two_rows: [400], parts(&[
            ("image", None, &png()),
            ("image", None, &png()),
            ("image", None, &png()),
            ("metadata", None, b"{}"),
            ("metadata", None, b"{}"),
        ]);
    }

    /// With the limits that a person has: a phone's photograph is larger than what axum takes by itself.
    #[test]
    fn a_photograph_of_three_megabytes_is_taken() {
        static SITE: OnceLock<Site> = OnceLock::new();
        let site = SITE.get_or_init(|| Site::open(runs(), "runs/a"));
        let mut photograph = png();
        photograph.resize(3 << 20, 0);
        let (kind, body) = form(&[
            ("image", Some("photo.png"), &photograph),
            ("beds", None, b"3"),
        ]);
        let answer = site.send("/v1/predict", &kind, &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    #[test]
    fn a_form_whose_rows_would_each_have_a_copy_of_much_is_refused() {
        let note = vec![b'x'; 200_000];
        let mut parts: Vec<(&str, Option<&str>, &[u8])> = vec![("note", None, &note)];
        parts.extend((0..200).map(|_| ("metadata", None, &b"{}"[..])));
        let (kind, body) = form(&parts);
        let answer = site().send("/v1/predict", &kind, &body);
        assert_refused("copies", &answer, &[413]);
        assert!(answer.error().contains("32 MiB"), "{answer:?}");
    }

    #[test]
    fn a_file_name_with_a_path() {
        let answer = parts(&[("image", Some("../../../etc/passwd"), &png()[..40])]);
        assert_refused("a file name with a path", &answer, &[422]);
        assert!(!answer.body.contains("etc/"), "{answer:?}");
    }
}

mod doors {
    use super::*;

    refused! {
        another_content_type: [415], site().send("/v1/predict", "text/csv", b"beds\n1");
        no_content_type: [415], site().ask(Request::post("/v1/predict").header("content-length", 2), b"{}");
        a_packed_body: [415], site().ask(
            Request::post("/v1/predict").header("content-type", JSON).header("content-encoding", "gzip"),
            b"\x1f\x8b\x08\0",
        );
        a_model_with_a_path: [404], site().post("/v1/predict?model=../../etc/passwd", &json!({}));
        a_model_with_a_path_in_percents: [404], site().get("/v1/schema?model=%2e%2e%2fa%00");
        a_path_out_of_the_server: [404], site().get("/../../etc/passwd");
        the_wrong_method: [405], site().get("/v1/predict");
        a_point_that_there_is_not: [400], site().post("/v1/explain?point=ear", &row(&png(), &json!({})));
        several_rows_to_explain: [400], site().post("/v1/explain", &json!([row(&png(), &json!({}))]));
    }
}
