// SPDX-License-Identifier: BSD-3-Clause
//! How a virtual IOMMU is set up, and what it tells of its endpoints.

use std::ops::RangeInclusive;

use iovageom_sys as sys;

use crate::range::{range_of, raw_range};
use crate::RangeSet;

const OWN: u64 = u64::MAX;

/// How a virtual IOMMU is to look. The fields are those of `struct iovageom_viommu_config`
/// (viommu_setup.h); `Config::default()` has the documented defaults.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What the guest may map at most.
    pub input_range: RangeInclusive<u64>,
    /// Before any device narrows them.
    pub page_size_mask: u64,
    /// In bytes; `None`: as the hosts have it.
    pub granule: Option<u64>,
    /// Limits against a hostile guest; `u64::MAX` and `u32::MAX` are none.
    pub max_mappings: u64,
    pub max_domain_mappings: u64,
    pub max_domains: u32,
    /// Domain numbers that the guest may use.
    pub domains: RangeInclusive<u32>,
    /// Bytes of PROBE properties; `None`: chosen at freeze.
    pub probe_size: Option<u32>,
    /// Bits of [`features`](crate::features).
    pub features: u32,
    /// Until freeze, the input range shrinks to what all hosts can map.
    pub input_as_host: bool,
    /// Refuse a device that does not reach both ends of the input range.
    pub strict_input: bool,
    /// Refuse a device that Linux 6.6 and later gives to nobody.
    pub refuse_direct: bool,
    /// Keep an index of mappings by address: [`Viommu::translate_back`](crate::Viommu::translate_back)
    /// and [`Viommu::ways_back`](crate::Viommu::ways_back) then no longer go through all of them.
    pub index_phys: bool,
    /// The field `bypass` after a system reset.
    pub boot_bypass: bool,
}

impl Default for Config {
    fn default() -> Config {
        let mut raw = sys::iovageom_viommu_config::default();
        // SAFETY: room for a configuration, which the call fills.
        unsafe { sys::iovageom_viommu_config_init(&mut raw) };
        Config {
            input_range: range_of(raw.input_range),
            page_size_mask: raw.page_size_mask,
            granule: (raw.granule != 0).then_some(raw.granule),
            max_mappings: raw.max_mappings,
            max_domain_mappings: raw.max_domain_mappings,
            max_domains: raw.max_domains,
            domains: raw.domain_start..=raw.domain_last,
            probe_size: (raw.probe_size != 0).then_some(raw.probe_size),
            features: raw.features,
            input_as_host: raw.flags & sys::IOVAGEOM_VIOMMU_INPUT_AS_HOST != 0,
            strict_input: raw.flags & sys::IOVAGEOM_VIOMMU_STRICT_INPUT != 0,
            refuse_direct: raw.flags & sys::IOVAGEOM_VIOMMU_REFUSE_DIRECT != 0,
            index_phys: raw.flags & sys::IOVAGEOM_VIOMMU_INDEX_PHYS != 0,
            boot_bypass: raw.boot_bypass != 0,
        }
    }
}

impl Config {
    pub(crate) fn raw(&self) -> sys::iovageom_viommu_config {
        let mut raw = sys::iovageom_viommu_config::default();
        // SAFETY: room for a configuration, which the call fills.
        unsafe { sys::iovageom_viommu_config_init(&mut raw) };
        let flag = |set: bool, bit: u32| if set { bit } else { 0 };
        raw.input_range = raw_range(&self.input_range);
        raw.page_size_mask = self.page_size_mask;
        raw.granule = self.granule.unwrap_or(0);
        raw.max_mappings = self.max_mappings;
        raw.max_domain_mappings = self.max_domain_mappings;
        raw.max_domains = self.max_domains;
        raw.domain_start = *self.domains.start();
        raw.domain_last = *self.domains.end();
        raw.probe_size = self.probe_size.unwrap_or(0);
        raw.features = self.features;
        raw.flags = flag(self.input_as_host, sys::IOVAGEOM_VIOMMU_INPUT_AS_HOST)
            | flag(self.strict_input, sys::IOVAGEOM_VIOMMU_STRICT_INPUT)
            | flag(self.refuse_direct, sys::IOVAGEOM_VIOMMU_REFUSE_DIRECT)
            | flag(self.index_phys, sys::IOVAGEOM_VIOMMU_INDEX_PHYS);
        raw.boot_bypass = u32::from(self.boot_bypass);
        raw
    }
}

