// SPDX-License-Identifier: BSD-3-Clause
//! The books of a virtual IOMMU, for crosvm's `devices/src/virtio/iommu.rs`.
//!
//! One method for each `process_*_request`, taking the fields as that function has read them and
//! answering the `tail.status` to write; one for each place where an endpoint comes or goes. See
//! the README beside for where each is called from.

mod ffi;

use std::any::TypeId;
use std::ffi::{CStr, CString};
use std::ops::RangeInclusive;
use std::ptr::{self, NonNull};

pub use ffi::{Config, Mapping};
pub use iovageom_refusal::{status, Refused};

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

/// Which container: type and id together, as crosvm compares them itself. An id alone is unique
/// among the mappers of one type only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Container {
    /// `(**mapper).type_id()`.
    pub type_id: TypeId,
    /// `MemoryMapper::id()`.
    pub id: u32,
}

/// The books of one virtio-iommu device.
pub struct Books {
    raw: NonNull<ffi::Books>,
    /// Types of mappers met so far: a type's number is its place here.
    types: Vec<TypeId>,
}

// SAFETY: the books are one object without thread affinity, and `raw` is the only pointer to it:
// they may move to the worker thread that crosvm's `activate` starts. They are not Sync: `why` reads
// what the last call has written.
unsafe impl Send for Books {}

impl Drop for Books {
    fn drop(&mut self) {
        // SAFETY: `raw` came from iovageom_crosvm_new, is freed here only, and not used again.
        unsafe { ffi::iovageom_crosvm_free(self.raw.as_ptr()) }
    }
}

impl Books {
    /// `page_size` is that of the VMM's own process, `msi` the machine's window if it has one.
    pub fn new(page_size: u64, msi: Option<RangeInclusive<u64>>) -> Result<Books, Refused> {
        let (start, last) = msi.map_or((1, 0), RangeInclusive::into_inner);
        let mut books = ptr::null_mut();
        // SAFETY: numbers by value, and a place for one pointer that outlives the call.
        let rc = unsafe { ffi::iovageom_crosvm_new(page_size, start, last, &mut books) };
        match NonNull::new(books) {
            Some(raw) if rc == 0 => Ok(Books { raw, types: Vec::new() }),
            _ => Err(Refused::new(rc, String::new())),
        }
    }

    /// A sentence on what the last call refused; empty when it refused nothing.
    pub fn why(&self) -> String {
        // SAFETY: `raw` is live as long as `self`. The answer is never NULL, ends with NUL, and stays
        // until the books change: `&self` keeps them, and it is copied below.
        let text = unsafe { CStr::from_ptr(ffi::iovageom_crosvm_why(self.raw.as_ptr())) };
        text.to_string_lossy().into_owned()
    }

    fn outcome(&self, rc: i32) -> Result<(), Refused> {
        Refused::unless_ok(rc, || self.why())
    }

    /// `Iommu::new` for each of `endpoints`, `handle_add_vfio_device` for a hot-plugged one. When
    /// it is refused, nothing has changed.
    pub fn add_endpoint(&mut self, endpoint: u32, host: &Host) -> Result<(), Refused> {
        let container_type = self.number_of(host);
        let rc = with_host(host, container_type, |raw_host| {
            // SAFETY: `raw` is live as long as `self`, and `&mut self` keeps others away;
            // `raw_host` and what it points at outlive the call, which keeps none of it.
            unsafe { ffi::iovageom_crosvm_add_endpoint(self.raw.as_ptr(), endpoint, raw_host) }
        })?;
        self.outcome(rc)
    }

    /// `handle_del_vfio_device`.
    pub fn remove_endpoint(&mut self, endpoint: u32) -> Result<(), Refused> {
        // SAFETY: `raw` is live as long as `self`, and `&mut self` keeps others away.
        let rc = unsafe { ffi::iovageom_crosvm_remove_endpoint(self.raw.as_ptr(), endpoint) };
        self.outcome(rc)
    }

    /// One of `hp_endpoints_ranges`. `floor` is what any device to come will be able to map.
    pub fn declare(&mut self, range: RangeInclusive<u32>, floor: Option<&Host>) -> Result<(), Refused> {
        let (first, last) = range.into_inner();
        let container_type = floor.map_or(0, |host| self.number_of(host));
        let call = |raw_host: *const ffi::Host| {
            // SAFETY: `raw` is live as long as `self`, and `&mut self` keeps others away;
            // `raw_host` is NULL, or it and what it points at outlive the call, which keeps none.
            unsafe { ffi::iovageom_crosvm_declare(self.raw.as_ptr(), first, last, raw_host) }
        };
        let rc = match floor {
            Some(host) => with_host(host, container_type, call)?,
            None => call(ptr::null()),
        };
        self.outcome(rc)
    }

    /// What `virtio_iommu_config` and `avail_features` become.
    pub fn config(&self) -> Result<Config, Refused> {
        let mut config = Config::default();
        // SAFETY: `raw` is live as long as `self`, the call changes nothing of it, and `config` has
        // the layout of the C structure (ffi.rs).
        let rc = unsafe { ffi::iovageom_crosvm_config(self.raw.as_ptr(), &mut config) };
        self.outcome(rc).map(|_| config)
    }

    /// `VirtioDevice::activate`: the guest has read the config space.
    pub fn activate(&mut self) -> Result<(), Refused> {
        // SAFETY: `raw` is live as long as `self`, and `&mut self` keeps others away.
        let rc = unsafe { ffi::iovageom_crosvm_activate(self.raw.as_ptr()) };
        self.outcome(rc)
    }

