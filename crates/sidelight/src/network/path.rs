//! Reaching into the tree by path.

use super::shape::Shape;
use super::tree::{Node, join};
use crate::error::{Error, Result};

/// A path into its parent's and its own name.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

/// Whether a pattern means this path: the same, above it (`layer4` means `layer4.0.conv1.weight`), or by `*`, any characters.
pub fn matches(pattern: &str, path: &str) -> bool {
    if !pattern.contains('*') {
        return path
            .strip_prefix(pattern)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    }
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or("");
    let Some(mut rest) = path.strip_prefix(first) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

impl Node {
    /// The layer at a path; an empty path is this one.
    ///
    /// # Errors
    ///
    /// [`Error::NoLayer`], with what there is instead.
    pub fn get(&self, path: &str) -> Result<&Node> {
        let mut node = self;
        let mut reached = String::new();
        for name in path.split('.').filter(|_| !path.is_empty()) {
            let Some((_, child)) = node.children.iter().find(|(child, _)| child == name) else {
                return Err(node.no_layer(path, reached));
            };
            node = child;
            reached = join(&reached, name);
        }
        Ok(node)
    }
    /// As [`Node::get`], to change it.
    ///
    /// # Errors
    ///
    /// [`Error::NoLayer`].
    pub fn get_mut(&mut self, path: &str) -> Result<&mut Node> {
        // Looked up first, for the error: the borrow checker does not let a failed search return what it borrowed.
        self.get(path)?;
        let mut node = self;
        for name in path.split('.').filter(|_| !path.is_empty()) {
            let at = node
                .children
                .iter()
                .position(|(child, _)| child == name)
                .expect("the path was just found");
            node = &mut node.children[at].1;
        }
        Ok(node)
    }
    fn no_layer(&self, path: &str, parent: String) -> Error {
        Error::NoLayer {
            path: path.to_owned(),
            parent,
            children: self.child_names(),
        }
    }
    /// Names of the layers inside, in order.
    pub fn child_names(&self) -> Vec<String> {
        self.children.iter().map(|(name, _)| name.clone()).collect()
    }
    /// The parent of a path, and the position of the path's last name in it.
    pub(super) fn parent_of(&mut self, path: &str) -> Result<(&mut Node, usize)> {
        if path.is_empty() {
            return Err(self.no_layer(path, String::new()));
        }
        self.get(path)?;
        let (parent, name) = split(path);
        let parent = self.get_mut(parent)?;
        let at = parent
            .children
            .iter()
            .position(|(child, _)| child == name)
            .expect("the path was just found");
        Ok((parent, at))
    }
}

/// What the shape pass said of the layer at a path.
pub(super) fn shape_at(found: &[super::shape::Inferred], path: &str) -> Option<(Shape, Shape)> {
    found
        .iter()
        .find(|inferred| inferred.path == path)
        .map(|inferred| (inferred.input, inferred.output))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_pattern_is_a_path_a_prefix_or_has_stars() {
        assert!(matches("layer4", "layer4.0.conv1.weight"));
        assert!(matches("layer4.0.conv1.weight", "layer4.0.conv1.weight"));
        assert!(!matches("layer4", "layer40.weight"));
        assert!(matches("*", "fc.weight"));
        assert!(matches("layer4.*", "layer4.1.bn1.bias"));
        assert!(matches("*.bias", "layer4.1.bn1.bias"));
        assert!(matches("layer*.bn*.bias", "layer4.1.bn1.bias"));
        assert!(!matches("layer*.bn*.weight", "layer4.1.bn1.bias"));
        assert!(!matches("*x*", "layer4"));
    }
}
