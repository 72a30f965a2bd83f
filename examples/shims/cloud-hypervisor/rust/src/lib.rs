// SPDX-License-Identifier: BSD-3-Clause
//! The books of a virtual IOMMU, for cloud-hypervisor's `virtio-devices/src/iommu.rs`.
//!
//! [`Iommu::parse`] stands where `Request::parse` decides today: the bytes of a descriptor chain go
//! in, the external mappings are called in between, the answer comes out. See the README beside for
//! where each method is called from.

mod ffi;

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io;
use std::ptr::{self, NonNull};
use std::sync::Arc;

pub use iovageom_refusal::{status, Refused};

/// The trait of `vm-device`, as it is there.
pub trait ExternalDmaMapping: Send + Sync {
    fn map(&self, iova: u64, gpa: u64, size: u64) -> Result<(), io::Error>;
    fn unmap(&self, iova: u64, size: u64) -> Result<(), io::Error>;
}

/// `Request::parse`'s `ext_mapping`.
pub type ExternalMappings = BTreeMap<u32, Arc<dyn ExternalDmaMapping>>;

/// What the container behind an external mapping can map. What is `None` is not known.
#[derive(Clone, Debug, Default)]
pub struct Host<'a> {
    /// The device's id, for messages.
    pub name: &'a str,
    /// The bytes that `VFIO_IOMMU_GET_INFO` gave.
    pub vfio_info: Option<&'a [u8]>,
    /// The host's address width in bits, where that is all that is known.
    pub address_width: Option<u32>,
}

/// The books of one virtio-iommu device.
pub struct Iommu(NonNull<ffi::Iommu>);

// SAFETY: one object without thread affinity, and this is the only pointer to it: it may move to the
// epoll thread. It is not Sync: put it behind the lock that IommuMapping has today.
unsafe impl Send for Iommu {}

impl Drop for Iommu {
    fn drop(&mut self) {
        // SAFETY: it came from iovageom_ch_new, is freed here only, and not used again.
        unsafe { ffi::iovageom_ch_free(self.0.as_ptr()) }
    }
}

impl Iommu {
    /// `Iommu::new`. `address_width_bits` is the user's `iommu_address_width`, or 64.
    pub fn new(msi_iova_space: (u64, u64), address_width_bits: u8) -> Result<Iommu, Refused> {
        let mut iommu = ptr::null_mut();
        // SAFETY: numbers by value, and a place for one pointer that outlives the call.
        let rc = unsafe {
            ffi::iovageom_ch_new(
                msi_iova_space.0,
                msi_iova_space.1,
                u32::from(address_width_bits),
                &mut iommu,
            )
        };
        match NonNull::new(iommu) {
            Some(iommu) if rc == 0 => Ok(Iommu(iommu)),
            _ => Err(Refused::new(rc, String::new())),
        }
    }

    /// A sentence on what the last call refused; empty when it refused nothing.
    pub fn why(&self) -> String {
        // SAFETY: the books are live as long as `self`. The answer is never NULL, ends with NUL, and
        // stays until they change: `&self` keeps them, and it is copied below.
        let text = unsafe { CStr::from_ptr(ffi::iovageom_ch_why(self.0.as_ptr())) };
        text.to_string_lossy().into_owned()
    }

    fn outcome(&self, rc: i32) -> Result<(), Refused> {
        Refused::unless_ok(rc, || self.why())
    }

    /// `add_external_mapping`, at boot or for a hot-plugged device: the point of admission. When it
    /// is refused, nothing has changed.
    pub fn add(&mut self, device_id: u32, host: &Host) -> Result<(), Refused> {
        let rc = with_host(host, |raw| {
            // SAFETY: the books are live as long as `self`, and `&mut self` keeps others away;
            // `raw` and what it points at outlive the call, which keeps none of it.
            unsafe { ffi::iovageom_ch_add(self.0.as_ptr(), device_id, raw) }
        })?;
        self.outcome(rc)
    }

    /// The device is ejected.
    pub fn remove(&mut self, device_id: u32) -> Result<(), Refused> {
        // SAFETY: the books are live as long as `self`, and `&mut self` keeps others away.
        let rc = unsafe { ffi::iovageom_ch_remove(self.0.as_ptr(), device_id) };
        self.outcome(rc)
    }

