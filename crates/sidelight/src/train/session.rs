//! A training in progress: what it is about, and how far it is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rand::Rng;
use sha2::{Digest, Sha256};

use crate::batch::{Predictions, evaluate, gather, of_task, score, score_of_constant};
use crate::config::{Config, ScaleRate, Unfreeze};
use crate::conformal::Conformal;
use crate::digest::hexadecimal;
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::metric::{self, Metrics};
use crate::model::Model;
use crate::network::{Freeze, Network};
use crate::random::named;
use crate::ranks::{Ranks, all_equal, gather_numbers, to_bytes};
use crate::task::Task;

use super::batch_source::{BatchSource, even};
use super::checkpoint::{Best, Checkpoint, Division, NamedValues, Progress, RowsDigest};
use super::ema::Ema;
use super::layer_groups::{Blocks, freeze_all_but};
use super::optimizer::Optimizer;
use super::results::group_scores;
use super::schedule::{Backbone, Rates, TrainingPlan};
use super::setup::plan;
use super::stacking::MemberFolds;
use super::{Event, TrainingLog, fit};

/// A training in progress.
#[derive(Debug)]
pub struct Session {
    /// What it is about.
    pub setup: Setup,
    /// How far it is.
    pub state: State,
}

/// What a training is about: data, task, model, plan. Steps do not change it.
#[derive(Debug)]
pub struct Setup {
    /// What the person asked for, metadata columns by name.
    pub config: Config,
    /// What the outputs mean.
    pub task: Arc<Task>,
    /// What training minimises.
    pub loss: Loss,
    /// Epochs, steps and rates.
    pub plan: TrainingPlan,
    /// The rows, and how they become batches.
    pub batches: BatchSource,
    /// Which rows they are.
    pub rows: RowsDigest,
    /// What a step is, and how many ranks shared it when training began.
    pub division: Division,
    /// Parameters that an edit has frozen for good.
    pub frozen: Vec<String>,
    /// Which member of the network's stack learns from which rows.
    pub members: MemberFolds,
    /// Width and height of each validation row's image as stored, where the task's metrics ask for them.
    pub sizes: Option<Vec<[f32; 2]>>,
}

impl Setup {
    /// The column of times, and from when to when the validation rows are, where those are later than all training rows.
    pub fn valid_times(&self) -> Option<[String; 2]> {
        let BatchSource { train, valid, .. } = &self.batches;
        let times = self.batches.source.dataset.times.as_ref()?;
        let of = |rows: &[usize]| {
            rows.iter()
                .map(|&row| times.of_row[row])
                .collect::<Vec<_>>()
        };
        let last = of(train).into_iter().fold(f64::NEG_INFINITY, f64::max);
        let are_later = !valid.is_empty() && of(valid).into_iter().all(|time| time > last);
        are_later.then(|| [times.column.clone(), times.range(valid)])
    }
}

/// All that steps change: a checkpoint is this.
#[derive(Debug)]
pub struct State {
    /// What learns, on a device with gradients.
    pub network: Network,
    /// How it steps, and what it remembers of earlier steps.
    pub optimizer: Optimizer,
    /// The moving average of the network, where one is asked for.
    pub ema: Option<Ema>,
    /// Epoch, step, and what was counted.
    pub progress: Progress,
    /// Weights and running statistics of the best epoch.
    pub best: Option<Vec<NamedValues>>,
    /// How far off the network is, once it is trained.
    pub conformal: Option<Conformal>,
}

/// Nobody has counted steps or rows beyond; there is room to go on.
const MOST_COUNTED: u64 = 1 << 53;

/// A seed of its own for each batch of each step.
pub(super) fn step_seed(seed: u64, total_step: usize, part: usize) -> u64 {
    let name = match part {
        0 => format!("step {total_step}"),
        part => format!("step {total_step}, part {part}"),
    };
    named(seed, &name).next_u64()
}

impl State {
    /// Numbers of the network, frozen ones and running statistics included.
    pub(super) fn n_numbers(&self) -> usize {
        let parameters = self.network.parameters().into_iter();
        parameters
            .map(|parameter| parameter.shape.iter().product::<usize>())
            .sum()
    }

