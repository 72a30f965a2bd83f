// SPDX-License-Identifier: BSD-3-Clause
//! The books of a virtual IOMMU, for crosvm's `devices/src/virtio/iommu.rs`.
//!
//! One method for each `process_*_request`, taking the fields as that function has read them, and
//! one for each place where an endpoint comes or goes. What is refused is an [`Error`]: its
//! `virtio()` is the `tail.status` to write, its text is for the log. See the README beside for where
//! each is called from.

use std::any::TypeId;
use std::ops::RangeInclusive;

use iovageom::{
    features, Access, Config, ConfigSpace, Declared, Error, Fault, Geometry, Mapping, PlugOptions,
    Result, ResvType, Segment, Source, Status, Viommu,
};

/// Feature bits of the device type to offer.
pub const FEATURES: u64 =
    (features::MAP_UNMAP | features::INPUT_RANGE | features::PROBE | features::MMIO) as u64;

/// What a MemoryMapper can map. `None` is "it does not say", which is not the same as empty.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The device's PCI address on the host, for messages.
    pub name: String,
    /// Endpoints with the same one share the host's page tables; `None` has its own.
    pub container: Option<Container>,
    /// `MemoryMapper::get_mask()`.
    pub page_mask: Option<u64>,
    /// What `VFIO_IOMMU_GET_INFO` lists: closed ranges.
    pub ranges: Option<Vec<RangeInclusive<u64>>>,
}

impl Host {
    fn geometry(&self) -> Result<Geometry> {
        let mut host = Geometry::new(&self.name)?;
        if let Some(ranges) = &self.ranges {
            host.add_usable(ranges, Source::Vfio)?;
        }
        if let Some(mask) = self.page_mask {
            host.add_page_sizes(mask, Source::Vfio)?;
        }
        Ok(host)
    }
}

/// Which container: type and id together, as crosvm compares them itself. An id alone is unique
/// among the mappers of one type only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Container {
    /// `(**mapper).type_id()`.
    pub type_id: TypeId,
    /// `MemoryMapper::id()`.
    pub id: u32,
}

/// One call of a mapper: `add_map`, or `remove_map` of a run of whole mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    Add(&'a Mapping),
    Remove(&'a RangeInclusive<u64>),
}

fn refusal<E: From<Error>>(status: Status, text: &str) -> E {
    Error::new(status, text).into()
}

/// The books of one virtio-iommu device. They are `Send` for the worker thread, and `Sync`: share
/// them behind a lock with the mappers that export memory.
#[derive(Debug)]
pub struct Books {
    books: Viommu,
    /// Types of mappers met so far: a type's number is its place here.
    types: Vec<TypeId>,
    /// The driver's features. One that writes none has accepted none.
    accepted: u32,
}

impl Books {
    /// `page_size` is that of the VMM's own process, `msi` the machine's window if it has one.
    pub fn new(page_size: u64, msi: Option<RangeInclusive<u64>>) -> Result<Books> {
        let mut config = Config::default();
        // All sizes from that of a page up: 0 for a number that is no power of two, which is refused.
        config.page_size_mask =
            if page_size.is_power_of_two() { page_size.wrapping_neg() } else { 0 };
        config.features = FEATURES as u32;
        config.boot_bypass = false;
        // PROBE says what a guest must not use; a narrower input range tells those that don't probe.
        config.input_as_host = true;
        let mut books = Viommu::new(&config)?;
        if let Some(window) = msi {
            books.add_region(window, ResvType::Msi, Source::Machine, "msi")?;
        }
        Ok(Books { books, types: Vec::new(), accepted: 0 })
    }

    /// `Iommu::new` for each of `endpoints`, `handle_add_vfio_device` for a hot-plugged one. When
    /// it is refused, nothing has changed.
    pub fn add_endpoint(&mut self, endpoint: u32, host: &Host) -> Result<()> {
        let geometry = host.geometry()?;
        let address_space =
            host.container.map(|container| self.number_of(container)).transpose()?;
        let options = PlugOptions { address_space, ..PlugOptions::default() };
        self.books.plug(endpoint, &options, &geometry).map(drop)
    }

    /// `handle_del_vfio_device`.
    pub fn remove_endpoint(&mut self, endpoint: u32) -> Result<()> {
        self.books.unplug(endpoint)
    }

