// SPDX-License-Identifier: BSD-3-Clause
//! Sets of addresses.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;

use iovageom_sys as sys;

use crate::range::{range_of, raw_range, raw_ranges};
use crate::report::{plain, Result};

/// A set of 64-bit addresses, as disjoint ranges of which no two touch. Up to 8 ranges need no
/// memory of their own. Asking never allocates.
///
/// ```
/// # fn main() -> iovageom::Result<()> {
/// use iovageom::RangeSet;
///
/// let mut free = RangeSet::from_ranges(&[0..=0xfedf_ffff, 0xfef0_0000..=0x7f_ffff_ffff])?;
/// free.remove(0x1000..=0x1fff)?;
/// assert!(free.iter().eq([0..=0xfff, 0x2000..=0xfedf_ffff, 0xfef0_0000..=0x7f_ffff_ffff]));
/// // The highest 2 MiB below 4 GiB, for a user-space driver:
/// let mut taken = RangeSet::new();
/// taken.complement_of(&free, 0..=u64::MAX)?;
/// assert_eq!(taken.last_hole(0..=0xffff_ffff, 2 << 20, 2 << 20), Some(0xffe0_0000..=0xffff_ffff));
/// # Ok(())
/// # }
/// ```
pub struct RangeSet(sys::iovageom_rangeset);

// SAFETY: a set has no thread affinity and shares nothing with another one.
unsafe impl Send for RangeSet {}
// SAFETY: all that takes `&self` calls C with a pointer to const, and the library lets any number of
// such calls run at once on one object.
unsafe impl Sync for RangeSet {}

impl Drop for RangeSet {
    fn drop(&mut self) {
        // SAFETY: it was made by `new`, and is released here only.
        unsafe { sys::iovageom_rangeset_deinit(&mut self.0) }
    }
}

impl Default for RangeSet {
    fn default() -> RangeSet {
        RangeSet::new()
    }
}

impl RangeSet {
    /// An empty set. Allocates nothing.
    ///
    /// # Panics
    /// With a library that was built without malloc and free: this crate gives it no allocator.
    pub fn new() -> RangeSet {
        let mut set = sys::iovageom_rangeset::default();
        // SAFETY: there is room for the set, which the call fills; a set may be moved.
        let rc = unsafe { sys::iovageom_rangeset_init(&mut set, std::ptr::null()) };
        assert_eq!(rc, 0, "the library was built without a default allocator");
        RangeSet(set)
    }

    /// The union of ranges in any order.
    pub fn from_ranges(ranges: &[RangeInclusive<u64>]) -> Result<RangeSet> {
        let mut set = RangeSet::new();
        let raw = raw_ranges(ranges);
        // SAFETY: a live set, and an array of that many ranges.
        plain(unsafe { sys::iovageom_rangeset_from_array(&mut set.0, raw.as_ptr(), raw.len()) })?;
        Ok(set)
    }

    /// A second set with the same addresses. It is no `Clone`, since memory may be short.
    pub fn try_clone(&self) -> Result<RangeSet> {
        let mut set = RangeSet::new();
        // SAFETY: two live sets.
        plain(unsafe { sys::iovageom_rangeset_assign(&mut set.0, &self.0) })?;
        Ok(set)
    }

    pub(crate) fn as_mut(&mut self) -> *mut sys::iovageom_rangeset {
        &mut self.0
    }

    pub fn insert(&mut self, range: RangeInclusive<u64>) -> Result<()> {
        // SAFETY: a live set, and a range by value.
        plain(unsafe { sys::iovageom_rangeset_insert(&mut self.0, raw_range(&range)) })
    }

    pub fn remove(&mut self, range: RangeInclusive<u64>) -> Result<()> {
        // SAFETY: a live set, and a range by value.
        plain(unsafe { sys::iovageom_rangeset_remove(&mut self.0, raw_range(&range)) })
    }

    pub fn clear(&mut self) {
        // SAFETY: a live set.
        unsafe { sys::iovageom_rangeset_clear(&mut self.0) }
    }