    /// Moves the average of the network, where there is one, towards it.
    pub(super) fn update_ema(&mut self) {
        if let Some(ema) = &mut self.ema {
            ema.update(&self.network, self.progress.total_step);
        }
    }

    /// The network that is scored and kept: the average of what learns, where there is one.
    pub(super) fn scored(&self) -> Result<Network> {
        let mut network = self.network.clone();
        if let Some(ema) = self.ema.as_ref().filter(|ema| ema.has_begun()) {
            network.load_state(ema.values())?;
        }
        Ok(network)
    }

    /// Goes back to the best epoch so far, with an optimiser that remembers nothing of what came after it.
    ///
    /// Hundreds of steps over features without random changes can learn a small table by heart; what then learns with the
    /// backbone would begin from there, and its gradients would be of a head that no longer generalises.
    fn restore_best(&mut self) -> Result<()> {
        let Some(best) = &self.best else {
            return Ok(());
        };
        self.network.load_state(best.clone())?;
        if let Some(ema) = self.ema.as_mut().filter(|ema| ema.has_begun()) {
            ema.restore(best.clone());
        }
        self.optimizer.restore(Vec::new());
        Ok(())
    }

    /// Ends with the numbers of the last epoch, or of the best.
    pub(super) fn end(&mut self, restores_best: bool) -> Result<()> {
        self.network = self.scored()?;
        self.ema = None;
        if let Some(best) = self.best.take().filter(|_| restores_best) {
            self.network.load_state(best)?;
        }
        Ok(())
    }
}

impl Session {
    /// Trains to the end, watched by nobody and written nowhere: [`fit`] without log and checkpoints. The network is then
    /// that of the epoch that `fit` says; its probabilities are calibrated as
    /// [`train`](super::train) does it.
    ///
    /// # Errors
    ///
    /// As [`fit`].
    pub fn fit(self) -> Result<Self> {
        let mut nobody = |_| {};
        let never = AtomicBool::new(false);
        let (mut session, _) = fit(self, &mut TrainingLog::new(&mut nobody), &never)?;
        session.calibrate()?;
        session.assure()?;
        Ok(session)
    }

    /// Gets ready for an epoch in which the pretrained part learns or does not.
    ///
    /// # Errors
    ///
    /// [`Error::NothingToTrain`], an image that cannot be read.
    pub(super) fn begin_epoch(&mut self, epoch: usize, log: &mut TrainingLog<'_>) -> Result<()> {
        let Self { setup, state } = self;
        match setup.plan.backbone(epoch) {
            Backbone::Frozen if setup.batches.has_features() => {}
            Backbone::Frozen => {
                state.network.freeze_backbone(Freeze::Yes);
                setup.batches.compute_features(&state.network, log)?;
            }
            Backbone::Training => {
                if setup.plan.thaws_in(epoch) && state.progress.step == 0 {
                    state.restore_best()?;
                }
                setup.batches.drop_features();
                state.network.freeze_backbone(Freeze::No);
                if setup.config.train.unfreeze == Unfreeze::Gradual {
                    let n_blocks = Blocks::of_backbone(&state.network).len();
                    freeze_all_but(&mut state.network, setup.plan.thawed(epoch, n_blocks));
                }
                for path in &setup.frozen {
                    Network::freeze(&mut state.network, path);
                }
            }
        }
        let parameters = state.network.parameters();
        if !parameters.iter().any(|parameter| parameter.trainable) {
            return Err(Error::NothingToTrain {
                n_parameters: parameters.len(),
            });
        }
        Ok(())
    }

    /// The epoch to go on with; where patience is at its end, the next phase's first.
    pub(super) fn next_epoch(&mut self) -> Option<usize> {
        let Setup { config, plan, .. } = &self.setup;
        let progress = &mut self.state.progress;
        let (now, patience) = (progress.epoch, config.train.patience);
        if now == plan.epochs() {
            return None;
        }
        let phase = plan.epochs_of_phase(now);
        let better = progress.best.map_or(0, |best| best.epoch + 1);
        if patience > 0 && now.saturating_sub(better.max(phase.start)) >= patience {
            progress.epoch = phase.end;
        }
        (progress.epoch < plan.epochs()).then_some(progress.epoch)
    }

