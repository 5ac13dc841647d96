//! The page in a real browser: from the keyboard, on a phone, in light and dark.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::client::Server;
use super::devtools::Browser;
use super::runs::runs;

const SHOWN: &str = "!document.getElementById('ask').hidden";
const ANSWERED: &str = "!document.getElementById('answer-part').hidden && state.answer !== null";

/// The key for the next control, and others with their numbers.
const TAB: (&str, u32) = ("Tab", 9);
const ENTER: (&str, u32) = ("Enter", 13);
const RIGHT: (&str, u32) = ("ArrowRight", 39);
const DOWN: (&str, u32) = ("ArrowDown", 40);

fn focused(browser: &mut Browser) -> String {
    let id = browser.eval("document.activeElement.id || document.activeElement.tagName");
    id.as_str().unwrap().to_owned()
}

/// Goes on from control to control until this one.
fn tab_to(browser: &mut Browser, wanted: &str) {
    for _ in 0..60 {
        if focused(browser) == wanted {
            return;
        }
        browser.press(TAB.0, TAB.1);
    }
    panic!("the keyboard does not reach #{wanted}");
}

#[test]
fn a_row_is_filled_in_predicted_and_changed_from_the_keyboard() {
    let folder = runs();
    let server = Server::start(folder, "runs/a");
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let home = format!("http://{}/", server.at);
    browser.looks(1100, 800, false, "light");
    browser.open(&home);
    browser.until(SHOWN);
    assert_eq!(
        browser.eval("document.getElementById('lead').textContent"),
        "Predicts price, from a picture and 2 columns."
    );

    // Upload.
    browser.choose("#file", &folder.path().join("7.png"));
    browser.until("document.getElementById('picture').naturalWidth === 8");

    // Fill: what is not filled in is not known.
    assert_eq!(
        browser.eval("JSON.stringify(cells())"),
        r#"{"beds":null,"tree":null}"#
    );
    tab_to(&mut browser, "f0-slider");
    for _ in 0..2 {
        browser.press(RIGHT.0, RIGHT.1);
    }
    tab_to(&mut browser, "f1");
    browser.press(DOWN.0, DOWN.1);
    assert_eq!(
        browser.eval("JSON.stringify(cells())"),
        r#"{"beds":4,"tree":"elm"}"#
    );

    // Predict.
    tab_to(&mut browser, "predict");
    browser.press(ENTER.0, ENTER.1);
    browser.until(ANSWERED);
    let first = browser.eval("state.answer.prediction.values.price");
    let shown = browser.eval("document.querySelector('[data-name=price]').textContent");
    assert_eq!(
        shown,
        browser.eval("number(state.answer.prediction.values.price)")
    );
    let said = browser.eval("document.getElementById('said').textContent");
    assert!(said.as_str().unwrap().starts_with("price "), "{said}");

    // What if: the prediction moves with the slider, and the first is kept beside it.
    browser.eval("document.getElementById('f0-slider').focus()");
    browser.press("ArrowLeft", 37);
    browser.press("ArrowLeft", 37);
    browser.until("document.getElementById('said').textContent.includes('before the changes')");
    let moved = browser.eval("state.answer.prediction.values.price");
    assert_ne!(first, moved);
    assert_eq!(
        browser.eval("state.first.answer.prediction.values.price"),
        first
    );
    browser.eval("document.getElementById('again').click()");
    browser.until(&format!("state.answer.prediction.values.price === {first}"));

    // Why.
    tab_to(&mut browser, "explain");
    browser.press(ENTER.0, ENTER.1);
    browser.until("!document.getElementById('why').hidden");
    assert_eq!(
        browser.eval("document.getElementById('heat').hidden"),
        false
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('.curve').length"),
        2
    );

    // An error is shown, and goes when it is mended.
    folder.write("no.png", "this is text");
    browser.choose("#file", &folder.path().join("no.png"));
    browser.until("document.getElementById('answer-part').hidden");
    browser.eval("document.getElementById('predict').click()");
    browser.until("!document.getElementById('alert').hidden");
    let alert = browser.eval("document.getElementById('alert').textContent");
    assert!(
        alert.as_str().unwrap().contains("no.png: not a JPEG, PNG"),
        "{alert}"
    );
    browser.choose("#file", &folder.path().join("7.png"));
    browser.until("document.getElementById('alert').hidden");
    browser.eval("document.getElementById('predict').click()");
    browser.until(ANSWERED);

    // Nothing was asked of anybody else.
    let is_ours = |url: &String| {
        [&*home, "blob:", "data:", "about:"]
            .iter()
            .any(|ours| url.starts_with(ours))
    };
    assert!(
        browser.asked.len() > 5 && browser.asked.iter().all(is_ours),
        "{:?}",
        browser.asked
    );
}

#[test]
fn points_lie_on_the_upright_picture() {
    let folder = runs();
    let server = Server::start(folder, "runs/spots");
    let Some(mut browser) = Browser::start() else {
        return;
    };
    browser.looks(1100, 800, false, "light");
    browser.open(&format!("http://{}/", server.at));
    browser.until(SHOWN);
    browser.choose("#file", &folder.path().join("side6.jpg"));
    browser.until("document.getElementById('picture').complete && document.getElementById('picture').naturalWidth > 0");
    browser.eval("document.getElementById('predict').click()");
    browser.until(ANSWERED);
    // The browser shows it upright, and so does the drawing.
    let sides = browser.eval("[picture.naturalWidth, picture.naturalHeight].join(' ')");
    let view = browser.eval("document.getElementById('marks').getAttribute('viewBox')");
    assert_eq!(view, format!("0 0 {}", sides.as_str().unwrap()));
    assert_eq!(
        browser.eval("document.querySelectorAll('#marks .point').length"),
        2
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('#answer tr').length"),
        2
    );
    let turned = browser.eval(
        "(() => { const [x, y] = state.answer.prediction.points[0]; const at = upright(state.answer.image, [x, y]); \
         return Math.abs(at[0] - (state.answer.image.height - y)) < 1e-3 && Math.abs(at[1] - x) < 1e-3; })()",
    );
    assert_eq!(turned, true, "orientation 6 turns a quarter to the right");
}

