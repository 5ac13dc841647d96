//! Several files of annotations as one.

use super::{AnnotatedImage, Annotations, Instance, Point};

impl Annotations {
    /// Adds what another file says: its points by their names, its images after those that are there; an image of both has the
    /// instances of both.
    pub fn absorb(&mut self, other: Self) {
        let places: Vec<usize> = other.points.iter().map(|name| self.place(name)).collect();
        let n_points = self.points.len();
        let place = |point: usize| places.get(point).copied();
        let moved = |pairs: Vec<[usize; 2]>| {
            pairs
                .into_iter()
                .filter_map(move |[one, two]| Some([place(one)?, place(two)?]))
        };
        for line in moved(other.skeleton) {
            if !self.skeleton.contains(&line) {
                self.skeleton.push(line);
            }
        }
        for [one, two] in moved(other.symmetric) {
            let pair = [one.min(two), one.max(two)];
            if !self.symmetric.contains(&pair) {
                self.symmetric.push(pair);
            }
        }
        let own = self
            .images
            .iter_mut()
            .flat_map(|image| &mut image.instances);
        own.for_each(|instance| instance.points.resize(n_points, Point::Missing));
        let known = self.images.iter().enumerate();
        let known: std::collections::HashMap<_, _> =
            known.map(|(at, image)| (key(image), at)).collect();
        for mut image in other.images {
            for instance in &mut image.instances {
                replace(instance, &places, n_points);
            }
            let same = known.get(&key(&image));
            match same.and_then(|at| self.images.get_mut(*at)) {
                Some(same) => {
                    same.size = same.size.or(image.size);
                    same.instances.append(&mut image.instances);
                }
                None => self.images.push(image),
            }
        }
    }

    /// The place of a point of this name, which is added where there is none.
    fn place(&mut self, name: &str) -> usize {
        let found = self.points.iter().position(|known| known == name);
        found.unwrap_or_else(|| {
            self.points.push(name.to_owned());
            self.points.len() - 1
        })
    }
}

/// What tells images apart: where they are, else what they are called.
fn key(image: &AnnotatedImage) -> String {
    match &image.found {
        Some(found) => found.to_string_lossy().into_owned(),
        None => image.file.clone(),
    }
}

fn replace(instance: &mut Instance, places: &[usize], n_points: usize) {
    let mut points = vec![Point::Missing; n_points];
    for (point, place) in instance.points.iter().zip(places) {
        if let Some(free) = points.get_mut(*place) {
            *free = *point;
        }
    }
    instance.points = points;
}
