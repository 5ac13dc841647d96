//! Threads that are kept from falling asleep while a short piece of work shares itself out again and again.
//!
//! A network of fifty small layers meets at the end of each: a thread that has no work for some microseconds goes to
//! sleep, and waking it costs as much as the next layer. For the milliseconds of one image it looks for work instead.

use std::sync::atomic::{AtomicBool, Ordering};

/// Looks in vain after which a thread may sleep: some tens of microseconds, longer than what lies between two layers.
const LOOKS: usize = 2000;

/// Runs `work` on the pool that it is called in, whose other threads wait for pieces of it without sleeping.
pub fn keep_awake<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let is_done = AtomicBool::new(false);
    rayon::scope(|scope| {
        let owner = rayon::current_thread_index();
        for _ in 1..rayon::current_num_threads() {
            let is_done = &is_done;
            scope.spawn(move |_| {
                // Taken up by the owner while it waits for a piece that another works on, it would be in the way.
                if rayon::current_thread_index() != owner {
                    look_for_work(is_done);
                }
            });
        }
        let result = work();
        is_done.store(true, Ordering::Release);
        result
    })
}

/// Takes on pieces of work until all is done, or there have been none for a while: two such searches, each below the
/// other's work, must not wait for one another forever.
fn look_for_work(is_done: &AtomicBool) {
    let mut looks = 0;
    while looks < LOOKS && !is_done.load(Ordering::Acquire) {
        match rayon::yield_now() {
            Some(rayon::Yield::Executed) => looks = 0,
            _ => {
                looks += 1;
                std::hint::spin_loop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    fn sum(n: usize) -> usize {
        (0..n).into_par_iter().with_max_len(1).sum()
    }

    #[test]
    fn searches_below_each_others_work_end() {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(3)
            .build()
            .unwrap();
        let (send, done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let sums: Vec<usize> = pool.install(|| {
                (0..40)
                    .into_par_iter()
                    .with_max_len(1)
                    .map(|_| keep_awake(|| (0..5).map(|_| keep_awake(|| sum(30))).sum()))
                    .collect()
            });
            let _ = send.send(sums);
        });
        let sums = done.recv_timeout(std::time::Duration::from_secs(60));
        assert_eq!(
            sums.expect("a search that waits forever"),
            vec![5 * 435; 40]
        );
    }

    #[test]
    fn outside_a_pool_and_on_one_thread_it_only_runs() {
        assert_eq!(keep_awake(|| sum(10)), 45);
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build();
        assert_eq!(one.unwrap().install(|| keep_awake(|| sum(10))), 45);
    }

    #[test]
    #[should_panic(expected = "as it should")]
    fn a_panic_comes_through() {
        keep_awake(|| panic!("as it should"));
    }
}
