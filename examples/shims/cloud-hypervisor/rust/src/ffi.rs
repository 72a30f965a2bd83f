// SPDX-License-Identifier: BSD-3-Clause
//! ../iovageom_ch.h, line for line.

use std::os::raw::{c_char, c_int};

#[repr(C)]
pub struct Iommu {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct Host {
    pub name: *const c_char,
    pub vfio_info: *const u8,
    pub vfio_info_size: usize,
    pub address_width: u32,
    pub reserved: u32,
}

pub const NOTHING: u32 = 0;
pub const MAP: u32 = 1;
pub const UNMAP: u32 = 2;
pub const ATTACH: u32 = 3;
pub const DETACH: u32 = 4;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    pub work: u32,
    pub domain: u32,
    pub endpoint: u32,
    pub attached: u32,
    pub from_domain: u32,
    pub bypass: u32,
    pub start: u64,
    pub last: u64,
    pub gpa: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    pub start: u64,
    pub last: u64,
    pub gpa: u64,
}

extern "C" {
    pub fn iovageom_ch_new(msi_start: u64, msi_last: u64, address_width_bits: u32, out: *mut *mut Iommu) -> c_int;
    pub fn iovageom_ch_free(iommu: *mut Iommu);
    pub fn iovageom_ch_add(iommu: *mut Iommu, device_id: u32, host: *const Host) -> c_int;
    pub fn iovageom_ch_remove(iommu: *mut Iommu, device_id: u32) -> c_int;
    pub fn iovageom_ch_add_emulated(iommu: *mut Iommu, device_id: u32) -> c_int;
    pub fn iovageom_ch_declare(iommu: *mut Iommu, device_id: u32) -> c_int;
    pub fn iovageom_ch_set_floor(iommu: *mut Iommu, host: *const Host) -> c_int;
    pub fn iovageom_ch_config(iommu: *const Iommu, out: *mut u8) -> c_int;
    pub fn iovageom_ch_features() -> u64;
    pub fn iovageom_ch_driver_features(iommu: *mut Iommu, accepted: u64) -> c_int;
    pub fn iovageom_ch_set_bypass(iommu: *mut Iommu, value: u8) -> c_int;
    pub fn iovageom_ch_parse(
        iommu: *mut Iommu,
        readable: *const u8,
        readable_size: usize,
        writable_size: usize,
        step: *mut Step,
    );
    pub fn iovageom_ch_finish(iommu: *mut Iommu, worked: bool, writable: *mut u8, writable_size: usize) -> usize;
    pub fn iovageom_ch_next_mapping(
        iommu: *const Iommu,
        domain: u32,
        from: u64,
        last: u64,
        out: *mut Mapping,
    ) -> bool;
    pub fn iovageom_ch_next_endpoint(iommu: *const Iommu, domain: u32, previous: u64, out: *mut u32) -> bool;
    pub fn iovageom_ch_domain_of(iommu: *const Iommu, device_id: u32, domain: *mut u32) -> bool;
    pub fn iovageom_ch_translate(
        iommu: *const Iommu,
        device_id: u32,
        address: u64,
        size: u64,
        write: bool,
        gpa: *mut u64,
    ) -> bool;
    pub fn iovageom_ch_save(iommu: *const Iommu, out: *mut u8, size: usize, needed: *mut usize) -> c_int;
    pub fn iovageom_ch_load(iommu: *mut Iommu, bytes: *const u8, size: usize) -> c_int;
    pub fn iovageom_ch_why(iommu: *const Iommu) -> *const c_char;
}