    /// A device of the VMM's own behind the IOMMU.
    pub fn add_emulated(&mut self, device_id: u32) -> Result<(), Refused> {
        // SAFETY: the books are live as long as `self`, and `&mut self` keeps others away.
        let rc = unsafe { ffi::iovageom_ch_add_emulated(self.0.as_ptr(), device_id) };
        self.outcome(rc)
    }

    /// A place of `iommu_segments` in which a device may be plugged later.
    pub fn declare(&mut self, device_id: u32) -> Result<(), Refused> {
        // SAFETY: the books are live as long as `self`, and `&mut self` keeps others away.
        let rc = unsafe { ffi::iovageom_ch_declare(self.0.as_ptr(), device_id) };
        self.outcome(rc)
    }

    /// What any device to come can map.
    pub fn set_floor(&mut self, host: &Host) -> Result<(), Refused> {
        let rc = with_host(host, |raw| {
            // SAFETY: the books are live as long as `self`, and `&mut self` keeps others away;
            // `raw` and what it points at outlive the call, which keeps none of it.
            unsafe { ffi::iovageom_ch_set_floor(self.0.as_ptr(), raw) }
        })?;
        self.outcome(rc)
    }

    /// `VirtioDevice::read_config`.
    pub fn config(&self) -> Result<[u8; 40], Refused> {
        let mut bytes = [0; 40];
        // SAFETY: the books are live as long as `self`, and the call changes nothing of them.
        // The 40 bytes that it writes are there.
        let rc = unsafe { ffi::iovageom_ch_config(self.0.as_ptr(), bytes.as_mut_ptr()) };
        self.outcome(rc).map(|_| bytes)
    }

    /// The features of the device type to offer, as bits.
    pub fn features() -> u64 {
        // SAFETY: it takes nothing, and answers a constant.
        unsafe { ffi::iovageom_ch_features() }
    }

    /// `VirtioDevice::activate`, before the driver's first request: all of `acked_features`. When it
    /// is refused, such a driver can't be told what a device can't map: refuse to activate.
    pub fn driver_features(&mut self, acked: u64) -> Result<(), Refused> {
        // SAFETY: the books are live as long as `self`, and `&mut self` keeps others away.
        let rc = unsafe { ffi::iovageom_ch_driver_features(self.0.as_ptr(), acked) };
        self.outcome(rc)
    }

    /// `VirtioDevice::write_config` of the field `bypass`.
    pub fn set_bypass(&mut self, value: u8) -> Result<(), Refused> {
        // SAFETY: the books are live as long as `self`, and `&mut self` keeps others away.
        let rc = unsafe { ffi::iovageom_ch_set_bypass(self.0.as_ptr(), value) };
        self.outcome(rc)
    }

    /// `Request::parse`: any bytes, any lengths. Calls the external mappings, writes the answer, and
    /// returns the used length. What an external mapping refuses is undone everywhere, and answered
    /// DEVERR.
    pub fn parse(&mut self, readable: &[u8], writable: &mut [u8], external: &ExternalMappings) -> usize {
        let mut step = ffi::Step::default();
        // SAFETY: the books are live as long as `self`, and `&mut self` keeps others away;
        // the bytes outlive the call, and `step` has the layout of the C structure (ffi.rs).
        unsafe {
            ffi::iovageom_ch_parse(
                self.0.as_ptr(),
                readable.as_ptr(),
                readable.len(),
                writable.len(),
                &mut step,
            )
        };
        let worked = match step.work {
            ffi::MAP => {
                let mapping = ffi::Mapping { start: step.start, last: step.last, gpa: step.gpa };
                self.map_all(step.domain, &mapping, external)
            }
            ffi::UNMAP => self.unmap_all(step.domain, step.start, step.last, external),
            ffi::ATTACH => self.switch(&step, external),
            ffi::DETACH => match external.get(&step.endpoint) {
                Some(host) => leave(self, step.domain, &**host),
                None => Ok(()),
            },
            other => {
                debug_assert_eq!(other, ffi::NOTHING);
                Ok(())
            }
        };
        let worked = worked.is_ok();
        // SAFETY: the books are live as long as `self`, and `&mut self` keeps others away;
        // it writes within the length of `writable`, which parse was told.
        unsafe {
            ffi::iovageom_ch_finish(self.0.as_ptr(), worked, writable.as_mut_ptr(), writable.len())
        }
    }

