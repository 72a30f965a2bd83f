// SPDX-License-Identifier: BSD-3-Clause
//! Where an access goes, and what there is: by `&self`, from any number of threads at once. None of
//! it allocates, but [`Viommu::segments`], [`Viommu::domain_usable`] and [`Viommu::geometry`].

use std::fmt;
use std::ops::RangeInclusive;

use iovageom_sys as sys;

use crate::range::{range_of, raw_range};
use crate::report::plain;
use crate::{Access, Declared, Endpoint, Geometry, RangeSet, Result, Viommu};

/// A piece of an access: the addresses of `range` go to physical addresses from `phys` on.
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub struct Segment(sys::iovageom_segment);

impl Segment {
    pub fn range(&self) -> RangeInclusive<u64> {
        range_of(self.0.range)
    }

    pub fn phys(&self) -> u64 {
        self.0.phys
    }

    /// The flags of the mapping.
    pub fn access(&self) -> Access {
        Access::from_bits(self.0.flags)
    }
}

/// Why an access goes nowhere. A plain value: making one allocates nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// No such endpoint, or it is in no domain and does not bypass (fault reason DOMAIN).
    Domain,
    /// Nothing is mapped at `address`, or not for that access (fault reason MAPPING).
    Mapping { address: u64 },
    /// It is mapped, but not to one piece of physical memory.
    Scattered,
    /// There are more pieces than there was room for.
    TooMany { needed: usize },
    /// The range is empty, or does not end below 2^64.
    Range,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Domain => formatter.write_str("the endpoint is in no domain"),
            Fault::Mapping { address } => {
                write!(formatter, "no mapping for such an access at {address:#x}")
            }
            Fault::Scattered => formatter.write_str("the access goes to several pieces of memory"),
            Fault::TooMany { needed } => write!(formatter, "the access goes to {needed} pieces"),
            Fault::Range => formatter.write_str("the access has no addresses"),
        }
    }
}

impl std::error::Error for Fault {}

/// A live mapping of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub range: RangeInclusive<u64>,
    pub phys: u64,
    pub access: Access,
}

/// One domain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Domain {
    pub domain: u32,
    pub bypass: bool,
    pub endpoints: u64,
    pub mappings: u64,
    /// The most mappings that it may have as things are; `None`: no host said.
    pub budget: Option<u64>,
}

/// `address` and `size` in bytes, as interfaces of guests' memory speak.
fn span(address: u64, size: u64) -> std::result::Result<sys::iovageom_range, Fault> {
    let mut range = sys::iovageom_range::default();
    // SAFETY: numbers by value, and room for a range.
    match unsafe { sys::iovageom_range_from_length(address, size, &mut range) } {
        0 => Ok(range),
        _ => Err(Fault::Range),
    }
}

fn fault_of(rc: i32, needed: usize, address: u64) -> Fault {
    match rc {
        sys::IOVAGEOM_ERR_NOT_FOUND => Fault::Domain,
        sys::IOVAGEOM_ERR_FAULT => Fault::Mapping { address },
        sys::IOVAGEOM_ERR_BUFFER_TOO_SMALL => Fault::TooMany { needed },
        _ => Fault::Range,
    }
}

