//! What is predicted, and what is said of it.

use std::thread;

use serde_json::{Value, json};

use super::client::{Answer, form, row};
use super::runs::runs;
use super::site::Site;
use crate::folder::Folder;

/// What `sidelight predict` writes for a run and a table.
fn predicted(folder: &Folder, run: &str, table: &str) -> Vec<Value> {
    let out = format!("{run}.jsonl");
    folder.done(&format!("predict runs/{run} {table} --out {out}"));
    let lines = folder.read(&out);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The rows of a CSV as requests.
fn requests(folder: &Folder, table: &str, columns: &[&str]) -> Vec<Value> {
    let text = folder.read(table);
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let place = |name: &str| header.iter().position(|column| *column == name).unwrap();
    let request = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let metadata: Value = columns
            .iter()
            .map(|column| {
                let text = cells[place(column)];
                let cell = text.parse::<f64>().map_or(Value::from(text), Value::from);
                ((*column).to_owned(), cell)
            })
            .collect::<serde_json::Map<_, _>>()
            .into();
        row(&folder.read_bytes(cells[place("file_name")]), &metadata)
    };
    text.lines().skip(1).map(request).collect()
}

/// All at once, in order.
fn at_once(server: &Site, path: &str, requests: &[Value]) -> Vec<Answer> {
    thread::scope(|scope| {
        let asked: Vec<_> = requests
            .iter()
            .map(|request| scope.spawn(move || server.post(path, request)))
            .collect();
        asked
            .into_iter()
            .map(|asked| asked.join().unwrap())
            .collect()
    })
}

/// The numbers of an answer under the columns' names of a table of predictions.
fn columns(prediction: &Value) -> Vec<(String, Value)> {
    match prediction["kind"].as_str().unwrap() {
        "regression" => {
            let values = prediction["values"].as_object().unwrap();
            values
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        }
        "class" => {
            let of = prediction["probabilities"].as_object().unwrap();
            let each = of
                .iter()
                .map(|(name, value)| (format!("p({name})"), value.clone()));
            let best = ["class", "probability"].map(|key| prediction[key].clone());
            each.chain(
                ["prediction".to_owned(), "probability".to_owned()]
                    .into_iter()
                    .zip(best),
            )
            .collect()
        }
        _ => {
            let points = prediction["points"].as_array().unwrap();
            let each = points.iter().enumerate();
            each.flat_map(|(n, xy)| {
                [
                    (format!("x{n}"), xy[0].clone()),
                    (format!("y{n}"), xy[1].clone()),
                ]
            })
            .collect()
        }
    }
}

#[test]
fn a_row_is_predicted_to_the_bit_as_the_command_predicts_it() {
    let folder = runs();
    let server = Site::open(folder, "runs/a runs/alone runs/tree runs/spots");
    let all = [
        ("a", "houses.csv", &["beds", "tree"][..]),
        ("alone", "houses.csv", &["beds", "tree"]),
        ("tree", "houses.csv", &[]),
        ("spots", "spots.csv", &["beds"]),
    ];
    for (run, table, of) in all {
        let written = predicted(folder, run, table);
        let requests = requests(folder, table, of);
        let path = format!("/v1/predict?model={run}");
        let together = at_once(&server, &path, &requests);
        let list = server.post(&path, &requests.clone().into());
        assert_eq!(list.status, 200, "{list:?}");
        assert_eq!(list.json().as_array().unwrap().len(), requests.len());
        for (n, written) in written.iter().enumerate() {
            assert_eq!(together[n].status, 200, "{:?}", together[n]);
            let answer = together[n].json();
            let found = columns(&answer["prediction"]);
            assert!(!found.is_empty());
            for (column, value) in found {
                assert_eq!(value, written[&column], "{run}, row {n}, {column}");
            }
            assert_eq!(
                list.json()[n]["prediction"],
                answer["prediction"],
                "{run}, row {n}"
            );
        }
    }
}

