//! The name of a repository on the Hugging Face hub.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The revision where none is named.
const MAIN: &str = "main";

/// A repository on the hub and a revision of it: `timm/resnet18.tv_in1k`, or with `@` and a branch, tag or commit.
///
/// # Example
///
/// ```
/// use sidelight_data::config::HubName;
///
/// let name = HubName::parse("timm/resnet18.tv_in1k@v1.0")?;
/// assert_eq!((name.repository(), name.revision()), ("timm/resnet18.tv_in1k", "v1.0"));
/// assert!(HubName::parse("timm/../resnet18").is_err());
/// # Ok::<(), sidelight_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubName {
    repository: String,
    revision: String,
}

impl HubName {
    /// Reads a name; what it consists of can stand in a URL and in a path as it is.
    ///
    /// # Errors
    ///
    /// [`Error::HubName`].
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: String| Error::HubName {
            name: text.to_owned(),
            reason,
        };
        let (repository, revision) = text.split_once('@').unwrap_or((text, MAIN));
        let parts: Vec<&str> = repository.split('/').collect();
        let [owner, name] = parts[..] else {
            return Err(wrong(format!(
                "expected one `/`, found {}",
                parts.len() - 1
            )));
        };
        for (part, what) in [(owner, "owner"), (name, "name"), (revision, "revision")] {
            check_hub_part(part, what).map_err(wrong)?;
        }
        // The cache's folders are named with `--` for the slash.
        if repository.contains("--") {
            return Err(wrong("`--` is in no name".into()));
        }
        Ok(Self {
            repository: repository.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// The repository without its revision: `timm/resnet18.tv_in1k`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// A branch, a tag or a commit; `main` where none was named.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Its folder in a cache.
    pub fn folder(&self, cache: &Path) -> PathBuf {
        cache.join(self.folder_name())
    }

    /// The name of that folder.
    pub fn folder_name(&self) -> String {
        format!("models--{}", self.repository.replace('/', "--"))
    }
}

impl fmt::Display for HubName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if self.revision == MAIN {
            Ok(())
        } else {
            write!(f, "@{}", self.revision)
        }
    }
}

/// Checks whether an owner, a name or a revision is one: what it may not hold could lead out of its place in a URL or a path.
pub fn check_hub_part(part: &str, what: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c);
    if part.is_empty() {
        Err(format!("the {what} is empty"))
    } else if part.len() > 96 {
        Err(format!("the {what} is longer than 96 characters"))
    } else if let Some(c) = part.chars().find(|c| !is_plain(*c)) {
        Err(format!("{c:?} is in no {what}"))
    } else if part.contains("..") || part.starts_with(['.', '-']) || part.ends_with(['.', '-']) {
        Err(format!(
            "the {what} begins or ends with `.` or `-`, or has two dots in a row"
        ))
    } else {
        Ok(())
    }
}
