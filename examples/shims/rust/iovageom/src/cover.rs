// SPDX-License-Identifier: BSD-3-Clause
//! Few ranges in the place of many, for interfaces that take a limited number: dirty tracking by a
//! device, the regions of a vfio-user server. And what a bitmap of IOVAs means in guest memory.

use std::ops::RangeInclusive;

use iovageom_sys as sys;

use crate::range::{range_of, raw_range, raw_ranges};
use crate::report::plain;
use crate::{Error, Mapping, Result, Status, Viommu};

/// At most so many ranges that have all addresses of a list, with as few others as can be.
///
/// A device that logs what it writes to is given the ranges of a cover. While the guest maps and
/// unmaps, it goes like this; plan_cover.h of the C library says more:
///
/// ```
/// # fn main() -> iovageom::Result<()> {
/// use iovageom::{Access, Config, Declared, DirtyBitmap, Viommu};
///
/// let mut books = Viommu::new(&Config::default())?;
/// books.declare(8, Declared::Emulated, None)?;
/// books.attach(1, 8, 0)?;
/// for (iova, phys) in [(0x1_0000, 0x4000_0000), (0x3_0000, 0x5000_0000), (0x80_0000, 0x6000_0000)] {
///     books.map(1, iova..=iova + 0xffff, phys, Access::WRITE)?;
/// }
/// // Start: the device takes two ranges, at multiples of a page.
/// let mut cover = books.cover(1, 4096, 2)?;
/// assert!(cover.iter().eq([0x1_0000..=0x3_ffff, 0x80_0000..=0x80_ffff]));
/// assert_eq!(cover.excess(), 0x1_0000);
/// // MAP, before the host maps: what lies in the gap is logged already; elsewhere logging starts anew.
/// assert!(!cover.map(0x2_0000..=0x2_ffff)?);
/// assert!(cover.map(0x90_0000..=0x90_0fff)?);
/// assert!(cover.iter().eq([0x1_0000..=0x3_ffff, 0x80_0000..=0x90_0fff]));
/// // A round; and at each UNMAP, when the host has unmapped and before the books have: the device
/// // says that page 1 of a mapping was written to.
/// let bitmap = DirtyBitmap { words: &[2], start: 0x1_0000, page: 4096, pages: 16 };
/// assert_eq!(books.dirty(1, &bitmap)?, [0x4000_1000..=0x4000_1fff]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Cover {
    ranges: Vec<sys::iovageom_range>,
    granule: u64,
    most: usize,
    excess: u128,
}

impl Cover {
    /// Of ranges that are ascending and disjoint. Each is widened to multiples of `granule` (bytes, a
    /// power of two, 1 for none). `most` is at least 1: Linux takes 256 for DMA logging with pages of
    /// 4 KiB.
    pub fn new(ranges: &[RangeInclusive<u64>], granule: u64, most: usize) -> Result<Cover> {
        Cover::of(&raw_ranges(ranges), granule, most)
    }

    fn of(list: &[sys::iovageom_range], granule: u64, most: usize) -> Result<Cover> {
        let mut ranges = vec![sys::iovageom_range::default(); list.len()];
        let (mut needed, mut excess) = (0, sys::iovageom_size::default());
        // SAFETY: two arrays of these lengths, and room for the answers.
        plain(unsafe {
            sys::iovageom_plan_cover(
                list.as_ptr(),
                list.len(),
                granule,
                most,
                ranges.as_mut_ptr(),
                ranges.len(),
                &mut needed,
                &mut excess,
            )
        })?;
        ranges.truncate(needed);
        let excess = u128::from(excess.hi) << 64 | u128::from(excess.lo);
        Ok(Cover { ranges, granule, most, excess })
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.ranges.iter().map(|range| range_of(*range))
    }

    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many bytes the cover had, and the list had not, when it was made.
    pub fn excess(&self) -> u128 {
        self.excess
    }

    /// Has `mapped` as well from now on. True when the ranges have changed: then fetch what was
    /// logged, and start logging anew. A gap that was closed once stays closed; [`Viommu::cover`]
    /// looks at the mappings themselves.
    pub fn map(&mut self, mapped: RangeInclusive<u64>) -> Result<bool> {
        self.change(mapped, true)
    }

    /// Leaves out the whole granules of `hole`, where nothing is mapped any more. True when the
    /// ranges have changed.
    pub fn unmap(&mut self, hole: RangeInclusive<u64>) -> Result<bool> {
        self.change(hole, false)
    }

