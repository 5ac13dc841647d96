//! `sidelight show`: what the network sees, and what is kept from it.

use crate::folder::{Folder, has};

#[test]
fn what_metadata_dropout_hides_is_marked() {
    let folder = Folder::with_houses();
    let line = "show houses.toml --rows 4 --set augment.hide_metadata=";
    let said = folder.done(&format!("{line}1 --out hidden.html"));
    has(&said.stderr, "in 4 of 4 rows");
    has(&said.stderr, "`augment.hide_metadata`");
    let cells = said.stdout.matches(" (hidden)").count();
    assert_eq!(cells, 8, "two columns of four rows\n{}", said.stdout);
    let page = folder.read("hidden.html");
    assert_eq!(page.matches(" (hidden)</td>").count(), 8);

    let said = folder.done(&format!("{line}0 --out whole.html"));
    assert!(!said.stdout.contains("(hidden)"), "{}", said.stdout);
    assert!(!said.stderr.contains("dropout"), "{}", said.stderr);
    assert!(!folder.read("whole.html").contains("(hidden)"));
}