    /// One of `hp_endpoints_ranges`: all of them are declared, or none. They may overlap, as those of
    /// several hot-plug buses do. `floor` is what any device to come will be able to map.
    pub fn declare(&mut self, range: RangeInclusive<u32>, floor: Option<&Host>) -> Result<()> {
        let floor = floor.map(Host::geometry).transpose()?;
        if range.is_empty() {
            return Err(Error::new(Status::Inverted, "the range of endpoints is empty"));
        }
        let mut done = Vec::new();
        let declare = || -> Result<()> {
            for endpoint in range {
                if self.books.endpoint(endpoint).map_or(false, |slot| slot.plugged == 0) {
                    continue;
                }
                self.books.declare(endpoint, Declared::Slot, None)?;
                done.push(endpoint);
            }
            match &floor {
                Some(floor) => self.books.set_envelope(Some(floor)).map(drop),
                None => Ok(()),
            }
        };
        declare().map_err(|refused| {
            for endpoint in done {
                let _ = self.books.undeclare(endpoint);
            }
            refused
        })
    }

    /// What `virtio_iommu_config` becomes.
    pub fn config(&self) -> Result<ConfigSpace> {
        self.books.config_space()
    }

    /// `VirtioDevice::ack_features`, with `value` as it comes: one half of what the driver accepts, the
    /// other half 0. The books' features are all in the lower one. It takes the place of what came
    /// before, and is not added to it: that may be another driver's.
    pub fn ack_features(&mut self, value: u64) {
        let lower = value as u32;
        if lower != 0 || value >> 32 == 0 {
            self.accepted = lower;
        }
    }

    /// `VirtioDevice::activate`: the guest has read the config space. When it is refused, a driver with
    /// these features can't be told what a device can't map: refuse to activate.
    pub fn activate(&mut self) -> Result<()> {
        self.books.freeze()?;
        self.books.driver_features(self.accepted)
    }

