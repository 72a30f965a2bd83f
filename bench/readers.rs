// SPDX-License-Identifier: BSD-3-Clause
//! Two threads that translate what devices access, beside one that serves the guest: all three share
//! the books by the RwLock that Rust monitors put around theirs.

use std::ffi::c_void;
use std::slice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::RwLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::Range;

const READERS: usize = 2;
/// Requests that a guest has written when the writer wakes up, and for how long it sleeps then.
const BURST: usize = 8;
const PAUSE: Duration = Duration::from_micros(20);

/// As in tasks_readers.c.
#[repr(C)]
pub struct Job {
    books: *mut c_void,
    translate: extern "C" fn(*mut c_void, *const u64, usize) -> u64,
    churn: extern "C" fn(*mut c_void, *const Range, usize, usize) -> u64,
    /// What is translated: nobody unmaps it.
    addresses: *const u64,
    address_count: usize,
    /// What is unmapped and mapped again.
    ranges: *const Range,
    range_count: usize,
    /// Translations of each reader.
    reads: usize,
    /// 1: around all; 2: one for the endpoints besides, as cloud-hypervisor has it.
    locks: u32,
}

/// The books of a job, by the calls that it has for them.
struct Books<'a>(&'a Job);

// SAFETY: whoever makes a job promises that its books may be used by any thread: read by several at
// once, and changed by one alone, which is what the lock around this sees to.
unsafe impl Send for Books<'_> {}
// SAFETY: the same.
unsafe impl Sync for Books<'_> {}

/// Returns the sum of where the accesses go, and the time of the slower reader.
///
/// # Safety
/// `job` and all that it points at is alive, its counts are right, and nobody else uses the books;
/// `ns` has room for a number.
#[no_mangle]
pub unsafe extern "C" fn readers_run(job: *const Job, ns: *mut u64) -> u64 {
    let job = &*job;
    let addresses = slice::from_raw_parts(job.addresses, job.address_count);
    let ranges = slice::from_raw_parts(job.ranges, job.range_count);
    let (reads, two) = (job.reads, job.locks == 2);
    let (endpoints, books) = (RwLock::new(()), RwLock::new(Books(job)));
    let done = AtomicUsize::new(0);
    let (endpoints, books, done) = (&endpoints, &books, &done);
    let found = thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                scope.spawn(move || {
                    let since = Instant::now();
                    let mut sum = 0u64;
                    let mut at = reader * addresses.len() / READERS;
                    for _ in 0..reads {
                        let first = two.then(|| endpoints.read().unwrap());
                        let guard = books.read().unwrap();
                        let Books(job) = &*guard;
                        sum = sum.wrapping_add((job.translate)(job.books, &addresses[at], 1));
                        drop(guard);
                        drop(first);
                        at = if at + 1 == addresses.len() { 0 } else { at + 1 };
                    }
                    done.fetch_add(1, Ordering::Release);
                    (sum, since.elapsed())
                })
            })
            .collect();
        let mut at = 0;
        while done.load(Ordering::Acquire) < READERS {
            for _ in 0..BURST {
                let guard = books.write().unwrap();
                let Books(job) = &*guard;
                assert_eq!((job.churn)(job.books, &ranges[at], 1, 1), 2);
                drop(guard);
                at = if at + 1 == ranges.len() { 0 } else { at + 1 };
            }
            thread::sleep(PAUSE);
        }
        readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>()
    });
    *ns = found.iter().map(|(_, time)| time.as_nanos() as u64).max().unwrap_or(0);
    found.iter().fold(0u64, |sum, (one, _)| sum.wrapping_add(*one))
}