impl Viommu {
    /// Where all of `range` goes, with the access that it needs: as few pieces as can be, ascending.
    /// Mappings that go on where one another ends are one piece.
    pub fn translate<'a>(
        &self,
        endpoint: u32,
        range: RangeInclusive<u64>,
        access: Access,
        pieces: &'a mut [Segment],
    ) -> std::result::Result<&'a [Segment], Fault> {
        let (mut needed, mut address) = (0, 0);
        // SAFETY: live books, which the call does not change, and room for that many pieces: a
        // `Segment` is what C has.
        let rc = unsafe {
            sys::iovageom_viommu_translate(
                self.as_ptr(),
                endpoint,
                raw_range(&range),
                access.bits(),
                pieces.as_mut_ptr().cast(),
                pieces.len(),
                &mut needed,
                &mut address,
            )
        };
        match rc {
            0 => Ok(&pieces[..needed]),
            _ => Err(fault_of(rc, needed, address)),
        }
    }

    /// The same for `size` bytes from `address`, in as many pieces as there are: into a scatter list.
    pub fn segments(
        &self,
        endpoint: u32,
        address: u64,
        size: u64,
        access: Access,
    ) -> std::result::Result<Vec<Segment>, Fault> {
        let range = range_of(span(address, size)?);
        let mut pieces = vec![Segment::default(); 4];
        loop {
            let found =
                self.translate(endpoint, range.clone(), access, &mut pieces).map(<[_]>::len);
            match found {
                Ok(count) => {
                    pieces.truncate(count);
                    return Ok(pieces);
                }
                Err(Fault::TooMany { needed }) => pieces.resize(needed, Segment::default()),
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Where `size` bytes from `address` go, when they go to one piece of physical memory. They may
    /// lie in several mappings, of which each allows the access.
    pub fn translate_whole(
        &self,
        endpoint: u32,
        address: u64,
        size: u64,
        access: Access,
    ) -> std::result::Result<u64, Fault> {
        let range = range_of(span(address, size)?);
        let mut one = [Segment::default()];
        match self.translate(endpoint, range.clone(), access, &mut one) {
            Ok(_) => whole(&range, one[0].phys()),
            // Pieces that differ in flags are several to C, but may follow each other in memory.
            Err(Fault::TooMany { .. }) => self.walk(endpoint, &range, access),
            Err(fault) => Err(fault),
        }
    }

    fn walk(
        &self,
        endpoint: u32,
        range: &RangeInclusive<u64>,
        access: Access,
    ) -> std::result::Result<u64, Fault> {
        let domain = self.endpoint(endpoint).and_then(|found| found.domain).ok_or(Fault::Domain)?;
        let mut address = *range.start();
        let mut base = None;
        for mapping in self.mappings(domain, address) {
            let (start, last) = mapping.range.into_inner();
            if start > address || !mapping.access.has(access) {
                break;
            }
            let phys = mapping.phys + (address - start);
            if phys != base.get_or_insert(phys).wrapping_add(address - range.start()) {
                return Err(Fault::Scattered);
            }
            if last >= *range.end() {
                return whole(range, base.unwrap_or(phys));
            }
            address = last + 1;
        }
        Err(Fault::Mapping { address })
    }

    /// The reverse: at which address an endpoint reaches `size` bytes of physical memory from `phys`
    /// on, in a single mapping. Of several, the first that [`Viommu::ways_back`] gives. Goes through
    /// the domain's mappings, unless [`Config::index_phys`](crate::Config::index_phys) is set.
    pub fn translate_back(
        &self,
        endpoint: u32,
        phys: u64,
        size: u64,
    ) -> std::result::Result<u64, Fault> {
        let found = self.way_back(endpoint, span(phys, size)?, true, None)?;
        Ok(found.range.start + (phys - found.phys))
    }

    /// The mappings by which an endpoint reaches addresses of `phys`, ascending in these; those that
    /// lead to the same place ascend in IOVAs. Cost as [`Viommu::translate_back`], for each.
    pub fn ways_back(
        &self,
        endpoint: u32,
        phys: RangeInclusive<u64>,
    ) -> impl Iterator<Item = Mapping> + '_ {
        let phys = raw_range(&phys);
        let mut before = None;
        let ways = std::iter::from_fn(move || {
            before = self.way_back(endpoint, phys, false, before.take()).ok();
            before.as_ref().map(mapping_of)
        });
        ways.fuse()
    }

    fn way_back(
        &self,
        endpoint: u32,
        phys: sys::iovageom_range,
        whole: bool,
        after: Option<sys::iovageom_mapping>,
    ) -> std::result::Result<sys::iovageom_mapping, Fault> {
        let mut raw = sys::iovageom_mapping::default();
        let after = after.as_ref().map_or(std::ptr::null(), |mapping| mapping as *const _);
        // SAFETY: live books, which the call does not change, NULL or a mapping, and room for one.
        let rc = unsafe {
            sys::iovageom_viommu_translate_back(
                self.as_ptr(),
                endpoint,
                phys,
                whole,
                after,
                &mut raw,
            )
        };
        match rc {
            0 => Ok(raw),
            _ => Err(fault_of(rc, 0, phys.start)),
        }
    }

    pub fn endpoint(&self, endpoint: u32) -> Option<Endpoint> {
        let mut raw = sys::iovageom_viommu_endpoint::default();
        // SAFETY: live books, which the call does not change, and room for the answer.
        let rc = unsafe { sys::iovageom_viommu_endpoint(self.as_ptr(), endpoint, &mut raw) };
        (rc == 0).then(|| endpoint_of(&raw))
    }

    /// All endpoints, by number.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> + '_ {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let mut raw = sys::iovageom_viommu_endpoint::default();
            let found =
                // SAFETY: live books, which the call does not change, and room for the answer.
                unsafe { sys::iovageom_viommu_endpoint_next(self.as_ptr(), from?, &mut raw) };
            from = if found { raw.endpoint.checked_add(1) } else { None };
            found.then(|| endpoint_of(&raw))
        })
    }

    pub fn domain(&self, domain: u32) -> Option<Domain> {
        let mut raw = sys::iovageom_viommu_domain::default();
        // SAFETY: live books, which the call does not change, and room for the answer.
        let rc = unsafe { sys::iovageom_viommu_domain(self.as_ptr(), domain, &mut raw) };
        (rc == 0).then(|| domain_of(&raw))
    }

    /// All domains, by number.
    pub fn domains(&self) -> impl Iterator<Item = Domain> + '_ {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let mut raw = sys::iovageom_viommu_domain::default();
            // SAFETY: live books, which the call does not change, and room for the answer.
            let found = unsafe { sys::iovageom_viommu_domain_next(self.as_ptr(), from?, &mut raw) };
            from = if found { raw.domain.checked_add(1) } else { None };
            found.then(|| domain_of(&raw))
        })
    }

    /// The endpoints of a domain, in the order in which they were attached.
    pub fn domain_endpoints(&self, domain: u32) -> impl Iterator<Item = u32> + '_ {
        let mut previous = Some(u64::MAX);
        std::iter::from_fn(move || {
            let mut endpoint = 0;
            // SAFETY: live books, which the call does not change, and room for the answer.
            let found = unsafe {
                sys::iovageom_viommu_domain_endpoint(
                    self.as_ptr(),
                    domain,
                    previous?,
                    &mut endpoint,
                )
            };
            previous = found.then(|| u64::from(endpoint));
            found.then_some(endpoint)
        })
    }

    /// The mappings of a domain that end at `from` or above, ascending.
    pub fn mappings(&self, domain: u32, from: u64) -> impl Iterator<Item = Mapping> + '_ {
        let mut from = Some(from);
        std::iter::from_fn(move || {
            let mut raw = sys::iovageom_mapping::default();
            // SAFETY: live books, which the call does not change, and room for the answer.
            let found = unsafe {
                sys::iovageom_viommu_mapping_next(self.as_ptr(), domain, from?, &mut raw)
            };
            from = if found { raw.range.last.checked_add(1) } else { None };
            found.then(|| mapping_of(&raw))
        })
    }

    /// What a VMM maps in one call each on a host where a domain is new, if that host shall have few
    /// mappings: runs of whole mappings in `range` that go on where one another ends, in memory too,
    /// with the same rights. The run that has `from` comes first, from its beginning, then those
    /// above. See viommu_serve.h for how such a host has to be unmapped.
    pub fn joined(
        &self,
        domain: u32,
        range: RangeInclusive<u64>,
        from: u64,
    ) -> impl Iterator<Item = Mapping> + '_ {
        self.each_run(domain, raw_range(&range), from, true)
    }

    /// What a VMM unmaps in one call each on a host that has each mapping by itself: runs of whole
    /// mappings in `range` without an address between them, ascending. They stand in the books until
    /// [`Viommu::unmap`].
    pub fn runs(
        &self,
        domain: u32,
        range: RangeInclusive<u64>,
    ) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.each_run(domain, raw_range(&range), *range.start(), false).map(|run| run.range)
    }

    fn each_run(
        &self,
        domain: u32,
        range: sys::iovageom_range,
        from: u64,
        joined: bool,
    ) -> impl Iterator<Item = Mapping> + '_ {
        let mut from = Some(from);
        std::iter::from_fn(move || {
            let mut raw = sys::iovageom_mapping::default();
            // SAFETY: live books, which the call does not change, and room for the answer.
            let found = unsafe {
                sys::iovageom_viommu_run_next(self.as_ptr(), domain, range, from?, joined, &mut raw)
            };
            from = if found { raw.range.last.checked_add(1) } else { None };
            found.then(|| mapping_of(&raw))
        })
    }

    /// What a guest may map in a domain: what all its endpoints can. Allocates the set.
    pub fn domain_usable(&self, domain: u32) -> Result<RangeSet> {
        let mut set = RangeSet::new();
        // SAFETY: live books, which the call does not change, and a live set.
        plain(unsafe { sys::iovageom_viommu_domain_usable(self.as_ptr(), domain, set.as_mut()) })?;
        Ok(set)
    }

    /// The geometry of the first device at an endpoint: a copy.
    pub fn geometry(&self, endpoint: u32) -> Result<Option<Geometry>> {
        let mut raw = sys::iovageom_viommu_endpoint::default();
        // SAFETY: live books, which the call does not change, and room for the answer.
        plain(unsafe { sys::iovageom_viommu_endpoint(self.as_ptr(), endpoint, &mut raw) })?;
        if raw.geometry.is_null() {
            return Ok(None);
        }
        // SAFETY: not NULL, so it is the geometry of that endpoint, which stays as long as `&self`
        // keeps the books from changing.
        unsafe { Geometry::copy_of(raw.geometry) }.map(Some)
    }
}

