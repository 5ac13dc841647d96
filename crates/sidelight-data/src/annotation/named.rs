//! Instances whose points are known by name, put side by side.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::{AnnotatedImage, Annotations, Instance, Point, bad};
use crate::error::{Error, Result};

/// The most names that points can have, and attributes: each is a column.
const MAX_NAMES: usize = 4096;
/// The most points of all instances, the missing ones counted: a file in which each instance names others would fill the memory.
const MAX_POINTS: usize = 1 << 25;

/// An instance as most tools have it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Named {
    pub(super) label: Option<String>,
    pub(super) points: Vec<(String, Point)>,
    pub(super) bbox: Option<[f64; 4]>,
    pub(super) attributes: Vec<(String, String)>,
}

/// An image with such instances.
#[derive(Debug, Clone, Default)]
pub(super) struct NamedImage {
    pub(super) file: String,
    pub(super) size: Option<[u32; 2]>,
    pub(super) instances: Vec<Named>,
}

impl Named {
    /// Adds an attribute, unless one of that name is there.
    pub(super) fn add(&mut self, (name, value): (String, String)) {
        if self.attributes.iter().all(|(known, _)| *known != name) {
            self.attributes.push((name, value));
        }
    }
}

/// The name of a point without one.
pub(super) fn numbered(place: usize) -> String {
    format!("p{place}")
}

/// Gives every point its place: the `known` names first, others in the order in which instances name them.
pub(super) fn placed(
    path: &Path,
    known: &[String],
    images: Vec<NamedImage>,
) -> Result<Annotations> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut names: Vec<String> = Vec::new();
    let said = images.iter().flat_map(|image| &image.instances);
    let said = said.flat_map(|instance| instance.points.iter().map(|(name, _)| name));
    for name in known.iter().chain(said) {
        if !places.contains_key(name) {
            places.insert(name.clone(), names.len());
            names.push(name.clone());
        }
    }
    if names.len() > MAX_NAMES {
        let expected = format!("at most {MAX_NAMES} names of points");
        return Err(bad(path, "", expected, names.len()));
    }
    let instances = images.iter().flat_map(|image| &image.instances);
    let said = instances.flat_map(|instance| &instance.attributes);
    let attributes: HashSet<&String> = said.map(|(name, _)| name).collect();
    if attributes.len() > MAX_NAMES {
        let expected = format!("at most {MAX_NAMES} names of attributes");
        return Err(bad(path, "", expected, attributes.len()));
    }
    let n_instances: usize = images.iter().map(|image| image.instances.len()).sum();
    if names.len().saturating_mul(n_instances) > MAX_POINTS {
        let expected = format!("at most {MAX_POINTS} points, the missing ones among them");
        let found = names.len().saturating_mul(n_instances);
        return Err(bad(path, "", expected, found));
    }
    let images = images.into_iter().map(|image| {
        let of_instance = |instance: Named| {
            in_place(instance, &places).map_err(|point| Error::AnnotationRepeats {
                path: path.to_path_buf(),
                at: format!("image `{}`", image.file),
                point,
            })
        };
        let instances: Result<Vec<Instance>> =
            image.instances.into_iter().map(of_instance).collect();
        Ok(AnnotatedImage {
            instances: instances?,
            file: image.file,
            found: None,
            size: image.size,
        })
    });
    Ok(Annotations {
        images: images.collect::<Result<_>>()?,
        points: names,
        ..Annotations::default()
    })
}

/// The instance with a point in each place, or the name of a point that it has twice.
fn in_place(instance: Named, places: &HashMap<String, usize>) -> Result<Instance, String> {
    let mut points = vec![None; places.len()];
    for (name, point) in instance.points {
        let place = places.get(&name).and_then(|place| points.get_mut(*place));
        match place {
            Some(free @ None) => *free = Some(point),
            _ => return Err(name),
        }
    }
    Ok(Instance {
        label: instance.label,
        points: points.into_iter().map(Option::unwrap_or_default).collect(),
        bbox: instance.bbox,
        attributes: instance.attributes,
    })
}
