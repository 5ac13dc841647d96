//! Trained runs that the tests share: one of each task and arm, trained once.

use std::path::Path;
use std::sync::OnceLock;

use crate::folder::Folder;

/// A folder with the runs `a` (price, both), `alone` (price, metadata), `tree` (class, image) and `spots` (points of
/// photographs that lie on their side, both).
pub(crate) fn runs() -> &'static Folder {
    static RUNS: OnceLock<Folder> = OnceLock::new();
    RUNS.get_or_init(|| {
        let folder = Folder::with_houses();
        folder.done("train houses.toml --out runs/a");
        folder.done("train houses.toml --out runs/alone --set model.arm=metadata");
        folder.write("tree.toml", TREE);
        folder.done("train tree.toml --out runs/tree");
        let mut table = "file_name,x0,y0,x1,y1,beds\n".to_owned();
        for n in 0..16 {
            let orientation = n % 8 + 1;
            let name = format!("side{orientation}.jpg");
            folder.write_bytes(&name, &photograph(orientation));
            table += &format!("{name},{},{},{},{},{}\n", n, n + 2, 2 * n, 20 - n, n % 3);
        }
        folder.write("spots.csv", &table);
        folder.write("spots.toml", SPOTS);
        folder.done("train spots.toml --out runs/spots");
        folder
    })
}

/// A JPEG with this EXIF orientation, from the library's own tests.
pub(crate) fn photograph(orientation: usize) -> Vec<u8> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../sidelight-data/tests/reference/image");
    std::fs::read(folder.join(format!("orientation_{orientation}.jpg"))).unwrap()
}

const TREE: &str = r#"[data]
table = "houses.csv"
ignore = ["price", "beds"]

[target]
kind = "class"
column = "tree"

[model]
arm = "image"

[train]
epochs = 1
size = 32
batch = 8
"#;

const SPOTS: &str = r#"[data]
table = "spots.csv"

[target]
kind = "keypoints"
columns = ["x0", "y0", "x1", "y1"]

[metadata]
beds = "continuous"
wide = { kind = "continuous", from = "image.width" }

[train]
epochs = 1
size = 32
batch = 8
"#;
