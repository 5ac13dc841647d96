//! Weights by `org/name`, from a hub in this process.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

use crate::folder::{Folder, has, refused};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Answers every request with these bytes; its URL.
fn serve(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let is_head = lines.next().unwrap().starts_with("HEAD");
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\netag: \"a\"\r\nx-repo-commit: {COMMIT}\r\n\r\n",
                bytes.len()
            );
            let body = if is_head { &[] } else { &bytes[..] };
            stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        }
    });
    url
}

/// The backbone's part of a trained network, as a file of weights.
fn backbone_of(model: &[u8]) -> Vec<u8> {
    let length = u64::from_le_bytes(model[..8].try_into().unwrap()) as usize;
    let (header, data) = model[8..].split_at(length);
    let header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(header).unwrap();
    let mut kept = serde_json::Map::new();
    let mut numbers = Vec::new();
    for (key, mut tensor) in header {
        if key.starts_with("head.") || key == "__metadata__" {
            continue;
        }
        let place = |i: usize| tensor["data_offsets"][i].as_u64().unwrap() as usize;
        let bytes = &data[place(0)..place(1)];
        tensor["data_offsets"] = vec![numbers.len(), numbers.len() + bytes.len()].into();
        numbers.extend(bytes);
        kept.insert(key, tensor);
    }
    let header = serde_json::to_vec(&kept).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &numbers].concat()
}

fn with_hub(mut command: Command, endpoint: &str, variables: &[(&str, &str)]) -> (i32, String) {
    for name in [
        "HF_HUB_CACHE",
        "HF_HUB_OFFLINE",
        "HF_TOKEN",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env_remove(name);
    }
    command.env("HF_ENDPOINT", endpoint).env("HF_HOME", "hf");
    command.envs(variables.iter().copied());
    let output = command.output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn weights_by_name_are_fetched_once_and_a_run_goes_on_with_them_offline() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out first --set model.arm=image");
    let hub = serve(backbone_of(
        &folder.read_bytes("first/model/weights.safetensors"),
    ));
    let train = "train houses.toml --set model.weights=our/cards --set train.freeze_epochs=0 --out";
    let (code, said) = with_hub(folder.command(&format!("{train} a")), &hub, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains(&format!(
            "downloading {hub}/our/cards/resolve/{COMMIT}/model.safetensors"
        )),
        "{said}"
    );
    assert!(folder.exists(&format!(
        "hf/hub/models--our--cards/snapshots/{COMMIT}/model.safetensors"
    )));
    let config = folder.read("a/config.toml");
    assert!(config.contains("weights = \"our/cards\"\n"), "{config}");
    assert!(!config.contains("hf"), "{config}");

    // From here on the hub is not there.
    let nowhere = "http://127.0.0.1:1";
    let offline = [("HF_HUB_OFFLINE", "1")];
    let (code, said) = with_hub(folder.command(&format!("{train} b")), nowhere, &offline);
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("downloading"), "{said}");
    assert_eq!(
        folder.read("a/predictions.csv"),
        folder.read("b/predictions.csv")
    );
    folder.done("predict a houses.csv --out p.csv");
}