    /// The domain that a device is attached to, for the VMM's own listings.
    pub fn domain_of(&self, device_id: u32) -> Option<u32> {
        let mut domain = 0;
        // SAFETY: the books are live as long as `self`, and the call changes nothing of them.
        let found = unsafe { ffi::iovageom_ch_domain_of(self.0.as_ptr(), device_id, &mut domain) };
        found.then_some(domain)
    }

    /// `DmaRemapping::translate_gva`: all `size` bytes, which must follow each other in guest memory.
    pub fn translate(&self, device_id: u32, address: u64, size: u64, write: bool) -> Option<u64> {
        let mut gpa = 0;
        // SAFETY: the books are live as long as `self`, and the call changes nothing of them.
        let found = unsafe {
            ffi::iovageom_ch_translate(self.0.as_ptr(), device_id, address, size, write, &mut gpa)
        };
        found.then_some(gpa)
    }

    /// `Snapshottable::snapshot`.
    pub fn save(&self) -> Result<Vec<u8>, Refused> {
        let mut needed = 0;
        // SAFETY: the books are live as long as `self`, and the call changes nothing of them.
        // Without room it only says how much is needed.
        unsafe { ffi::iovageom_ch_save(self.0.as_ptr(), ptr::null_mut(), 0, &mut needed) };
        let mut bytes = vec![0; needed];
        // SAFETY: the books are live as long as `self`, and the call changes nothing of them.
        // It writes within the length of `bytes`.
        let rc = unsafe {
            ffi::iovageom_ch_save(self.0.as_ptr(), bytes.as_mut_ptr(), bytes.len(), &mut needed)
        };
        self.outcome(rc).map(|_| bytes)
    }

    /// Restore into books that have the same devices, and have seen no guest yet.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        // SAFETY: the books are live as long as `self`, and `&mut self` keeps others away;
        // the bytes outlive the call.
        let rc = unsafe { ffi::iovageom_ch_load(self.0.as_ptr(), bytes.as_ptr(), bytes.len()) };
        self.outcome(rc)
    }

    /// The mappings of a domain that touch `start` to `last`, ascending.
    fn mappings(&self, domain: u32, start: u64, last: u64) -> Mappings<'_> {
        Mappings { iommu: self, domain, from: Some(start), last }
    }

    /// The external mappings of the endpoints that are attached to a domain.
    fn hosts<'a>(&self, domain: u32, external: &'a ExternalMappings) -> Vec<&'a dyn ExternalDmaMapping> {
        let mut found = Vec::new();
        let mut previous = u64::MAX;
        let mut endpoint = 0;
        loop {
            // SAFETY: the books are live as long as `self`, and the call changes nothing of them.
            let more = unsafe {
                ffi::iovageom_ch_next_endpoint(self.0.as_ptr(), domain, previous, &mut endpoint)
            };
            if !more {
                return found;
            }
            found.extend(external.get(&endpoint).map(|host| &**host));
            previous = u64::from(endpoint);
        }
    }

    fn map_all(&self, domain: u32, mapping: &ffi::Mapping, external: &ExternalMappings) -> io::Result<()> {
        let hosts = self.hosts(domain, external);
        for (count, host) in hosts.iter().enumerate() {
            if let Err(failure) = map_one(*host, mapping) {
                for done in &hosts[..count] {
                    let _ = unmap_one(*done, mapping);
                }
                return Err(failure);
            }
        }
        Ok(())
    }

    fn unmap_all(&self, domain: u32, start: u64, last: u64, external: &ExternalMappings) -> io::Result<()> {
        let hosts = self.hosts(domain, external);
        let mut done: Vec<(&dyn ExternalDmaMapping, ffi::Mapping)> = Vec::new();
        for mapping in self.mappings(domain, start, last) {
            for host in &hosts {
                if let Err(failure) = unmap_one(*host, &mapping) {
                    for (host, mapping) in done {
                        let _ = map_one(host, &mapping);
                    }
                    return Err(failure);
                }
                done.push((*host, mapping));
            }
        }
        Ok(())
    }

    /// The host's side of ATTACH: out of the old domain's mappings, into the new one's. When that
    /// fails, back again.
    fn switch(&self, step: &ffi::Step, external: &ExternalMappings) -> io::Result<()> {
        let host = match external.get(&step.endpoint) {
            Some(host) => &**host,
            None => return Ok(()),
        };
        if step.attached != 0 {
            leave(self, step.from_domain, host)?;
        }
        if let Err(failure) = enter(self, step.domain, host) {
            if step.attached != 0 {
                let _ = enter(self, step.from_domain, host);
            }
            return Err(failure);
        }
        Ok(())
    }
}

