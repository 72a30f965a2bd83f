// SPDX-License-Identifier: BSD-3-Clause
//! Addresses as the crate `vm-memory` has them.

use std::ops::RangeInclusive;

use vm_memory::{Address, GuestAddress, GuestMemoryRegion};

use crate::{Access, Fault, Viommu};

impl Viommu {
    /// [`Viommu::translate_whole`] for a buffer of a descriptor.
    pub fn translate_guest(
        &self,
        endpoint: u32,
        address: GuestAddress,
        length: usize,
        access: Access,
    ) -> Result<GuestAddress, Fault> {
        let size = u64::try_from(length).map_err(|_| Fault::Range)?;
        self.translate_whole(endpoint, address.raw_value(), size, access).map(GuestAddress)
    }
}

/// The addresses of memory regions, for [`Viommu::set_identity`]: of `memory.iter()`.
pub fn guest_ranges<'a, R: GuestMemoryRegion + 'a>(
    regions: impl Iterator<Item = &'a R>,
) -> Vec<RangeInclusive<u64>> {
    regions.map(|region| region.start_addr().raw_value()..=region.last_addr().raw_value()).collect()
}