#[test]
fn offline_and_not_in_the_cache_it_is_said_what_to_do() {
    let folder = Folder::with_houses();
    let train = folder.command("train houses.toml --out a --set model.weights=our/cards");
    let (code, said) = with_hub(train, "https://hub.example", &[("HF_HUB_OFFLINE", "1")]);
    assert_eq!(code, 2);
    let own = format!("{}/", folder.path().display());
    insta::assert_snapshot!(said.replace(&own, ""), @r#"
    error: the weights `our/cards` are not in hf/hub/models--our--cards, and nothing is downloaded in offline mode

    hint: where there is a network, download https://hub.example/our/cards/resolve/main/model.safetensors and set `model.weights` to the file; or copy hf/hub/models--our--cards from there (offline is what HF_HUB_OFFLINE asks for); `model.weights=none` trains from scratch, which needs far more rows
    "#);
    assert!(!folder.exists("a"));
}

#[test]
fn a_name_that_is_neither_a_file_nor_on_the_hub() {
    let said = Folder::with_houses().run("check houses.toml --set model.weights=imagenet");
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.stderr, @r#"
    error: `imagenet` is not a valid Hugging Face repository name: expected one `/`, found 0

    hint: `model.weights` is `auto`, `none`, a file (.safetensors, .pth, .pt or .bin, or a path that begins with `./`), or the owner and name of a repository, as in `timm/resnet18.tv_in1k` or `timm/resnet18.tv_in1k@REVISION`
    "#);
}

#[test]
fn what_init_writes_begins_with_weights_from_the_hub() {
    let folder = Folder::with_houses();
    let scratch = "--set model.backbone=mobilenet_v2 --set model.weights=none --set train.epochs=1 --set train.size=32";
    folder.done(&format!(
        "train houses.toml --out first --set model.arm=image {scratch}"
    ));
    // Not by `run`, which trains from scratch.
    let done = folder.command("init houses.csv --target price").output();
    assert!(done.unwrap().status.success());
    let nowhere = "http://127.0.0.1:1";
    let train = "train sidelight.toml --set train.epochs=1 --set train.size=32 --set train.freeze_epochs=0 --out";
    let (code, said) = with_hub(folder.command(&format!("{train} a")), nowhere, &[]);
    assert_eq!(code, 2, "{said}");
    has(
        &said,
        "cannot reach http://127.0.0.1:1/timm/mobilenetv2_100.ra_in1k/resolve/main/model.safetensors",
    );
    has(&said, "`model.weights=none` trains from scratch");
    assert!(!folder.exists("a"));
    // To look at it needs none.
    for line in ["check", "show", "inspect", "audit"] {
        let line = format!("{line} sidelight.toml");
        let (code, said) = with_hub(folder.command(&line), nowhere, &[]);
        assert!(code < 2, "{line}\n{said}");
    }

    let weights = backbone_of(&folder.read_bytes("first/model/weights.safetensors"));
    let hub = serve(weights);
    let (code, said) = with_hub(folder.command(&format!("{train} a")), &hub, &[]);
    assert_eq!(code, 0, "{said}");
    // A run says what it began with.
    has(
        &folder.read("a/config.toml"),
        "weights = \"timm/mobilenetv2_100.ra_in1k\"\n",
    );
}

#[test]
fn a_file_of_weights_says_whose_it_is() {
    let folder = Folder::with_houses();
    folder.done("train houses.toml --out first --set model.arm=image --set model.backbone=mobilenet_v3_small --set train.size=32");
    let weights = backbone_of(&folder.read_bytes("first/model/weights.safetensors"));
    folder.write_bytes("net.safetensors", &weights);
    let written = |more: &str| {
        folder
            .done(&format!("init houses.csv --target price --out - {more}"))
            .stdout
    };
    let text = written("--set model.weights=net.safetensors");
    has(&text, "backbone = \"mobilenet_v3_small\"");
    let text = written("--set model.weights=timm/resnet34.tv_in1k");
    has(&text, "backbone = \"resnet34\"");
    // What is said stays.
    let text = written("--set model.weights=net.safetensors --set model.backbone=resnet18");
    has(&text, "backbone = \"resnet18\"");
    folder.write("said.toml", &text);
    has(
        &refused(&folder, "train said.toml --out a"),
        "hint: they are weights of `mobilenet_v3_small`: set `model.backbone` to it",
    );
}

#[test]
fn backbones_are_listed_with_the_names_of_their_weights() {
    let said = Folder::new().done("backbones --format csv").stdout;
    assert!(
        said.starts_with("name,size,hub,weights,licence,source\nsmall_cnn,"),
        "{said}"
    );
    assert!(
        said.contains("\nresnet18,224,timm/resnet18.tv_in1k,"),
        "{said}"
    );
}
