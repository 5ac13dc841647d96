//! What the frozen layers say of every image, computed once for all arms, folds and seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;

use super::arm::Model;
use super::design::{Design, FoldRows, Job};
use super::{Event, Speed};
use crate::config::Config;
use crate::error::Result;
use crate::image::cache::PixelCache;
use crate::network::{Freeze, Network};
use crate::ranks::{Ranks, gather_numbers};
use crate::split::SplitRows;
use crate::train::feature_store::{Prefix, StoredRows};
use crate::train::stacking::MemberFolds;
use crate::train::{FeatureCache, Session};

/// Rows whose features are computed between two looks whether to stop.
const ROWS_AT_ONCE: usize = 256;

/// Features, by the seed of what made them and by the number of layers that did.
#[derive(Debug)]
pub(super) struct Features {
    cache: Arc<PixelCache>,
    disk: Option<FeatureCache>,
    /// Who computes them: each rank its share, and all get all.
    ranks: Arc<dyn Ranks>,
    /// Fewest leading layers that are frozen in any arm: images go through them once.
    shallow: usize,
    known: BTreeMap<(u64, usize), Arc<StoredRows>>,
    /// They do not fit in memory: the frozen layers run in every step.
    too_many: bool,
}

/// Whether a job can go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    /// It can.
    Ready,
    /// Someone asked to stop.
    Stopped,
}

impl Features {
    /// Nothing computed yet.
    pub(super) fn new(
        design: &Design,
        disk: Option<FeatureCache>,
        ranks: Arc<dyn Ranks>,
    ) -> Result<Self> {
        let mut shallow = usize::MAX;
        if design.speed == Speed::Quick {
            for model in design.models.iter().filter(|model| model.reads_image()) {
                let job = Job {
                    model: model.clone(),
                    seed: 0,
                    fold: 0,
                };
                let mut session = session(design, &job)?;
                session.state.network.freeze_backbone(Freeze::Yes);
                shallow = shallow.min(session.state.network.frozen_prefix());
            }
        }
        Ok(Self {
            // All jobs read the same images.
            cache: Arc::new(PixelCache::new((design.config.train.memory << 20) / 3)),
            disk,
            ranks,
            shallow,
            known: BTreeMap::new(),
            too_many: false,
        })
    }