    /// `process_attach_request`. UNSUPP, too, while another endpoint of its container is in another
    /// domain: a mapper can't hold two.
    pub fn attach(&mut self, domain: u32, endpoint: u32, reserved: &[u8; 8]) -> u8 {
        // SAFETY: `raw` is live as long as `self`, and `&mut self` keeps others away;
        // 8 bytes are what the call reads.
        unsafe { ffi::iovageom_crosvm_attach(self.raw.as_ptr(), domain, endpoint, reserved.as_ptr()) }
    }

    /// `process_detach_request`. UNSUPP, too, while another endpoint of its container stays.
    pub fn detach(&mut self, domain: u32, endpoint: u32) -> u8 {
        // SAFETY: `raw` is live as long as `self`, and `&mut self` keeps others away.
        unsafe { ffi::iovageom_crosvm_detach(self.raw.as_ptr(), domain, endpoint) }
    }

    /// `process_dma_map_request`. `add_map` does the host's part; when it fails, the books go back
    /// and the guest is answered the status it gives.
    pub fn map(
        &mut self,
        domain: u32,
        virt: (u64, u64),
        phys_start: u64,
        flags: u32,
        add_map: impl FnOnce(&Mapping) -> Result<(), u8>,
    ) -> u8 {
        let mut todo = Mapping::default();
        // SAFETY: `raw` is live as long as `self`, and `&mut self` keeps others away;
        // `todo` has the layout of the C structure (ffi.rs) and outlives the call.
        let answer = unsafe {
            ffi::iovageom_crosvm_map(self.raw.as_ptr(), domain, virt.0, virt.1, phys_start, flags, &mut todo)
        };
        if answer != status::OK {
            return answer;
        }
        match add_map(&todo) {
            Ok(()) => status::OK,
            Err(failure) => {
                // SAFETY: `raw` is live as long as `self`, and `&mut self` keeps others away.
                unsafe { ffi::iovageom_crosvm_map_undo(self.raw.as_ptr(), domain, virt.0, virt.1) };
                failure
            }
        }
    }

    /// `process_dma_unmap_request`. `remove_map` is called for each mapping that goes, ascending;
    /// when one fails, the guest is answered the status it gives, those before it are gone from the
    /// books too, and the others stay.
    pub fn unmap(
        &mut self,
        domain: u32,
        virt: (u64, u64),
        mut remove_map: impl FnMut(&Mapping) -> Result<(), u8>,
    ) -> u8 {
        let books = self.raw.as_ptr();
        // SAFETY: `raw` is live as long as `self`, and `&mut self` keeps others away.
        let answer = unsafe { ffi::iovageom_crosvm_unmap_check(books, domain, virt.0, virt.1) };
        if answer != status::OK {
            return answer;
        }
        let mut todo = Mapping::default();
        loop {
            // SAFETY: `raw` is live as long as `self`, and `&mut self` keeps others away;
            // `todo` has the layout of the C structure (ffi.rs) and outlives the call.
            let found = unsafe {
                ffi::iovageom_crosvm_unmap_next(books, domain, virt.0, virt.1, &mut todo)
            };
            if !found {
                return status::OK;
            }
            if let Err(failure) = remove_map(&todo) {
                return failure;
            }
            // SAFETY: `raw` is live as long as `self`, and `&mut self` keeps others away.
            let done = unsafe { ffi::iovageom_crosvm_unmap(books, domain, todo.iova, todo.last) };
            if done != status::OK {
                return done;
            }
        }
    }

    /// `process_probe_request`: fills `properties`, the buffer without its tail, unless it answers
    /// something else than OK.
    pub fn probe(&mut self, endpoint: u32, properties: &mut [u8]) -> u8 {
        // SAFETY: `raw` is live as long as `self`, and `&mut self` keeps others away;
        // the call writes within the length of `properties`, or nothing.
        unsafe {
            ffi::iovageom_crosvm_probe(
                self.raw.as_ptr(),
                endpoint,
                properties.as_mut_ptr(),
                properties.len(),
            )
        }
    }

    /// The number of the type of a host's container, given out when it is met first. Types are those
    /// of a program's source: there are few.
    fn number_of(&mut self, host: &Host) -> u32 {
        let wanted = match host.container {
            Some(container) => container.type_id,
            None => return 0,
        };
        let number = self.types.iter().position(|known| *known == wanted).unwrap_or_else(|| {
            self.types.push(wanted);
            self.types.len() - 1
        });
        // Beyond what C takes it is refused there; it doesn't wrap.
        u32::try_from(number).unwrap_or(u32::MAX)
    }
}

fn with_host<T>(host: &Host, container_type: u32, call: impl FnOnce(*const ffi::Host) -> T) -> Result<T, Refused> {
    let name = CString::new(host.name.as_str()).map_err(|_| Refused::name(&host.name))?;
    let flat: Option<Vec<u64>> = host.ranges.as_ref().map(|ranges| {
        ranges.iter().flat_map(|range| [*range.start(), *range.end()]).collect()
    });
    let raw = ffi::Host {
        name: name.as_ptr(),
        page_mask: host.page_mask.unwrap_or(0),
        ranges: flat.as_ref().map_or(ptr::null(), |flat| flat.as_ptr()),
        range_count: flat.as_ref().map_or(0, |flat| flat.len() / 2),
        container_type,
        container_id: host.container.map_or(0, |container| container.id),
        container_known: host.container.is_some() as u32,
        page_mask_known: host.page_mask.is_some() as u32,
    };
    Ok(call(&raw))
}