/// A piece of memory has its addresses below 2^64.
fn whole(range: &RangeInclusive<u64>, phys: u64) -> std::result::Result<u64, Fault> {
    match phys.checked_add(range.end() - range.start()) {
        Some(_) => Ok(phys),
        None => Err(Fault::Scattered),
    }
}

fn mapping_of(raw: &sys::iovageom_mapping) -> Mapping {
    Mapping { range: range_of(raw.range), phys: raw.phys, access: Access::from_bits(raw.flags) }
}

fn own(number: u64) -> Option<u64> {
    (number != u64::MAX).then_some(number)
}

fn endpoint_of(raw: &sys::iovageom_viommu_endpoint) -> Endpoint {
    Endpoint {
        endpoint: raw.endpoint,
        declared: match raw.kind {
            sys::IOVAGEOM_ENDPOINT_EMULATED => Some(Declared::Emulated),
            sys::IOVAGEOM_ENDPOINT_SLOT => Some(Declared::Slot),
            _ => None,
        },
        plugged: raw.plugged,
        prepared: raw.prepared != 0,
        guest_group: own(raw.guest_group),
        host_group: own(raw.host_group),
        address_space: own(raw.address_space),
        domain: u32::try_from(raw.domain).ok(),
        bypass: raw.bypass != 0,
        expected: raw.expected != 0,
    }
}

fn domain_of(raw: &sys::iovageom_viommu_domain) -> Domain {
    Domain {
        domain: raw.domain,
        bypass: raw.bypass != 0,
        endpoints: raw.endpoints,
        mappings: raw.mappings,
        budget: own(raw.budget),
    }
}