    fn change(&mut self, range: RangeInclusive<u64>, mapped: bool) -> Result<bool> {
        let mut out = vec![sys::iovageom_range::default(); self.ranges.len() + 1];
        let (mut needed, mut changed) = (0, false);
        // SAFETY: two arrays of these lengths, which are not the same memory, and room for the answers.
        plain(unsafe {
            sys::iovageom_plan_cover_change(
                self.ranges.as_ptr(),
                self.ranges.len(),
                raw_range(&range),
                mapped,
                self.granule,
                self.most,
                out.as_mut_ptr(),
                out.len(),
                &mut needed,
                &mut changed,
            )
        })?;
        out.truncate(needed);
        self.ranges = out;
        Ok(changed)
    }
}

impl PartialEq for Cover {
    /// Whether the ranges are the same.
    fn eq(&self, other: &Cover) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Cover {}

/// Which pages of IOVAs were written to, as VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT and
/// IOMMU_HWPT_GET_DIRTY_BITMAP fill it in.
#[derive(Clone, Copy, Debug)]
pub struct DirtyBitmap<'a> {
    /// Bit n % 64 of word n / 64 is the page at `start` + n * `page`.
    pub words: &'a [u64],
    /// A multiple of `page`.
    pub start: u64,
    /// Bytes of a page, a power of two.
    pub page: u64,
    /// How many pages it is about: at most 64 for each word.
    pub pages: u64,
}

impl DirtyBitmap<'_> {
    /// The guest-physical addresses that its bits mean, by the mappings as they were when the bits
    /// were set: in the order of the mappings. A bit where nothing is mapped means nothing.
    pub fn memory(&self, mappings: &[Mapping]) -> Result<Vec<RangeInclusive<u64>>> {
        let raw: Vec<_> = mappings
            .iter()
            .map(|mapping| sys::iovageom_mapping {
                range: raw_range(&mapping.range),
                phys: mapping.phys,
                flags: mapping.access.bits(),
            })
            .collect();
        self.memory_of(&raw)
    }

    fn memory_of(&self, mappings: &[sys::iovageom_mapping]) -> Result<Vec<RangeInclusive<u64>>> {
        if self.pages > 64 * self.words.len() as u64 {
            return Err(Error::new(Status::Invalid, "a bitmap of more pages than bits"));
        }
        let bitmap = sys::iovageom_dirty_bitmap {
            words: self.words.as_ptr(),
            start: self.start,
            page: self.page,
            pages: self.pages,
        };
        let call = |out: *mut sys::iovageom_range, capacity, needed: &mut usize| {
            // SAFETY: an array of mappings, a bitmap with the words that its pages need, as was
            // just looked at, and room for `capacity` ranges.
            unsafe {
                sys::iovageom_plan_cover_dirty(
                    mappings.as_ptr(),
                    mappings.len(),
                    &bitmap,
                    out,
                    capacity,
                    needed,
                )
            }
        };
        let mut needed = 0;
        let rc = call(std::ptr::null_mut(), 0, &mut needed);
        if rc != sys::IOVAGEOM_ERR_BUFFER_TOO_SMALL {
            plain(rc)?;
        }
        let mut out = vec![sys::iovageom_range::default(); needed];
        plain(call(out.as_mut_ptr(), out.len(), &mut needed))?;
        Ok(out.into_iter().map(range_of).collect())
    }
}

impl Viommu {
    /// A cover of all that is mapped in a domain, to start logging with.
    pub fn cover(&self, domain: u32, granule: u64, most: usize) -> Result<Cover> {
        let list: Vec<_> =
            self.mappings(domain, 0).map(|mapping| raw_range(&mapping.range)).collect();
        Cover::of(&list, granule, most)
    }

    /// The guest memory that a bitmap means in a domain, by what is mapped there now: ask before an
    /// UNMAP is entered, for afterwards nobody can tell where its mappings led.
    pub fn dirty(&self, domain: u32, bitmap: &DirtyBitmap<'_>) -> Result<Vec<RangeInclusive<u64>>> {
        let last = bitmap.pages.checked_mul(bitmap.page).and_then(|size| {
            let size = size.checked_sub(1)?;
            bitmap.start.checked_add(size)
        });
        let inside: Vec<Mapping> = self
            .mappings(domain, bitmap.start)
            .take_while(|mapping| last.map_or(true, |last| *mapping.range.start() <= last))
            .collect();
        bitmap.memory(&inside)
    }
}