#[test]
fn on_a_phone_in_the_dark_nothing_sticks_out() {
    let folder = runs();
    folder.write("key.txt", "s3cret-token");
    let server = Server::start(folder, "runs/tree runs/a --token-file key.txt");
    let Some(mut browser) = Browser::start() else {
        return;
    };
    browser.looks(360, 740, true, "dark");
    browser.open(&format!("http://{}/", server.at));
    // The page asks for the token.
    browser.until("!document.getElementById('key').hidden");
    browser.eval("document.getElementById('token').value = 's3cret-token'; document.querySelector('#key button').click()");
    browser.until(SHOWN);
    browser.eval("(() => { const model = document.getElementById('model'); model.value = 'a'; model.dispatchEvent(new Event('change')); })()");
    browser.until("document.getElementById('title').textContent === 'a'");
    browser.choose("#camera", &folder.path().join("3.png"));
    browser.eval("document.getElementById('predict').click()");
    browser.until(ANSWERED);
    browser.eval("document.getElementById('explain').click()");
    browser.until("!document.getElementById('why').hidden");
    let width = browser.eval("document.documentElement.scrollWidth");
    assert!(width.as_u64() <= Some(360), "{width}");
    // Light letters on dark paper.
    let colours = browser.eval(
        "['color', 'backgroundColor'].map((name) => getComputedStyle(document.body)[name].match(/\\d+/g).map(Number).reduce((a, b) => a + b))",
    );
    assert!(
        colours[0].as_u64() > Some(600) && colours[1].as_u64() < Some(150),
        "{colours}"
    );
    // Fingers need room: every control is at least 40 pixels high.
    let low = browser.eval(
        "[...document.querySelectorAll('button, select, input:not([type=range]):not(.away):not([type=radio])')]\
         .filter((one) => one.offsetParent && one.offsetHeight < 40).map((one) => one.outerHTML)",
    );
    assert_eq!(low, Value::Array(vec![]));
    // Another model, of classes.
    browser.eval("(() => { const model = document.getElementById('model'); model.value = 'tree'; model.dispatchEvent(new Event('change')); })()");
    browser.until("document.getElementById('title').textContent === 'tree'");
    browser.eval("document.getElementById('predict').click()");
    browser.until(ANSWERED);
    assert_eq!(
        browser.eval("document.querySelectorAll('#answer .bars tr').length"),
        2
    );
}

/// The pictures of docs/, of a demonstration that was made before:
/// `sidelight demo && SIDELIGHT_PICTURES=docs SIDELIGHT_DEMO=demo cargo test -p sidelight-cli --test it pictures`.
#[test]
fn pictures_of_the_page() {
    let (Some(out), Some(demo)) = (folder_of("SIDELIGHT_PICTURES"), folder_of("SIDELIGHT_DEMO"))
    else {
        eprintln!("skipped: SIDELIGHT_PICTURES and SIDELIGHT_DEMO name no folders");
        return;
    };
    let folder = crate::folder::Folder::new();
    let server = Server::start(&folder, &format!("{}", demo.join("both").display()));
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let table = std::fs::read_to_string(demo.join("data/metadata.csv")).unwrap();
    let (header, row) = (table.lines().next().unwrap(), table.lines().nth(4).unwrap());
    let cells: Vec<(&str, &str)> = header.split(',').zip(row.split(',')).collect();
    let image = cells
        .iter()
        .find(|(name, _)| *name == "file_name")
        .unwrap()
        .1;
    let json: serde_json::Map<String, Value> = cells
        .iter()
        .filter(|(_, cell)| !cell.is_empty())
        .map(|(name, cell)| {
            (
                (*name).into(),
                cell.parse::<f64>().map_or_else(
                    |_| match *cell {
                        "true" => true.into(),
                        "false" => false.into(),
                        text => text.into(),
                    },
                    Value::from,
                ),
            )
        })
        .collect();
    for (name, width, height, is_phone, scheme) in [
        ("serve.png", 1100, 900, false, "light"),
        ("serve-phone.png", 390, 844, true, "dark"),
    ] {
        browser.looks(width, height, is_phone, scheme);
        browser.open(&format!("http://{}/", server.at));
        browser.until(SHOWN);
        browser.choose("#file", &demo.join("data").join(image));
        let row = Value::from(json.clone());
        browser.eval(&format!(
            "state.fields.forEach((field) => field.write({row}[field.name] ?? null))"
        ));
        browser.until("document.getElementById('picture').naturalWidth > 0");
        browser.eval("document.getElementById('predict').click()");
        browser.until(ANSWERED);
        if !is_phone {
            browser.eval("document.getElementById('explain').click()");
            browser.until("!document.getElementById('why').hidden");
            browser.eval("scrollTo(0, 0)");
        }
        std::fs::write(out.join(name), browser.picture()).unwrap();
    }
}

fn folder_of(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os(variable)?);
    // Tests run in the folder of their crate.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join(path).canonicalize().ok()
}