/// What is declared before a device exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// A device of the VMM's own, behind which there is no host.
    Emulated,
    /// A place where a device may be plugged.
    Slot,
}

/// Where a device is plugged. `None` is "its own".
#[derive(Clone, Debug, Default)]
pub struct PlugOptions {
    /// The host's isolation group.
    pub host_group: Option<u64>,
    /// One set of host page tables: a VFIO container, an IOAS.
    pub address_space: Option<u64>,
    /// Endpoints that the guest can't isolate from each other.
    pub guest_group: Option<u64>,
    /// Other endpoints that the device's DMA may show.
    pub aliases: Vec<u32>,
    /// Another device may answer to this endpoint already.
    pub alias: bool,
    /// Plug even where a promise or a mapping stands against it.
    pub allow_stale: bool,
    pub refuse_direct: bool,
}

/// One endpoint, for listings and for a VMM's own decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    pub endpoint: u32,
    /// `None` for a device that was plugged without a slot.
    pub declared: Option<Declared>,
    /// Devices behind it.
    pub plugged: u32,
    /// Between [`Viommu::plug_prepare`](crate::Viommu::plug_prepare) and its commit or abort.
    pub prepared: bool,
    pub guest_group: Option<u64>,
    pub host_group: Option<u64>,
    pub address_space: Option<u64>,
    /// `None` while it is not attached.
    pub domain: Option<u32>,
    /// Its accesses go through untranslated now.
    pub bypass: bool,
    /// It was loaded before its device came.
    pub expected: bool,
}

/// What a guest was promised for an endpoint, compared with now: usable addresses.
#[derive(Debug)]
pub struct Promise {
    /// Whether a PROBE was answered.
    pub told: bool,
    /// Whether a PROBE now would get the same answer.
    pub current: bool,
    /// Whether all that was promised is usable still.
    pub safe: bool,
    /// Promised, but reserved now.
    pub removed: RangeSet,
    /// Usable now, but not promised.
    pub added: RangeSet,
}

/// The config space of a virtio-iommu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSpace {
    pub page_size_mask: u64,
    pub input_range: RangeInclusive<u64>,
    pub domain_range: RangeInclusive<u32>,
    pub probe_size: u32,
    pub bypass: bool,
    /// Its 40 bytes on the wire.
    pub bytes: [u8; 40],
}

/// The aliases stay where they are: the options must outlive what C gets.
pub(crate) fn raw_options(options: &PlugOptions) -> sys::iovageom_plug_options {
    let mut raw = sys::iovageom_plug_options::default();
    // SAFETY: room for the options, which the call fills.
    unsafe { sys::iovageom_plug_options_init(&mut raw) };
    let flag = |set: bool, bit: u32| if set { bit } else { 0 };
    raw.host_group = options.host_group.unwrap_or(OWN);
    raw.address_space = options.address_space.unwrap_or(OWN);
    raw.guest_group = options.guest_group.unwrap_or(OWN);
    raw.aliases = options.aliases.as_ptr();
    raw.alias_count = options.aliases.len();
    raw.flags = flag(options.alias, sys::IOVAGEOM_PLUG_ALIAS)
        | flag(options.allow_stale, sys::IOVAGEOM_PLUG_ALLOW_STALE)
        | flag(options.refuse_direct, sys::IOVAGEOM_PLUG_REFUSE_DIRECT);
    raw
}
