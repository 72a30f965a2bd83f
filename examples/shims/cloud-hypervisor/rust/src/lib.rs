// SPDX-License-Identifier: BSD-3-Clause
//! The books of a virtual IOMMU, for cloud-hypervisor's `virtio-devices/src/iommu.rs`.
//!
//! [`Books`] stand where `IommuMapping` stands today: in an `Arc`, shared by the device, its worker
//! and the queue threads of the devices behind it. See the README beside for where each method is
//! called from.

use std::io;
use std::ops::RangeInclusive;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use iovageom::{
    features, Access, Answer, Config, Declared, Endpoint, Error, Fault, Geometry, HostRefused,
    Mapping, PlugOptions, Result, ResvType, Source, Status, Transaction, Viommu, Work,
};

/// Feature bits of the device type to offer: bits of `avail_features`.
pub const FEATURES: u64 =
    (features::INPUT_RANGE | features::MAP_UNMAP | features::PROBE | features::BYPASS_CONFIG)
        as u64;

/// cloud-hypervisor's limits: what a guest can make it keep.
const MAX_MAPPINGS_PER_DOMAIN: u64 = 1 << 20;
const MAX_DOMAINS: u32 = 1 << 16;

/// The external mappings: what `BTreeMap<u32, Arc<dyn ExternalDmaMapping>>` does. An endpoint that
/// has none is the VMM's own: there is nothing to do for it.
pub trait Hosts {
    fn map(&self, endpoint: u32, iova: u64, gpa: u64, size: u64) -> io::Result<()>;
    fn unmap(&self, endpoint: u32, iova: u64, size: u64) -> io::Result<()>;
}

/// The books of one virtio-iommu. All calls take `&self`; translations run beside each other, and
/// beside the host's part of a request: no lock is held while a host is called, so that a host may
/// take locks under which others translate.
#[derive(Debug)]
pub struct Books(RwLock<Viommu>);

impl Books {
    /// `Iommu::new`. `address_width_bits` is the user's, 64 when not given: it only narrows, since
    /// what hosts can map is known without it. `state` is what [`Books::save`] wrote: the devices of
    /// it are expected, and each is judged when it comes.
    pub fn new(msi: (u64, u64), address_width_bits: u8, state: Option<&[u8]>) -> Result<Books> {
        let mut config = Config::default();
        config.features = FEATURES as u32;
        config.input_as_host = true;
        config.max_domain_mappings = MAX_MAPPINGS_PER_DOMAIN;
        config.max_domains = MAX_DOMAINS;
        config.input_range = match address_width_bits {
            bits @ 1..=63 => 0..=(1 << bits) - 1,
            64 => 0..=u64::MAX,
            _ => return Err(Error::new(Status::Invalid, "an address has 1 to 64 bits")),
        };
        let mut books = Viommu::new(&config)?;
        books.add_region(msi.0..=msi.1, ResvType::Msi, Source::Machine, "msi_iova_space")?;
        if let Some(bytes) = state {
            books.load(bytes, true)?;
        }
        Ok(Books(RwLock::new(books)))
    }

    // A thread that panicked has not left the books half changed: no call of the library does.
    fn read(&self) -> RwLockReadGuard<'_, Viommu> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Viommu> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place where a device may come: `add_external_mapping`, when the host has not been asked
    /// yet, and a place of `iommu_segments`.
    pub fn declare(&self, device_id: u32) -> Result<()> {
        let mut books = self.write();
        // A place of a segment, or one that was loaded, is there already, and what it holds stays.
        if books.endpoint(device_id).map_or(false, |found| found.expected || found.plugged == 0) {
            return Ok(());
        }
        books.declare(device_id, Declared::Slot, None).map(drop)
    }

    /// The device is there, and its host has said what it maps: the point of admission. When it is
    /// refused, nothing has changed.
    pub fn admit(&self, device_id: u32, host: &Geometry) -> Result<()> {
        self.write().plug(device_id, &PlugOptions::default(), host).map(drop)
    }

    /// The device is ejected, or was not admitted.
    pub fn remove(&self, device_id: u32) {
        let mut books = self.write();
        // Of a place that holds no device only the second one succeeds, of a device first the first.
        let _ = books.unplug(device_id);
        let _ = books.undeclare(device_id);
    }