#[test]
fn sets_are_those_that_the_command_writes() {
    let folder = runs();
    let server = Site::open(folder, "runs/a runs/tree runs/spots");
    let all = [
        ("a", "houses.csv", &["beds", "tree"][..]),
        ("tree", "houses.csv", &[]),
        ("spots", "spots.csv", &["beds"]),
    ];
    for (run, table, of) in all {
        let out = format!("{run}-sets.jsonl");
        folder.done(&format!(
            "predict runs/{run} {table} --coverage 0.6 --out {out}"
        ));
        let written = folder.read(&out);
        let requests = requests(folder, table, of);
        let path = format!("/v1/predict?model={run}&coverage=0.6");
        for (answer, line) in at_once(&server, &path, &requests)
            .iter()
            .zip(written.lines())
        {
            let written: Value = serde_json::from_str(line).unwrap();
            let answer = answer.json();
            assert_eq!(answer["coverage"], 0.6);
            let prediction = &answer["prediction"];
            match run {
                "a" => {
                    let ends = [&written["price_low"], &written["price_high"]];
                    assert_eq!(prediction["intervals"]["price"], json!(ends));
                    assert!(ends[0].as_f64() < written["price"].as_f64());
                    assert!(ends[1].as_f64() > written["price"].as_f64());
                }
                "tree" => {
                    let set = prediction["set"].as_array().unwrap();
                    assert_eq!(written["set_size"], set.len());
                    let names: Vec<&str> = set.iter().map(|name| name.as_str().unwrap()).collect();
                    assert_eq!(written["set"], names.join("|"));
                }
                _ => assert_eq!(
                    prediction["radii"],
                    json!([written["radius_0"], written["radius_1"]])
                ),
            }
        }
    }
    let request = row(&folder.read_bytes("0.png"), &json!({"beds": 1}));
    let refused = server.post("/v1/predict?coverage=0.999", &request);
    assert_eq!(refused.status, 422, "{refused:?}");
    let refused = refused.json();
    assert!(
        refused["error"]
            .as_str()
            .unwrap()
            .contains("999 are needed"),
        "{refused}"
    );
    assert!(
        refused["hint"]
            .as_str()
            .unwrap()
            .contains("coverage of at most"),
        "{refused}"
    );
    for none in ["0", "1", "90", "x"] {
        let refused = server.post(&format!("/v1/predict?coverage={none}"), &request);
        assert_eq!(refused.status, 400, "{refused:?}");
    }
}