    /// The number of ranges.
    pub fn len(&self) -> usize {
        // SAFETY: a live set, which the call does not change.
        unsafe { sys::iovageom_rangeset_count(&self.0) }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of addresses: 2^64 for all of them. Goes through the ranges.
    pub fn size(&self) -> u128 {
        self.iter().map(|range| u128::from(range.end() - range.start()) + 1).sum()
    }

    fn ask(
        &self,
        call: impl FnOnce(*const sys::iovageom_rangeset, *mut sys::iovageom_range) -> bool,
    ) -> Option<RangeInclusive<u64>> {
        let mut out = sys::iovageom_range::default();
        call(&self.0, &mut out).then(|| range_of(out))
    }

    /// Whether all of `range` is in the set.
    pub fn contains(&self, range: RangeInclusive<u64>) -> bool {
        // SAFETY: a live set, which the call does not change.
        unsafe { sys::iovageom_rangeset_contains(&self.0, raw_range(&range)) }
    }

    /// Whether any of `range` is in the set.
    pub fn overlaps(&self, range: RangeInclusive<u64>) -> bool {
        // SAFETY: a live set, which the call does not change.
        unsafe { sys::iovageom_rangeset_overlaps(&self.0, raw_range(&range)) }
    }

    /// The range that `address` is in.
    pub fn get(&self, address: u64) -> Option<RangeInclusive<u64>> {
        self.first_overlap(address..=address)
    }

    /// The lowest range that overlaps `range`, whole.
    pub fn first_overlap(&self, range: RangeInclusive<u64>) -> Option<RangeInclusive<u64>> {
        let range = raw_range(&range);
        // SAFETY: a live set, which the call does not change, and room for a range.
        self.ask(|set, out| unsafe { sys::iovageom_rangeset_first_overlap(set, range, out) })
    }

    /// The lowest free range of `size` bytes within `limits` that starts at a multiple of
    /// `alignment`. `None` when there is none, and for a size of 0 or an alignment that is no power
    /// of two.
    pub fn first_hole(
        &self,
        limits: RangeInclusive<u64>,
        size: u64,
        alignment: u64,
    ) -> Option<RangeInclusive<u64>> {
        let limits = raw_range(&limits);
        // SAFETY: a live set, which the call does not change, and room for a range.
        self.ask(|set, out| unsafe {
            sys::iovageom_rangeset_hole(set, limits, size, alignment, false, out) == 0
        })
    }

    /// The highest such range.
    pub fn last_hole(
        &self,
        limits: RangeInclusive<u64>,
        size: u64,
        alignment: u64,
    ) -> Option<RangeInclusive<u64>> {
        let limits = raw_range(&limits);
        // SAFETY: a live set, which the call does not change, and room for a range.
        self.ask(|set, out| unsafe {
            sys::iovageom_rangeset_hole(set, limits, size, alignment, true, out) == 0
        })
    }

    /// Adds what `other` has.
    pub fn add(&mut self, other: &RangeSet) -> Result<()> {
        let this: *mut _ = &mut self.0;
        // SAFETY: two live sets; the result may be one of the inputs.
        plain(unsafe { sys::iovageom_rangeset_union(this, this, &other.0) })
    }

    /// Keeps what `other` has, too.
    pub fn retain(&mut self, other: &RangeSet) -> Result<()> {
        let this: *mut _ = &mut self.0;
        // SAFETY: two live sets; the result may be one of the inputs.
        plain(unsafe { sys::iovageom_rangeset_intersection(this, this, &other.0) })
    }

    /// Takes away what `other` has.
    pub fn subtract(&mut self, other: &RangeSet) -> Result<()> {
        let this: *mut _ = &mut self.0;
        // SAFETY: two live sets; the result may be one of the inputs.
        plain(unsafe { sys::iovageom_rangeset_difference(this, this, &other.0) })
    }

    /// Keeps what lies in `window`.
    pub fn clip(&mut self, window: RangeInclusive<u64>) -> Result<()> {
        let this: *mut _ = &mut self.0;
        // SAFETY: a live set, which may be the result as well; a range by value.
        plain(unsafe { sys::iovageom_rangeset_clip(this, this, raw_range(&window)) })
    }

    /// Becomes the addresses of `window` that `other` lacks.
    pub fn complement_of(&mut self, other: &RangeSet, window: RangeInclusive<u64>) -> Result<()> {
        // SAFETY: two live sets, and a range by value.
        plain(unsafe {
            sys::iovageom_rangeset_complement(&mut self.0, &other.0, raw_range(&window))
        })
    }

    /// The ranges, ascending. Allocates nothing.
    pub fn iter(&self) -> Ranges<'_> {
        self.iter_from(0)
    }

    /// The ranges that end at `address` or above, ascending.
    pub fn iter_from(&self, address: u64) -> Ranges<'_> {
        let mut cursor = sys::iovageom_rangeset_cursor::default();
        // SAFETY: a live set, and room for a cursor, which the call makes. The set can't move,
        // change or go while `Ranges` borrows it.
        unsafe { sys::iovageom_rangeset_seek(&self.0, address, &mut cursor) };
        Ranges { cursor, set: PhantomData }
    }
}

impl PartialEq for RangeSet {
    fn eq(&self, other: &RangeSet) -> bool {
        // SAFETY: two live sets, which the call does not change.
        unsafe { sys::iovageom_rangeset_equal(&self.0, &other.0) }
    }
}

impl Eq for RangeSet {}

impl fmt::Debug for RangeSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for &'a RangeSet {
    type Item = RangeInclusive<u64>;
    type IntoIter = Ranges<'a>;

    fn into_iter(self) -> Ranges<'a> {
        self.iter()
    }
}

/// The ranges of a set, ascending.
#[derive(Debug)]
pub struct Ranges<'a> {
    cursor: sys::iovageom_rangeset_cursor,
    set: PhantomData<&'a RangeSet>,
}

impl Iterator for Ranges<'_> {
    type Item = RangeInclusive<u64>;

    fn next(&mut self) -> Option<RangeInclusive<u64>> {
        let mut out = sys::iovageom_range::default();
        // SAFETY: the cursor stands in a set that is borrowed, so it is live and unmoved.
        unsafe { sys::iovageom_rangeset_next(&mut self.cursor, &mut out) }.then(|| range_of(out))
    }
}
