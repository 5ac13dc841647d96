//! What a workbook says of its sheets: their names, the calendar, the forms of numbers, and the strings that they share.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use super::number::Form;
use super::package::{Budget, Outcome, Package, bad};
use super::xml::{Node, cut_short};

/// A workbook whose sheets can be read.
#[derive(Debug)]
pub(super) struct Workbook {
    pub(super) package: Package,
    /// Its worksheets, in their order; charts are left out.
    pub(super) sheets: Vec<SheetName>,
    pub(super) meaning: Meaning,
}

/// A sheet: what it is called, and its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SheetName {
    pub(super) name: String,
    pub(super) part: String,
    pub(super) is_hidden: bool,
}

/// The most sheets: each is looked into.
const MAX_SHEETS: usize = 1000;
/// The most relations of a part.
const MAX_RELATIONS: usize = 20_000;

/// What cells need to be understood.
#[derive(Debug, Default)]
pub(super) struct Meaning {
    pub(super) strings: Strings,
    /// The form of numbers in each style.
    pub(super) forms: Vec<Form>,
    /// Whether days are counted from 1904.
    pub(super) is_1904: bool,
}

/// Text that cells share, by its number.
#[derive(Debug, Default)]
pub(super) struct Strings {
    text: String,
    ends: Vec<usize>,
}

impl Strings {
    pub(super) fn get(&self, position: usize) -> Option<&str> {
        let end = *self.ends.get(position)?;
        let start = position
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        self.text.get(start.copied().unwrap_or(0)..end)
    }
}

impl Workbook {
    /// Opens a workbook and reads all of it but the sheets.
    pub(super) fn open(path: &Path, budget: impl Fn(&Package) -> Budget) -> Outcome<Self> {
        let mut package = Package::open(path)?;
        let budget = budget(&package);
        let roots = relations(&mut package, "", "_rels/.rels", &budget)?;
        let main = roots.into_iter().find(|root| root.is("officeDocument"));
        let main = main.map_or_else(|| "xl/workbook.xml".to_owned(), |main| main.target);
        let (folder, name) = main.rsplit_once('/').unwrap_or(("", &main));
        let slash = if folder.is_empty() { "" } else { "/" };
        let beside = format!("{folder}{slash}_rels/{name}.rels");
        let relations = relations(&mut package, folder, &beside, &budget)?;
        let part_of = |kind: &str| {
            let found = relations.iter().find(|relation| relation.is(kind));
            found.map(|relation| relation.target.clone())
        };
        let (sheets, is_1904) = sheets(&mut package, &main, &relations, &budget)?;
        let mut meaning = Meaning {
            is_1904,
            ..Meaning::default()
        };
        if let Some(part) = part_of("styles").filter(|part| package.has(part)) {
            meaning.forms = forms(&mut package, &part, &budget)?;
        }
        if let Some(part) = part_of("sharedStrings").filter(|part| package.has(part)) {
            meaning.strings = strings(&mut package, &part, &budget)?;
        }
        Ok(Self {
            package,
            sheets,
            meaning,
        })
    }
}

/// What a part points to.
struct Relation {
    id: String,
    kind: String,
    target: String,
}

impl Relation {
    /// Whether it is of this kind; the beginning differs between editions of the format.
    fn is(&self, kind: &str) -> bool {
        let own = self.kind.rsplit('/').next();
        own == Some(kind)
    }
}

/// The relations of a part in this folder; none where they are not written.
fn relations(
    package: &mut Package,
    folder: &str,
    name: &str,
    budget: &Budget,
) -> Outcome<Vec<Relation>> {
    let mut relations = Vec::new();
    if !package.has(name) {
        return Ok(relations);
    }
    let mut xml = package.part(name, budget)?;
    loop {
        match xml.next()? {
            Node::Start(tag) if tag.is("Relationship") => {
                if relations.len() == MAX_RELATIONS {
                    return bad(format!(
                        "its part `{name}` has more than {MAX_RELATIONS} relations"
                    ));
                }
                let [id, kind, target] = ["Id", "Type", "Target"].map(|name| tag.attribute(name));
                relations.push(Relation {
                    id: id?.unwrap_or_default().into_owned(),
                    kind: kind?.unwrap_or_default().into_owned(),
                    target: joined(folder, &target?.unwrap_or_default()),
                });
            }
            Node::Over => return Ok(relations),
            _ => {}
        }
    }
}