#[test]
fn a_form_says_the_same_as_json() {
    let folder = runs();
    let server = Site::open(folder, "runs/a");
    let image = folder.read_bytes("3.png");
    let of_json = server.post(
        "/v1/predict",
        &row(&image, &json!({"beds": 3, "tree": "elm"})),
    );
    let cells = [
        ("image", Some("3.png"), &image[..]),
        ("beds", None, b"3"),
        ("tree", None, b"elm"),
    ];
    let (kind, body) = form(&cells);
    let of_text = server.send("/v1/predict", &kind, &body);
    let object = [
        ("image", Some("3.png"), &image[..]),
        ("metadata", None, br#"{"beds": 3, "tree": "elm"}"#),
    ];
    let (kind, body) = form(&object);
    let of_object = server.send("/v1/predict", &kind, &body);
    assert_eq!(of_json.status, 200, "{of_json:?}");
    assert_eq!(of_json.json(), of_text.json());
    assert_eq!(of_json.json(), of_object.json());
    let two = [
        ("image", Some("3.png"), &image[..]),
        ("image", Some("4.png"), &folder.read_bytes("4.png")),
        ("beds", None, b"3"),
        ("tree", None, b"elm"),
    ];
    let (kind, body) = form(&two);
    let list = server.send("/v1/predict", &kind, &body).json();
    assert_eq!(list[0], of_json.json());
    assert_ne!(list[1]["prediction"], list[0]["prediction"]);
}

#[test]
fn what_training_had_not_seen_is_predicted_and_said() {
    let folder = runs();
    let server = Site::open(folder, "runs/a runs/alone");
    let image = folder.read_bytes("0.png");
    let answer = server.post(
        "/v1/predict",
        &row(&image, &json!({"beds": null, "tree": "birch"})),
    );
    let notes = answer.json()["notes"].to_string();
    assert!(
        notes.contains("`beds` is missing") && notes.contains("birch (1)"),
        "{answer:?}"
    );
    // Half of the images were left out while it was trained: it does without.
    let without = server.post("/v1/predict", &json!({"metadata": {"beds": 2}}));
    assert_eq!(without.status, 200, "{without:?}");
    // Metadata alone needs no image, and an image alone no metadata.
    let alone = server.post("/v1/predict?model=alone", &json!({"metadata": {"beds": 2}}));
    assert_eq!(alone.status, 200, "{alone:?}");
    assert_eq!(alone.json()["image"], Value::Null);
}

#[test]
fn a_bad_request_in_a_batch_fails_alone() {
    let folder = runs();
    let server = Site::open(folder, "runs/a");
    let good = row(
        &folder.read_bytes("5.png"),
        &json!({"beds": 1, "tree": "oak"}),
    );
    let expected = server.post("/v1/predict", &good).json();
    let mut truncated = folder.read_bytes("5.png");
    truncated.truncate(100);
    let bad = row(&truncated, &json!({"beds": 1, "tree": "oak"}));
    let mixed: Vec<Value> = (0..24)
        .map(|n| {
            if n % 3 == 1 {
                bad.clone()
            } else {
                good.clone()
            }
        })
        .collect();
    for (n, answer) in at_once(&server, "/v1/predict", &mixed)
        .into_iter()
        .enumerate()
    {
        if n % 3 == 1 {
            assert_eq!(answer.status, 422, "{answer:?}");
            assert!(answer.error().contains("truncated"), "{answer:?}");
        } else {
            assert_eq!(answer.json(), expected);
        }
    }
    let list = server.post("/v1/predict", &json!([good, bad]));
    assert_eq!(list.status, 422);
    assert!(list.error().starts_with("row 2: "), "{list:?}");
}

#[test]
fn rows_that_are_taken_on_together_are_predicted_together_and_nobody_waits_for_nobody() {
    let folder = runs();
    // Waiting would end in a refusal after 20 s.
    let server = Site::open(folder, "runs/a --batch-wait 60000 --timeout 20");
    let good = row(&folder.read_bytes("5.png"), &json!({"beds": 1}));
    let list = json!([good, good, good, good, good]);
    assert_eq!(server.post("/v1/predict", &list).status, 200);
    assert_eq!(server.post("/v1/predict", &good).status, 200);
    let text = server.get("/metrics").body;
    for line in [
        "sidelight_batch_rows_bucket{le=\"4.0\",model=\"a\"} 1",
        "sidelight_batch_rows_count{model=\"a\"} 2",
        "sidelight_batch_rows_sum{model=\"a\"} 6.0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_full_queue_refuses_and_goes_on() {
    let folder = runs();
    let server = Site::open(folder, "runs/a --queue 1");
    let good = row(&folder.read_bytes("5.png"), &json!({"beds": 1}));
    let answers = at_once(&server, "/v1/explain", &vec![good.clone(); 32]);
    for answer in &answers {
        assert!([200, 429].contains(&answer.status), "{answer:?}");
        if answer.status == 429 {
            assert!(
                answer.error().contains("its queue of 1 rows is full"),
                "{answer:?}"
            );
            assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
        }
    }
    assert!(answers.iter().any(|answer| answer.status == 200));
    assert_eq!(server.post("/v1/predict", &good).status, 200);
}

#[test]
fn a_prediction_is_explained() {
    let folder = runs();
    let server = Site::open(folder, "runs/a runs/alone runs/spots");
    let request = row(
        &folder.read_bytes("5.png"),
        &json!({"beds": 1, "tree": "oak"}),
    );
    let why = server.post("/v1/explain", &request);
    assert_eq!(why.status, 200, "{why:?}");
    let why = why.json();
    let part = |name: &str| why[name].as_f64().unwrap();
    let sum = part("baseline") + part("image_adds") + part("metadata_adds");
    assert!(
        (sum - part("value")).abs() < 1e-6 * part("value").abs().max(1.0),
        "{why}"
    );
    let predicted = server.post("/v1/predict", &request).json();
    assert_eq!(why["prediction"], predicted["prediction"]);
    let heat = &why["heat"];
    let places = heat["width"].as_u64().unwrap() * heat["height"].as_u64().unwrap();
    assert_eq!(heat["values"].as_array().unwrap().len() as u64, places);
    let curves = why["curves"].as_array().unwrap();
    let beds = curves
        .iter()
        .find(|curve| curve["column"] == "beds")
        .unwrap();
    let x: Vec<f64> = beds["points"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|point| point["x"].as_f64())
        .collect();
    // The range of training rows, from the model alone.
    assert_eq!((x[0], x[x.len() - 1]), (0.0, 4.0), "{beds}");

    let alone = server
        .post("/v1/explain?model=alone", &json!({"metadata": {"beds": 2}}))
        .json();
    assert_eq!(alone["heat"], Value::Null);
    let spots = server
        .post(
            "/v1/explain?model=spots",
            &row(&folder.read_bytes("side6.jpg"), &json!({})),
        )
        .json();
    assert!(spots["heat"]["to_stored"].is_array(), "{spots}");
    assert_eq!(spots["arrows"], Value::Null);
    let one = server.post(
        "/v1/explain?model=spots&point=1",
        &row(&folder.read_bytes("side6.jpg"), &json!({})),
    );
    assert_eq!(one.json()["of"], "displacement of point 1, px");
    assert!(one.json()["arrows"].is_array(), "{one:?}");
    let damaged = server.post(
        "/v1/explain",
        &row(&folder.read_bytes("5.png")[..90], &json!({})),
    );
    assert_eq!(damaged.status, 422, "{damaged:?}");
}

#[test]
fn the_schema_says_what_a_row_may_say() {
    let folder = runs();
    let server = Site::open(folder, "runs/a other=runs/tree");
    assert_eq!(server.get("/v1/models").json(), json!(["a", "other"]));
    let schema = server.get("/v1/schema").json();
    let columns = &schema["properties"]["metadata"]["properties"];
    assert_eq!(columns["beds"]["x-training-range"], json!([0.0, 4.0]));
    assert_eq!(columns["tree"]["x-categories"], json!(["elm", "oak"]));
    // A model of both does without an image, one of the image alone does not.
    assert_eq!(schema["required"], json!([]));
    let other = server.get("/v1/schema?model=other").json();
    assert_eq!(other["required"], json!(["image"]));
    let range = &schema["x-target"]["training_range"][0];
    assert!(
        range[0].as_f64() >= Some(100.0) && range[1].as_f64() <= Some(261.0),
        "{schema}"
    );
    let other = server.get("/v1/schema?model=other").json();
    assert_eq!(other["x-target"]["names"], json!(["elm", "oak"]));

    let document = server.get("/openapi.json").json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        // Every path that is described is there: a GET is answered, a POST without a body refused as such.
        let answer = match methods.get("get") {
            Some(_) => server.get(path),
            None => server.send(path, "application/json", b""),
        };
        assert!([200, 400].contains(&answer.status), "{path}: {answer:?}");
    }
}

#[test]
fn metrics_count_requests_and_rows() {
    let folder = runs();
    let server = Site::open(folder, "runs/a");
    let good = row(&folder.read_bytes("5.png"), &json!({}));
    server.post("/v1/predict", &json!([good, good, good]));
    server.post("/v1/predict", &good);
    server.post("/v1/predict", &json!({"image": "bm90IGFuIGltYWdl"}));
    server.get("/nowhere/at/all");
    let text = server.get("/metrics").body;
    for line in [
        "sidelight_requests_total{route=\"/v1/predict\",status=\"200\"} 2",
        "sidelight_requests_total{route=\"/v1/predict\",status=\"422\"} 1",
        "sidelight_requests_total{route=\"none\",status=\"404\"} 1",
        "sidelight_batch_rows_sum{model=\"a\"} 4.0",
        "sidelight_queue_rows{model=\"a\"} 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in\n{text}"
        );
    }
}
