//! An order for which only a few shards need be at hand at a time.
//!
//! A shuffle of all rows asks for every shard of a set in every batch. Here the shards come in a random order, so many
//! of them make a window, and the rows of a window are shuffled: every row still comes exactly once an epoch, from
//! (seed, epoch) alone. `docs/streaming.md` says how far that is from a shuffle of all rows, in figures.

use std::collections::HashMap;
use std::sync::Arc;

use super::BatchPlan;
use crate::dataset::{Dataset, ImageSource};
use crate::random::{Purpose, for_row, shuffle};
use crate::store::Shard;

/// Which shard each row's image is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shards {
    /// One a row of the data set.
    of_row: Vec<u32>,
    /// The shards, in the order of the table.
    shards: Vec<Arc<Shard>>,
}

impl Shards {
    /// The shards of a data set; `None` where its images are not in archives. A row without an image goes with the row
    /// before it.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "archives that were listed: fewer than 2³²"
    )]
    pub fn from_dataset(dataset: &Dataset) -> Option<Self> {
        let mut number: HashMap<&Shard, u32> = HashMap::new();
        let mut shards = Vec::new();
        let mut last = 0;
        let of_row = dataset.images.iter().map(|image| {
            if let ImageSource::Member(member) = image.whole() {
                last = *number.entry(&member.archive).or_insert_with(|| {
                    shards.push(Arc::clone(&member.archive));
                    shards.len() as u32 - 1
                });
            }
            last
        });
        let of_row = of_row.collect();
        (!shards.is_empty()).then_some(Self { of_row, shards })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shards.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// All shards, in the order of the table.
    pub fn all(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    /// The shards that a plan asks for, from its start on, each where it is first needed.
    pub fn needed(&self, plan: &BatchPlan) -> Vec<Arc<Shard>> {
        let mut is_known = vec![false; self.len()];
        let mut needed = Vec::new();
        for &row in plan.batches().iter().flatten() {
            let shard = self.of_row[row] as usize;
            if !std::mem::replace(&mut is_known[shard], true) {
                needed.push(Arc::clone(&self.shards[shard]));
            }
        }
        needed
    }

    /// These rows in an order drawn from seed and epoch: as few windows as hold no more than so many shards each, the
    /// rows of each window shuffled.
    pub(super) fn order(&self, rows: &[usize], window: usize, seed: u64, epoch: u64) -> Vec<usize> {
        let mut of_shard: Vec<Vec<usize>> = vec![Vec::new(); self.len()];
        for &row in rows {
            of_shard[self.of_row[row] as usize].push(row);
        }
        of_shard.retain(|rows| !rows.is_empty());
        shuffle(&mut of_shard, &mut for_row(seed, epoch, 0, Purpose::Shards));
        let mut order = Vec::with_capacity(rows.len());
        // Even windows: a last one of a shard or two would hardly be shuffled.
        let n_windows = of_shard.len().div_ceil(window.max(1));
        let end = |number: usize| of_shard.len() * number / n_windows;
        for number in 0..n_windows {
            let mut rows = of_shard[end(number)..end(number + 1)].concat();
            let mut stream = for_row(seed, epoch, number as u64, Purpose::Order);
            shuffle(&mut rows, &mut stream);
            order.append(&mut rows);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::Last;
    use proptest::prelude::*;

    /// Shards of so many rows each.
    fn shards(sizes: &[usize]) -> Shards {
        let of_row = sizes.iter().enumerate();
        Shards {
            of_row: of_row
                .flat_map(|(shard, n)| std::iter::repeat_n(shard as u32, *n))
                .collect(),
            shards: (0..sizes.len())
                .map(|shard| Arc::new(Shard::file(format!("{shard}.tar").into())))
                .collect(),
        }
    }

    proptest! {
        #[test]
        fn every_row_comes_once_and_a_window_holds_so_many_shards(
            sizes in prop::collection::vec(0usize..9, 1..20), window in 1usize..6, seed: u64, epoch in 0u64..5,
        ) {
            let shards = shards(&sizes);
            let rows: Vec<usize> = (0..sizes.iter().sum()).collect();
            let order = shards.order(&rows, window, seed, epoch);
            prop_assert_eq!(&order, &shards.order(&rows, window, seed, epoch));
            let mut sorted = order.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, rows);
            // Between the first and the last row of a shard no more than `window` shards come.
            for shard in 0..sizes.len() as u32 {
                let at = |row: &usize| shards.of_row[*row] == shard;
                let (Some(first), Some(last)) = (order.iter().position(at), order.iter().rposition(at)) else {
                    continue;
                };
                let mut between: Vec<u32> = order[first..=last].iter().map(|row| shards.of_row[*row]).collect();
                between.sort_unstable();
                between.dedup();
                prop_assert!(between.len() <= window, "{between:?}");
            }
        }
    }

    #[test]
    fn epochs_and_seeds_have_orders_of_their_own() {
        let shards = shards(&[10; 8]);
        let rows: Vec<usize> = (0..80).collect();
        let order = |seed, epoch| shards.order(&rows, 2, seed, epoch);
        let first_shard = |order: Vec<usize>| shards.of_row[order[0]];
        assert_ne!(order(0, 0), order(0, 1));
        assert_ne!(order(0, 0), order(1, 0));
        let firsts: std::collections::BTreeSet<u32> =
            (0..20).map(|epoch| first_shard(order(0, epoch))).collect();
        assert!(firsts.len() > 3, "shards have an order too: {firsts:?}");
    }

    #[test]
    fn a_plan_of_windows_goes_on_where_it_stopped() {
        let shards = shards(&[7; 6]);
        let rows: Vec<usize> = (0..42).filter(|row| row % 5 != 0).collect();
        let plan = BatchPlan::windowed(&rows, &shards, 2, 4, Last::Keep, 3, 1);
        assert_eq!(plan.batches().iter().map(Vec::len).sum::<usize>(), 33);
        let rest = plan.clone().starting_at(5);
        assert_eq!(rest.batches(), &plan.batches()[5..]);
        assert_eq!(shards.needed(&plan).len(), 6);
        // The first window, 11 rows or so, is behind it.
        assert_eq!(shards.needed(&rest).len(), 4);
    }

    /// What `docs/streaming.md` says of the quality: how often two rows of one shard meet in a batch, and how far a
    /// batch of sorted shards is from the whole, beside a shuffle of all rows.
    #[test]
    fn a_window_is_as_good_as_is_said() {
        const SHARDS: usize = 100;
        const ROWS: usize = 100;
        const BATCH: usize = 50;
        let shards = shards(&[ROWS; SHARDS]);
        let rows: Vec<usize> = (0..SHARDS * ROWS).collect();
        // Every shard is of one of ten classes: the worst that one meets.
        let class = |row: usize| row / ROWS % 10;
        let spread = |plan: BatchPlan| {
            let counts = plan.batches().iter().map(|batch| {
                let of_first = batch.iter().filter(|row| class(**row) == 0).count();
                (of_first as f64 - BATCH as f64 / 10.0).powi(2)
            });
            counts.sum::<f64>() / plan.batches().len() as f64
        };
        let mean = |of: &dyn Fn(u64) -> BatchPlan| {
            (0..20).map(|epoch| spread(of(epoch))).sum::<f64>() / 20.0
        };
        let whole = mean(&|epoch| BatchPlan::training(&rows, BATCH, Last::Keep, 0, epoch));
        let of = |window| {
            mean(&|epoch| BatchPlan::windowed(&rows, &shards, window, BATCH, Last::Keep, 0, epoch))
                / whole
        };
        // A batch from W pure shards has the spread of a whole shuffle and that of W draws of a class:
        // 1 + (BATCH - 1) / W · (1 - (W - 1) / (SHARDS - 1)), about.
        for window in [1, 10, 25, 100] {
            let expected = 1.0
                + (BATCH - 1) as f64 / window as f64
                    * (1.0 - (window - 1) as f64 / (SHARDS - 1) as f64);
            let found = of(window);
            assert!(
                (found / expected - 1.0).abs() < 0.2,
                "{window} shards: {found}, not {expected}"
            );
        }
    }
}