    /// Loss and scores over the validation rows.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn score(&self) -> Result<(f64, Metrics)> {
        let (predicted, loss) = self.predict_validation_with(&self.scored()?.valid())?;
        Ok((loss, self.score_of(&predicted)))
    }

    /// Scores of predictions of the validation rows.
    pub(super) fn score_of(&self, predicted: &Predictions) -> Metrics {
        let Setup {
            task,
            batches,
            sizes,
            ..
        } = &self.setup;
        let dataset = &batches.source.dataset;
        let targets = dataset.targets.as_ref();
        let targets = targets.expect("a session has targets");
        score(
            task,
            targets,
            dataset.weights.as_ref(),
            &batches.valid,
            &predicted.predictions,
            sizes.as_deref(),
        )
    }

    /// Scores of the groups of the validation rows (`data.group`), and the column that they are of; `None` where each has a
    /// row, or they have no score.
    pub(super) fn score_of_groups(&self, predicted: &Predictions) -> Option<(String, Metrics)> {
        let Setup {
            task,
            batches,
            config,
            ..
        } = &self.setup;
        let dataset = &batches.source.dataset;
        group_scores(config, task, dataset, &batches.valid, predicted)
    }

    /// Scores of a constant guess ([`Task::constant`]) over the validation rows.
    pub(super) fn score_of_constant(&self) -> Option<Metrics> {
        let batches = &self.setup.batches;
        score_of_constant(&self.setup.task, &batches.source.dataset, &batches.valid)
    }

    /// The score that the best epoch is chosen by; the loss where it is not defined (an AUROC without positives, say).
    pub(super) fn monitored_metric(&self, metrics: &Metrics, loss: f64) -> (&'static str, f64) {
        let (name, _) = metric::selection_metric(&self.setup.task);
        metrics
            .get(name)
            .map_or(("loss", loss), |score| (name, score))
    }

    /// Predicts the validation rows, in order, and their mean loss; every rank its share, and all get all.
    ///
    /// # Errors
    ///
    /// An image that cannot be read.
    pub fn predict_validation(&self) -> Result<(Predictions, f64)> {
        self.predict_validation_with(&self.state.scored()?.valid())
    }

    fn predict_validation_with(&self, network: &Network) -> Result<(Predictions, f64)> {
        let setup = &self.setup;
        let Setup {
            task,
            loss,
            batches,
            ..
        } = setup;
        let (mut predictions, mut losses, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        let device = batches.device.clone().inner();
        let rows = batches
            .validation()
            .map(|batch| Ok(setup.members.hold_out(batch?, &device)));
        evaluate(network, rows, |batch, output| {
            if let Some((target, mask)) = batch.targets.clone() {
                let own = of_task(task, output.clone());
                let (sum, weight) = loss.sums(own.clone(), target.clone(), mask.clone());
                sums.extend([sum, weight]);
                losses.extend(loss.rows(own, target, mask));
            }
            predictions.extend(batch.decode(task, output).into_iter().map(Some));
        })?;
        // What was said of a blank is no prediction.
        for (place, &row) in batches.own(&batches.valid).iter().enumerate() {
            if batches.is_unreadable(row) {
                predictions[place] = None;
                losses[place] = f32::NAN;
            }
        }
        let predicted = Predictions {
            predictions,
            losses: Some(losses),
            ..Predictions::default()
        };
        // Each rank predicted its share; all go on with all of it, added up in the order of the rows.
        let ranks = &*batches.ranks;
        let predicted = gather(ranks, task, predicted, 0)?;
        let (mut sum, mut weight) = (0.0, 0.0);
        for pair in gather_numbers(ranks, &sums).chunks_exact(2) {
            sum += pair[0];
            weight += pair[1];
        }
        let mean = if weight > 0.0 { sum / weight } else { f64::NAN };
        Ok((predicted, mean))
    }

    /// Whether training goes on, or ends, with the best of some epochs.
    pub(super) fn chooses_epoch(&self) -> bool {
        let plan = &self.setup.plan;
        let thaws = (0..plan.epochs()).any(|epoch| plan.thaws_in(epoch));
        thaws || self.setup.config.train.restores_best()
    }

    /// The epoch whose network training ends with where that is not the last: with `train.patience` the best, and else the
    /// best of those with the pretrained part frozen, where none after them was better. A few epochs with random changes
    /// to the images can undo more than they learn, and nobody is to be worse off for them.
    pub(crate) fn epoch_to_keep(&self) -> Option<Best> {
        let Setup { config, plan, .. } = &self.setup;
        let best = self.state.progress.best?;
        let thaws = (0..plan.epochs()).find(|&epoch| plan.thaws_in(epoch));
        let was_in_vain =
            thaws.is_some_and(|thaws| best.epoch < thaws && self.state.progress.epoch > thaws);
        (config.train.restores_best() || was_in_vain).then_some(best)
    }

    /// Keeps the network's numbers if no epoch before had a better score.
    pub(super) fn keep_if_best(&mut self, epoch: usize, score: f64) -> Result<bool> {
        let (_, better) = metric::selection_metric(&self.setup.task);
        let state = &mut self.state;
        let best = state.progress.best;
        let is_better = best.is_none_or(|best| better.prefers(score, best.score));
        // A score that is not a number is never the best: nothing compares with it.
        if !is_better || score.is_nan() {
            return Ok(false);
        }
        state.progress.best = Some(Best { epoch, score });
        state.best = Some(state.scored()?.state_dict());
        Ok(true)
    }

    /// Everything that a run needs to go on from here.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        let Self { setup, state } = self;
        Checkpoint {
            config: setup.config.clone(),
            rows: setup.rows.clone(),
            division: Some(setup.division),
            progress: state.progress.clone(),
            network: state.network.state_dict(),
            ema: state.ema.as_ref().map(Ema::values),
            optimizer: state.optimizer.memory(),
            best: state.best.clone(),
        }
    }

    /// Whether one is due by the number of steps (`train.checkpoint_steps`).
    pub(super) fn is_checkpoint_due(&self) -> bool {
        let every = self.setup.config.train.checkpoint_steps;
        every > 0 && self.state.progress.total_step.is_multiple_of(every)
    }

    /// Saves a checkpoint, and beside it the list of the records that were passed over; all ranks do.
    pub(super) fn save(&self, log: &mut TrainingLog<'_>) -> Result<()> {
        self.setup.batches.write_unreadable()?;
        log.save(|| self.checkpoint());
        Ok(())
    }

    /// Goes on from a checkpoint.
    ///
    /// # Errors
    ///
    /// [`Error::State`]: the checkpoint is of another network.
    pub fn resume(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.grow_trees()?;
        self.state.network.load_state(checkpoint.network)?;
        if let Some(division) = checkpoint.division {
            self.divide(Arc::clone(&self.setup.batches.ranks), division);
        }
        if let (Some(ema), Some(values)) = (&mut self.state.ema, checkpoint.ema) {
            ema.restore(values);
        }
        self.state.optimizer.restore(checkpoint.optimizer);
        self.state.progress = checkpoint.progress;
        self.state.best = checkpoint.best;
        Ok(())
    }

    /// Whether a training of this plan can be where the `state.json` at `path` says: a file may have been edited.
    pub(super) fn check_place(&self, path: &Path) -> Result<()> {
        let (epochs, steps) = (
            self.setup.plan.epochs(),
            self.setup.batches.steps_per_epoch(),
        );
        let Progress {
            epoch,
            step,
            best,
            total_step,
            n_rows,
            total_rows,
            ..
        } = &self.state.progress;
        let are_counts = [total_step, n_rows, total_rows].map(|&n| n as u64 <= MOST_COUNTED);
        let can_be =
            *epoch <= epochs && *step <= steps && best.is_none_or(|best| best.epoch < epochs);
        if can_be && are_counts == [true; 3] {
            return Ok(());
        }
        let why = format!("no training of {epochs} epochs of {steps} steps gets to its `progress`");
        Err(Error::StoredJson {
            path: path.to_path_buf(),
            source: serde::de::Error::custom(why),
        })
    }

    /// Shares the rows of every step among ranks: `train.accumulate` micro-batches of `train.batch` rows of each.
    pub fn share_out(&mut self, ranks: Arc<dyn Ranks>) {
        let train = &self.setup.config.train;
        let largest = train.batch * train.accumulate * ranks.size();
        let division = Division {
            step: even(self.setup.batches.train.len(), largest),
            ranks: ranks.size(),
        };
        self.divide(ranks, division);
    }

    /// Shares steps of so many rows among ranks, in as many micro-batches of `train.batch` rows as that takes.
    pub fn divide(&mut self, ranks: Arc<dyn Ranks>, division: Division) {
        let setup = &mut self.setup;
        setup.division = division;
        let batch = setup.config.train.batch;
        setup.batches.share_out(division.step, batch, ranks);
        let steps = setup.batches.steps_per_epoch();
        setup.plan = plan(&setup.config, steps, division.ranks);
    }

    /// Whether all ranks hold the same network to the bit, as they must after the same steps.
    pub(super) fn check_ranks(&self) -> Result<()> {
        let ranks = &*self.setup.batches.ranks;
        if ranks.is_alone() {
            return Ok(());
        }
        let mut hash = Sha256::new();
        for (_, _, values) in self.state.network.state_dict() {
            hash.update(to_bytes(&values));
        }
        all_equal(ranks, "weights", &hexadecimal(&hash.finalize()[..8]))
    }

    /// How many losses a step adds up: one, or one for each branch and member of a stack.
    pub(super) fn n_losses(&self) -> f64 {
        let stack = self.state.network.root.stack();
        stack.map_or(1.0, |(stack, _)| {
            (stack.learning().count() * stack.members).max(1) as f64
        })
    }

    /// Whether the loss of the step to be taken is a number.
    pub(super) fn check_loss(&self, loss: f64, rates: Rates) -> Result<()> {
        let Progress { epoch, step, .. } = self.state.progress;
        match loss.is_finite() {
            true => Ok(()),
            false => Err(Error::Diverged {
                epoch: epoch + 1,
                step: step + 1,
                loss,
                learning_rate: rates.rate,
            }),
        }
    }

    /// What several ranks do to a step, in words.
    pub(super) fn remark_on_ranks(&self) -> Option<String> {
        let (batches, train) = (&self.setup.batches, &self.setup.config.train);
        if batches.ranks.is_alone() {
            return None;
        }
        let scale = match train.scale_rate {
            ScaleRate::None => "none",
            ScaleRate::Sqrt => "sqrt",
            ScaleRate::Linear => "linear",
        };
        let rows = match train.sync_batch_norm {
            true => "those of all ranks together",
            false => "each rank's own",
        };
        Some(format!(
            "{} ranks: steps of {} rows, batches of {} a rank (`train.batch`); peak learning rate {} \
             (`train.scale_rate` is {scale}); normalisations over the batch are by {rows} (`train.sync_batch_norm`)",
            batches.ranks.size(),
            batches.rows_per_step,
            batches.batch_size,
            train.learning_rate * train.scale_rate.factor(self.setup.division.ranks),
        ))
    }

    /// Says what is about to be done.
    pub fn announce(&self, remarks: &[String], log: &mut TrainingLog<'_>) {
        let Setup {
            config,
            batches,
            plan,
            ..
        } = &self.setup;
        let event = Event::Plan {
            rows_train: batches.train.len(),
            rows_valid: batches.valid.len(),
            valid_times: self.setup.valid_times(),
            steps_per_epoch: plan.steps_per_epoch,
            epochs: plan.epochs(),
            frozen_epochs: plan.frozen_epochs(),
            n_parameters: self.state.n_numbers(),
            backbone: config.model.backbone.clone(),
            target: self.setup.task.in_words(&config.target.names()),
        };
        match self.state.progress.total_step {
            0 => {
                log.emit(event);
                remarks.iter().for_each(|remark| log.warn(remark));
            }
            // The log has its plan, and says that it was gone on with.
            total_step => {
                log.tell(event);
                log.tell(Event::Resumed { total_step });
                if let Some(remark) = self.remark_on_ranks() {
                    log.warn(remark);
                }
            }
        }
    }

    /// The trained model, on a device without gradients.
    pub fn into_model(self) -> Model {
        Model {
            config: self.setup.config,
            task: self.setup.task,
            encoder: self.setup.batches.source.encoder,
            network: self.state.network.valid(),
            conformal: self.state.conformal,
        }
    }
}
