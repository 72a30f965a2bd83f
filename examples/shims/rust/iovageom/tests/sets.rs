// SPDX-License-Identifier: BSD-3-Clause
//! What the address allocators and address ranges of Rust VMMs are relied on for: the same, of sets.

use iovageom::{RangeSet, Status};

const ALL: std::ops::RangeInclusive<u64> = 0..=u64::MAX;

/// An allocator: what is taken is in the set.
fn take(
    taken: &mut RangeSet,
    pool: std::ops::RangeInclusive<u64>,
    size: u64,
    alignment: u64,
) -> Option<u64> {
    let found = taken.first_hole(pool, size, alignment)?;
    taken.insert(found.clone()).unwrap();
    Some(*found.start())
}

#[test]
fn nothing_can_be_taken_of_an_empty_pool_or_beside_it() {
    let mut taken = RangeSet::from_ranges(&[ALL]).unwrap();
    assert_eq!(take(&mut taken, ALL, 1, 1), None);
    let mut free = RangeSet::new();
    assert_eq!(take(&mut free, 0x1000..=0x1fff, 0x1001, 1), None);
    assert_eq!(take(&mut free, 0x1000..=0x1fff, 0x1000, 1), Some(0x1000));
    assert_eq!(take(&mut free, 0x1000..=0x1fff, 1, 1), None);
}

#[test]
fn an_alignment_is_a_power_of_two_and_a_size_is_not_0() {
    let taken = RangeSet::new();
    for alignment in [0, 3, 0x3000] {
        assert_eq!(taken.first_hole(ALL, 0x1000, alignment), None);
        assert_eq!(taken.last_hole(ALL, 0x1000, alignment), None);
    }
    assert_eq!(taken.first_hole(ALL, 0, 1), None);
}

#[test]
fn a_place_is_aligned_whatever_lies_before_it() {
    let mut taken = RangeSet::new();
    let pool = || 0x4000..=0x7fff;
    assert_eq!(take(&mut taken, pool(), 0x30, 0x100), Some(0x4000));
    assert_eq!(take(&mut taken, pool(), 0x100, 0x100), Some(0x4100));
    assert_eq!(take(&mut taken, pool(), 0x10, 1), Some(0x4030));
    assert_eq!(take(&mut taken, pool(), 0x1000, 0x1000), Some(0x5000));
    assert_eq!(taken.last_hole(pool(), 0x1800, 0x800), Some(0x6800..=0x7fff));
}

#[test]
fn a_place_that_is_asked_for_is_free_or_it_is_not() {
    let mut taken = RangeSet::new();
    taken.insert(0x4000..=0x4fff).unwrap();
    assert!(!taken.overlaps(0x3000..=0x3fff));
    assert!(taken.overlaps(0x3000..=0x4000));
    assert!(taken.overlaps(0x4fff..=0x5fff));
    assert!(!taken.overlaps(0x5000..=u64::MAX));
    // Free again, it goes to the next one, and what was not taken is no error.
    taken.remove(0x4000..=0x4fff).unwrap();
    taken.remove(0x4000..=0x4fff).unwrap();
    assert_eq!(take(&mut taken, 0x4000..=0x4fff, 0x1000, 0x1000), Some(0x4000));
}

#[test]
fn what_is_given_back_is_joined_with_its_neighbours() {
    let mut free = RangeSet::new();
    for range in [0..=0xfff, 0x3000..=0x3fff, 0x2000..=0x2fff, 0x1000..=0x1fff] {
        free.insert(range).unwrap();
    }
    assert!(free.iter().eq([0..=0x3fff]));
    // Single addresses, and the ends of what 64 bits name.
    for address in [0x4000, 0x4002, 0x4001, u64::MAX, u64::MAX - 1] {
        free.insert(address..=address).unwrap();
    }
    assert!(free.iter().eq([0..=0x4002, u64::MAX - 1..=u64::MAX]));
    free.insert(0x4003..=u64::MAX - 2).unwrap();
    assert_eq!(free.len(), 1);
    assert_eq!(free.size(), 1 << 64);
}

#[test]
#[allow(clippy::reversed_empty_ranges)]
fn an_empty_range_is_refused_and_holds_nothing() {
    let mut set = RangeSet::from_ranges(&[0..=9]).unwrap();
    let mut used_up = 3..=3_u64;
    used_up.next();
    for empty in [1..=0, u64::MAX..=0, used_up] {
        assert_eq!(set.insert(empty.clone()).unwrap_err().status(), Status::Inverted);
        assert_eq!(set.remove(empty.clone()).unwrap_err().status(), Status::Inverted);
        assert!(!set.contains(empty.clone()) && !set.overlaps(empty.clone()));
        assert_eq!(RangeSet::from_ranges(&[empty]).unwrap_err().status(), Status::Inverted);
    }
    assert!(set.iter().eq([0..=9]));
}

#[test]
fn containing_is_having_all_of_it() {
    let set = RangeSet::from_ranges(&[5..=9, 20..=20]).unwrap();
    assert!(set.contains(5..=9) && set.contains(6..=8) && set.contains(20..=20));
    for other in [4..=9, 5..=10, 9..=20, 0..=u64::MAX, 0..=4] {
        assert!(!set.contains(other));
    }
    assert_eq!((set.get(7), set.get(10), set.get(20)), (Some(5..=9), None, Some(20..=20)));
}

#[test]
fn algebra_agrees_with_what_it_is_defined_by() {
    let a = RangeSet::from_ranges(&[0..=9, 20..=29]).unwrap();
    let b = RangeSet::from_ranges(&[5..=24, 40..=u64::MAX]).unwrap();
    let with = |change: fn(&mut RangeSet, &RangeSet) -> iovageom::Result<()>| {
        let mut set = a.try_clone().unwrap();
        change(&mut set, &b).unwrap();
        set.iter().collect::<Vec<_>>()
    };
    assert_eq!(with(RangeSet::add), [0..=29, 40..=u64::MAX]);
    assert_eq!(with(RangeSet::retain), [5..=9, 20..=24]);
    assert_eq!(with(RangeSet::subtract), [0..=4, 25..=29]);
    let mut rest = RangeSet::new();
    rest.complement_of(&a, 3..=35).unwrap();
    assert_eq!(rest, RangeSet::from_ranges(&[10..=19, 30..=35]).unwrap());
    assert_eq!(format!("{rest:?}"), "[10..=19, 30..=35]");
    assert_eq!((rest.size(), rest.len()), (16, 2));
}

#[test]
fn a_set_may_be_moved_and_read_from_a_place() {
    let mut sets: Vec<RangeSet> = Vec::new();
    for number in 0..40_u64 {
        // More than what lives inside the object, and the vector moves them as it grows.
        let ranges: Vec<_> = (0..number).map(|n| n * 10..=n * 10 + 4).collect();
        sets.push(RangeSet::from_ranges(&ranges).unwrap());
    }
    for (number, set) in sets.iter().enumerate() {
        assert_eq!(set.len(), number);
        assert_eq!(set.iter().count(), number);
        assert!(set.iter_from(104).eq(set.iter().skip(10)));
    }
}
