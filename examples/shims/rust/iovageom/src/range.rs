// SPDX-License-Identifier: BSD-3-Clause
//! Between `RangeInclusive<u64>` and the closed ranges of C.

use std::ops::RangeInclusive;

use iovageom_sys as sys;

/// An empty range has no name in C: it becomes one that ends before it starts, which every call
/// refuses as `Inverted`. That holds for one that was iterated to its end as well.
pub(crate) fn raw_range(range: &RangeInclusive<u64>) -> sys::iovageom_range {
    if range.is_empty() {
        return sys::iovageom_range { start: 1, last: 0 };
    }
    sys::iovageom_range { start: *range.start(), last: *range.end() }
}

/// What a guest wrote as the two ends, inverted or not: the library judges it.
pub(crate) fn raw_ends(start: u64, last: u64) -> sys::iovageom_range {
    sys::iovageom_range { start, last }
}

pub(crate) fn range_of(raw: sys::iovageom_range) -> RangeInclusive<u64> {
    raw.start..=raw.last
}

pub(crate) fn raw_ranges(ranges: &[RangeInclusive<u64>]) -> Vec<sys::iovageom_range> {
    ranges.iter().map(raw_range).collect()
}
