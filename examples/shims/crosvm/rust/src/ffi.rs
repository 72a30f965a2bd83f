// SPDX-License-Identifier: BSD-3-Clause
//! ../iovageom_crosvm.h, line for line.

use std::os::raw::{c_char, c_int};

#[repr(C)]
pub struct Books {
    _opaque: [u8; 0],
}

#[repr(C)]
pub struct Host {
    pub name: *const c_char,
    pub page_mask: u64,
    pub ranges: *const u64,
    pub range_count: usize,
    pub container_type: u32,
    pub container_id: u32,
    pub container_known: u32,
    pub page_mask_known: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    pub page_size_mask: u64,
    pub input_start: u64,
    pub input_last: u64,
    pub features: u64,
    pub probe_size: u32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    pub iova: u64,
    pub gpa: u64,
    pub last: u64,
    pub write: u32,
    pub read: u32,
}

extern "C" {
    pub fn iovageom_crosvm_new(page_size: u64, msi_start: u64, msi_last: u64, out: *mut *mut Books) -> c_int;
    pub fn iovageom_crosvm_free(books: *mut Books);
    pub fn iovageom_crosvm_add_endpoint(books: *mut Books, endpoint: u32, host: *const Host) -> c_int;
    pub fn iovageom_crosvm_remove_endpoint(books: *mut Books, endpoint: u32) -> c_int;
    pub fn iovageom_crosvm_declare(books: *mut Books, first: u32, last: u32, floor: *const Host) -> c_int;
    pub fn iovageom_crosvm_config(books: *const Books, out: *mut Config) -> c_int;
    pub fn iovageom_crosvm_activate(books: *mut Books) -> c_int;
    pub fn iovageom_crosvm_attach(books: *mut Books, domain: u32, endpoint: u32, reserved: *const u8) -> u8;
    pub fn iovageom_crosvm_detach(books: *mut Books, domain: u32, endpoint: u32) -> u8;
    pub fn iovageom_crosvm_map(
        books: *mut Books,
        domain: u32,
        virt_start: u64,
        virt_end: u64,
        phys_start: u64,
        flags: u32,
        todo: *mut Mapping,
    ) -> u8;
    pub fn iovageom_crosvm_map_undo(books: *mut Books, domain: u32, virt_start: u64, virt_end: u64);
    pub fn iovageom_crosvm_unmap_check(books: *mut Books, domain: u32, virt_start: u64, virt_end: u64) -> u8;
    pub fn iovageom_crosvm_unmap_next(
        books: *const Books,
        domain: u32,
        from: u64,
        virt_end: u64,
        todo: *mut Mapping,
    ) -> bool;
    pub fn iovageom_crosvm_unmap(books: *mut Books, domain: u32, virt_start: u64, virt_end: u64) -> u8;
    pub fn iovageom_crosvm_probe(books: *mut Books, endpoint: u32, properties: *mut u8, size: usize) -> u8;
    pub fn iovageom_crosvm_why(books: *const Books) -> *const c_char;
}