/// Map all of a domain for one host, or nothing.
fn enter(iommu: &Iommu, domain: u32, host: &dyn ExternalDmaMapping) -> io::Result<()> {
    let mut done = Vec::new();
    for mapping in iommu.mappings(domain, 0, u64::MAX) {
        if let Err(failure) = map_one(host, &mapping) {
            for mapping in done {
                let _ = unmap_one(host, &mapping);
            }
            return Err(failure);
        }
        done.push(mapping);
    }
    Ok(())
}

/// Unmap all of a domain for one host, or nothing.
fn leave(iommu: &Iommu, domain: u32, host: &dyn ExternalDmaMapping) -> io::Result<()> {
    let mut done = Vec::new();
    for mapping in iommu.mappings(domain, 0, u64::MAX) {
        if let Err(failure) = unmap_one(host, &mapping) {
            for mapping in done {
                let _ = map_one(host, &mapping);
            }
            return Err(failure);
        }
        done.push(mapping);
    }
    Ok(())
}

/// The trait speaks of sizes, and 64 bits can't say 2^64: such a mapping is done in two halves.
fn halves(mapping: &ffi::Mapping) -> [Option<(u64, u64, u64)>; 2] {
    match (mapping.last - mapping.start).checked_add(1) {
        Some(size) => [Some((mapping.start, mapping.gpa, size)), None],
        None => {
            let half = 1 << 63;
            [Some((0, mapping.gpa, half)), Some((half, mapping.gpa.wrapping_add(half), half))]
        }
    }
}

fn map_one(host: &dyn ExternalDmaMapping, mapping: &ffi::Mapping) -> io::Result<()> {
    let [first, second] = halves(mapping);
    if let Some((iova, gpa, size)) = first {
        host.map(iova, gpa, size)?;
    }
    if let Some((iova, gpa, size)) = second {
        if let Err(failure) = host.map(iova, gpa, size) {
            let _ = host.unmap(mapping.start, size);
            return Err(failure);
        }
    }
    Ok(())
}

fn unmap_one(host: &dyn ExternalDmaMapping, mapping: &ffi::Mapping) -> io::Result<()> {
    for (iova, _, size) in halves(mapping).iter().flatten() {
        host.unmap(*iova, *size)?;
    }
    Ok(())
}

struct Mappings<'a> {
    iommu: &'a Iommu,
    domain: u32,
    from: Option<u64>,
    last: u64,
}

impl Iterator for Mappings<'_> {
    type Item = ffi::Mapping;

    fn next(&mut self) -> Option<ffi::Mapping> {
        let mut mapping = ffi::Mapping::default();
        // SAFETY: the books are live as long as the borrow of `iommu`, and the call changes nothing of
        // them. `mapping` has the layout of the C structure (ffi.rs).
        let found = unsafe {
            ffi::iovageom_ch_next_mapping(
                self.iommu.0.as_ptr(),
                self.domain,
                self.from?,
                self.last,
                &mut mapping,
            )
        };
        self.from = if found { mapping.last.checked_add(1) } else { None };
        found.then_some(mapping)
    }
}

fn with_host<T>(host: &Host, call: impl FnOnce(*const ffi::Host) -> T) -> Result<T, Refused> {
    let name = CString::new(host.name).map_err(|_| Refused::name(host.name))?;
    let raw = ffi::Host {
        name: name.as_ptr(),
        vfio_info: host.vfio_info.map_or(ptr::null(), |bytes| bytes.as_ptr()),
        vfio_info_size: host.vfio_info.map_or(0, |bytes| bytes.len()),
        // 0 is "not known" in C. A host that says 0 bits has said something, which is refused.
        address_width: match host.address_width {
            None => 0,
            Some(0) => u32::MAX,
            Some(bits) => bits,
        },
        reserved: 0,
    };
    Ok(call(&raw))
}