    /// A device of the VMM's own behind the IOMMU, also in a place that was declared.
    pub fn add_emulated(&self, device_id: u32) -> Result<()> {
        let mut books = self.write();
        match books.endpoint(device_id) {
            // Only a device keeps an endpoint that was loaded from its end at a reset: one that can
            // map everything.
            Some(found) if found.expected => {
                let anything = Geometry::new("emulated")?;
                books.plug(device_id, &PlugOptions::default(), &anything).map(drop)
            }
            // A slot waits for a device that has a host, and is NOENT until then.
            Some(found) if found.declared == Some(Declared::Slot) && found.plugged == 0 => {
                books.undeclare(device_id)?;
                books.declare(device_id, Declared::Emulated, None).map(drop)
            }
            Some(_) => Ok(()),
            None => books.declare(device_id, Declared::Emulated, None).map(drop),
        }
    }

    /// What any device to come can map.
    pub fn set_floor(&self, host: &Geometry) -> Result<()> {
        self.write().set_envelope(Some(host)).map(drop)
    }

    /// `VirtioDevice::read_config`: all 40 bytes.
    pub fn config(&self) -> Result<[u8; 40]> {
        self.read().config_space().map(|space| space.bytes)
    }

    /// `VirtioDevice::activate`, before the worker starts: all of `acked_features`. When it is
    /// refused, such a driver can't be told what a device can't map: refuse to activate.
    pub fn driver_features(&self, acked: u64) -> Result<()> {
        self.write().driver_features((acked & FEATURES) as u32)
    }

    /// `VirtioDevice::write_config` of the field `bypass`, of which the specification has the device
    /// ignore bits 1 to 7 (N10).
    pub fn set_bypass(&self, value: u8) -> Result<()> {
        self.write().set_bypass(value & 1 == 1)
    }

    /// `VirtioDevice::reset`, once the worker has ended: what the books forget is taken off the hosts,
    /// so that the next driver finds them empty. The first refusal of a host is for the log; the rest
    /// is done all the same.
    pub fn reset(&self, hosts: &dyn Hosts) -> io::Result<()> {
        let attached: Vec<Endpoint> = self.read().endpoints().collect();
        let mut cleared = Ok(());
        for found in attached {
            for run in found.domain.iter().flat_map(|&domain| self.runs(domain, &(0..=u64::MAX))) {
                cleared = cleared.and(unmap(hosts, found.endpoint, &run));
            }
        }
        self.write().reset(false);
        cleared
    }

    /// `Request::parse`: any bytes, any lengths. Calls the hosts, and writes the answer. What a host
    /// refuses is undone everywhere.
    pub fn parse(&self, readable: &[u8], writable: &mut [u8], hosts: &dyn Hosts) -> Answer {
        let begun = self.write().begin(readable, writable.len());
        let worked = self.carry_out(begun.work(), hosts);
        self.finish(begun, worked, writable, hosts)
    }

    fn finish(
        &self,
        begun: Transaction,
        worked: io::Result<()>,
        writable: &mut [u8],
        hosts: &dyn Hosts,
    ) -> Answer {
        let work = begun.work().clone();
        let host = worked.as_ref().map(|_| ()).map_err(HostRefused::from);
        let answer = self.write().end(begun, host, writable);
        if worked.is_ok() && answer.refused.is_some() {
            // A device came or went while the lock was free, and the books refuse now.
            self.take_back(&work, hosts);
        }
        answer
    }

    /// The domain that a device is attached to, for listings.
    pub fn domain_of(&self, device_id: u32) -> Option<u32> {
        self.read().endpoint(device_id)?.domain
    }

    /// `DmaRemapping::translate_gva`: all `size` bytes, in as many mappings as it takes, which must
    /// follow each other in guest memory. Allocates nothing.
    pub fn translate_gva(
        &self,
        device_id: u32,
        address: u64,
        size: u64,
    ) -> std::result::Result<u64, Fault> {
        self.read().translate_whole(device_id, address, size, Access::ANY)
    }

    /// `DmaRemapping::translate_gpa`: the way back, for vDPA.
    pub fn translate_gpa(
        &self,
        device_id: u32,
        address: u64,
        size: u64,
    ) -> std::result::Result<u64, Fault> {
        self.read().translate_back(device_id, address, size)
    }

