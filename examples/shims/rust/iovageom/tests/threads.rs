// SPDX-License-Identifier: BSD-3-Clause
//! Many queue threads translate while one serves the guest; and that readers take no memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::RwLock;

use iovageom::{Access, Config, Declared, Fault, Geometry, Segment, Source, Viommu};

struct Counting;

thread_local!(static TAKEN: Cell<usize> = const { Cell::new(0) });

// SAFETY: all is passed on to the system's allocator; only a number is kept beside it.
unsafe impl GlobalAlloc for Counting {
    /// # Safety
    /// That of `GlobalAlloc`.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = TAKEN.try_with(|taken| taken.set(taken.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    /// # Safety
    /// That of `GlobalAlloc`.
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RW: Access = Access::from_bits(3);
const PAGES: u64 = 64;

fn books() -> Viommu {
    let mut books = Viommu::new(&Config::default()).unwrap();
    books.declare(1, Declared::Emulated, None).unwrap();
    books.attach(1, 1, 0).unwrap();
    books
}

fn page(number: u64) -> std::ops::RangeInclusive<u64> {
    number << 12..=(number << 12) + 0xfff
}

fn half(number: u64) -> std::ops::RangeInclusive<u64> {
    number << 12..=(number << 12) + 0x7ff
}

#[test]
fn readers_see_a_mapping_whole_or_not_at_all() {
    let mut first = books();
    (4..PAGES).for_each(|n| first.map(1, page(n), 0x20_0000 + (n << 13), RW).unwrap());
    let books = RwLock::new(first);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let (mut mapped, mut unmapped) = (0_u32, 0_u32);
                    while !done.load(Ordering::Relaxed) || mapped == 0 {
                        let books = books.read().unwrap();
                        // The writer maps two pages under one lock, so either both are there or none.
                        match books.translate_whole(1, 0x2ff0, 0x20, Access::READ) {
                            Ok(phys) => {
                                assert_eq!(phys, 0x10_2ff0);
                                assert_eq!(books.translate_back(1, 0x10_3000, 0x10), Ok(0x3000));
                                mapped += 1;
                            }
                            Err(fault) => {
                                assert_eq!(fault, Fault::Mapping { address: 0x2ff0 });
                                assert_eq!(books.mappings(1, 0x2000).count() as u64, PAGES - 4);
                                unmapped += 1;
                            }
                        }
                    }
                    mapped + unmapped
                })
            })
            .collect();
        for round in 0..400 {
            let mut books = books.write().unwrap();
            if round % 2 == 0 {
                books.map(1, page(2), 0x10_2000, RW).unwrap();
                books.map(1, page(3), 0x10_3000, RW).unwrap();
            } else if round < 399 {
                assert_eq!(books.unmap(1, 0x2000..=0x3fff), Ok(2));
            }
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
}

#[test]
fn readers_of_one_object_need_no_lock() {
    let mut books = books();
    (0..PAGES).for_each(|n| books.map(1, page(n), 0x20_0000 + (n << 12), RW).unwrap());
    let mut host = Geometry::new("host").unwrap();
    host.add_gaw(39, Source::Vfio).unwrap();
    let set = host.usable(4096).unwrap();
    let (books, host, set) = (&books, &host, &set);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                for n in 0..PAGES {
                    assert_eq!(
                        books.translate_whole(1, n << 12, 0x1000, RW),
                        Ok(0x20_0000 + (n << 12))
                    );
                    assert!(set.contains(page(n)) && host.accepts(page(n)));
                    assert!(host.explain(page(n)).is_ok());
                    assert_eq!(set.iter().count(), 1);
                    let split = books.unmap_check(1, half(n)).unwrap_err();
                    assert!(split.to_string().contains("would split"), "{split}");
                    assert!(books.unmap_check(1, page(n)).is_ok());
                    assert!(books.attach_check(2, 1, 0).is_ok());
                    assert!(books.told(1).unwrap().is_empty() && books.promise(1).unwrap().safe);
                    assert!(books.config_space().is_ok() && books.domain_usable(1).is_ok());
                }
            });
        }
    });
}

#[test]
fn readers_take_no_memory() {
    let mut books = books();
    (0..PAGES).for_each(|n| books.map(1, page(n), 0x20_0000 + (n << 13), RW).unwrap());
    let set = books.domain_usable(1).unwrap();
    let mut room = [Segment::default(); 4];
    let before = TAKEN.with(Cell::get);
    for n in 0..PAGES {
        assert!(books.translate_whole(1, n << 12, 0x1000, RW).is_ok());
        assert!(books.translate_whole(1, n << 12, 0x1001, RW).is_err());
        assert!(books.translate(1, n << 12..=(n << 12) + 0x800, RW, &mut room).is_ok());
        assert!(books.translate_back(1, 0x20_0000 + (n << 13), 1).is_ok());
        assert!(books.mappings(1, n << 12).next().is_some());
        assert_eq!(books.ways_back(1, page(n)).count(), 0);
        assert!(books.joined(1, page(n), 0).map(|run| run.range).eq([page(n)]));
        assert!(books.runs(1, page(n)).eq([page(n)]));
        assert!(set.contains(page(n)) && set.iter().count() == 1);
    }
    assert!(books.endpoint(1).is_some() && books.domain(1).is_some() && books.domain(2).is_none());
    assert_eq!(TAKEN.with(Cell::get), before, "a reader has taken memory");
    // That it would be noticed:
    drop(Box::new(1_u8));
    assert_eq!(TAKEN.with(Cell::get), before + 1);
}

#[test]
fn they_move_between_threads_and_are_shared() {
    fn sent<T: Send>() {}
    fn shared<T: Sync>() {}
    sent::<Viommu>();
    sent::<Geometry>();
    sent::<iovageom::RangeSet>();
    sent::<iovageom::Transaction>();
    shared::<Viommu>();
    shared::<Geometry>();
    shared::<iovageom::RangeSet>();
    sent::<iovageom::Error>();
    shared::<iovageom::Error>();
}