    /// `process_attach_request`, with `reserved` as it stands in the request. `mapper` does the host's
    /// part, step by step, on the mapper of the endpoint: what is mapped in the domain that it leaves
    /// goes, what is mapped in the other comes. When a step fails, those before it are undone. UNSUPP,
    /// too, while another endpoint of its container is in another domain: one mapper can't hold two
    /// domains, each would see the mappings of the other.
    pub fn attach<E: From<Error>>(
        &mut self,
        domain: u32,
        endpoint: u32,
        reserved: &[u8; 8],
        mut mapper: impl FnMut(Step<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        // The first four bytes are what the specification now calls flags.
        let [a, b, c, d, rest @ ..] = *reserved;
        if rest != [0; 4] {
            return Err(refusal(
                Status::Invalid,
                "a reserved byte of the ATTACH request is not 0 (N24)",
            ));
        }
        let flags = u32::from_le_bytes([a, b, c, d]);
        self.books.attach_check(domain, endpoint, flags)?;
        if self.container_is(endpoint, |other| other != domain) {
            return Err(refusal(
                Status::Unsupported,
                "another endpoint on the same host page tables is in another domain (N27)",
            ));
        }
        let from = self.domain_of(endpoint);
        // Another endpoint of its container has brought the mappings of the domain along.
        let there = from == Some(domain) || self.container_is(endpoint, |other| other == domain);
        let from = from.filter(|old| *old != domain);
        let to = if there { None } else { Some(domain) };
        self.carry(from, to, &mut mapper)?;
        self.books.attach(domain, endpoint, flags).map_err(|refused| {
            let _ = self.carry(to, from, &mut mapper);
            refused.into()
        })
    }

    /// `process_detach_request`, with the host's part as in [`Books::attach`]. UNSUPP, too, while
    /// another endpoint of its container stays: through their common mapper, it would go on reaching
    /// what is mapped there.
    pub fn detach<E: From<Error>>(
        &mut self,
        domain: u32,
        endpoint: u32,
        mut mapper: impl FnMut(Step<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        self.books.detach_check(domain, endpoint)?;
        if self.container_is(endpoint, |other| other == domain) {
            return Err(refusal(
                Status::Unsupported,
                "another endpoint on the same host page tables stays in the domain (N34)",
            ));
        }
        self.carry(Some(domain), None, &mut mapper)?;
        Ok(self.books.detach(domain, endpoint)?)
    }

    /// Takes out of a mapper what is mapped in `from`, and puts in what is mapped in `to`: all of it,
    /// or nothing.
    fn carry<E>(
        &self,
        from: Option<u32>,
        to: Option<u32>,
        mapper: &mut impl FnMut(Step<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let everywhere = 0..=u64::MAX;
        let runs = |domain| self.books.runs(domain, everywhere.clone());
        let (mut left, mut entered) = (0, 0);
        let mut all = || {
            for run in from.into_iter().flat_map(runs) {
                mapper(Step::Remove(&run))?;
                left += 1;
            }
            for mapping in to.into_iter().flat_map(|domain| self.mappings(domain)) {
                mapper(Step::Add(&mapping))?;
                entered += 1;
            }
            Ok(())
        };
        let outcome = all();
        if outcome.is_err() {
            for mapping in to.into_iter().flat_map(|domain| self.mappings(domain)).take(entered) {
                let _ = mapper(Step::Remove(&mapping.range));
            }
            if let Some(domain) = from {
                for run in runs(domain).take(left) {
                    let within = |mapping: &Mapping| mapping.range.end() <= run.end();
                    for mapping in self.books.mappings(domain, *run.start()).take_while(within) {
                        let _ = mapper(Step::Add(&mapping));
                    }
                }
            }
        }
        outcome
    }

    /// `process_dma_map_request`. `add_map` does the host's part; when it fails, the books go back.
    pub fn map<E: From<Error>>(
        &mut self,
        domain: u32,
        virt: (u64, u64),
        phys_start: u64,
        flags: u32,
        add_map: impl FnOnce(&Mapping) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let range = virt.0..=virt.1;
        let access = Access::from_bits(flags);
        self.books.map(domain, range.clone(), phys_start, access)?;
        add_map(&Mapping { range: range.clone(), phys: phys_start, access }).map_err(|failure| {
            let _ = self.books.unmap(domain, range);
            failure
        })
    }

    /// `process_dma_unmap_request`. `remove_map` is called for each run of mappings that goes,
    /// ascending; when one fails, those before it are gone from the books too, and the others stay.
    pub fn unmap<E: From<Error>>(
        &mut self,
        domain: u32,
        virt: (u64, u64),
        mut remove_map: impl FnMut(&RangeInclusive<u64>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let range = virt.0..=virt.1;
        self.books.unmap_check(domain, range.clone())?;
        loop {
            let run = self.books.runs(domain, range.clone()).next();
            let run = match run {
                Some(run) => run,
                None => return Ok(()),
            };
            remove_map(&run)?;
            self.books.unmap(domain, run)?;
        }
    }

    /// `process_probe_request`: fills `properties`, the buffer without its tail, unless it is refused.
    pub fn probe(&mut self, endpoint: u32, properties: &mut [u8]) -> Result<()> {
        self.books.probe(endpoint, properties)
    }

    /// `MemoryMapper::export` of a mapper that keeps no ledger of its own: where an access of an
    /// endpoint goes, in as few pieces as can be. Those that differ in rights are several.
    pub fn export(
        &self,
        endpoint: u32,
        iova: u64,
        size: u64,
    ) -> std::result::Result<Vec<Segment>, Fault> {
        self.books.segments(endpoint, iova, size, Access::ANY)
    }

    /// What is mapped in a domain, ascending.
    pub fn mappings(&self, domain: u32) -> impl Iterator<Item = Mapping> + '_ {
        self.books.mappings(domain, 0)
    }

    /// The endpoints of a domain, each with a mapper of its own or with one in common.
    pub fn endpoints_of(&self, domain: u32) -> impl Iterator<Item = u32> + '_ {
        self.books.domain_endpoints(domain)
    }

    pub fn domain_of(&self, endpoint: u32) -> Option<u32> {
        self.books.endpoint(endpoint)?.domain
    }

    /// Whether another endpoint on the page tables of `endpoint` is in such a domain. Goes through
    /// all of them, as crosvm does.
    fn container_is(&self, endpoint: u32, such: impl Fn(u32) -> bool) -> bool {
        let own = self.books.endpoint(endpoint).and_then(|found| found.address_space);
        own.is_some()
            && self.books.endpoints().any(|other| {
                other.endpoint != endpoint
                    && other.address_space == own
                    && other.domain.map_or(false, &such)
            })
    }

    /// Type and id in one number, without loss: the library's end at 2^62-1. The number of a type is
    /// given out when it is met first. Types are those of a program's source: there are few.
    fn number_of(&mut self, container: Container) -> Result<u64> {
        let known = self.types.iter().position(|known| *known == container.type_id);
        let number = known.unwrap_or_else(|| {
            self.types.push(container.type_id);
            self.types.len() - 1
        });
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        if number >= 1 << 30 {
            return Err(Error::new(Status::Limit, "there are more types of mapper than numbers"));
        }
        Ok(number << 32 | u64::from(container.id))
    }
}
