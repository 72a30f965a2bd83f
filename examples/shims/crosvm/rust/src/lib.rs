// SPDX-License-Identifier: BSD-3-Clause
//! The books of a virtual IOMMU, for crosvm's `devices/src/virtio/iommu.rs`.
//!
//! One method for each `process_*_request`, taking the fields as that function has read them and
//! answering the `tail.status` to write; one for each place where an endpoint comes or goes. See
//! the README beside for where each is called from.

mod ffi;

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
    /// `MemoryMapper::id()`: endpoints with the same one share the host's page tables.
    pub container: u64,
    /// `MemoryMapper::get_mask()`.
    pub page_mask: Option<u64>,
    /// What `VFIO_IOMMU_GET_INFO` lists: closed ranges.
    pub ranges: Option<Vec<RangeInclusive<u64>>>,
}

/// The books of one virtio-iommu device.
pub struct Books(NonNull<ffi::Books>);

// The books are one object without thread affinity: they may move to the worker thread that
// crosvm's `activate` starts. They are not Sync: `why` reads what the last call has written.
unsafe impl Send for Books {}

impl Drop for Books {
    fn drop(&mut self) {
        unsafe { ffi::iovageom_crosvm_free(self.0.as_ptr()) }
    }
}

impl Books {
    /// `page_size` is that of the VMM's own process, `msi` the machine's window if it has one.
    pub fn new(page_size: u64, msi: Option<RangeInclusive<u64>>) -> Result<Books, Refused> {
        let (start, last) = msi.map_or((1, 0), RangeInclusive::into_inner);
        let mut books = ptr::null_mut();
        let rc = unsafe { ffi::iovageom_crosvm_new(page_size, start, last, &mut books) };
        match NonNull::new(books) {
            Some(books) if rc == 0 => Ok(Books(books)),
            _ => Err(Refused::new(rc, String::new())),
        }
    }

    /// A sentence on what the last call refused; empty when it refused nothing.
    pub fn why(&self) -> String {
        let text = unsafe { CStr::from_ptr(ffi::iovageom_crosvm_why(self.0.as_ptr())) };
        text.to_string_lossy().into_owned()
    }

    fn outcome(&self, rc: i32) -> Result<(), Refused> {
        Refused::unless_ok(rc, || self.why())
    }

    /// `Iommu::new` for each of `endpoints`, `handle_add_vfio_device` for a hot-plugged one. When
    /// it is refused, nothing has changed.
    pub fn add_endpoint(&mut self, endpoint: u32, host: &Host) -> Result<(), Refused> {
        let rc = with_host(host, |raw| unsafe {
            ffi::iovageom_crosvm_add_endpoint(self.0.as_ptr(), endpoint, raw)
        })?;
        self.outcome(rc)
    }

    /// `handle_del_vfio_device`.
    pub fn remove_endpoint(&mut self, endpoint: u32) -> Result<(), Refused> {
        let rc = unsafe { ffi::iovageom_crosvm_remove_endpoint(self.0.as_ptr(), endpoint) };
        self.outcome(rc)
    }

    /// One of `hp_endpoints_ranges`. `floor` is what any device to come will be able to map.
    pub fn declare(&mut self, range: RangeInclusive<u32>, floor: Option<&Host>) -> Result<(), Refused> {
        let (first, last) = range.into_inner();
        let call = |raw: *const ffi::Host| unsafe {
            ffi::iovageom_crosvm_declare(self.0.as_ptr(), first, last, raw)
        };
        let rc = match floor {
            Some(host) => with_host(host, call)?,
            None => call(ptr::null()),
        };
        self.outcome(rc)
    }

    /// What `virtio_iommu_config` and `avail_features` become.
    pub fn config(&self) -> Result<Config, Refused> {
        let mut config = Config::default();
        let rc = unsafe { ffi::iovageom_crosvm_config(self.0.as_ptr(), &mut config) };
        self.outcome(rc).map(|_| config)
    }

    /// `VirtioDevice::activate`: the guest has read the config space.
    pub fn activate(&mut self) -> Result<(), Refused> {
        let rc = unsafe { ffi::iovageom_crosvm_activate(self.0.as_ptr()) };
        self.outcome(rc)
    }

    /// `process_attach_request`.
    pub fn attach(&mut self, domain: u32, endpoint: u32, reserved: &[u8; 8]) -> u8 {
        unsafe { ffi::iovageom_crosvm_attach(self.0.as_ptr(), domain, endpoint, reserved.as_ptr()) }
    }

    /// `process_detach_request`.
    pub fn detach(&mut self, domain: u32, endpoint: u32) -> u8 {
        unsafe { ffi::iovageom_crosvm_detach(self.0.as_ptr(), domain, endpoint) }
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
        let answer = unsafe {
            ffi::iovageom_crosvm_map(self.0.as_ptr(), domain, virt.0, virt.1, phys_start, flags, &mut todo)
        };
        if answer != status::OK {
            return answer;
        }
        match add_map(&todo) {
            Ok(()) => status::OK,
            Err(failure) => {
                unsafe { ffi::iovageom_crosvm_map_undo(self.0.as_ptr(), domain, virt.0, virt.1) };
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
        let books = self.0.as_ptr();
        let answer = unsafe { ffi::iovageom_crosvm_unmap_check(books, domain, virt.0, virt.1) };
        if answer != status::OK {
            return answer;
        }
        let mut todo = Mapping::default();
        while unsafe { ffi::iovageom_crosvm_unmap_next(books, domain, virt.0, virt.1, &mut todo) } {
            if let Err(failure) = remove_map(&todo) {
                return failure;
            }
            let done = unsafe { ffi::iovageom_crosvm_unmap(books, domain, todo.iova, todo.last) };
            if done != status::OK {
                return done;
            }
        }
        status::OK
    }

    /// `process_probe_request`: fills `properties`, the buffer without its tail, unless it answers
    /// something else than OK.
    pub fn probe(&mut self, endpoint: u32, properties: &mut [u8]) -> u8 {
        unsafe {
            ffi::iovageom_crosvm_probe(
                self.0.as_ptr(),
                endpoint,
                properties.as_mut_ptr(),
                properties.len(),
            )
        }
    }
}

fn with_host<T>(host: &Host, call: impl FnOnce(*const ffi::Host) -> T) -> Result<T, Refused> {
    let name = CString::new(host.name.as_str()).map_err(|_| Refused::name(&host.name))?;
    let flat: Option<Vec<u64>> = host.ranges.as_ref().map(|ranges| {
        ranges.iter().flat_map(|range| [*range.start(), *range.end()]).collect()
    });
    let raw = ffi::Host {
        name: name.as_ptr(),
        container: host.container,
        page_mask: host.page_mask.unwrap_or(0),
        ranges: flat.as_ref().map_or(ptr::null(), |flat| flat.as_ptr()),
        range_count: flat.as_ref().map_or(0, |flat| flat.len() / 2),
        page_mask_known: host.page_mask.is_some() as u32,
        reserved: 0,
    };
    Ok(call(&raw))
}
