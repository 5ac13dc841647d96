//! Convolutions whose normalisation was folded in and whose weights were packed once, for many forward passes.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::backend::{BackendTensor, DispatchTensorKind};
use burn::tensor::{DType, Tensor};
use sidelight_kernels::PackedConv2d;

use super::activation::Activation;
use super::convolution::{Convolution, Folded, by_kernels};
use super::cpu::{self, Flat};

/// A place beside a layer for its packed convolution.
///
/// What it was packed from is kept with it and compared by address each time: memory that is held here can neither be
/// given to another tensor nor be changed in place, so that the same address means the same numbers. A clone of the
/// layer begins with an empty place.
#[derive(Default)]
pub struct Prepared(Mutex<Option<Kept>>);

struct Kept {
    of: Vec<Flat>,
    how: Convolution,
    packed: Arc<PackedConv2d>,
}

impl Clone for Prepared {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared")
    }
}

impl Prepared {
    /// As [`conv2d_folded`](super::conv2d_folded), packed at the first call: `of` is all that `fold` reads besides the
    /// weight. Nothing where the kernels do not do it.
    pub fn run(
        &self,
        x: &Tensor<4>,
        weight: &Tensor<4>,
        of: &[Tensor<1>],
        fold: impl FnOnce() -> Folded,
        (other, then): (Option<&Tensor<4>>, Option<Activation>),
        how: Convolution,
    ) -> Option<Tensor<4>> {
        let is_known = then.is_none_or(|function| cpu::known(function).is_some());
        if !is_known || !by_kernels(x, weight, how) {
            return None;
        }
        let mut parts = vec![flat(weight)?];
        for part in of {
            parts.push(flat(part)?);
        }
        let known = self.known(&parts, how);
        let packed = match known {
            Some(packed) => packed,
            None => {
                let Folded { scale, shift } = fold();
                let (scale, shift) = (flat(&scale)?, flat(&shift)?);
                let packed = Arc::new(cpu::pack(&parts[0], &scale, &shift, how));
                *self.place() = Some(Kept {
                    of: parts,
                    how,
                    packed: packed.clone(),
                });
                packed
            }
        };
        let inputs = [Some(x), other].into_iter().flatten();
        let inputs = inputs.map(|input| input.clone().into_dispatch());
        Some(cpu::run(cpu::PackedConvolution { packed, then }, inputs))
    }
}

impl Prepared {
    /// What was packed from these.
    fn known(&self, parts: &[Flat], how: Convolution) -> Option<Arc<PackedConv2d>> {
        match &*self.place() {
            Some(kept) if kept.how == how && all_same(&kept.of, parts) => Some(kept.packed.clone()),
            _ => None,
        }
    }

    /// Never held while anything is computed: a thread that waits for its pieces takes on other work of the pool, and
    /// with it other rows that come through this very layer. Two of them may pack it at first; either will do.
    fn place(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tensor of the CPU, apart from any gradient.
fn flat<const D: usize>(x: &Tensor<D>) -> Option<Flat> {
    match x.clone().without_autodiff().into_dispatch().kind {
        DispatchTensorKind::Flex(BackendTensor::Float(x)) if x.dtype() == DType::F32 => Some(x),
        _ => None,
    }
}

fn all_same(a: &[Flat], b: &[Flat]) -> bool {
    let same = |(a, b): (&Flat, &Flat)| match (a.as_slice::<f32>(), b.as_slice::<f32>()) {
        (Some(a), Some(b)) => std::ptr::eq(a, b),
        _ => false,
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Precision, conv2d_folded};
    use burn::tensor::{Distribution, TensorData};

    const HOW: Convolution = Convolution {
        stride: 1,
        padding: 1,
        dilation: 1,
        groups: 1,
        precision: Precision::F32,
    };

    fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_into_vec().unwrap()
    }

    /// A thread that waits for the pieces of a packing takes on other rows, which come through the same layer.
    #[test]
    fn other_rows_come_through_while_weights_are_packed() {
        let device = Device::flex();
        let even = Distribution::Uniform(-1.0, 1.0);
        let x = Tensor::<4>::random([2, 3, 7, 5], even, &device);
        let weight = Tensor::<4>::random([4, 3, 3, 3], even, &device);
        let folded = Folded {
            scale: Tensor::ones([4], &device),
            shift: Tensor::zeros([4], &device),
        };
        let place = Prepared::default();
        let (done, is_done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let run = |fold: &dyn Fn() -> Folded| {
                let y = place.run(&x, &weight, &[], fold, (None, None), HOW);
                numbers(y.unwrap())
            };
            let within = std::cell::RefCell::new(Vec::new());
            let outer = run(&|| {
                within.replace(run(&|| folded.clone()));
                folded.clone()
            });
            done.send((outer, within.into_inner())).unwrap();
        });
        // Far longer than it takes: a lock that is held in the meantime is waited for forever.
        let minute = std::time::Duration::from_secs(60);
        let (outer, within) = is_done.recv_timeout(minute).expect("it stands still");
        assert_eq!(outer, within);
    }

    #[test]
    fn packed_weights_are_used_until_the_numbers_change() {
        let device = Device::flex();
        let even = Distribution::Uniform(-1.0, 1.0);
        let x = Tensor::<4>::random([2, 3, 7, 5], even, &device);
        let mut weight = Tensor::<4>::random([4, 3, 3, 3], even, &device);
        let shift = Tensor::<1>::random([4], even, &device);
        let place = Prepared::default();
        let check = |weight: &Tensor<4>, shift: &Tensor<1>, packs: bool| {
            let folded = Folded {
                scale: Tensor::ones([4], &device) * 2.0,
                shift: shift.clone(),
            };
            let mut is_packed = false;
            let fold = || {
                is_packed = true;
                folded.clone()
            };
            let relu = Some(Activation::Relu);
            let of = std::slice::from_ref(shift);
            let found = place.run(&x, weight, of, fold, (None, relu), HOW).unwrap();
            let expected = conv2d_folded(x.clone(), weight.clone(), folded, None, HOW, relu);
            assert_eq!(numbers(found), numbers(expected));
            assert_eq!(is_packed, packs);
        };
        check(&weight, &shift, true);
        check(&weight, &shift, false);
        // The same numbers elsewhere: packed again, since only the address is compared.
        weight = Tensor::from_data(TensorData::new(numbers(weight), [4, 3, 3, 3]), &device);
        check(&weight, &shift, true);
        // Changed in place, as far as its owner knows.
        weight = weight.mul_scalar(0.5);
        check(&weight, &shift, true);
        check(&weight, &(shift + 1.0), true);
    }
}
