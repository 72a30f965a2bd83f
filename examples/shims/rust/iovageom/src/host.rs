// SPDX-License-Identifier: BSD-3-Clause
//! What a host says, into a geometry. The kernel is asked by the caller: nothing here makes a call.

use std::io;
use std::ptr;

use iovageom_sys as sys;

use crate::report::plain;
use crate::{Error, Geometry, Result, Status};

/// iommufd's answer ends before its attributes are used: memory that the kernel may write to.
#[repr(C, align(8))]
struct IommufdHeader([u8; sys::IOVAGEOM_IOMMUFD_RANGES_SIZE as usize]);

/// How often a kernel is asked that wants more room than it was given.
const TRIES: u32 = 8;

fn host_refused(error: &io::Error, what: &str) -> Error {
    Error::new(Status::Host, format!("{what}: {error}"))
}

impl Geometry {
    /// Adds what VFIO_IOMMU_GET_INFO has answered: usable ranges, page sizes and mapping budget, each
    /// if it is there. Takes any bytes.
    pub fn add_vfio_info(&mut self, bytes: &[u8]) -> Result<()> {
        // SAFETY: a live geometry that `&mut self` keeps others from, and that many bytes.
        plain(unsafe {
            sys::iovageom_host_vfio_info(
                bytes.as_ptr().cast(),
                bytes.len(),
                ptr::null_mut(),
                self.as_mut(),
            )
        })
    }

    /// Asks for VFIO_IOMMU_GET_INFO until the answer is whole, and adds it. `ioctl` is given the
    /// buffer, 8-aligned, with argsz in it, and lets the kernel write there.
    pub fn ask_vfio(&mut self, mut ioctl: impl FnMut(&mut [u64]) -> io::Result<()>) -> Result<()> {
        let mut needed = 512;
        for _ in 0..TRIES {
            let size = needed;
            let mut buffer = vec![0_u64; (size + 7) / 8];
            let argsz = u32::try_from(size).unwrap_or(u32::MAX).to_ne_bytes();
            buffer[0] = u64::from_ne_bytes([argsz[0], argsz[1], argsz[2], argsz[3], 0, 0, 0, 0]);
            ioctl(&mut buffer).map_err(|error| host_refused(&error, "VFIO_IOMMU_GET_INFO"))?;
            // SAFETY: a live geometry that `&mut self` keeps others from, and at least `size` bytes.
            let rc = unsafe {
                sys::iovageom_host_vfio_info(
                    buffer.as_ptr().cast(),
                    size,
                    &mut needed,
                    self.as_mut(),
                )
            };
            if rc != sys::IOVAGEOM_ERR_BUFFER_TOO_SMALL {
                return plain(rc);
            }
        }
        Err(Error::new(Status::Limit, "VFIO_IOMMU_GET_INFO wants more room each time"))
    }

    /// Asks for IOMMU_IOAS_IOVA_RANGES of an IOAS until the answer is whole, and adds it: usable
    /// ranges, and an alignment, which is no page-size mask. Ask after each attach. `ioctl` is given
    /// struct iommu_ioas_iova_ranges, which points at room for the list, and answers as the kernel
    /// did.
    pub fn ask_iommufd(
        &mut self,
        ioas_id: u32,
        mut ioctl: impl FnMut(&mut [u8; 32]) -> io::Result<()>,
    ) -> Result<()> {
        const EMSGSIZE: i32 = 90;
        const RANGE_SIZE: usize = sys::IOVAGEOM_IOMMUFD_RANGE_SIZE as usize;
        let mut needed = 32 * RANGE_SIZE;
        for _ in 0..TRIES {
            let room = needed;
            let mut list = vec![0_u64; room / 8];
            let array = list.as_mut_ptr() as usize as u64;
            let count = u32::try_from(room / RANGE_SIZE).unwrap_or(u32::MAX);
            let mut header = IommufdHeader([0; 32]);
            header.0[..4].copy_from_slice(&32_u32.to_ne_bytes());
            header.0[4..8].copy_from_slice(&ioas_id.to_ne_bytes());
            header.0[8..12].copy_from_slice(&count.to_ne_bytes());
            header.0[16..24].copy_from_slice(&array.to_ne_bytes());
            let whole = match ioctl(&mut header.0) {
                Ok(()) => room,
                Err(error) if error.raw_os_error() == Some(EMSGSIZE) => 0,
                Err(error) => return Err(host_refused(&error, "IOMMU_IOAS_IOVA_RANGES")),
            };
            // SAFETY: a live geometry that `&mut self` keeps others from, 32 bytes of header, and a
            // list of `room` bytes, of which none counts if they were too few.
            let rc = unsafe {
                sys::iovageom_host_iommufd_ranges(
                    header.0.as_ptr().cast(),
                    header.0.len(),
                    list.as_ptr().cast(),
                    whole,
                    &mut needed,
                    self.as_mut(),
                )
            };
            if rc != sys::IOVAGEOM_ERR_BUFFER_TOO_SMALL {
                return plain(rc);
            }
        }
        Err(Error::new(Status::Limit, "IOMMU_IOAS_IOVA_RANGES wants more room each time"))
    }

    /// Adds the text of `/sys/kernel/iommu_groups/N/reserved_regions`. One line that can't be read
    /// refuses all of it.
    pub fn add_sysfs_reserved_regions(&mut self, text: &str) -> Result<()> {
        let mut line = 0;
        // SAFETY: a live geometry that `&mut self` keeps others from, and a text of that length.
        let rc = unsafe {
            sys::iovageom_host_sysfs_reserved_regions(
                text.as_ptr().cast(),
                text.len(),
                sys::IOVAGEOM_SYSFS_STRICT,
                &mut line,
                self.as_mut(),
            )
        };
        plain(rc).map_err(|error| {
            Error::new(error.status(), format!("line {line} of reserved_regions: {error}"))
        })
    }
}