    /// Computes all that these jobs will ask for.
    pub(super) fn prepare(
        &mut self,
        design: &Design,
        todo: &[&Job],
        stop: &AtomicBool,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Readiness> {
        if design.speed == Speed::Full {
            return Ok(Readiness::Ready);
        }
        let of_images = todo.iter().filter(|job| job.model.reads_image());
        let wanted: BTreeSet<(&Model, usize)> =
            of_images.map(|job| (&job.model, job.seed)).collect();
        for (model, seed) in wanted {
            let job = Job {
                model: model.clone(),
                seed,
                fold: 0,
            };
            let mut session = session(design, &job)?;
            session.setup.batches.source.cache = Some(Arc::clone(&self.cache));
            session.setup.batches.cache.clone_from(&self.disk);
            session.setup.batches.ranks = Arc::clone(&self.ranks);
            session.state.network.freeze_backbone(Freeze::Yes);
            let n = session.state.network.frozen_prefix();
            if n > 0 && !self.too_many {
                self.learn(&session, n, stop, on_event)?;
            }
            if self.stops(stop) {
                return Ok(Readiness::Stopped);
            }
        }
        Ok(Readiness::Ready)
    }

    /// Lets a session share what others have read and computed.
    ///
    /// In a full comparison that is decoded images. In a quick one its network is cut to what comes after the frozen
    /// layers, and begins with their features, which are returned; where they do not fit in memory it is only frozen.
    pub(super) fn give(
        &self,
        design: &Design,
        session: &mut Session,
    ) -> Result<Option<Arc<StoredRows>>> {
        let reads_image = session.setup.batches.source.reads_image;
        if reads_image {
            session.setup.batches.source.cache = Some(Arc::clone(&self.cache));
        }
        if design.speed == Speed::Full {
            return Ok(None);
        }
        if !reads_image {
            session.setup.batches.share(0, None)?;
            return Ok(None);
        }
        session.state.network.freeze_backbone(Freeze::Yes);
        let n = session.state.network.frozen_prefix();
        let known = self.known.get(&(seed(&session.setup.config), n)).cloned();
        if let Some(known) = &known {
            session.setup.batches.share(0, Some(known))?;
            let Network { root, backbone, .. } = &mut session.state.network;
            root.children.drain(..n);
            backbone.retain(|name| root.children.iter().any(|(child, _)| child == name));
        }
        Ok(known)
    }

    /// Makes the features of the first `n` layers known, if they fit in memory and nobody asks to stop.
    fn learn(
        &mut self,
        session: &Session,
        n: usize,
        stop: &AtomicBool,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let seed = seed(&session.setup.config);
        if self.known.contains_key(&(seed, n)) {
            return Ok(());
        }
        let shallow = self.shallow.min(n);
        if !self.known.contains_key(&(seed, shallow)) {
            let Some(all) = self.compute(session, shallow, stop, on_event)? else {
                return Ok(());
            };
            self.known.insert((seed, shallow), Arc::new(all));
        }
        if shallow < n {
            let network = session.state.network.valid();
            let device = session.setup.batches.device.clone().inner();
            let deeper = self.known[&(seed, shallow)].deepen(&network, shallow, n, &device);
            self.known.insert((seed, n), Arc::new(deeper));
        }
        Ok(())
    }

    /// Whether any rank was asked to stop: all or none go on to the next exchange.
    fn stops(&self, stop: &AtomicBool) -> bool {
        let own = f64::from(u8::from(stop.load(Ordering::Relaxed)));
        gather_numbers(&*self.ranks, &[own])
            .iter()
            .any(|&one| one > 0.0)
    }

    /// `None`: they would not fit in memory, or someone asked to stop.
    fn compute(
        &mut self,
        session: &Session,
        n: usize,
        stop: &AtomicBool,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Option<StoredRows>> {
        let rows: Vec<usize> = (0..session.setup.batches.source.dataset.len()).collect();
        let prefix = Prefix {
            network: &session.state.network.valid(),
            n,
            total_rows: rows.len(),
        };
        let mut all = StoredRows::default();
        for some in rows.chunks(ROWS_AT_ONCE) {
            on_event(Event::Features {
                done: all.len(),
                rows: rows.len(),
            });
            if self.stops(stop) {
                return Ok(None);
            }
            let batches = &session.setup.batches;
            let Some(more) = batches.features_of(prefix, some, &mut |_| {})? else {
                self.too_many = true;
                return Ok(None);
            };
            all.extend(more);
        }
        on_event(Event::Features {
            done: rows.len(),
            rows: rows.len(),
        });
        Ok(Some(all))
    }
}

/// A backbone without weights is a different one for every seed.
fn seed(config: &Config) -> u64 {
    if config.model.begins_from_scratch() {
        config.train.seed
    } else {
        0
    }
}

/// A job's session, before anything is shared or trained.
pub(super) fn session(design: &Design, job: &Job) -> Result<Session> {
    let FoldRows { train, valid, .. } = design.rows_of(job);
    let config = design.job_config(job);
    let mut split = SplitRows {
        train: train.clone(),
        valid: valid.clone(),
        ..SplitRows::default()
    };
    // Members that each leave a fold out need no rows set aside: those are predicted by who has not learned from them.
    let mut all = [train.as_slice(), valid].concat();
    all.sort_unstable();
    if MemberFolds::deal(&design.dataset, &config, &design.task, &all)?.are_several() {
        split.train = all;
    }
    let device = Device::flex().autodiff();
    Ok(Session::from_rows(&config, design.dataset.clone(), split, &device)?.0)
}