/// The name of a part that is named from a folder.
fn joined(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    let mut names: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => folder.split('/').collect(),
    };
    for name in target.split('/') {
        match name {
            ".." => {
                names.pop();
            }
            "." => {}
            name => names.push(name),
        }
    }
    names.retain(|name| !name.is_empty());
    names.join("/")
}

/// The worksheets, and whether days are counted from 1904.
fn sheets(
    package: &mut Package,
    main: &str,
    relations: &[Relation],
    budget: &Budget,
) -> Outcome<(Vec<SheetName>, bool)> {
    let by_id: HashMap<&str, &Relation> = relations
        .iter()
        .map(|relation| (relation.id.as_str(), relation))
        .collect();
    let (mut sheets, mut is_1904) = (Vec::new(), false);
    let mut xml = package.part(main, budget)?;
    loop {
        match xml.next()? {
            Node::Start(tag) if tag.is("sheet") => {
                let [name, id, state] = ["name", "id", "state"].map(|name| tag.attribute(name));
                let relation = by_id.get(&*id?.unwrap_or_default());
                if let Some(relation) = relation.filter(|relation| relation.is("worksheet")) {
                    if sheets.len() == MAX_SHEETS {
                        return bad(format!("it has more than {MAX_SHEETS} sheets"));
                    }
                    sheets.push(SheetName {
                        name: name?.unwrap_or_default().into_owned(),
                        part: relation.target.clone(),
                        is_hidden: state?.is_some_and(|state| state != "visible"),
                    });
                }
            }
            Node::Start(tag) if tag.is("workbookPr") => {
                if let Some(flag) = tag.attribute("date1904")? {
                    is_1904 = is_true(&flag);
                }
            }
            Node::Over => break,
            _ => {}
        }
    }
    sheets.retain(|sheet| package.has(&sheet.part));
    Ok((sheets, is_1904))
}

/// A truth value of XML.
pub(super) fn is_true(flag: &str) -> bool {
    matches!(flag, "1" | "true" | "TRUE" | "on")
}

/// The form of numbers in each style of cells.
fn forms(package: &mut Package, part: &str, budget: &Budget) -> Outcome<Vec<Form>> {
    let (mut own, mut forms) = (HashMap::new(), Vec::new());
    let mut is_of_cells = false;
    let number = |text: Option<Cow<'_, str>>| text.and_then(|text| text.parse::<u32>().ok());
    let mut xml = package.part(part, budget)?;
    loop {
        match xml.next()? {
            Node::Start(tag) if tag.is("numFmt") => {
                let code = tag.attribute("formatCode")?.unwrap_or_default();
                if let Some(id) = number(tag.attribute("numFmtId")?) {
                    own.entry(id).or_insert_with(|| Form::of_code(&code));
                }
            }
            Node::Start(tag) if tag.is("cellXfs") => is_of_cells = true,
            Node::End(tag) if tag.is("cellXfs") => is_of_cells = false,
            Node::Start(tag) if tag.is("xf") && is_of_cells => {
                let id = number(tag.attribute("numFmtId")?).unwrap_or(0);
                let form = own.get(&id).copied();
                forms.push(form.unwrap_or_else(|| Form::of_id(id)));
            }
            Node::Over => return Ok(forms),
            _ => {}
        }
    }
}

/// The strings that cells share.
fn strings(package: &mut Package, part: &str, budget: &Budget) -> Outcome<Strings> {
    let mut strings = Strings::default();
    let mut xml = package.part(part, budget)?;
    loop {
        match xml.next()? {
            Node::Start(tag) if tag.is("si") => {
                xml.rich_text_into(&mut strings.text)?;
                strings.ends.push(strings.text.len());
            }
            Node::End(tag) if tag.is("sst") => return Ok(strings),
            Node::Over => return cut_short(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named_from_their_folder_or_from_the_root() {
        assert_eq!(
            joined("xl", "worksheets/sheet1.xml"),
            "xl/worksheets/sheet1.xml"
        );
        assert_eq!(joined("xl", "/xl/styles.xml"), "xl/styles.xml");
        assert_eq!(joined("xl/a", "../b\\c.xml"), "xl/b/c.xml");
        assert_eq!(joined("", "xl/workbook.xml"), "xl/workbook.xml");
        assert_eq!(joined("xl", "../../../x.xml"), "x.xml");
    }
}
