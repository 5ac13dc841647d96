//! Our operations: kernels on the CPU, Burn's elsewhere.