    /// `Snapshottable::snapshot`. Before the guest has read anything there is nothing to keep.
    pub fn save(&self) -> Result<Option<Vec<u8>>> {
        let books = self.read();
        if !books.frozen() {
            return Ok(None);
        }
        books.save().map(Some)
    }

    /// What is mapped in a domain, with a lock for each.
    fn mappings(&self, domain: u32, from: u64) -> impl Iterator<Item = Mapping> + '_ {
        let mut from = Some(from);
        std::iter::from_fn(move || {
            let found = self.read().mappings(domain, from?).next();
            from = found.as_ref().and_then(|mapping| mapping.range.end().checked_add(1));
            found
        })
    }

    /// What lies side by side in a range, likewise.
    fn runs(
        &self,
        domain: u32,
        range: &RangeInclusive<u64>,
    ) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        let (mut from, last) = (Some(*range.start()), *range.end());
        std::iter::from_fn(move || {
            let found = self.read().runs(domain, from?..=last).next();
            from = found.as_ref().and_then(|run| run.end().checked_add(1)).filter(|at| *at <= last);
            found
        })
    }

    fn endpoints_of(&self, domain: u32) -> Vec<u32> {
        self.read().domain_endpoints(domain).collect()
    }

    /// The host's part of a request: all of it, or none.
    fn carry_out(&self, work: &Work, hosts: &dyn Hosts) -> io::Result<()> {
        match *work {
            Work::Map { domain, ref range, phys, .. } => {
                self.map_everywhere(domain, range, phys, hosts)
            }
            Work::Unmap { domain, ref range } => self.unmap_everywhere(domain, range, hosts),
            Work::Attach { domain, endpoint, from, .. } => {
                if let Some(old) = from {
                    self.leave(old, endpoint, hosts)?;
                }
                self.enter(domain, endpoint, hosts).map_err(|failure| {
                    if let Some(old) = from {
                        let _ = self.enter(old, endpoint, hosts);
                    }
                    failure
                })
            }
            Work::Detach { domain, endpoint } => self.leave(domain, endpoint, hosts),
            _ => Ok(()),
        }
    }

    fn take_back(&self, work: &Work, hosts: &dyn Hosts) {
        match *work {
            Work::Map { domain, ref range, .. } => {
                for endpoint in self.endpoints_of(domain) {
                    let _ = unmap(hosts, endpoint, range);
                }
            }
            Work::Attach { domain, endpoint, from, .. } => {
                let _ = self.leave(domain, endpoint, hosts);
                if let Some(old) = from {
                    let _ = self.enter(old, endpoint, hosts);
                }
            }
            _ => (),
        }
    }

    fn map_everywhere(
        &self,
        domain: u32,
        range: &RangeInclusive<u64>,
        phys: u64,
        hosts: &dyn Hosts,
    ) -> io::Result<()> {
        let endpoints = self.endpoints_of(domain);
        for (count, endpoint) in endpoints.iter().enumerate() {
            if let Err(failure) = map(hosts, *endpoint, range, phys) {
                for done in &endpoints[..count] {
                    let _ = unmap(hosts, *done, range);
                }
                return Err(failure);
            }
        }
        Ok(())
    }

    /// One call for each run and endpoint; what is gone is mapped again, one by one, when one fails.
    fn unmap_everywhere(
        &self,
        domain: u32,
        range: &RangeInclusive<u64>,
        hosts: &dyn Hosts,
    ) -> io::Result<()> {
        let endpoints = self.endpoints_of(domain);
        let mut done = Vec::new();
        for run in self.runs(domain, range) {
            for endpoint in &endpoints {
                if let Err(failure) = unmap(hosts, *endpoint, &run) {
                    for (endpoint, run) in done {
                        self.put(domain, &run, endpoint, hosts);
                    }
                    return Err(failure);
                }
                done.push((*endpoint, run.clone()));
            }
        }
        Ok(())
    }

    /// Map what the books have in a run.
    fn put(&self, domain: u32, run: &RangeInclusive<u64>, endpoint: u32, hosts: &dyn Hosts) {
        let within = |mapping: &Mapping| mapping.range.end() <= run.end();
        for mapping in self.mappings(domain, *run.start()).take_while(within) {
            let _ = map(hosts, endpoint, &mapping.range, mapping.phys);
        }
    }

    /// Map all of a domain for one endpoint, or nothing.
    fn enter(&self, domain: u32, endpoint: u32, hosts: &dyn Hosts) -> io::Result<()> {
        for (count, mapping) in self.mappings(domain, 0).enumerate() {
            if let Err(failure) = map(hosts, endpoint, &mapping.range, mapping.phys) {
                for done in self.mappings(domain, 0).take(count) {
                    let _ = unmap(hosts, endpoint, &done.range);
                }
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Unmap all of a domain for one endpoint, or nothing.
    fn leave(&self, domain: u32, endpoint: u32, hosts: &dyn Hosts) -> io::Result<()> {
        let everywhere = 0..=u64::MAX;
        for (count, run) in self.runs(domain, &everywhere).enumerate() {
            if let Err(failure) = unmap(hosts, endpoint, &run) {
                for done in self.runs(domain, &everywhere).take(count) {
                    self.put(domain, &done, endpoint, hosts);
                }
                return Err(failure);
            }
        }
        Ok(())
    }
}

/// The trait speaks of sizes, and 64 bits can't say 2^64: such a mapping is done in two halves.
fn halves(range: &RangeInclusive<u64>) -> impl Iterator<Item = (u64, u64)> {
    let half = 1 << 63;
    let pieces = match (range.end() - range.start()).checked_add(1) {
        Some(size) => [Some((*range.start(), size)), None],
        None => [Some((0, half)), Some((half, half))],
    };
    pieces.into_iter().flatten()
}

fn map(hosts: &dyn Hosts, endpoint: u32, range: &RangeInclusive<u64>, phys: u64) -> io::Result<()> {
    let mut done = None;
    for (iova, size) in halves(range) {
        let gpa = phys + (iova - range.start());
        if let Err(failure) = hosts.map(endpoint, iova, gpa, size) {
            if let Some((iova, size)) = done {
                let _ = hosts.unmap(endpoint, iova, size);
            }
            return Err(failure);
        }
        done = Some((iova, size));
    }
    Ok(())
}

fn unmap(hosts: &dyn Hosts, endpoint: u32, range: &RangeInclusive<u64>) -> io::Result<()> {
    for (iova, size) in halves(range) {
        hosts.unmap(endpoint, iova, size)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[derive(Default)]
    struct Log(RefCell<Vec<(u32, bool, u64)>>);

    impl Hosts for Log {
        fn map(&self, endpoint: u32, iova: u64, _: u64, _: u64) -> io::Result<()> {
            self.0.borrow_mut().push((endpoint, true, iova));
            Ok(())
        }

        fn unmap(&self, endpoint: u32, iova: u64, _: u64) -> io::Result<()> {
            self.0.borrow_mut().push((endpoint, false, iova));
            Ok(())
        }
    }

    #[test]
    fn what_the_books_refuse_at_last_is_taken_back_on_the_hosts() {
        let books = Books::new((0xfee0_0000, 0xfeef_ffff), 64, None).unwrap();
        let host = |name: &str, reserved: RangeInclusive<u64>| {
            let mut host = Geometry::new(name).unwrap();
            host.add_gaw(39, Source::Vfio).unwrap();
            host.add_reserved(reserved, ResvType::Reserved, Source::Sysfs).unwrap();
            host
        };
        books.admit(8, &host("first", 0x10_0000..=0x10_ffff)).unwrap();
        let mut tail = [0; 4];
        let hosts = Log::default();
        let attach = [1, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(books.parse(&attach, &mut tail, &hosts).refused, None);
        let mut map = vec![3, 0, 0, 0, 1, 0, 0, 0];
        for word in [0x20_0000_u64, 0x20_0fff, 0] {
            map.extend_from_slice(&word.to_le_bytes());
        }
        map.extend_from_slice(&3_u32.to_le_bytes());

        let begun = books.write().begin(&map, tail.len());
        let worked = books.carry_out(begun.work(), &hosts);
        // Its host says something new meanwhile: the page is reserved now.
        books.write().update(8, &host("first", 0x20_0000..=0x20_ffff), false).unwrap();
        let answer = books.finish(begun, worked, &mut tail, &hosts);
        assert!(answer.refused.unwrap().to_string().contains("first"));
        assert_ne!(tail[0], 0);
        assert_eq!(*hosts.0.borrow(), [(8, true, 0x20_0000), (8, false, 0x20_0000)]);
        assert!(books.translate_gva(8, 0x20_0000, 1).is_err());
    }
}
